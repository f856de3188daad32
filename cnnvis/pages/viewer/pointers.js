// In: events of the mouse, a pen or fingers on the canvas. Out: calls of the viewer: turned, moved, zoomed, a voxel read or picked.

const STILL = 5; // pixels that a click or a tap may move

/** Turning, moving and zooming; hovering and tapping read a voxel, a click or tap picks its filter. */
function followPointers(canvas, viewer) {
  const pointers = new Map();
  const middle = () => {
    const all = [...pointers.values()];
    const centre = [0, 1].map((k) => all.reduce((sum, p) => sum + p[k], 0) / all.length);
    const spread = all.length > 1 ? Math.hypot(all[0][0] - all[1][0], all[0][1] - all[1][1]) : 0;
    return { centre, spread };
  };
  let still = null;
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    still = pointers.size ? null : [event.clientX, event.clientY];
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const kind of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(kind, (event) => {
      pointers.delete(event.pointerId);
      if (kind === 'pointerup' && still) viewer.pickAt(event.offsetX, event.offsetY);
      still = null;
    });
  }
  canvas.addEventListener('pointermove', (event) => {
    if (!pointers.has(event.pointerId)) {
      viewer.point(event.offsetX, event.offsetY);
      return;
    }
    if (still && Math.hypot(event.clientX - still[0], event.clientY - still[1]) < STILL) return;
    still = null;
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
  canvas.addEventListener('pointerleave', (event) => {
    // A finger has left when it is lifted; what it read stays.
    if (event.pointerType === 'mouse') viewer.point(null);
  });
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    viewer.change({ zoom: clampZoom(viewer.state.zoom * Math.exp(-event.deltaY * 0.001)) });
  }, { passive: false });
}

const clampZoom = (zoom) => Math.max(0.3, Math.min(12, zoom));
const wrap = (angle) => ((((angle + 180) % 360) + 360) % 360) - 180;
