// In: a 3D texture, camera and settings as uniforms. Out: GLSL that casts one ray per pixel.

const BOX_VERTEX = `#version 300 es
in vec3 corner;
uniform mat4 matrix;
uniform vec3 size;
out vec3 place;
void main() {
  place = corner * size;
  gl_Position = matrix * vec4(place, 1.0);
}`;

const LINE_FRAGMENT = `#version 300 es
precision mediump float;
uniform vec4 colour;
out vec4 result;
void main() { result = colour; }`;

const VOLUME_FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler3D;
in vec3 place;
out vec4 result;
uniform sampler3D voxels;    // 0..1, or -1..1 where signedValues
uniform sampler2D colours;   // rgb, and opacity per unit length in a
uniform vec3 size, counts, eye, light;
uniform vec3 cropLow, cropHigh, slicePlace;
uniform vec2 window;         // the values shown as first and last colour
uniform float density, threshold, shading;
uniform int mode;            // 0 volume, 1 maximum, 2 surface, 3 slices only
uniform int slices;          // bits: 1 x, 2 y, 4 filter
uniform bool signedValues;
uniform bool exact;          // voxels are cubes of one value each

// The last filter is nearest to us at first: orders run from weak to strong.
float valueAt(vec3 p) { return texture(voxels, vec3(p.xy, -p.z) / size + 0.5).r; }

float inWindow(float value) { return (value - window.x) / (window.y - window.x); }

// How much there is to see: for signed values both ends of the window are strong.
float strength(float value) {
  return signedValues ? abs(value) / max(abs(window.x), abs(window.y)) : inWindow(value);
}

vec4 colourOf(float value) { return texture(colours, vec2(clamp(inWindow(value), 0.0, 1.0), 0.5)); }

vec3 slope(vec3 p) {
  vec3 h = size / counts * 0.75;
  return vec3(
    valueAt(p + vec3(h.x, 0, 0)) - valueAt(p - vec3(h.x, 0, 0)),
    valueAt(p + vec3(0, h.y, 0)) - valueAt(p - vec3(0, h.y, 0)),
    valueAt(p + vec3(0, 0, h.z)) - valueAt(p - vec3(0, 0, h.z))) / h;
}

vec3 lit(vec3 colour, vec3 p, vec3 ray, vec3 face, float amount) {
  vec3 g = exact ? face : slope(p);
  float steepness = length(g);
  if (steepness < 1e-5) return colour;
  vec3 normal = g / steepness;
  float diffuse = abs(dot(normal, light));
  float shine = pow(abs(dot(normal, normalize(light - ray))), 24.0);
  return mix(colour, colour * (0.35 + 0.65 * diffuse) + 0.22 * shine, amount);
}

void lay(inout vec4 sum, vec3 colour, float alpha) {
  sum += (1.0 - sum.a) * vec4(colour * alpha, alpha);
}

// The slices crossed between two places of the ray, nearest first (they are at most three).
void laySlices(inout vec4 sum, vec3 ray, vec3 crossings, float from, float to) {
  for (int round = 0; round < 3; round++) {
    float nearest = to;
    for (int axis = 0; axis < 3; axis++) {
      bool shown = (slices & (1 << axis)) != 0;
      if (shown && crossings[axis] > from && crossings[axis] <= nearest) nearest = crossings[axis];
    }
    if (nearest >= to) return;
    lay(sum, colourOf(valueAt(eye + ray * nearest)).rgb, 1.0);
    from = nearest;
  }
}

// The first place of the ray at which the threshold is reached, between two steps.
float refine(vec3 ray, float before, float after) {
  for (int i = 0; i < 6; i++) {
    float middle = 0.5 * (before + after);
    if (strength(valueAt(eye + ray * middle)) >= threshold) after = middle; else before = middle;
  }
  return after;
}

void main() {
  vec3 ray = normalize(place - eye);
  vec3 inverse = 1.0 / ray;
  vec3 a = ((cropLow - 0.5) * size - eye) * inverse;
  vec3 b = ((cropHigh - 0.5) * size - eye) * inverse;
  vec3 enter = min(a, b), leave = max(a, b);
  float t0 = max(max(enter.x, enter.y), max(enter.z, 0.0));
  float t1 = min(leave.x, min(leave.y, leave.z));
  if (t0 >= t1) discard;
  vec3 crossings = ((slicePlace - 0.5) * size - eye) * inverse;
  vec3 rate = ray * counts / size;         // voxels per unit length
  rate += vec3(lessThan(abs(rate), vec3(1e-6))) * 1e-6;
  float pace = 0.5 / length(rate);         // half a voxel in this direction
  float jitter = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453);
  vec3 face = vec3(equal(enter, vec3(t0)));
  vec4 sum = vec4(0.0);
  float strongest = -1.0, strongestValue = 0.0, previous = t0 - 1e-4;
  float t = t0 + (exact || mode == 2 ? 0.0 : pace * jitter);
  for (int i = 0; i < 3000; i++) {
    if (slices != 0) laySlices(sum, ray, crossings, previous, min(t, t1 + 1e-4));
    if (t >= t1 || sum.a > 0.99) break;
    vec3 p = eye + ray * t, nextFace = face;
    float span = pace;
    if (exact) {
      // From here to where the ray leaves this voxel.
      vec3 cell = ((p + ray * pace * 0.01) / size + 0.5) * counts;
      vec3 ends = (floor(cell) + step(0.0, rate) - cell) / rate;
      float end = min(ends.x, min(ends.y, ends.z));
      nextFace = vec3(equal(ends, vec3(end)));
      span = min(max(end, 0.0) + pace * 0.01, t1 - t);
      p += ray * span * 0.5;
    }
    float value = mode == 3 ? 0.0 : valueAt(p);
    float strong = mode == 3 ? -1.0 : strength(value);
    if (mode == 0 && strong >= threshold) {
      vec4 colour = colourOf(value);
      float alpha = 1.0 - exp(-colour.a * density * span);
      if (alpha > 0.001) lay(sum, shading > 0.0 ? lit(colour.rgb, p, ray, face, shading) : colour.rgb, alpha);
    } else if (mode == 1 && strong > strongest) {
      strongest = strong;
      strongestValue = value;
    } else if (mode == 2 && strong >= threshold) {
      if (!exact) p = eye + ray * refine(ray, max(t - pace, t0), t);
      lay(sum, lit(colourOf(valueAt(p)).rgb, p, ray, face, max(shading, 0.75)), 1.0);
    }
    previous = t;
    t += span;
    // Voxels in touch have no faces between them: light falls on the one where the ray came in.
    if (strong < threshold || colourOf(value).a < 0.05) face = nextFace;
  }
  if (mode == 1 && strongest >= threshold) {
    float alpha = clamp((strongest - threshold) / max(1e-3, 1.0 - threshold) * 2.0, 0.0, 1.0);
    // The maximum was sought in front of the slices only, so it lies over them.
    sum = vec4(colourOf(strongestValue).rgb * alpha, alpha) + (1.0 - alpha) * sum;
  }
  if (sum.a < 0.003) discard;
  result = sum;
}`;
