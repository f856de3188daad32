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

/** Half-precision floats as floats. */
function decodeHalves(halves) {
  const numbers = Float32Array.from({ length: 65536 }, (_, bits) => halfToNumber(bits));
  return Float32Array.from(halves, (bits) => numbers[bits]);
}

// How voxels are embedded: bytes stay, and what is signed becomes floats from -1 to 1.
const DECODERS = {
  u8: (buffer) => new Uint8Array(buffer),
  i8: (buffer) => Float32Array.from(new Int8Array(buffer), (value) => value / 127),
  f16: (buffer) => decodeHalves(new Uint16Array(buffer)),
};

/** One frame minus another, as floats. */
function subtract(voxels, other) {
  return Float32Array.from(voxels, (value, i) => value - other[i]);
}

/** Whether an order is the network's own. */
const isNatural = (order) => !order || order.every((filter, place) => filter === place);

/** The number of the filter at a place of a panel, and the place of a filter. */
const filterAt = ({ order }, place) => (order ? order[place] : place);
const placeOf = ({ order }, filter) => (order ? order.indexOf(filter) : filter);

/** The values of the filter at a place, of a volume of `counts` [x, y, filters]. */
function filterSlice(voxels, place, [width, height]) {
  return voxels.subarray(place * width * height, (place + 1) * width * height);
}

/**
 * Read the volumes of the page.
 *
 * Returns one object per panel: {title, order, counts: [x, y, filters], frames: [typed array...],
 * scale}. A voxel's value is its number times `scale`: 0..1 or, where signed, -1..1. Panels may be
 * of volumes of their own: `volume` says which. A volume's frames follow one another.
 */
async function readPanels(spec, base64) {
  const buffer = await unpack(base64);
  const [count, filters, height, width] = spec.shape;
  const size = filters * height * width;
  if (buffer.byteLength !== count * size * (spec.dtype === 'f16' ? 2 : 1)) {
    throw Error('the embedded volume has another size than stated');
  }
  const all = DECODERS[spec.dtype](buffer);
  const frames = Array.from({ length: count }, (_, i) => all.subarray(i * size, (i + 1) * size));
  const each = spec.frames?.length ?? 1;
  return spec.panels.map(({ title, order, volume = 0 }) => {
    const own = frames.slice(volume * each, (volume + 1) * each);
    return {
      title,
      order,
      volume,
      counts: [width, height, filters],
      frames: order ? own.map((voxels) => reorder(voxels, order)) : own,
      scale: spec.dtype === 'u8' ? 1 / 255 : 1,
    };
  });
}

/** What a panel shows: a frame or, where one is to be subtracted, the difference (kept until the next one). */
function shownVoxels(panel, { frame, minus }) {
  if (minus < 0) return panel.frames[frame];
  const key = `${frame} ${minus}`;
  if (panel.difference?.key !== key) {
    panel.difference = { key, voxels: subtract(panel.frames[frame], panel.frames[minus]) };
  }
  return panel.difference.voxels;
}
