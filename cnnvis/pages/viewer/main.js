// In: the JSON spec and the voxels embedded in the page. Out: the running viewer, also as `window.viewer`.

const byId = (id) => document.getElementById(id);

// Shares of the values within a window; a page opens with the third.
const SHARES = [1, 0.999, 0.99, 0.95];

// Milliseconds that a drawing may take while something moves, and once it rests: without a graphics card, pixels cost time.
const [MOVING, RESTING] = [60, 2000];
const COARSEST = 0.1; // pixels per CSS pixel

class Viewer {
  constructor(spec, panels) {
    this.spec = spec;
    this.panels = panels;
    this.volumes = panels.filter(({ volume }, i) => panels.findIndex((other) => other.volume === volume) === i);
    this.defaults = defaultState(spec);
    this.state = { ...this.defaults };
    Object.assign(this.defaults, this.windowFor(SHARES[2]), spec.state);
    this.takeHash();
    this.canvas = byId('volume');
    this.renderer = new Renderer(this.canvas, spec, panels);
    this.labels = new Labels(byId('labels'), spec, panels.length);
    this.controls = new Controls(byId('form'), spec, (settings) => this.change(settings(this.state)));
    const valueAt = (place) => inUnits(spec, this.state.low + place * (this.state.high - this.state.low));
    this.curve = new CurveEditor(byId('curve'), (curve) => this.change({ curve }), (place) => formatNumber(valueAt(place)));
    this.card = new Card(spec, panels, this.volumes);
    this.playing = false;
    this.cost = Infinity; // milliseconds per pixel, by the last drawing
    followPointers(this.canvas, this);
    followKeys(this);
    new ResizeObserver(() => this.request()).observe(this.canvas);
    addEventListener('hashchange', () => this.takeHash());
  }

  get frameCount() { return frameCount(this.spec); }

  /** Take settings over, draw and remember them in the address. */
  change(settings) {
    settle(Object.assign(this.state, settings), settings, this.spec);
    this.request();
    clearTimeout(this.hashTimer);
    this.hashTimer = setTimeout(() => this.writeHash(), 300);
  }

  writeHash() {
    // A page within a notebook has no address of its own.
    if (location.protocol === 'about:') return;
    const hash = formatHash(this.state, this.defaults);
    if (hash !== location.hash.slice(1)) history.replaceState(null, '', `#${hash}`);
  }

  takeHash() {
    const found = parseHash(location.hash, this.defaults, this.spec);
    settle(Object.assign(this.state, this.defaults, found), found, this.spec);
    this.request();
  }

  reset() { this.change({ ...this.defaults }); }

