// What the reader points at.

/** Follow the ray through a point of a panel; the voxel a reader would say is there, or null. */
function pick(drawn, state, spec, x, y) {
  const { panel, size, camera } = drawn;
  const ray = rayThrough(camera, x, y);
  const voxels = panel.frames[state.frame];
  const { counts } = panel;
  const span = [0, Infinity];
  const places = boxPlaces(state);
  ray.forEach((step, k) => {
    const ends = [places.cropLow[k], places.cropHigh[k]].map((c) => ((c - 0.5) * size[k] - camera.eye[k]) / step).sort((a, b) => a - b);
    span[0] = Math.max(span[0], ends[0]);
    span[1] = Math.min(span[1], ends[1]);
  });
  if (span[0] >= span[1]) return null;
  const voxelAt = (t) => {
    const at = counts.map((n, k) => Math.max(0, Math.min(n - 1, Math.floor(((camera.eye[k] + ray[k] * t) / size[k] + 0.5) * n))));
    at[2] = counts[2] - 1 - at[2];
    return { at, value: panel.valueAt(voxels, (at[2] * counts[1] + at[1]) * counts[0] + at[0]) };
  };
  const slices = shownSlices(state);
  const planes = places.slices
    .map((place, k) => (slices & (1 << k) ? ((place - 0.5) * size[k] - camera.eye[k]) / ray[k] : Infinity))
    .filter((t) => t >= span[0] - 1e-6 && t <= span[1] + 1e-6);
  const plane = Math.min(...planes, Infinity);
  const reach = (value) => (spec.signed ? Math.abs(value) / Math.max(Math.abs(state.low), Math.abs(state.high)) : (value - state.low) / (state.high - state.low));
  const pace = 0.5 / Math.hypot(...ray.map((step, k) => (step * counts[k]) / size[k]));
  let found = null;
  for (let t = span[0]; state.mode !== 'slices' && t < Math.min(span[1], plane); t += pace) {
    const voxel = voxelAt(t);
    const strong = reach(voxel.value);
    if (strong < Math.max(state.threshold, 0.02)) continue;
    if (!found || strong > found.strong) found = { ...voxel, strong };
    if (state.mode === 'surface') break;
  }
  return found ?? (plane < Infinity ? voxelAt(plane) : null);
}
