// In: the cards of a layer's filters, and the geometry in #spec. Out: sheets of patches are loaded
// as cards come into view; cards are sorted and chosen; a patch opens its image with the feature
// map, and the receptive field of the position under the pointer.
const spec = JSON.parse(document.getElementById('spec').textContent);
const holder = document.getElementById('filters');
const cards = [...holder.children];
const form = document.getElementById('sorting');
const columns = Number(getComputedStyle(holder).getPropertyValue('--columns'));
const sheetRows = Number(getComputedStyle(holder).getPropertyValue('--rows'));
const rowsOf = (card) => Math.min(sheetRows, cards.length - Number(card.dataset.sheet) * sheetRows);

// A background of `across` x `down` tiles, of which one is shown.
const place = (element, url, column, across, row, down) => {
  const part = (index, count) => (count > 1 ? (100 * index) / (count - 1) : 0);
  element.style.backgroundImage = `url("${url}")`;
  element.style.backgroundSize = `${100 * across}% ${100 * down}%`;
  element.style.backgroundPosition = `${part(column, across)}% ${part(row, down)}%`;
};

const watch = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    watch.unobserve(target);
    const { sheet, row } = target.dataset;
    const weights = target.querySelector('.weights');
    if (weights) place(weights, `${spec.folder}/filters.png`, 0, 1, Number(target.dataset.index), cards.length);
    const url = `${spec.folder}/patches-${sheet}.webp`;
    target.querySelectorAll('.patches button').forEach((button, column) =>
      place(button, url, column, columns, Number(row), rowsOf(target)));
  }
}, { rootMargin: '600px' });
cards.forEach((card) => watch.observe(card));

const arrange = () => {
  const key = form.key.value;
  const option = form.key.selectedOptions[0];
  const sign = ('down' in option.dataset) === form.turned.checked ? 1 : -1;
  const value = (card) => Number(card.getAttribute(`data-${key}`));
  const label = form.label ? form.label.value.trim().toLowerCase() : '';
  const wanted = form.filter.value;
  let count = 0;
  for (const card of cards) {
    const named = !label || (card.dataset.labels || '').toLowerCase().includes(label);
    card.hidden = !named || (wanted !== '' && card.dataset.index !== wanted);
    count += !card.hidden;
  }
  const sorted = [...cards].sort((a, b) => sign * (value(a) - value(b)) || a.dataset.index - b.dataset.index);
  holder.append(...sorted);
  form.count.textContent = count === 1 ? '1 filter' : `${count} filters`;
};
form.addEventListener('input', arrange);
form.addEventListener('submit', (event) => event.preventDefault());

const large = document.getElementById('large');
const [stage, image, map, field] = ['.stage', '.stage img', '.map', '.field'].map((name) => large.querySelector(name));
const text = document.getElementById('large-text');
const [tall, wide] = spec.input;

const outline = (y, x) => {
  const [top, bottom] = spec.rows[y], [left, right] = spec.columns[x];
  Object.assign(field.style, {
    left: `${(100 * left) / wide}%`, width: `${(100 * (right - left)) / wide}%`,
    top: `${(100 * top) / tall}%`, height: `${(100 * (bottom - top)) / tall}%`,
  });
  text.textContent = `Position row ${y}, column ${x} of ${spec.map.join(' × ')}; its receptive field is ${right - left} × ${bottom - top} pixels of ${wide} × ${tall}.`;
};

holder.addEventListener('click', (event) => {
  const button = event.target.closest('.patches button');
  if (!button) return;
  const card = button.closest('.filter'), column = [...button.parentElement.children].indexOf(button);
  const [picture, y, x] = JSON.parse(card.dataset.places)[column];
  image.src = `images/${String(picture).padStart(5, '0')}.webp`;
  image.alt = button.title;
  document.getElementById('large-title').textContent = `Filter ${card.dataset.index}, ${button.title}`;
  place(map, `${spec.folder}/maps-${card.dataset.sheet}.webp`, column, columns, Number(card.dataset.row), rowsOf(card));
  outline(y, x);
  large.showModal();
});

// The elements of a map are where the middles of their receptive fields are.
const nearest = (spans, at) => spans.reduce((best, [low, high], index) => {
  const distance = Math.abs((low + high) / 2 - at);
  return distance < best[1] ? [index, distance] : best;
}, [0, Infinity])[0];
const middle = ([low, high]) => (low + high) / 2;
const span = (spans, size) => {
  const step = spans.length > 1 ? (middle(spans.at(-1)) - middle(spans[0])) / (spans.length - 1) : size;
  return [middle(spans[0]) - step / 2, step * spans.length];
};
const lay = () => {
  const [left, breadth] = span(spec.columns, wide), [top, height] = span(spec.rows, tall);
  // Sheets are padded to whole steps.
  const grown = [height * spec.sheet[0] / spec.map[0], breadth * spec.sheet[1] / spec.map[1]];
  Object.assign(map.style, {
    left: `${(100 * left) / wide}%`, width: `${(100 * grown[1]) / wide}%`,
    top: `${(100 * top) / tall}%`, height: `${(100 * grown[0]) / tall}%`,
  });
};
lay();
stage.addEventListener('pointermove', (event) => {
  const box = image.getBoundingClientRect();
  outline(nearest(spec.rows, (tall * (event.clientY - box.top)) / box.height),
    nearest(spec.columns, (wide * (event.clientX - box.left)) / box.width));
});
large.querySelector('input').addEventListener('input', (event) => { map.style.opacity = event.target.value; });
large.addEventListener('click', (event) => { if (event.target === large) large.close(); });
