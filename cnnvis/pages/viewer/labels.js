// In: the drawn panels with their cameras. Out: text over the canvas: titles, axes, the picked filter.

const formatNumber = (value) => {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return String(+value.toPrecision(3)).replace('-', '−');
  return value.toExponential(1).replace('-', '−').replace('e+', 'e').replace('e-', 'e−');
};

/** The number in the data's own unit of a value as drawn (0..1 or -1..1). */
const inUnits = (spec, value) => spec.values[0] + (spec.values[1] - spec.values[0]) * value;

/** The edge of the box along an axis on which its label reads best: on the outline, low or left. */
function labelEdge(axis, size, camera, toPixels) {
  const others = [0, 1, 2].filter((k) => k !== axis);
  const faces = (k, side) => side * camera.eye[k] > size[k] / 2;
  let best = null;
  for (const first of [-1, 1]) {
    for (const second of [-1, 1]) {
      if (faces(others[0], first) === faces(others[1], second)) continue;
      const end = (place) => {
        const point = [0, 0, 0];
        point[axis] = place * size[axis];
        point[others[0]] = (first * size[others[0]]) / 2;
        point[others[1]] = (second * size[others[1]]) / 2;
        return toPixels(point);
      };
      const edge = { middle: end(0), from: end(-0.5), to: end(0.5) };
      const merit = axis === 1 ? -edge.middle[0] : edge.middle[1];
      if (!best || merit > best.merit) best = { ...edge, merit };
    }
  }
  return best;
}

class Labels {
  constructor(layer, spec, count) {
    this.spec = spec;
    this.panels = Array.from({ length: count }, () => {
      const group = document.createElement('div');
      const make = (className) => {
        const element = document.createElement('span');
        element.className = className;
        group.append(element);
        return element;
      };
      layer.append(group);
      const axes = spec.axes.map(() => [make('axis'), make('tick'), make('tick')]);
      return { group, title: make('panel-title'), axes, picked: make('picked') };
    });
  }

  update(drawn, state) {
    this.panels.forEach((labels, i) => {
      labels.group.hidden = i >= drawn.length;
      if (i < drawn.length) this.updatePanel(labels, drawn[i], state);
    });
  }

  updatePanel({ title, axes, picked }, { panel, area, size, camera, slab }, state) {
    title.textContent = panel.title;
    title.style.left = `${area.x + 12}px`;
    title.style.top = `${area.y + 10}px`;
    title.style.maxWidth = `${area.width - 24}px`;
    const toPixels = (point) => {
      const seen = project(camera.matrix, point);
      return [area.x + (seen.x / 2 + 0.5) * area.width, area.y + (0.5 - seen.y / 2) * area.height];
    };
    const centre = toPixels([0, 0, 0]);
    picked.hidden = !slab;
    if (slab) {
      picked.textContent = String(state.picked);
      const corners = [[-1, -1], [1, -1]].map(([x, y]) => toPixels([(x * slab.size[0]) / 2, (y * slab.size[1]) / 2, slab.middle[2]]));
      const [x, y] = corners.reduce((best, corner) => (corner[1] < best[1] ? corner : best));
      picked.style.left = `${x - picked.offsetWidth / 2}px`;
      picked.style.top = `${y - picked.offsetHeight - 3}px`;
    }
    this.spec.axes.forEach((axis, k) => {
      const edge = labelEdge(k, size, camera, toPixels);
      const length = edge ? Math.hypot(edge.to[0] - edge.from[0], edge.to[1] - edge.from[1]) : 0;
      const [name, first, last] = axes[k];
      name.hidden = length < 24;
      first.hidden = last.hidden = length < 72;
      if (name.hidden) return;
      const ends = [0, panel.counts[k] - 1];
      const roomy = length > 150 && (k !== 1 || edge.middle[0] - area.x > 130);
      name.textContent = roomy ? `${axis.name} (${axis.unit})` : axis.name;
      if (first.hidden) name.textContent += ` ${ends.join('…')}`;
      [first.textContent, last.textContent] = k === 2 ? ends.reverse() : ends;
      const along = [0, 1].map((j) => (edge.to[j] - edge.from[j]) / length);
      let away = [-along[1], along[0]];
      const outward = [0, 1].map((j) => edge.middle[j] - centre[j]);
      if (away[0] * outward[0] + away[1] * outward[1] < 0) away = away.map((value) => -value);
      this.place(name, edge.middle, away, 1, area);
      this.place(first, edge.from.map((value, j) => value + along[j] * 8), away, 0.62, area);
      this.place(last, edge.to.map((value, j) => value - along[j] * 8), away, 0.62, area);
    });
  }

  /** Put an element beside a point, pushed away from the box by its own size. */
  place(element, point, away, share, area) {
    const [w, h] = [element.offsetWidth, element.offsetHeight];
    const push = share * (8 + Math.abs(away[0]) * w * 0.5 + Math.abs(away[1]) * h * 0.5);
    const x = point[0] + away[0] * push - w / 2;
    const y = point[1] + away[1] * push - h / 2;
    element.style.left = `${Math.max(area.x + 4, Math.min(area.x + area.width - w - 4, x))}px`;
    element.style.top = `${Math.max(area.y, Math.min(area.y + area.height - h, y))}px`;
  }
}

/** One line about a voxel: which filter, where, and how much. */
function describeVoxel(spec, panel, { at, value }) {
  const filter = filterAt(panel, at[2]);
  const place = isNatural(panel.order) ? '' : ` · place ${at[2]}`;
  return `filter ${filter}${place} · y ${at[1]} · x ${at[0]} · ${formatNumber(inUnits(spec, value))}`;
}
