// In: sections of feature maps, each with the address of a script that calls `cnnvisMaps` (written by
// cnnvis/pages/maps.py). Out: sheets of tiles, loaded as they come into view, in a chosen order and
// grey scale; a tile opens its map over the image.
const sections = new Map([...document.querySelectorAll('.maps')].map((section) => [section.dataset.layer, section]));
const large = document.getElementById('large');
const [heat, range] = ['.heat', 'input'].map((name) => large.querySelector(name));
const [title, text, cards] = ['title', 'text', 'cards'].map((name) => document.getElementById(`large-${name}`));
const colours = Uint8Array.from(atob(document.getElementById('colours').textContent), (character) => character.charCodeAt(0));
const short = (value) => String(Number(value.toPrecision(3))).replace('-', '−');
let shown = null;

/** The value that a byte of a filter's map stands for. */
const valueOf = (maps, filter, byte) =>
  maps.low[filter] + (maps.high[filter] - maps.low[filter]) * (byte / 255) ** (1 / maps.gamma);

/** The grey of each byte of a filter's map, on its own scale or on the layer's. */
function greysOf(maps, filter, scale) {
  if (scale === 'filter') return Uint8Array.from({ length: 256 }, (_, byte) => byte);
  return Uint8Array.from({ length: 256 }, (_, byte) => {
    const share = (valueOf(maps, filter, byte) - maps.black) / (maps.white - maps.black);
    return Math.round(255 * Math.min(1, Math.max(0, share)) ** maps.gamma);
  });
}

/** Draw a filter's map, one pixel a value; `paint(byte)` is its [red, green, blue, alpha]. */
function draw(canvas, maps, filter, paint) {
  const [, height, width] = maps.shape;
  Object.assign(canvas, { width, height });
  const pixels = new ImageData(width, height), first = filter * height * width;
  for (let i = 0; i < height * width; i++) pixels.data.set(paint(maps.bytes[first + i]), 4 * i);
  canvas.getContext('2d').putImageData(pixels, 0, 0);
}

/** Whether a filter's map is constant, though it has several values. */
const isDead = ({ shape: [, height, width], low, high }, filter) => height * width > 1 && low[filter] === high[filter];

function arrange({ maps, section, form, tiles }) {
  const [order, scale] = [form.order.value, form.scale.value];
  for (const [filter, tile] of tiles.entries()) {
    if (isDead(maps, filter)) continue;
    const greys = greysOf(maps, filter, scale);
    draw(tile.querySelector('canvas'), maps, filter, (byte) => [greys[byte], greys[byte], greys[byte], 255]);
  }
  section.querySelector('.tiles').append(...maps.orders[order].map((filter) => tiles[filter]));
  const body = section.parentElement;
  const about = body.querySelector(`[data-order="${CSS.escape(order)}"]`).cloneNode(true);
  const ends = scale === 'layer'
    ? `Black is ${short(maps.black)}, white ${short(maps.white)} and more, for all maps alike.`
    : 'Black is the least and white the largest value of each map: how strong filters are cannot be compared.';
  const curve = maps.gamma === 1 ? '' : ' Grey is the square root of the share between (gamma 0.5), so that weak responses show.';
  const dead = tiles.filter((_, filter) => isDead(maps, filter)).length;
  const crossed = dead ? ` Crossed out: constant (${dead} of ${tiles.length} maps), so no response to this image.` : '';
  section.querySelector('.says').replaceChildren(about, ` ${ends}${curve}${crossed} Choose a map to see it over the image.`);
}

function makeTile(maps, filter) {
  const tile = document.createElement('button');
  tile.type = 'button';
  tile.title = isDead(maps, filter)
    ? `Filter ${filter}: ${short(maps.low[filter])} everywhere`
    : `Filter ${filter}: ${short(maps.low[filter])} to ${short(maps.high[filter])}`;
  tile.classList.toggle('dead', isDead(maps, filter));
  const [canvas, number] = [document.createElement('canvas'), document.createElement('span')];
  Object.assign(canvas, { height: maps.shape[1], width: maps.shape[2] });
  number.textContent = filter;
  tile.append(number, canvas);
  return tile;
}

