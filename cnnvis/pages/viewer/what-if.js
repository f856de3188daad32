// In: #spec and #input of the page, and the network, a script that calls `cnnvisNetwork` (written by
// cnnvis/pages/what_if.py). Out: tiles that switch filters off, and the scores without them.
const spec = JSON.parse(document.getElementById('spec').textContent);
const form = document.getElementById('choices'), holder = document.querySelector('.tiles');
const layers = new Map(spec.layers.map((layer) => [layer.name, layer]));
const off = new Set();
const short = (value) => String(Number(value.toPrecision(3))).replace('-', '−');
const percent = (share) => (share < 0.0005 ? '< 0.1 %' : `${Number((100 * share).toPrecision(3))} %`);
let program = null, values = null, scores = spec.scores;

const load = (address) => new Promise((done, failed) => {
  const script = Object.assign(document.createElement('script'), { src: address, onload: done, onerror: failed });
  document.head.append(script);
});

/** The scores without filters of a layer; for the console, too. */
globalThis.scoresWithout = (layer, filters) => [...scoresWithout(program, values, layer, filters)];

const probabilities = (of) => (spec.softmax ? softmax(Float64Array.from(of)) : of);
const best = (of) => [...of.keys()].sort((a, b) => of[b] - of[a]).slice(0, 5);

function cell(...parts) {
  const element = document.createElement('td');
  element.append(...parts);
  return element;
}

/** The cell of a class's probability, drawn as a bar, and its score. */
function measure(share, score) {
  const [bar, filled, below] = ['span', 'span', 'small'].map((name) => document.createElement(name));
  bar.className = 'bar';
  filled.style.width = `${100 * share}%`;
  bar.append(filled);
  below.textContent = `score ${short(score)}`;
  return cell(percent(share), bar, spec.softmax ? below : '');
}

function tell() {
  const [before, after] = [probabilities(spec.scores), probabilities(scores)];
  const shown = [...new Set([...spec.top, ...best(scores)])].sort((a, b) => scores[b] - scores[a] || a - b);
  document.getElementById('scores').replaceChildren(...shown.map((cls) => {
    const row = document.createElement('tr');
    row.append(cell(spec.labels[cls]), measure(before[cls], spec.scores[cls]), measure(after[cls], scores[cls]));
    return row;
  }));
  const [chosen] = best(scores), layer = form.layer.value;
  const numbers = [...off].sort((a, b) => a - b), more = numbers.splice(12).length;
  const without = off.size === layers.get(layer).filters ? 'any filter'
    : `${off.size === 1 ? 'filter' : 'filters'} ${numbers.join(', ')}${more ? ` and ${more} more` : ''}`;
  const strong = document.createElement('strong');
  strong.textContent = spec.labels[chosen];
  document.getElementById('sentence').replaceChildren(
    off.size ? `Without ${without} of ${layer}, the network predicts ` : 'With all filters, the network predicts ', strong,
    chosen === spec.top[0] ? '.' : ` instead of ${spec.labels[spec.top[0]]}.`);
}

function update() {
  const layer = form.layer.value;
  for (const tile of holder.children) tile.setAttribute('aria-pressed', off.has(Number(tile.dataset.filter)));
  history.replaceState(null, '', off.size ? `#${encodeURIComponent(layer)}:${[...off]}` : location.pathname);
  if (!values) return;
  scores = off.size ? globalThis.scoresWithout(layer, off) : spec.scores;
  tell();
}

function makeTile(filter) {
  const tile = document.createElement('button');
  tile.type = 'button';
  tile.dataset.filter = filter;
  tile.append(filter);
  tile.addEventListener('click', () => {
    if (!off.delete(filter)) off.add(filter);
    update();
  });
  return tile;
}

/** Write under each tile what its filter alone does, and sort by it. */
function sort() {
  const { effects } = layers.get(form.layer.value);
  if (!effects) return;
  const column = Number(form.cls.value), whole = spec.scores[spec.top[column]];
  const tiles = [...holder.children];
  for (const tile of tiles) {
    const change = effects[tile.dataset.filter * spec.top.length + column] - whole;
    tile.dataset.change = change;
    const text = tile.querySelector('b') || tile.appendChild(document.createElement('b'));
    text.textContent = `${change > 0 ? '+' : ''}${short(Number(change.toFixed(3)))}`;
    text.className = change < -0.0005 ? 'loss' : change > 0.0005 ? 'gain' : '';
  }
  const key = form.order.value === 'effect' ? 'change' : 'filter';
  holder.append(...tiles.sort((a, b) => a.dataset[key] - b.dataset[key] || a.dataset.filter - b.dataset.filter));
}

async function choose() {
  const layer = layers.get(form.layer.value);
  if (typeof layer.effects === 'string') layer.effects = new Float32Array(await unpack(layer.effects));
  holder.replaceChildren(...Array.from({ length: layer.filters }, (_, filter) => makeTile(filter)));
  sort();
  update();
  if (layer.maps) await load(layer.maps).catch(() => { layer.maps = null; });
}

globalThis.cnnvisMaps = async (maps) => {
  const bytes = new Uint8Array(await unpack(maps.voxels)), [, height, width] = maps.shape;
  if (maps.layer !== form.layer.value) return;
  for (const tile of holder.children) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const pixels = new ImageData(width, height), first = tile.dataset.filter * height * width;
    for (let i = 0; i < height * width; i++) pixels.data.set([...Array(3).fill(bytes[first + i]), 255], 4 * i);
    canvas.getContext('2d').putImageData(pixels, 0, 0);
    tile.querySelector('canvas')?.remove();
    tile.firstChild.after(canvas);
  }
};

globalThis.cnnvisNetwork = async (network) => {
  program = network;
  distribute(program, new Float32Array(await unpack(program.weights)));
  values = forward(program, new Float32Array(await unpack(document.getElementById('input').textContent)));
  const largest = Math.max(...spec.scores.map(Math.abs));
  const apart = Math.max(...spec.scores.map((score, cls) => Math.abs(score - values[program.score][cls]))) / largest;
  document.getElementById('agreement').textContent = apart < 1e-5
    ? `Its scores agree with the engine's: they differ by ${apart.toExponential(0)} of the largest.`
    : `Its scores differ from the engine's by ${apart.toExponential(0)} of the largest, so do not rely on them.`;
  update();
  document.body.dataset.network = '1';
};

form.addEventListener('submit', (event) => event.preventDefault());
form.addEventListener('input', (event) => {
  if (event.target !== form.layer) { sort(); return; }
  off.clear();
  choose();
});
document.getElementById('reset').addEventListener('click', () => { off.clear(); update(); });
document.getElementById('invert').addEventListener('click', () => {
  for (const tile of holder.children) {
    const filter = Number(tile.dataset.filter);
    if (!off.delete(filter)) off.add(filter);
  }
  update();
});

const [named, filters] = decodeURIComponent(location.hash.slice(1)).split(':');
if (layers.has(named) && filters) {
  form.layer.value = named;
  for (const filter of filters.split(',').map(Number)) if (filter < layers.get(named).filters) off.add(filter);
}
tell();
choose();
load(spec.network).catch(() => { document.getElementById('agreement').textContent = `The network is missing: ${spec.network}.`; });
