// In: the picked filter, the panels and the settings. Out: what is beside the volume: the filter's values as
// a picture, its place in each order, its weights and a link to its page where there are any.

/** Draw the values of one filter as pixels, in the colours of the volume. */
function drawSlice(canvas, values, scale, [width, height], { low, high }, table) {
  [canvas.width, canvas.height] = [width, height];
  const pixels = new Uint8ClampedArray(4 * values.length);
  values.forEach((value, i) => {
    const place = within((value * scale - low) / (high - low), 0, 1);
    const from = 4 * Math.round(255 * place);
    pixels.set([table[from], table[from + 1], table[from + 2], 255], 4 * i);
  });
  canvas.getContext('2d').putImageData(new ImageData(pixels, width, height), 0, 0);
}

/** Least and largest number of an array. */
const rangeOf = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);

/** The filter's place in each order but the network's own, as text. */
const describePlaces = (panels, filter) =>
  panels.filter(({ order }) => !isNatural(order)).map((panel) => `${panel.title}: place ${placeOf(panel, filter)}`);

class Card {
  /** `volumes` are panels of different volumes: of each the filter's values are shown. */
  constructor(spec, panels, volumes) {
    this.spec = spec;
    this.panels = panels;
    this.state = null;
    this.figures = volumes.map((panel) => {
      const figure = document.createElement('figure');
      const [canvas, caption] = ['canvas', 'figcaption'].map((name) => document.createElement(name));
      canvas.setAttribute('role', 'img');
      figure.append(canvas, caption);
      byId('slices').append(figure);
      canvas.addEventListener('pointermove', (event) => { caption.textContent = this.read(panel, canvas, event); });
      canvas.addEventListener('pointerleave', () => { caption.textContent = caption.dataset.range; });
      return { panel, canvas, caption, title: volumes.length > 1 ? `${panel.title}: ` : '' };
    });
  }

  /** What is under the pointer on a picture of the filter. */
  read(panel, canvas, { offsetX, offsetY }) {
    const [x, y] = [offsetX / canvas.clientWidth, offsetY / canvas.clientHeight]
      .map((share, k) => within(Math.floor(share * panel.counts[k]), 0, panel.counts[k] - 1));
    const place = placeOf(panel, this.state.picked);
    const value = filterSlice(shownVoxels(panel, this.state), place, panel.counts)[y * panel.counts[0] + x];
    return describeVoxel(this.spec, panel, { at: [x, y, place], value: value * panel.scale });
  }

  update(state, table) {
    const { picked } = state;
    this.state = state;
    byId('card').hidden = picked < 0;
    if (picked < 0) return;
    for (const { panel, canvas, caption, title } of this.figures) {
      const values = filterSlice(shownVoxels(panel, state), placeOf(panel, picked), panel.counts);
      drawSlice(canvas, values, panel.scale, panel.counts, state, table);
      const ends = rangeOf(values).map((value) => formatNumber(inUnits(this.spec, value * panel.scale)));
      caption.dataset.range = caption.textContent = `${title}${ends.join(' to ')}`;
      canvas.setAttribute('aria-label', `Filter ${picked}, values from ${caption.dataset.range}`);
    }
    byId('places').replaceChildren(...describePlaces(this.panels, picked).map((line) => {
      const item = document.createElement('li');
      item.textContent = line;
      return item;
    }));
    this.showResponses(picked);
  }

  /** Link the filter's page; of first layers it has a column of pictures of all filters' weights. */
  showResponses(picked) {
    const { page, weights } = this.spec.responses ?? {};
    byId('responses').hidden = !page;
    if (!page) return;
    byId('responses').querySelector('a').href = `${page}#filter-${picked}`;
    const [image] = byId('weights').querySelectorAll('img');
    if (!image.hasAttribute('src')) image.src = weights;
    image.onload = () => { byId('weights').hidden = false; };
    image.alt = `Weights of filter ${picked}`;
    image.style.top = `${-100 * picked}%`;
  }
}
