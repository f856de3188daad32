// In: panels of voxels and the settings. Out: the WebGL2 canvas, one viewport per panel.

const MODES = { volume: 0, maximum: 1, surface: 2, slices: 3 };
const BACKGROUNDS = { dark: [0.027, 0.031, 0.047], white: [1, 1, 1] };
const LINE_COLOURS = { dark: [0.36, 0.72, 0.75], white: [0.1, 0.42, 0.45] };
const DENSITY = 60; // of the whole box, where the curve and the setting of opacity are 1
const PICKED_COLOURS = { dark: [1, 0.85, 0.2], white: [0.75, 0.1, 0.5] };
const SPACE = { x: 56, y: 72 }; // CSS pixels of a panel that labels and title need
// Of the box, by corner: bit 0 of a corner's number is its x, bit 1 its y, bit 2 its z.
const TRIANGLES = [
  0, 1, 2, 1, 3, 2, 4, 6, 5, 5, 6, 7, 0, 4, 1, 1, 4, 5, 2, 3, 6, 3, 7, 6, 0, 2, 4, 2, 6, 4, 1, 5, 3, 3, 5, 7,
];
const EDGES = [0, 1, 2, 3, 4, 5, 6, 7, 0, 2, 1, 3, 4, 6, 5, 7, 0, 4, 1, 5, 2, 6, 3, 7];

/** Compile a program; its uniforms' places are looked up by name on first use. */
function makeProgram(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [text, kind] of [[vertex, gl.VERTEX_SHADER], [fragment, gl.FRAGMENT_SHADER]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.bindAttribLocation(program, 0, 'corner');
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw Error(gl.getProgramInfoLog(program));
  const places = {};
  const at = (name) => (places[name] ??= gl.getUniformLocation(program, name));
  return { program, at };
}

/** Put one frame's voxels on the graphics card. */
function makeVolumeTexture(gl, voxels, [width, height, filters]) {
  const largest = gl.getParameter(gl.MAX_3D_TEXTURE_SIZE);
  if (Math.max(width, height, filters) > largest) {
    throw Error(`this graphics card draws volumes of at most ${largest} voxels a side`);
  }
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_3D, texture);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  const floats = voxels instanceof Float32Array;
  gl.texImage3D(
    gl.TEXTURE_3D, 0, floats ? gl.R16F : gl.R8, width, height, filters, 0, gl.RED,
    floats ? gl.FLOAT : gl.UNSIGNED_BYTE, voxels,
  );
  for (const axis of ['S', 'T', 'R']) {
    gl.texParameteri(gl.TEXTURE_3D, gl[`TEXTURE_WRAP_${axis}`], gl.CLAMP_TO_EDGE);
  }
  return texture;
}

/** Panels' rectangles in a canvas: as many columns as leave each panel largest, rather none empty. */
function arrange(count, width, height) {
  let best = null;
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const [w, h] = [width / columns, height / rows];
    const full = columns * rows === count ? 1.12 : 1;
    const side = full * Math.min(w - SPACE.x, (h - SPACE.y) * 1.15);
    if (!best || side > best.side) best = { side, columns, rows, w, h };
  }
  return Array.from({ length: count }, (_, i) => ({
    x: (i % best.columns) * best.w,
    y: Math.floor(i / best.columns) * best.h,
    width: best.w,
    height: best.h,
  }));
}

