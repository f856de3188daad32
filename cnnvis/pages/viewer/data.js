// In: base64 of gzipped voxels and the spec of the page. Out: typed arrays, one per panel and frame.

/** Decode base64 of gzip into bytes. */
async function unpack(base64) {
  const packed = Uint8Array.from(atob(base64.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).arrayBuffer();
}

/** Put the filters (the slowest axis) of one volume in an order: out[place] = filter order[place]. */
function reorder(voxels, order) {
  const size = voxels.length / order.length;
  const result = new voxels.constructor(voxels.length);
  order.forEach((filter, place) => {
    result.set(voxels.subarray(filter * size, (filter + 1) * size), place * size);
  });
  return result;
}

/** The number a half-precision float's 16 bits stand for (IEEE 754 binary16, no infinities here). */
function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * Read the volumes of the page.
 *
 * Returns one object per panel: {title, order, counts: [x, y, filters], frames: [typed array...]}.
 * Values are 0..1 (bytes) or -1..1 (halves): `valueAt` gives them, as the graphics card does.
 */
async function readPanels(spec, base64) {
  const buffer = await unpack(base64);
  const halves = spec.dtype === 'f16';
  const all = halves ? new Uint16Array(buffer) : new Uint8Array(buffer);
  const [frameCount, filters, height, width] = spec.shape;
  const size = filters * height * width;
  if (all.length !== frameCount * size) throw Error('the embedded volume has another size than stated');
  const frames = Array.from({ length: frameCount }, (_, i) => all.subarray(i * size, (i + 1) * size));
  return spec.panels.map(({ title, order }) => ({
    title,
    order,
    counts: [width, height, filters],
    frames: order ? frames.map((voxels) => reorder(voxels, order)) : frames,
    valueAt: halves
      ? (frame, index) => halfToNumber(frame[index])
      : (frame, index) => frame[index] / 255,
  }));
}
