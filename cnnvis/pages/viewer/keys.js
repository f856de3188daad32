// In: keys pressed anywhere but in a field that needs them. Out: calls of the viewer.

/** Key -> what it does; the page's help lists the same keys. */
function keyActions(viewer, shift) {
  const { state } = viewer;
  const flip = (key) => () => viewer.change({ [key]: state[key] ? 0 : 1 });
  const next = (key, list) => () =>
    viewer.change({ [key]: list[(list.indexOf(state[key]) + 1) % list.length] });
  const turn = (azimuth, elevation) => () => viewer.change(shift ? {
    panX: state.panX + azimuth * 0.004,
    panY: state.panY - elevation * 0.004,
  } : {
    azimuth: wrap(state.azimuth + azimuth),
    elevation: Math.max(-90, Math.min(90, state.elevation + elevation)),
  });
  const look = (azimuth, elevation) => () => viewer.change({ ...HOME, azimuth, elevation });
  const threshold = (step) => () =>
    viewer.change({ threshold: Math.max(0, Math.min(1, state.threshold + step)) });
  const gamma = (factor) => () => viewer.change({ gamma: within(+(state.gamma * factor).toFixed(2), 0.2, 3) });
  const zoom = (factor) => () => viewer.change({ zoom: clampZoom(state.zoom * factor) });
  return {
    ArrowLeft: turn(-5, 0), ArrowRight: turn(5, 0), ArrowUp: turn(0, 5), ArrowDown: turn(0, -5),
    '+': zoom(1.1), '=': zoom(1.1), '-': zoom(1 / 1.1),
    0: () => viewer.change({ ...HOME }), 1: look(0, 0), 2: look(-90, 0), 3: look(0, 90),
    m: next('mode', CHOICES.mode), v: next('colours', Object.keys(viewer.spec.colours)),
    g: next('background', CHOICES.background), e: next('voxels', viewer.spec.signed ? ['auto', 'smooth'] : CHOICES.voxels),
    x: flip('showX'), y: flip('showY'), f: flip('showFilter'), b: flip('box'),
    '[': threshold(-0.02), ']': threshold(0.02), '(': gamma(1 / 1.1), ')': gamma(1.1),
    w: () => viewer.nextWindow(), o: () => viewer.nextPanels(),
    n: () => viewer.pickNext(1), N: () => viewer.pickNext(-1), Escape: () => viewer.change({ picked: -1 }),
    ' ': () => viewer.play(!viewer.playing), ',': () => viewer.step(-1), '.': () => viewer.step(1),
    p: () => viewer.save(), c: () => viewer.copy(), r: () => viewer.reset(), '?': () => viewer.help(),
  };
}

function followKeys(viewer) {
  addEventListener('keydown', (event) => {
    const inForm = event.target.closest?.('input, select, button, summary, a, [role="slider"]');
    const forForm = event.key.startsWith('Arrow') || event.key === ' ' || inForm?.matches('select, [type="number"]');
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || (inForm && forForm)) return;
    const action = viewer.keys(event.shiftKey)[event.key];
    if (!action || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    action();
  });
}
