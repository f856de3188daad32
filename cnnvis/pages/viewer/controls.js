// In: the form and its events. Out: the changed settings, and the form showing the current ones.
// Each control is a native form element that names its setting in `data-state`; with `data-bit`, one bit of it.

const numberOf = (element) => (element.type === 'checkbox' ? Number(element.checked) : element.value);

/** What stands beside a slider: the setting in the reader's units. */
function describeSetting(key, state, spec, counts) {
  const value = state[key];
  const axis = ['X', 'Y', 'Filter'].findIndex((name) => key.includes(name));
  if (axis >= 0) return String(Math.min(counts[axis] - 1, Math.floor(value * counts[axis])));
  if (key === 'low' || key === 'high') return formatNumber(inUnits(spec, value));
  if (key === 'threshold') {
    const { low, high } = state;
    if (!spec.signed) return formatNumber(inUnits(spec, low + (high - low) * value));
    return `±${formatNumber(inUnits(spec, Math.max(Math.abs(low), Math.abs(high)) * value))}`;
  }
  if (key === 'frame') return `${value + 1}/${frameCount(spec)}`;
  return formatNumber(value);
}

class Controls {
  /** `change(settings of the state)` is called with what the reader changed. */
  constructor(form, spec, change) {
    this.spec = spec;
    this.elements = [...document.querySelectorAll('[data-state]')];
    form.addEventListener('submit', (event) => event.preventDefault());
    for (const element of this.elements) {
      element.addEventListener('input', () => {
        const raw = numberOf(element);
        const { state: key, bit } = element.dataset;
        if (bit) change((state) => ({ [key]: state[key] ^ (1 << bit) }));
        else change(() => ({ [key]: element.dataset.text === undefined ? Number(raw) : raw }));
      });
    }
  }

  /** Show the state in the elements. */
  update(state, counts) {
    for (const element of this.elements) {
      const { state: key, bit } = element.dataset;
      if (bit) element.checked = Boolean((state[key] >> bit) & 1);
      else if (element.type === 'checkbox') element.checked = Boolean(state[key]);
      else if (element.value !== String(state[key])) element.value = state[key];
      const output = element.parentElement.querySelector('output');
      if (!output) continue;
      output.textContent = describeSetting(key, state, this.spec, counts);
      element.setAttribute('aria-valuetext', output.textContent);
    }
  }
}