  request() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.draw(false);
    });
  }

  /** Pixels per CSS pixel: those of the screen, or as many as can be drawn in so many milliseconds. */
  sharpness(milliseconds) {
    const finest = Math.min(devicePixelRatio || 1, 2);
    const area = Math.max(1, this.canvas.clientWidth * this.canvas.clientHeight);
    const possible = milliseconds === Infinity ? finest : Math.sqrt(milliseconds / (this.cost * area));
    return within(possible, COARSEST, finest);
  }

  /** Draw; where that takes long, coarsely while something moves and sharply once it rests. */
  draw(sharp, milliseconds = sharp ? RESTING : MOVING) {
    const { state, renderer } = this;
    this.showColours();
    const pixels = this.sharpness(milliseconds);
    const start = performance.now();
    this.drawn = renderer.draw(state, pixels);
    renderer.finish();
    this.cost = (performance.now() - start) / (this.canvas.width * this.canvas.height);
    this.labels.update(this.drawn, state);
    this.controls.update(state, this.panels[0].counts);
    this.curve.update(state, this.counts());
    this.card.update(state, this.table);
    this.showNumbers();
    document.body.dataset.background = state.background;
    document.body.dataset.frame = state.frame;
    clearTimeout(this.sharpTimer);
    // A small drawing costs more per pixel than a large one: where it took less than it may, draw again.
    if (pixels < (sharp ? 0.7 : 0.95) * this.sharpness(RESTING)) {
      this.sharpTimer = setTimeout(() => this.draw(true), 220);
    } else {
      document.body.dataset.ready = '1';
    }
  }

  /** The table of colours with opacities, and the colour scale; made again when a setting of it changed. */
  showColours() {
    const { colours, curve, gamma } = this.state;
    const key = `${colours} ${curve} ${gamma}`;
    if (key === this.tableKey) return;
    this.tableKey = key;
    const text = atob(this.spec.colours[colours]);
    const rgb = Uint8Array.from(text, (character) => character.charCodeAt(0));
    this.table = colourTable(rgb, parseCurve(curve), gamma, this.spec.signed);
    this.renderer.setColours(this.table);
    const opaque = Uint8ClampedArray.from(this.table, (value, i) => (i % 4 === 3 ? 255 : value));
    for (const canvas of document.querySelectorAll('.colours')) {
      canvas.getContext('2d').putImageData(new ImageData(opaque, 256, 1), 0, 0);
    }
  }

  /** Counts of the values: of all frames, which have one scale, or of the differences shown. */
  counts() {
    const { frame, minus } = this.state;
    const key = minus < 0 ? 'all' : `${frame} ${minus}`;
    if (this.counted?.key !== key) {
      const arrays = this.volumes.flatMap((panel) => (minus < 0 ? panel.frames : [shownVoxels(panel, this.state)]));
      const reach = minus < 0 ? 1 : 2;
      const low = this.spec.signed ? -reach : 0;
      this.counted = { key, counts: countValues(arrays, this.panels[0].scale, low, reach), windows: {} };
    }
    return this.counted.counts;
  }

  windowFor(share) {
    if (share === 1) return { low: this.spec.signed ? -1 : 0, high: 1 };
    const counts = this.counts();
    return (this.counted.windows[share] ??= windowOf(counts, share, this.spec.signed));
  }

  /** The share whose window is shown, or -1. */
  shownShare() {
    const { low, high } = this.state;
    return SHARES.find((share) => {
      const window = this.windowFor(share);
      return window.low === low && window.high === high;
    }) ?? -1;
  }

  nextWindow() {
    this.change(this.windowFor(SHARES[(SHARES.indexOf(this.shownShare()) + 1) % SHARES.length]));
  }

  showNumbers() {
    const { low, high, frame, minus } = this.state;
    const marks = [low, (low + high) / 2, high];
    [...byId('marks').children].forEach((mark, i) => {
      mark.textContent = formatNumber(inUnits(this.spec, marks[i]));
    });
    byId('share').value = this.shownShare();
    if (this.spec.frames) {
      byId('frame-name').textContent = this.frameName(frame) + (minus < 0 ? '' : ` − ${this.frameName(minus)}`);
    }
  }

  frameName(frame) { return this.spec.frames[frame]; }

  /** The panel and the voxel at a point of the canvas, or null. */
  voxelUnder(x, y) {
    for (const view of this.drawn) {
      const { area, panel } = view;
      const [u, v] = [(x - area.x) / area.width, (y - area.y) / area.height];
      if (u < 0 || u > 1 || v < 0 || v > 1) continue;
      const voxel = pick(view, this.state, this.spec, 2 * u - 1, 1 - 2 * v);
      if (voxel) return { panel, voxel };
    }
    return null;
  }

  /** Tell what the pointer is on. */
  point(x, y) {
    const found = x === null ? null : this.voxelUnder(x, y);
    byId('voxel').textContent = found ? describeVoxel(this.spec, found.panel, found.voxel) : '';
  }

  /** Pick the filter at a point of the canvas, or none. */
  pickAt(x, y) {
    this.point(x, y);
    const found = this.voxelUnder(x, y);
    this.change({ picked: found ? filterAt(found.panel, found.voxel.at[2]) : -1 });
  }

  /** Pick the next or previous filter in the order of the first shown panel. */
  pickNext(by) {
    const [{ panel }] = this.drawn;
    const count = panel.counts[2];
    const place = this.state.picked < 0 ? (by > 0 ? -1 : 0) : placeOf(panel, this.state.picked);
    this.change({ picked: filterAt(panel, (place + by + count) % count) });
  }

  /** Show one panel after the other alone, then all. */
  nextPanels() {
    const count = this.panels.length;
    const alone = this.panels.findIndex((_, i) => this.state.panels === 1 << i);
    const all = 2 ** count - 1;
    this.change({ panels: this.state.panels === all ? 1 : alone + 1 < count ? 1 << (alone + 1) : all });
  }

  step(by) {
    this.change({ frame: (this.state.frame + by + this.frameCount) % this.frameCount });
  }

  play(on) {
    if (this.frameCount < 2) return;
    this.playing = on;
    clearTimeout(this.playTimer);
    const button = byId('play');
    button.textContent = on ? '❚❚' : '▶';
    button.setAttribute('aria-label', on ? 'Pause' : 'Play');
    const next = () => {
      this.step(1);
      this.playTimer = setTimeout(next, 1000 / this.state.speed);
    };
    if (on) this.playTimer = setTimeout(next, 1000 / this.state.speed);
  }

  /** The picture as a data URL; drawn afresh because the browser clears the canvas after showing it. */
  picture() {
    this.draw(true, Infinity);
    return composePicture(this).toDataURL('image/png');
  }

  save() {
    const link = document.createElement('a');
    link.href = this.picture();
    link.download = `${this.spec.name}.png`;
    link.click();
  }

  /** Put the address with all settings into the clipboard; where that is forbidden, show it to be copied. */
  async copy() {
    this.writeHash();
    try {
      await navigator.clipboard.writeText(location.href);
      byId('copied').textContent = 'Address copied';
    } catch {
      prompt('The address of this view:', location.href);
    }
  }

  help() { byId('help').showModal(); }

  /** What each key does. */
  keys(shift = false) { return keyActions(this, shift); }
}

