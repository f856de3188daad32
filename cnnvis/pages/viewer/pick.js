// In: a point of a panel, the camera and the voxels. Out: the voxel at that point with its value, or null.

/** Where a ray is inside the cropped box: [from, to] along it, or null. */
function insideBox(ray, { eye }, size, { cropLow, cropHigh }) {
  let [from, to] = [0, Infinity];
  ray.forEach((step, k) => {
    const [a, b] = [cropLow[k], cropHigh[k]].map((place) => ((place - 0.5) * size[k] - eye[k]) / step);
    from = Math.max(from, Math.min(a, b));
    to = Math.min(to, Math.max(a, b));
  });
  return from < to ? [from, to] : null;
}

/** The voxel at a distance along a ray: {at: [x, y, filter's place], value}. */
function voxelAt(distance, ray, { panel, size, camera }, voxels) {
  const { counts } = panel;
  const at = counts.map((count, k) => {
    const place = (camera.eye[k] + ray[k] * distance) / size[k] + 0.5;
    return Math.max(0, Math.min(count - 1, Math.floor(place * count)));
  });
  at[2] = counts[2] - 1 - at[2];
  return { at, value: voxels[(at[2] * counts[1] + at[1]) * counts[0] + at[0]] * panel.scale };
}

/** How far along a ray the first shown slice inside [from, to] is; Infinity without one. */
function nearestSlice(ray, { size, camera }, state, [from, to]) {
  const shown = shownSlices(state);
  const crossings = boxPlaces(state).slices
    .map((place, k) => (shown & (1 << k) ? ((place - 0.5) * size[k] - camera.eye[k]) / ray[k] : Infinity))
    .filter((distance) => distance >= from - 1e-6 && distance <= to + 1e-6);
  return Math.min(...crossings, Infinity);
}

/** How strong a value is in the window, as the shader counts it. */
function strengthOf(value, { low, high }, signed) {
  return signed ? Math.abs(value) / Math.max(Math.abs(low), Math.abs(high)) : (value - low) / (high - low);
}

/**
 * The voxel a reader would say is at a point of a panel (-1..1), or null.
 *
 * Before the first slice it is the one that contributes most to the pixel; of a maximum projection
 * the strongest, of a surface the first above the threshold. Where there is none, the slice's.
 */
function pick(drawn, state, spec, x, y) {
  const { panel, size, camera } = drawn;
  const ray = rayThrough(camera, x, y);
  const span = insideBox(ray, camera, size, boxPlaces(state));
  if (!span) return null;
  const voxels = shownVoxels(panel, state);
  const slice = nearestSlice(ray, drawn, state, span);
  const end = state.mode === 'slices' ? span[0] : Math.min(span[1], slice);
  const pace = 0.5 / Math.hypot(...ray.map((step, k) => (step * panel.counts[k]) / size[k]));
  const points = parseCurve(state.curve);
  let [found, light] = [null, 1];
  for (let distance = span[0] + pace / 2; distance < end; distance += pace) {
    const voxel = voxelAt(distance, ray, drawn, voxels);
    const strong = strengthOf(voxel.value, state, spec.signed);
    if (strong < state.threshold) continue;
    let merit = strong;
    if (state.mode === 'volume') {
      const opacity = curveAt(points, (voxel.value - state.low) / (state.high - state.low));
      const alpha = 1 - Math.exp(-opacity * state.opacity * DENSITY * pace);
      merit = light * alpha;
      light -= merit;
    }
    if (merit > Math.max(found?.merit ?? 0, 0.01)) found = { ...voxel, merit };
    if (state.mode === 'surface' && found) break;
  }
  return found ?? (slice < Infinity ? voxelAt(slice, ray, drawn, voxels) : null);
}
