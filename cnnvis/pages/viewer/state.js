// In: the spec and the hash of the address. Out: the settings as one flat object, and their hash.

const CHOICES = {
  mode: ['volume', 'maximum', 'surface', 'slices'],
  background: ['dark', 'white'],
  voxels: ['auto', 'exact', 'smooth'],
};

const HOME = { azimuth: -38, elevation: 24, zoom: 1, panX: 0, panY: 0 };
const NARROWEST = 0.002; // the least width of a window

const frameCount = (spec) => spec.frames?.length ?? 1;

/** All settings with the values the page starts from; the page's builder may override some. */
function defaultState(spec) {
  return {
    frame: 0, minus: -1, mode: 'volume', low: spec.signed ? -1 : 0, high: 1, symmetric: spec.signed ? 1 : 0,
    gamma: 1, curve: spec.signed ? CURVES.signed : CURVES.plain, threshold: 0, opacity: 1,
    shading: 0.4, voxels: 'auto', colours: Object.keys(spec.colours)[0], background: 'dark', box: 1,
    ...HOME,
    showX: 0, showY: 0, showFilter: 0, sliceX: 0.5, sliceY: 0.5, sliceFilter: 0.5,
    cropXLow: 0, cropXHigh: 1, cropYLow: 0, cropYHigh: 1, cropFilterLow: 0, cropFilterHigh: 1,
    stretch: 1, speed: 1, picked: -1, panels: 2 ** spec.panels.length - 1,
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
    } else if (key === 'curve') {
      if (parseCurve(text)) found[key] = text;
    } else if (text !== '' && Number.isFinite(Number(text))) {
      found[key] = Number(text);
    }
  }
  return found;
}

/** The hash that brings these settings back: only what differs from the start. */
function formatHash(state, defaults) {
  const changed = Object.keys(defaults).filter((key) => state[key] !== defaults[key]);
  const short = (value) => (typeof value === 'number' ? String(+value.toFixed(4)) : value);
  return new URLSearchParams(changed.map((key) => [key, short(state[key])])).toString();
}

const within = (value, low, high) => Math.max(low, Math.min(high, value));

/** Bring a state that was changed within what can be shown; `changed` has the settings that were. */
function settle(state, changed, spec) {
  const last = frameCount(spec) - 1;
  state.frame = within(Math.round(state.frame), 0, last);
  state.minus = spec.signed ? within(Math.round(state.minus), -1, last) : -1;
  state.picked = within(Math.round(state.picked), -1, spec.shape[1] - 1);
  const all = 2 ** spec.panels.length - 1;
  state.panels = state.panels & all || all;
  if (state.symmetric && spec.signed) {
    const end = 'high' in changed || !('low' in changed) ? state.high : state.low;
    const reach = within(Math.abs(end), NARROWEST, 1);
    [state.low, state.high] = [-reach, reach];
  } else if (state.high - state.low < NARROWEST) {
    if ('low' in changed) state.low = state.high - NARROWEST;
    else state.high = state.low + NARROWEST;
  }
  return state;
}
