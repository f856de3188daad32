// In: the JSON spec and the voxels embedded in the page. Out: the running viewer, also as `window.viewer`.

const byId = (id) => document.getElementById(id);

class Viewer {
  constructor(spec, panels) {
    this.spec = spec;
    this.defaults = defaultState(spec);
    this.state = { ...this.defaults, ...parseHash(location.hash, this.defaults, spec) };
    this.canvas = byId('volume');
    this.renderer = new Renderer(this.canvas, spec, panels);
    this.panels = this.renderer.panels;
    this.labels = new Labels(byId('labels'), spec, panels.length);
    this.controls = new Controls(byId('form'), spec, (settings) => this.change(settings));
    this.playing = false;
    this.slow = false;
    followPointers(this.canvas, this);
    followKeys(this);
    new ResizeObserver(() => this.request()).observe(this.canvas);
    addEventListener('hashchange', () => this.takeHash());
  }

  get frameCount() { return this.spec.shape[0]; }

  /** Take settings over, draw and remember them in the address. */
  change(settings) {
    Object.assign(this.state, settings);
    this.request();
    clearTimeout(this.hashTimer);
    this.hashTimer = setTimeout(() => this.writeHash(), 300);
  }

  writeHash() {
    const hash = formatHash(this.state, this.defaults);
    if (hash !== location.hash.slice(1)) history.replaceState(null, '', `#${hash}`);
  }

  takeHash() {
    Object.assign(this.state, this.defaults, parseHash(location.hash, this.defaults, this.spec));
    this.request();
  }

  reset() { this.change({ ...this.defaults }); }

  request() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.draw(!this.slow);
    });
  }

  /** Draw; where that takes long, coarsely while something moves and sharply once it rests. */
  draw(sharp) {
    const { state, renderer } = this;
    const start = performance.now();
    if (state.colours !== this.colours) this.showColours();
    const pixels = Math.min(devicePixelRatio || 1, 2);
    this.drawn = renderer.draw(state, sharp ? pixels : pixels * 0.5);
    this.labels.update(this.drawn);
    this.controls.update(state, this.panels[0].counts);
    this.showNumbers();
    document.body.dataset.background = state.background;
    document.body.dataset.frame = state.frame;
    clearTimeout(this.sharpTimer);
    if (sharp) {
      renderer.gl.readPixels(0, 0, 1, 1, renderer.gl.RGBA, renderer.gl.UNSIGNED_BYTE, new Uint8Array(4));
      this.slow = performance.now() - start > 70;
      document.body.dataset.ready = '1';
    } else {
      this.sharpTimer = setTimeout(() => this.draw(true), 220);
    }
  }

  showColours() {
    this.colours = this.state.colours;
    const rgba = this.renderer.setColours(this.colours).slice();
    for (let i = 3; i < rgba.length; i += 4) rgba[i] = 255;
    byId('colours').getContext('2d').putImageData(new ImageData(new Uint8ClampedArray(rgba), 256, 1), 0, 0);
  }

  showNumbers() {
    const { low, high, frame } = this.state;
    const marks = [low, (low + high) / 2, high];
    [...byId('marks').children].forEach((mark, i) => {
      mark.textContent = formatNumber(inUnits(this.spec, marks[i]));
    });
    if (this.spec.frames) byId('frame-name').textContent = this.spec.frames[frame];
  }

  /** Tell what the pointer is on. */
  point(x, y) {
    let text = '';
    for (const view of x === null ? [] : this.drawn) {
      const { area } = view;
      const [u, v] = [(x - area.x) / area.width, (y - area.y) / area.height];
      if (u < 0 || u > 1 || v < 0 || v > 1) continue;
      const voxel = pick(view, this.state, this.spec, 2 * u - 1, 1 - 2 * v);
      if (voxel) text = describeVoxel(this.spec, view.panel, voxel);
    }
    byId('voxel').textContent = text;
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
    this.draw(true);
    return composePicture(this).toDataURL('image/png');
  }

  save() {
    const link = document.createElement('a');
    link.href = this.picture();
    link.download = `${this.spec.name}.png`;
    link.click();
  }

  help() { byId('help').showModal(); }
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
  byId('save').addEventListener('click', () => viewer.save());
  byId('reset').addEventListener('click', () => viewer.reset());
  byId('show-help').addEventListener('click', () => viewer.help());
  byId('play')?.addEventListener('click', () => viewer.play(!viewer.playing));
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
  viewer.draw(true);
  window.viewer = viewer;
}

start().catch((error) => {
  document.body.dataset.ready = 'error';
  say(`The volume cannot be shown: ${error.message}`);
  throw error;
});
