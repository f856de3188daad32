// In: the spec and the hash of the address. Out: the settings as one flat object, and their hash.

const CHOICES = {
  mode: ['volume', 'maximum', 'surface', 'slices'],
  background: ['dark', 'white'],
};

const HOME = { azimuth: -38, elevation: 24, zoom: 1, panX: 0, panY: 0 };

/** All settings with the values the page starts from; the page's builder may override some. */
function defaultState(spec) {
  return {
    frame: 0, mode: 'volume', low: spec.signed ? -1 : 0, high: 1, threshold: 0, opacity: 1,
    shading: 0.4, exact: 0, colours: Object.keys(spec.colours)[0], background: 'dark', box: 1,
    ...HOME,
    showX: 0, showY: 0, showFilter: 0, sliceX: 0.5, sliceY: 0.5, sliceFilter: 0.5,
    cropXLow: 0, cropXHigh: 1, cropYLow: 0, cropYHigh: 1, cropFilterLow: 0, cropFilterHigh: 1,
    stretch: 1, speed: 1,
    ...spec.state,
  };
}

/** Settings from an address's hash; what is unknown or not a number is left out. */
function parseHash(hash, defaults, spec) {
  const choices = { ...CHOICES, colours: Object.keys(spec.colours) };
  const found = {};
  for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ''))) {
    if (!Object.hasOwn(defaults, key)) continue;
    if (choices[key]) {
      if (choices[key].includes(text)) found[key] = text;
    } else if (text !== '' && Number.isFinite(Number(text))) {
      found[key] = Number(text);
    }
  }
  if ('frame' in found) {
    found.frame = Math.max(0, Math.min(spec.shape[0] - 1, Math.round(found.frame)));
  }
  return found;
}

/** The hash that brings these settings back: only what differs from the start. */
function formatHash(state, defaults) {
  const changed = Object.keys(defaults).filter((key) => state[key] !== defaults[key]);
  const short = (value) => (typeof value === 'number' ? String(+value.toFixed(4)) : value);
  return new URLSearchParams(changed.map((key) => [key, short(state[key])])).toString();
}