/** Whole pixels for each value where there is room, as near as possible to `room` pixels in all. */
const tileWidth = (width, room) => (width > room ? room : width * Math.floor(room / width));

globalThis.cnnvisMaps = async (maps) => {
  const section = sections.get(maps.layer);
  maps.bytes = new Uint8Array(await unpack(maps.voxels));
  const tiles = Array.from({ length: maps.shape[0] }, (_, filter) => makeTile(maps, filter));
  const sheet = { maps, section, tiles, form: section.querySelector('form') };
  section.style.setProperty('--large', `${tileWidth(maps.shape[2], 118)}px`);
  section.style.setProperty('--small', `${tileWidth(maps.shape[2], 64)}px`);
  tiles.forEach((tile, filter) => tile.addEventListener('click', () => { open(sheet, filter); large.showModal(); }));
  sheet.form.addEventListener('input', () => arrange(sheet));
  arrange(sheet);
  section.dataset.ready = '1';
};

function open(sheet, filter) {
  const { maps, section } = sheet, place = JSON.parse(section.dataset.place);
  shown = { sheet, filter };
  title.textContent = `${maps.layer}, filter ${filter}`;
  draw(heat, maps, filter, (byte) => [...colours.subarray(3 * byte, 3 * byte + 3), byte]);
  const { top, left, height, width } = place || { top: 0, left: 0, height: 1, width: 1 };
  const box = { top, left, height, width };
  for (const [side, share] of Object.entries(box)) heat.style[side] = `${100 * share}%`;
  cards.hidden = !section.dataset.cards;
  cards.href = `${section.dataset.cards}#filter-${filter}`;
  describe();
}

/** Say what is shown, and the value at a position (y, x) if there is one. */
function describe(y, x) {
  const { sheet: { maps, section }, filter } = shown, [, height, width] = maps.shape;
  const bytes = maps.bytes.subarray(filter * height * width, (filter + 1) * height * width);
  const strong = bytes.reduce((count, byte) => count + (byte > 0), 0) / bytes.length;
  const values = isDead(maps, filter)
    ? `${short(maps.low[filter])} at every position: the filter does not respond to this image.`
    : `${short(maps.low[filter])} (transparent) to ${short(maps.high[filter])} (bright); more than the least at ${Math.round(100 * strong)} % of ${height} × ${width} positions.`;
  const place = section.dataset.place === 'null'
    ? 'Stretched over the image, because the receptive fields of this layer have no one stride.'
    : 'Each value lies over the middle of its receptive field.';
  const here = y === undefined ? '' : ` Row ${y}, column ${x}: about ${short(valueOf(maps, filter, bytes[y * width + x]))}.`;
  text.textContent = `${values} ${place}${here}`;
}

const step = (by) => {
  const { sheet, filter } = shown, order = sheet.maps.orders[sheet.form.order.value];
  open(sheet, order[(order.indexOf(filter) + by + order.length) % order.length]);
};
large.addEventListener('click', (event) => {
  if (event.target === large) large.close();
  const by = event.target.dataset.step;
  if (by) step(Number(by));
});
large.addEventListener('keydown', (event) => {
  if (event.target === range) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) step(by);
});
range.addEventListener('input', () => { heat.style.opacity = range.value; });
heat.style.opacity = range.value;
heat.parentElement.addEventListener('pointermove', (event) => {
  const box = heat.getBoundingClientRect(), [, height, width] = shown.sheet.maps.shape;
  const y = Math.floor((height * (event.clientY - box.top)) / box.height);
  const x = Math.floor((width * (event.clientX - box.left)) / box.width);
  if (y >= 0 && x >= 0 && y < height && x < width) describe(y, x); else describe();
});

const watch = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    watch.unobserve(target);
    const script = document.createElement('script');
    script.src = target.dataset.maps;
    script.onerror = () => { target.hidden = true; target.parentElement.querySelector('.pictures').open = true; };
    document.head.append(script);
  }
}, { rootMargin: '600px' });
for (const section of sections.values()) {
  section.hidden = false;
  watch.observe(section);
}