class Renderer {
  constructor(canvas, spec, panels) {
    this.canvas = canvas;
    this.spec = spec;
    const gl = canvas.getContext('webgl2', { antialias: true, alpha: false });
    this.gl = gl;
    this.volume = makeProgram(gl, BOX_VERTEX, VOLUME_FRAGMENT);
    this.lines = makeProgram(gl, BOX_VERTEX, LINE_FRAGMENT);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(CORNERS.flat()), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, new Uint16Array([...TRIANGLES, ...EDGES]), gl.STATIC_DRAW);
    this.panels = panels;
    this.textures = new Map();
    this.table = gl.createTexture();
  }

  /** The texture of a panel's voxels, made when they are first shown; of differences only the last is kept. */
  textureOf(panel, voxels) {
    const { gl, textures } = this;
    if (textures.has(voxels)) return textures.get(voxels);
    if (!panel.frames.includes(voxels)) {
      gl.deleteTexture(textures.get(panel.drawnDifference) ?? null);
      textures.delete(panel.drawnDifference);
      panel.drawnDifference = voxels;
    }
    textures.set(voxels, makeVolumeTexture(gl, voxels, panel.counts));
    return textures.get(voxels);
  }

  /** Use a table of 256 RGBA colours. */
  setColours(colours) {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.table);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, colours);
    for (const key of ['TEXTURE_MIN_FILTER', 'TEXTURE_MAG_FILTER']) {
      gl.texParameteri(gl.TEXTURE_2D, gl[key], gl.LINEAR);
    }
    for (const key of ['TEXTURE_WRAP_S', 'TEXTURE_WRAP_T']) {
      gl.texParameteri(gl.TEXTURE_2D, gl[key], gl.CLAMP_TO_EDGE);
    }
  }

  /** Draw the shown panels with `sharpness` pixels per CSS pixel; returns what was drawn where. */
  draw(state, sharpness) {
    const { gl, canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const [w, h] = [Math.max(1, Math.round(width * sharpness)), Math.max(1, Math.round(height * sharpness))];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    gl.clearColor(...BACKGROUNDS[state.background], 1);
    gl.viewport(0, 0, w, h);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const shown = this.panels.filter((_, i) => (state.panels >> i) & 1);
    return arrange(shown.length, width, height).map((area, i) => {
      const panel = shown[i];
      const size = boxSize(panel.counts, state.stretch);
      const aspect = area.width / area.height;
      const { distance, lift } = fit(size, aspect, {
        x: Math.max(0.4, 1 - SPACE.x / area.width),
        y: Math.max(0.4, 1 - SPACE.y / area.height),
      });
      const camera = lookAt(state, distance / state.zoom, aspect, (lift * state.elevation) / HOME.elevation);
      gl.viewport(
        Math.round(area.x * sharpness), Math.round((height - area.y - area.height) * sharpness),
        Math.round(area.width * sharpness), Math.round(area.height * sharpness),
      );
      const edges = LINE_COLOURS[state.background];
      if (state.box) this.drawBox(size, camera.matrix, edges, 0.9);
      this.drawVolume(state, panel, size, camera);
      if (state.box) this.drawBox(size, camera.matrix, edges, 0.3);
      const slab = state.picked < 0 ? null : slabOf(placeOf(panel, state.picked), panel.counts, size);
      if (slab) {
        const there = multiply(camera.matrix, translation(slab.middle));
        for (const grown of [1, 1.006]) {
          this.drawBox(slab.size.map((side) => side * grown), there, PICKED_COLOURS[state.background], 1);
        }
      }
      return { panel, area, size, camera, slab };
    });
  }

  /** Wait until all is drawn. */
  finish() {
    this.gl.readPixels(0, 0, 1, 1, this.gl.RGBA, this.gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  /** The edges of a box: of the volume drawn before it, and faintly over it so that its front shows. */
  drawBox(size, matrix, colour, alpha) {
    const { gl, lines } = this;
    gl.useProgram(lines.program);
    gl.uniformMatrix4fv(lines.at('matrix'), false, matrix);
    gl.uniform3fv(lines.at('size'), size);
    gl.uniform4fv(lines.at('colour'), [...colour.map((c) => c * alpha), alpha]);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.drawElements(gl.LINES, EDGES.length, gl.UNSIGNED_SHORT, 2 * TRIANGLES.length);
  }

  drawVolume(state, panel, size, camera) {
    const { gl, volume } = this;
    const { at } = volume;
    const exact = isExact(state, panel, this.spec);
    gl.useProgram(volume.program);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_3D, this.textureOf(panel, shownVoxels(panel, state)));
    for (const key of ['TEXTURE_MIN_FILTER', 'TEXTURE_MAG_FILTER']) {
      gl.texParameteri(gl.TEXTURE_3D, gl[key], exact ? gl.NEAREST : gl.LINEAR);
    }
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.table);
    gl.uniform1i(at('voxels'), 0);
    gl.uniform1i(at('colours'), 1);
    gl.uniformMatrix4fv(at('matrix'), false, camera.matrix);
    gl.uniform3fv(at('size'), size);
    gl.uniform3fv(at('counts'), panel.counts);
    gl.uniform3fv(at('eye'), camera.eye);
    const toEye = camera.forward.map((value) => -value);
    gl.uniform3fv(at('light'), unit(add(add(toEye, camera.right, 0.5), camera.up, 0.7)));
    const places = boxPlaces(state);
    gl.uniform3fv(at('cropLow'), places.cropLow);
    gl.uniform3fv(at('cropHigh'), places.cropHigh);
    gl.uniform3fv(at('slicePlace'), places.slices);
    gl.uniform1i(at('slices'), shownSlices(state));
    gl.uniform2f(at('window'), state.low, state.high);
    gl.uniform1f(at('density'), state.opacity * DENSITY);
    gl.uniform1f(at('threshold'), state.threshold);
    gl.uniform1f(at('shading'), state.shading);
    gl.uniform1i(at('mode'), MODES[state.mode]);
    gl.uniform1i(at('signedValues'), this.spec.signed ? 1 : 0);
    gl.uniform1i(at('exact'), exact ? 1 : 0);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.enable(gl.CULL_FACE);
    gl.cullFace(gl.FRONT);
    gl.drawElements(gl.TRIANGLES, TRIANGLES.length, gl.UNSIGNED_SHORT, 0);
    gl.disable(gl.CULL_FACE);
  }
}

/** Bits of the slices to draw; the mode of slices alone shows all where none is chosen. */
function shownSlices(state) {
  const chosen = (state.showX ? 1 : 0) | (state.showY ? 2 : 0) | (state.showFilter ? 4 : 0);
  return chosen || (state.mode === 'slices' ? 7 : 0);
}

/** Whether a panel's voxels are drawn as cubes: neighbours in the network's own order are unrelated, and so are weights. */
function isExact({ voxels }, panel, spec) {
  return voxels === 'auto' ? spec.signed || isNatural(panel.order) : voxels === 'exact';
}

/** The slab of the filter at a place of the box: {middle, size}. The last filter is nearest to us at first. */
function slabOf(place, counts, size) {
  const z = ((counts[2] - 0.5 - place) / counts[2] - 0.5) * size[2];
  return { middle: [0, 0, z], size: [size[0], size[1], size[2] / counts[2]] };
}
