// In: losses of classes without filters, and what they are, in #packed and #spec. Out: a map in
// several orders, sorted by a class or a filter on request, the numbers of the cell under the
// pointer, and lists of what a filter or a class is about.
const spec = JSON.parse(document.getElementById('spec').textContent);
const [form, map, readout, lists] = ['sorting', 'map', 'readout', 'lists'].map((id) => document.getElementById(id));
const [columns, rows, cells, canvas] = ['.columns', '.rows', '.cells', 'canvas'].map((name) => map.querySelector(name));
const [rowMark, columnMark] = map.querySelectorAll('.mark');
const table = Uint8Array.from(atob(spec.colours), (character) => character.charCodeAt(0));
const MOST = 6, NARROWEST = 10, LARGEST = 28, TALL = 18;
const byNumber = (a, b) => a - b;
const say = (value) => (Number(value.toPrecision(3)) || 0).toLocaleString('en', { maximumSignificantDigits: 3 }).replace('-', '−');

const halves = new Uint16Array(await unpack(document.getElementById('packed').textContent));
let first = 0;
const views = spec.measures.map((measure) => {
  const size = measure.classes.length * spec.filters;
  const values = Float32Array.from(halves.subarray(first, first + size), (bits) => halfToNumber(bits) * measure.largest);
  first += size;
  const places = new Map(measure.classes.map((cls, place) => [cls, place]));
  return { ...measure, places, loss: (cls, filter) => values[places.get(cls) * spec.filters + filter] };
});
let view, classes, filters, size, told = [];
const sorted = { cls: null, filter: null }, at = { cls: null, filter: null };

const label = (text, name, number, title) => {
  const button = document.createElement('button');
  Object.assign(button, { type: 'button', textContent: text, title });
  button.setAttribute('aria-pressed', sorted[name] === number);
  button.addEventListener('click', () => {
    sorted[name] = sorted[name] === number ? null : number;
    arrange();
    choose({ [name]: number });
    (name === 'cls' ? rows : columns).children[(name === 'cls' ? classes : filters).indexOf(number)].focus();
  });
  return button;
};

const arrange = () => {
  view = views[form.measure.value];
  if (!view.places.has(sorted.cls)) sorted.cls = null;
  const alike = form.order.value === 'alike';
  classes = alike ? [...view.order.classes] : [...view.classes].sort(byNumber);
  filters = alike ? [...view.order.filters] : [...view.order.filters].sort(byNumber);
  if (sorted.filter !== null) classes.sort((a, b) => view.loss(b, sorted.filter) - view.loss(a, sorted.filter));
  if (sorted.cls !== null) filters.sort((a, b) => view.loss(sorted.cls, b) - view.loss(sorted.cls, a));
  rows.replaceChildren(...classes.map((cls) => label(spec.names[cls], 'cls', cls, `${spec.names[cls]} (class ${cls})`)));
  columns.replaceChildren(...filters.map((filter) => label(filter, 'filter', filter, `filter ${filter}`)));
  paint();
  lay();
};

