// In: the counts of values and the settings. Out: the histogram with the curve of opacity over it, whose
// points are moved by mouse, finger and keys; the changed curve is passed on.

const BARS = 64;
const STEP = 0.02; // that a point moves at a press of an arrow key

/** A path of bars, 0..1 to the right and down, with heights by the logarithm of their counts. */
function barsPath(bars) {
  const tallest = Math.log1p(Math.max(...bars, 1));
  return bars.map((count, i) => {
    const y = (1 - Math.log1p(count) / tallest).toFixed(3);
    return `M${i / BARS} 1V${y}H${(i + 1) / BARS}V1`;
  }).join('');
}

/** Points with one moved: it stays between its neighbours, and the first and the last at the ends. */
function movePoint(points, index, place, opacity) {
  const last = points.length - 1;
  const low = index === 0 ? 0 : index === last ? 1 : points[index - 1][0];
  const high = index === last ? 1 : index === 0 ? 0 : points[index + 1][0];
  return points.map((point, i) => (i === index ? [within(place, low, high), within(opacity, 0, 1)] : point));
}

/** Points without one; the first and the last stay. */
const removePoint = (points, index) =>
  (index > 0 && index < points.length - 1 ? points.filter((_, i) => i !== index) : points);

/** Points with one more, and its index; no more than can be kept apart. */
function addPoint(points, place, opacity) {
  if (points.length >= MOST_POINTS) return { points, index: -1 };
  const index = points.findIndex(([at]) => at > place);
  const at = index < 1 ? points.length - 1 : index;
  return { points: points.toSpliced(at, 0, [within(place, 0, 1), within(opacity, 0, 1)]), index: at };
}

class CurveEditor {
  /** `change(curve)` is called with the changed curve; `describe(place)` tells the value there. */
  constructor(box, change, describe) {
    this.box = box;
    this.change = change;
    this.describe = describe;
    box.addEventListener('pointerdown', (event) => this.grab(event));
    box.addEventListener('pointermove', (event) => this.drag(event));
    for (const kind of ['pointerup', 'pointercancel']) box.addEventListener(kind, () => { this.held = null; });
    box.addEventListener('dblclick', (event) => this.put(removePoint(this.points, this.indexOf(event.target))));
    box.addEventListener('keydown', (event) => this.press(event));
  }

  indexOf(handle) { return [...this.box.querySelectorAll('[role="slider"]')].indexOf(handle); }

  put(points) {
    this.points = points;
    this.change(formatCurve(points));
  }

  /** Place and opacity under the pointer. */
  under({ clientX, clientY }) {
    const area = this.box.getBoundingClientRect();
    return [(clientX - area.left) / area.width, 1 - (clientY - area.top) / area.height];
  }

  /** Hold the point under the pointer, or a new one. */
  grab(event) {
    if (event.button) return;
    let index = this.indexOf(event.target);
    if (index < 0) {
      const added = addPoint(this.points, ...this.under(event));
      index = added.index;
      this.put(added.points);
    }
    this.held = index;
    this.box.setPointerCapture(event.pointerId);
    this.box.querySelectorAll('[role="slider"]')[index]?.focus();
    event.preventDefault();
  }

  drag(event) {
    if (this.held !== null && this.held >= 0) this.put(movePoint(this.points, this.held, ...this.under(event)));
  }

  press(event) {
    const index = this.indexOf(event.target);
    if (index < 0) return;
    const [place, opacity] = this.points[index];
    const [right, up] = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }[event.key] ?? [0, 0];
    if (right || up) this.put(movePoint(this.points, index, place + right, opacity + up));
    else if (event.key === 'Delete' || event.key === 'Backspace') this.put(removePoint(this.points, index));
    else if (event.key === 'Insert' || event.key === 'Enter') {
      const [next, high] = this.points[Math.min(index + 1, this.points.length - 1)];
      this.put(addPoint(this.points, (place + next) / 2, (opacity + high) / 2).points);
    } else return;
    event.preventDefault();
  }

  update(state, counts) {
    const { bars, below, above } = barsOf(counts, state, BARS);
    this.points = parseCurve(state.curve);
    this.box.querySelector('.bars').setAttribute('d', barsPath(bars));
    const line = this.points.map(([place, opacity]) => `${place},${1 - opacity}`).join(' ');
    this.box.querySelector('.line').setAttribute('points', line);
    this.updateHandles();
    const beyond = [[below, 'below'], [above, 'above']].filter(([share]) => share > 0);
    const text = beyond.map(([share, where]) => `${+(100 * share).toPrecision(2)} % ${where}`).join(', ');
    byId('beyond').textContent = text ? `Of all values, ${text} this window.` : 'All values are in this window.';
  }

  updateHandles() {
    const handles = [...this.box.querySelectorAll('[role="slider"]')];
    while (handles.length < this.points.length) {
      const handle = document.createElement('span');
      handle.tabIndex = 0;
      handle.setAttribute('role', 'slider');
      handle.setAttribute('aria-orientation', 'vertical');
      handle.setAttribute('aria-valuemin', '0');
      handle.setAttribute('aria-valuemax', '100');
      this.box.append(handle);
      handles.push(handle);
    }
    handles.splice(this.points.length).forEach((handle) => handle.remove());
    this.points.forEach(([place, opacity], i) => {
      const percent = Math.round(100 * opacity);
      handles[i].style.left = `${100 * place}%`;
      handles[i].style.top = `${100 * (1 - opacity)}%`;
      handles[i].setAttribute('aria-valuenow', percent);
      handles[i].setAttribute('aria-label', `Opacity at ${this.describe(place)}`);
      handles[i].setAttribute('aria-valuetext', `${percent} %`);
    });
  }
}