function say(text) {
  byId('message').hidden = false;
  byId('message-text').textContent = text;
}

function fillChoices(spec) {
  const select = document.querySelector('select[data-state="colours"]');
  select.append(...Object.keys(spec.colours).map((name) => new Option(name, name)));
}

function connectButtons(viewer) {
  const actions = {
    save: () => viewer.save(), copy: () => viewer.copy(), reset: () => viewer.reset(),
    'show-help': () => viewer.help(), play: () => viewer.play(!viewer.playing),
    'pick-next': () => viewer.pickNext(1), 'pick-previous': () => viewer.pickNext(-1),
    unpick: () => viewer.change({ picked: -1 }),
  };
  for (const [id, action] of Object.entries(actions)) byId(id)?.addEventListener('click', action);
  byId('copy').hidden = location.protocol === 'about:';
  byId('share').addEventListener('change', ({ target }) => viewer.change(viewer.windowFor(Number(target.value))));
  viewer.canvas.addEventListener('webglcontextlost', () => {
    say('The graphics card stopped drawing. Reload the page.');
  });
}

async function start() {
  const spec = JSON.parse(byId('spec').textContent);
  if (matchMedia('(max-width: 760px)').matches) byId('controls').open = false;
  if (!document.createElement('canvas').getContext('webgl2')) {
    say('This browser or graphics card cannot draw in 3D (WebGL2 is missing or switched off).');
    document.body.dataset.ready = 'nogl';
    return;
  }
  fillChoices(spec);
  const viewer = new Viewer(spec, await readPanels(spec, byId('voxels').textContent));
  connectButtons(viewer);
  // The first drawing compiles the shaders, the second tells how long one takes.
  for (const sharp of [false, false, true]) viewer.draw(sharp);
  window.viewer = viewer;
}

start().catch((error) => {
  document.body.dataset.ready = 'error';
  say(`The volume cannot be shown: ${error.message}`);
  throw error;
});