const shade = (value) => 3 * Math.max(0, Math.min(255, Math.floor(128 * (value / view.window + 1))));
const paint = () => {
  Object.assign(canvas, { width: filters.length, height: classes.length });
  const image = new ImageData(filters.length, classes.length);
  let pixel = 0;
  for (const cls of classes) {
    for (const filter of filters) {
      const colour = shade(view.loss(cls, filter));
      image.data.set([table[colour], table[colour + 1], table[colour + 2], 255], pixel);
      pixel += 4;
    }
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
  const [what, bar, low, , high] = document.querySelector('.scale').children;
  const stops = Array.from({ length: 33 }, (_, stop) => 3 * Math.min(255, 8 * stop));
  bar.style.background = `linear-gradient(90deg, ${stops.map((stop) => `rgb(${table.subarray(stop, stop + 3).join(' ')})`)})`;
  low.textContent = say(-view.window);
  high.textContent = say(view.window);
  what.textContent = view.label[0].toUpperCase() + view.label.slice(1) + view.unit;
};

const lay = () => {
  const whole = form.whole.checked, room = map.parentElement.clientWidth - 4;
  const tall = whole ? Math.min(TALL, Math.max(1, (0.7 * innerHeight) / classes.length)) : TALL;
  map.classList.toggle('low', tall < NARROWEST);
  const fit = (room - map.querySelector('.corner').offsetWidth) / filters.length;
  const wide = Math.min(LARGEST, whole ? fit : Math.max(NARROWEST, fit));
  map.classList.toggle('narrow', wide < NARROWEST);
  size = { tall, wide };
  for (const [name, value] of Object.entries(size)) map.style.setProperty(`--${name}`, `${value}px`);
  Object.assign(canvas.style, { width: `${wide * filters.length}px`, height: `${tall * classes.length}px` });
  mark();
};

const mark = () => {
  const [row, column] = [classes.indexOf(at.cls), filters.indexOf(at.filter)];
  const put = (element, place, start, extent, step) => {
    element.hidden = place < 0;
    Object.assign(element.style, { inset: '0', [start]: `${place * step}px`, [extent]: `${step}px` });
  };
  put(rowMark, row, 'top', 'height', size.tall);
  put(columnMark, column, 'left', 'width', size.wide);
  [...rows.children].forEach((button, place) => button.classList.toggle('found', place === row));
  [...columns.children].forEach((button, place) => button.classList.toggle('found', place === column));
};

const move = (cls, filter) => {
  Object.assign(at, { cls, filter });
  mark();
  const before = view.before[view.places.get(cls)], loss = view.loss(cls, filter);
  const what = view.label.split(' of the ')[1], images = spec.images[cls];
  const over = what === 'mean score' ? '' : ` (${images} image${images === 1 ? '' : 's'})`;
  readout.textContent = `Filter ${filter}, ${spec.names[cls]}${over}: ${what} ${say(before)} with all filters, `
    + `${say(before + view.sign * loss)} without this one; ${view.label} ${say(loss)}.`;
};

// The sentence on a filter, or on a class: what has the largest losses, and what gains most.
const sentence = (name, number) => {
  const filter = name === 'filter', others = filter ? view.classes : view.order.filters;
  const losses = others.map((other) => [other, filter ? view.loss(other, number) : view.loss(number, other)]);
  losses.sort((a, b) => b[1] - a[1]);
  const list = (entries) => entries.map(([other, loss]) => `${filter ? spec.names[other] : other} (${say(loss)})`).join(', ');
  const most = list(losses.slice(0, MOST).filter(([, loss]) => loss > 0)) || (filter ? 'no class' : 'no filter');
  const least = list(losses.slice(-3).reverse().filter(([, loss]) => loss < -view.window / 100));
  const paragraph = document.createElement('p'), strong = document.createElement('strong');
  strong.textContent = filter ? `Filter ${number}` : `Class ${spec.names[number]}`;
  paragraph.append(strong, filter ? `: most needed by ${most}` : `: needs filters ${most}`);
  if (least) paragraph.append(filter ? `; better off without it: ${least}` : `; is better off without ${least}`);
  paragraph.append('. ');
  if (filter && spec.responses) {
    const link = document.createElement('a');
    Object.assign(link, { href: `${spec.responses}#filter-${number}`, textContent: 'What it responds to' });
    paragraph.append(link);
  }
  return paragraph;
};

// The sentences on [name, number] of filters and classes, of which a measure may not have all.
const tell = (about) => {
  told = about.filter(([name, number]) => number !== null && (name === 'filter' || view.places.has(number)));
  lists.replaceChildren(...told.map((each) => sentence(...each)));
};

const choose = ({ cls = null, filter = null }, more = []) => {
  Object.assign(at, { cls, filter });
  mark();
  tell([['filter', filter], ['cls', cls], ...more]);
  const [row, column] = [classes.indexOf(cls), filters.indexOf(filter)];
  if (row >= 0) map.scrollTop = row * size.tall - map.clientHeight / 2;
  if (column >= 0) map.scrollLeft = column * size.wide - map.clientWidth / 2;
};

const find = () => {
  const wanted = form.find.value.trim().toLowerCase().replace(/^filter\s+(?=\d)/, '');
  const named = wanted ? view.classes.filter((cls) => spec.names[cls].toLowerCase().includes(wanted)) : [];
  const filter = /^\d+$/.test(wanted) && Number(wanted) < spec.filters ? Number(wanted) : null;
  const [cls = null, ...more] = named.slice(0, MOST);
  choose({ cls, filter }, more.map((each) => ['cls', each]));
  if (wanted && cls === null && filter === null) lists.textContent = 'There is no such filter or class here.';
};

const cellOf = (event) => {
  const box = canvas.getBoundingClientRect();
  const inside = (at, count) => Math.max(0, Math.min(count - 1, Math.floor(at)));
  return [classes[inside((event.clientY - box.top) / size.tall, classes.length)],
    filters[inside((event.clientX - box.left) / size.wide, filters.length)]];
};
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const list = () => tell([['filter', at.filter], ['cls', at.cls]]);
const isAtCell = () => at.filter !== null && view.places.has(at.cls);

form.measure.addEventListener('change', () => {
  arrange();
  tell(told);
  if (isAtCell()) move(at.cls, at.filter);
});
form.order.addEventListener('change', () => { Object.assign(sorted, { cls: null, filter: null }); arrange(); });
form.whole.addEventListener('change', lay);
form.find.addEventListener('input', find);
form.addEventListener('submit', (event) => event.preventDefault());
for (const name of ['pointermove', 'pointerdown']) canvas.addEventListener(name, (event) => move(...cellOf(event)));
canvas.addEventListener('click', list);
canvas.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && isAtCell()) list();
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  const next = (numbers, number, step) => numbers[Math.max(0, Math.min(numbers.length - 1, numbers.indexOf(number) + step))];
  const [down, right] = isAtCell() ? STEPS[event.key] : [0, 0];
  move(next(classes, at.cls ?? classes[0], down), next(filters, at.filter ?? filters[0], right));
});
addEventListener('resize', lay);
const go = () => {
  const filter = location.hash.match(/^#filter-(\d+)$/);
  if (!filter) return;
  choose({ filter: Number(filter[1]) });
  requestAnimationFrame(() => map.parentElement.scrollIntoView());
};
addEventListener('hashchange', go);

document.getElementById('look').hidden = false;
arrange();
go();
map.dataset.ready = '1';
