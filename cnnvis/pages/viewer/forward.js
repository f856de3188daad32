// In: a program (cnnvis/engines/programs.py), its weights as one Float32Array, and an image. Out: the
// values of all layers, computed as Caffe does; sums are in double precision.

/** Sum `kernel` times patches of a framed image, for each output channel of each group. */
function convolution(step, [input], [weights, bias], [[channels, height, width]], [outputs, rows, columns]) {
  const { kernel: [kh, kw], stride: [sh, sw], pad: [ph, pw], dilation: [dh, dw], group } = step;
  const tall = height + 2 * ph, wide = width + 2 * pw, result = new Float32Array(outputs * rows * columns);
  const framed = ph || pw ? new Float32Array(channels * tall * wide) : input;
  for (let row = 0; framed !== input && row < channels * height; row++) {
    const place = (Math.floor(row / height) * tall + (row % height) + ph) * wide + pw;
    framed.set(input.subarray(row * width, (row + 1) * width), place);
  }
  // A plane that is read whole is one row.
  const [down, across] = wide === columns && sh === 1 && sw === 1 ? [1, rows * columns] : [rows, columns];
  const depth = channels / group, sums = new Float64Array(rows * columns);
  for (let output = 0; output < outputs; output++) {
    const first = Math.floor((output * group) / outputs) * depth;
    sums.fill(bias ? bias[output] : 0);
    for (let c = 0; c < depth; c++) for (let i = 0; i < kh; i++) for (let j = 0; j < kw; j++) {
      const weight = weights[((output * depth + c) * kh + i) * kw + j];
      const corner = ((first + c) * tall + i * dh) * wide + j * dw;
      for (let y = 0; y < down; y++) {
        const from = corner + y * sh * wide, to = y * across;
        for (let x = 0; x < across; x++) sums[to + x] += weight * framed[from + x * sw];
      }
    }
    result.set(sums, output * rows * columns);
  }
  return result;
}

/** Pool windows; as in Caffe, an average counts the padding but nothing beyond it. */
function pool(step, input, [channels, height, width], [, rows, columns], maximum) {
  const { kernel: [kh, kw], stride: [sh, sw], pad: [ph, pw] } = step;
  const result = new Float32Array(channels * rows * columns);
  for (let c = 0, place = 0; c < channels; c++) for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) {
    const top = y * sh - ph, left = x * sw - pw;
    const bottom = Math.min(top + kh, height + ph), right = Math.min(left + kw, width + pw);
    let found = maximum ? -3.4028234663852886e38 : 0;
    for (let i = Math.max(top, 0); i < Math.min(bottom, height); i++) {
      for (let j = Math.max(left, 0); j < Math.min(right, width); j++) {
        const value = input[(c * height + i) * width + j];
        if (maximum) { if (value > found) found = value; } else found += value;
      }
    }
    result[place++] = maximum ? found : found / ((bottom - top) * (right - left));
  }
  return result;
}

/** Call `each` with the numbers of all channels at a position, and write what it returns. */
function acrossChannels(input, [channels, ...sides], each) {
  const size = sides.reduce((product, side) => product * side, 1), result = new Float32Array(input.length);
  for (let place = 0; place < size; place++) {
    each(Float64Array.from({ length: channels }, (_, c) => input[c * size + place]))
      .forEach((value, c) => { result[c * size + place] = value; });
  }
  return result;
}

const normalise = ({ reach, factor, k, beta }) => (x) => x.map((value, c) => {
  let sum = 0;
  for (let near = Math.max(0, c - reach); near <= Math.min(x.length - 1, c + reach); near++) sum += x[near] * x[near];
  return value * (k + factor * sum) ** -beta;
});

function softmax(x) {
  const most = Math.max(...x), powers = x.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

function product([input], [weights, bias], [outputs]) {
  return Float32Array.from({ length: outputs }, (_, output) => {
    let sum = bias ? bias[output] : 0;
    for (let i = 0, row = output * input.length; i < input.length; i++) sum += weights[row + i] * input[i];
    return sum;
  });
}

function concatenate(inputs) {
  const result = new Float32Array(inputs.reduce((length, input) => length + input.length, 0));
  inputs.reduce((place, input) => { result.set(input, place); return place + input.length; }, 0);
  return result;
}

/** By kind of step: (step, inputs, weights, shapes of the inputs, shape of the output) to the output. */
const KINDS = {
  convolution,
  relu: ({ slope }, [input]) => input.map((value) => (value > 0 ? value : slope * value)),
  maximum: (step, [input], _, [shape], top) => pool(step, input, shape, top, true),
  average: (step, [input], _, [shape], top) => pool(step, input, shape, top, false),
  lrn: (step, [input], _, [shape]) => acrossChannels(input, shape, normalise(step)),
  softmax: (step, [input], _, [shape]) => acrossChannels(input, shape, softmax),
  product: (step, inputs, weights, _, top) => product(inputs, weights, top),
  concat: (step, inputs) => concatenate(inputs),
  view: (step, [input]) => input,
};

/** Give each step its part of the weights. */
function distribute(program, all) {
  let place = 0;
  for (const step of program.steps) {
    step.arrays = step.weights.map((shape) => {
      const size = shape.reduce((count, side) => count * side, 1);
      return all.subarray(place, (place += size));
    });
  }
  if (place !== all.length) throw Error('the weights have another size than the network');
}

/** Compute what depends on `changed` values again, in place. */
function run(program, values, changed) {
  const { shapes } = program;
  for (const step of program.steps) {
    if (!step.bottoms.some((value) => changed.has(value)) || step.tops.some((value) => changed.has(value))) continue;
    const of = step.bottoms.map((value) => shapes[value]);
    const result = KINDS[step.kind](step, step.bottoms.map((value) => values[value]), step.arrays, of, shapes[step.tops[0]]);
    for (const value of step.tops) {
      values[value] = result;
      changed.add(value);
    }
  }
  return values;
}

/** The values of all layers for an image. */
function forward(program, image) {
  const values = [];
  values[program.input] = image;
  return run(program, values, new Set([program.input]));
}

/** The score without filters of a layer, from the values with all of them. */
function scoresWithout(program, values, layer, filters) {
  const { tops: [top] } = program.steps.find((step) => step.layer === layer), copy = [...values];
  const size = values[top].length / program.shapes[top][0];
  copy[top] = values[top].slice();
  for (const filter of filters) copy[top].fill(0, filter * size, (filter + 1) * size);
  return run(program, copy, new Set([top]))[program.score];
}
