// In: the shape of the box, angles, zoom and pan. Out: the camera (eye, directions, projection matrix).
// As in an image, x points right and y down. The first filter is farthest away: orders run from weak to strong.

const add = (a, b, factor = 1) => a.map((value, i) => value + factor * b[i]);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
const unit = (a) => a.map((value) => value / Math.hypot(...a));

const FIELD = 0.62; // height of the view at distance 1: a moderate lens, little distortion
const CORNERS = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => [i & 1, (i >> 1) & 1, (i >> 2) & 1].map((b) => b - 0.5));

/** Product of two column-major 4x4 matrices. */
function multiply(a, b) {
  const result = new Float32Array(16);
  for (let column = 0; column < 4; column++) {
    for (let row = 0; row < 4; row++) {
      for (let k = 0; k < 4; k++) result[column * 4 + row] += a[k * 4 + row] * b[column * 4 + k];
    }
  }
  return result;
}

/** The matrix that moves by a vector. */
const translation = ([x, y, z]) => [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x, y, z, 1];

/** Side lengths of the box: voxels are cubes, but for the stretch along the filters; longest side 1. */
function boxSize(counts, stretch) {
  const sides = [counts[0], counts[1], counts[2] * stretch];
  return sides.map((side) => side / Math.max(...sides));
}

/** Crop and slices of the state as places in the box, 0..1 along x, y and z. */
function boxPlaces(state) {
  return {
    cropLow: [state.cropXLow, state.cropYLow, 1 - state.cropFilterHigh],
    cropHigh: [state.cropXHigh, state.cropYHigh, 1 - state.cropFilterLow],
    slices: [state.sliceX, state.sliceY, 1 - state.sliceFilter],
  };
}

/**
 * The eye, its three directions and the projection, for one panel's width / height.
 *
 * `lift` moves the picture up (in -1..1): seen from above, near corners hang lower than far ones rise.
 */
function lookAt(view, distance, aspect, lift = 0) {
  const [azimuth, elevation] = [view.azimuth, view.elevation].map((angle) => (angle * Math.PI) / 180);
  const toEye = [
    Math.sin(azimuth) * Math.cos(elevation),
    -Math.sin(elevation),
    -Math.cos(azimuth) * Math.cos(elevation),
  ];
  const forward = toEye.map((value) => -value);
  const right = [Math.cos(azimuth), 0, Math.sin(azimuth)];
  const up = cross(right, forward);
  let eye = toEye.map((value) => value * distance);
  eye = add(add(eye, right, -view.panX * distance), up, -view.panY * distance);
  const [near, far] = [0.01, 60];
  const focal = 2 / FIELD;
  const projection = [
    focal / aspect, 0, 0, 0, 0, focal, 0, 0,
    0, -lift, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0,
  ];
  const turn = [
    right[0], up[0], -forward[0], 0, right[1], up[1], -forward[1], 0,
    right[2], up[2], -forward[2], 0, -dot(right, eye), -dot(up, eye), dot(forward, eye), 1,
  ];
  return { eye, forward, right, up, aspect, focal, lift, matrix: multiply(projection, turn) };
}

/** Where a point of space is seen, in -1..1 to the right and up; `depth` is its distance. */
function project(matrix, point) {
  const [x, y, z] = point;
  const row = (k) => matrix[k] * x + matrix[4 + k] * y + matrix[8 + k] * z + matrix[12 + k];
  return { x: row(0) / row(3), y: row(1) / row(3), depth: row(3) };
}

/** The distance and lift with which the whole box just fits a panel in the home view, labels included. */
function fit(size, aspect, margin) {
  const spans = (distance) => {
    const { matrix } = lookAt(HOME, distance, aspect);
    const seen = CORNERS.map((corner) => project(matrix, corner.map((value, i) => value * size[i])));
    const ys = seen.map(({ y }) => y);
    const x = Math.max(...seen.map((corner) => Math.abs(corner.x)));
    return { x, top: Math.max(...ys), bottom: Math.min(...ys) };
  };
  let [close, away] = [1, 30];
  for (let i = 0; i < 24; i++) {
    const middle = (close + away) / 2;
    const { x, top, bottom } = spans(middle);
    if (x < margin.x && (top - bottom) / 2 < margin.y) away = middle;
    else close = middle;
  }
  const { top, bottom } = spans(away);
  return { distance: away, lift: -(top + bottom) / 2 };
}

/** Direction of the ray through a point of the panel given in -1..1. */
function rayThrough(camera, x, y) {
  const { forward, right, up, aspect, focal, lift } = camera;
  return unit(add(add(forward, right, (x * aspect) / focal), up, (y - lift) / focal));
}
