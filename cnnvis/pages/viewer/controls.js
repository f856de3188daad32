// In: events of the form, the mouse, fingers and keys. Out: calls of the viewer with the changed settings.
// Each control is a native form element that names its setting in `data-state`.

const numberOf = (element) => (element.type === 'checkbox' ? Number(element.checked) : element.value);

/** What stands beside a slider: the setting in the reader's units. */
function describeSetting(key, state, spec, counts) {
  const value = state[key];
  const axis = ['X', 'Y', 'Filter'].findIndex((name) => key.includes(name));
  if (axis >= 0) return String(Math.min(counts[axis] - 1, Math.floor(value * counts[axis])));
  if (key === 'low' || key === 'high') return formatNumber(inUnits(spec, value));
  if (key === 'threshold') {
    const { low, high } = state;
    if (!spec.signed) return formatNumber(inUnits(spec, low + (high - low) * value));
    return `±${formatNumber(inUnits(spec, Math.max(Math.abs(low), Math.abs(high)) * value))}`;
  }
  if (key === 'frame') return `${value + 1}/${spec.shape[0]}`;
  return formatNumber(value);
}

class Controls {
  /** `change(settings)` is called with what the reader changed. */
  constructor(form, spec, change) {
    this.spec = spec;
    this.elements = [...document.querySelectorAll('[data-state]')];
    form.addEventListener('submit', (event) => event.preventDefault());
    for (const element of this.elements) {
      element.addEventListener('input', () => {
        const raw = numberOf(element);
        const key = element.dataset.state;
        change({ [key]: element.tagName === 'SELECT' ? raw : Number(raw) });
      });
    }
  }

  /** Show the state in the elements. */
  update(state, counts) {
    for (const element of this.elements) {
      const key = element.dataset.state;
      if (element.type === 'checkbox') element.checked = Boolean(state[key]);
      else if (element.value !== String(state[key])) element.value = state[key];
      const output = element.parentElement.querySelector('output');
      if (!output) continue;
      output.textContent = describeSetting(key, state, this.spec, counts);
      element.setAttribute('aria-valuetext', output.textContent);
    }
  }
}

/** Turning, moving and zooming by mouse, pen and fingers. */
function followPointers(canvas, viewer) {
  const pointers = new Map();
  const middle = () => {
    const all = [...pointers.values()];
    const centre = [0, 1].map((k) => all.reduce((sum, p) => sum + p[k], 0) / all.length);
    const spread = all.length > 1 ? Math.hypot(all[0][0] - all[1][0], all[0][1] - all[1][1]) : 0;
    return { centre, spread };
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const kind of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(kind, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener('pointermove', (event) => {
    if (!pointers.has(event.pointerId)) {
      viewer.point(event.offsetX, event.offsetY);
      return;
    }
    const before = middle();
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const after = middle();
    const [dx, dy] = [0, 1].map((k) => after.centre[k] - before.centre[k]);
    const { state } = viewer;
    if (pointers.size > 1 || event.shiftKey || event.buttons & 6) {
      const pixel = 1 / (canvas.clientHeight * 1.6);
      const zoom = before.spread && after.spread ? after.spread / before.spread : 1;
      viewer.change({
        panX: state.panX + dx * pixel,
        panY: state.panY - dy * pixel,
        zoom: clampZoom(state.zoom * zoom),
      });
    } else {
      viewer.change({
        azimuth: wrap(state.azimuth + dx * 0.4),
        elevation: Math.max(-90, Math.min(90, state.elevation + dy * 0.4)),
      });
    }
  });
  canvas.addEventListener('pointerleave', () => viewer.point(null));
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    viewer.change({ zoom: clampZoom(viewer.state.zoom * Math.exp(-event.deltaY * 0.001)) });
  }, { passive: false });
}

const clampZoom = (zoom) => Math.max(0.3, Math.min(12, zoom));
const wrap = (angle) => ((((angle + 180) % 360) + 360) % 360) - 180;

/** Key -> what it does; the page's help lists the same keys. */
function keyActions(viewer) {
  const { state } = viewer;
  const flip = (key) => () => viewer.change({ [key]: state[key] ? 0 : 1 });
  const next = (key, list) => () =>
    viewer.change({ [key]: list[(list.indexOf(state[key]) + 1) % list.length] });
  const turn = (azimuth, elevation) => () => viewer.change({
    azimuth: wrap(state.azimuth + azimuth),
    elevation: Math.max(-90, Math.min(90, state.elevation + elevation)),
  });
  const look = (azimuth, elevation) => () => viewer.change({ ...HOME, azimuth, elevation });
  const threshold = (step) => () =>
    viewer.change({ threshold: Math.max(0, Math.min(1, state.threshold + step)) });
  const zoom = (factor) => () => viewer.change({ zoom: clampZoom(state.zoom * factor) });
  return {
    ArrowLeft: turn(-5, 0), ArrowRight: turn(5, 0), ArrowUp: turn(0, 5), ArrowDown: turn(0, -5),
    '+': zoom(1.1), '=': zoom(1.1), '-': zoom(1 / 1.1),
    0: () => viewer.change({ ...HOME }), 1: look(0, 0), 2: look(-90, 0), 3: look(0, 90),
    m: next('mode', CHOICES.mode), v: next('colours', Object.keys(viewer.spec.colours)),
    g: next('background', CHOICES.background),
    x: flip('showX'), y: flip('showY'), f: flip('showFilter'), e: flip('exact'), b: flip('box'),
    '[': threshold(-0.02), ']': threshold(0.02),
    ' ': () => viewer.play(!viewer.playing), ',': () => viewer.step(-1), '.': () => viewer.step(1),
    p: () => viewer.save(), r: () => viewer.reset(), '?': () => viewer.help(),
  };
}

function followKeys(viewer) {
  addEventListener('keydown', (event) => {
    const inForm = /^(INPUT|SELECT|BUTTON|SUMMARY|A)$/.test(event.target.tagName);
    const forForm = event.key.startsWith('Arrow') || event.key === ' ' || event.target.tagName === 'SELECT';
    if (event.ctrlKey || event.metaKey || event.altKey || (inForm && forForm)) return;
    const action = keyActions(viewer)[event.key];
    if (!action || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    action();
  });
}
