// In: voxels, and the curve, gamma and window of the settings. Out: counts of values, windows by
// percentile, and the table of colours and opacities. Places are 0..1 from the window's low to its high end.

// Opacity grows faster than the value, and is nothing at zero.
const CURVES = {
  plain: '0_0-0.3_0.16-1_1',
  signed: '0_1-0.35_0.16-0.5_0-0.65_0.16-1_1',
};
const MOST_POINTS = 16;

/** Points [place, opacity] of a curve as it stands in the address, '0_0-0.3_0.16-1_1'; null if it is none. */
function parseCurve(text) {
  const points = text.split('-').map((point) => point.split('_').map(Number));
  const places = points.map(([place]) => place);
  const good = points.length >= 2 && points.length <= MOST_POINTS && places[0] === 0 && places.at(-1) === 1
    && points.every((point) => point.length === 2 && point.every((value) => value >= 0 && value <= 1))
    && places.every((place, i) => i === 0 || place >= places[i - 1]);
  return good ? points : null;
}

const formatCurve = (points) => points.map((point) => point.map((value) => +value.toFixed(3)).join('_')).join('-');

/** Opacity at a place: linear between points, and beyond the ends that of the end. */
function curveAt(points, place) {
  const next = points.findIndex(([at]) => at >= place);
  if (next === 0) return points[0][1];
  if (next < 0) return points.at(-1)[1];
  const [[x0, y0], [x1, y1]] = [points[next - 1], points[next]];
  return x1 > x0 ? y0 + ((y1 - y0) * (place - x0)) / (x1 - x0) : y1;
}

/** The place in the colour map of a place in the window; for signed values the middle stays. */
function warp(place, gamma, signed) {
  if (!signed) return place ** gamma;
  const away = 2 * place - 1;
  return 0.5 + 0.5 * Math.sign(away) * Math.abs(away) ** gamma;
}

/** 256 x RGBA: colours with gamma, and the curve's opacity. `rgb` are 256 x 3 bytes. */
function colourTable(rgb, points, gamma, signed) {
  const table = new Uint8Array(1024);
  for (let i = 0; i < 256; i++) {
    const from = 3 * Math.round(255 * warp(i / 255, gamma, signed));
    table.set([rgb[from], rgb[from + 1], rgb[from + 2], Math.round(255 * curveAt(points, i / 255))], 4 * i);
  }
  return table;
}

/** How many values are in each of equal bins between low and high: {low, high, bins}. */
function countValues(arrays, scale, low, high) {
  const count = scale === 1 ? 4096 : 256; // of bytes one for each
  const bins = new Uint32Array(count);
  const factor = (count * scale) / (high - low);
  const offset = (count * low) / (high - low);
  for (const values of arrays) {
    for (let i = 0; i < values.length; i++) {
      bins[Math.max(0, Math.min(count - 1, Math.floor(values[i] * factor - offset)))]++;
    }
  }
  return { low, high, bins };
}

/**
 * The window {low, high} beyond which a share of the values lies.
 *
 * Of signed values it is symmetric, for a share of magnitudes. Of others zeros do not count:
 * where most of a layer is zero, the window would be that of nothing.
 */
function windowOf({ low, high, bins }, share, signed) {
  const width = (high - low) / bins.length;
  const magnitudes = new Map();
  bins.forEach((count, i) => {
    const value = signed ? Math.max(Math.abs(low + i * width), Math.abs(low + (i + 1) * width)) : low + (i + 1) * width;
    if (count && (signed || i > 0)) magnitudes.set(value, (magnitudes.get(value) ?? 0) + count);
  });
  const sorted = [...magnitudes].sort(([a], [b]) => a - b);
  let left = share * sorted.reduce((sum, [, count]) => sum + count, 0);
  const reached = sorted.find(([, count]) => (left -= count) <= 1e-9);
  const reach = reached ? Math.max(0.02, Math.min(1, +reached[0].toFixed(3))) : 1;
  return { low: signed ? -reach : 0, high: reach };
}

/**
 * Counts in `count` equal bars from the window's low to its high end, and the shares of all values beyond.
 *
 * A bin that several bars share is divided among them.
 */
function barsOf({ low, high, bins }, window, count) {
  const bars = new Array(count).fill(0);
  const width = (high - low) / bins.length;
  const barAt = (value) => (count * (value - window.low)) / (window.high - window.low);
  let [below, above, total] = [0, 0, 0];
  bins.forEach((number, i) => {
    if (!number) return;
    const [from, to] = [barAt(low + i * width), barAt(low + (i + 1) * width)];
    const share = (start, end) => (number * Math.max(0, Math.min(to, end) - Math.max(from, start))) / (to - from);
    total += number;
    below += share(-Infinity, 0);
    above += share(count, Infinity);
    for (let bar = Math.max(0, Math.floor(from)); bar < Math.min(count, to); bar++) bars[bar] += share(bar, bar + 1);
  });
  return { bars, below: below / total, above: above / total };
}
