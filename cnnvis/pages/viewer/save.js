// In: the viewer. Out: a canvas with the drawing, its labels, title and colour scale, to be saved as PNG.

/** Copy the labels that lie over the drawing, where they are. */
function drawLabels(context, viewer) {
  context.textBaseline = 'top';
  for (const label of byId('labels').querySelectorAll(':scope > :not([hidden]) > :not([hidden])')) {
    const style = getComputedStyle(label);
    context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    context.fillStyle = style.color;
    context.fillText(label.textContent, label.offsetLeft, label.offsetTop);
  }
}

/** The heading, the frame's name and the colour scale with its numbers, under the drawing. */
function drawLegend(context, viewer, top, width) {
  const family = getComputedStyle(document.body).fontFamily;
  const wide = Math.min(280, width - 32);
  context.font = `600 14px ${family}`;
  const frame = viewer.spec.frames ? ` · ${byId('frame-name').textContent}` : '';
  context.fillText(document.title + frame, 16, top + 10, width - 32);
  context.imageSmoothingEnabled = false;
  context.drawImage(byId('colours'), 16, top + 36, wide, 10);
  context.font = `12px ${family}`;
  [...byId('marks').children].forEach((mark, i) => {
    context.textAlign = ['left', 'center', 'right'][i];
    context.fillText(mark.textContent, 16 + (wide * i) / 2, top + 52);
  });
  context.textAlign = 'left';
  context.fillText(byId('quantity').textContent, 28 + wide, top + 35, Math.max(1, width - wide - 40));
}

function composePicture(viewer) {
  const { canvas, state } = viewer;
  const scale = canvas.width / canvas.clientWidth;
  const picture = document.createElement('canvas');
  picture.width = canvas.width;
  picture.height = canvas.height + Math.round(76 * scale);
  const context = picture.getContext('2d');
  context.fillStyle = state.background === 'dark' ? '#07080c' : '#fff';
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(canvas, 0, 0);
  context.scale(scale, scale);
  drawLabels(context, viewer);
  context.fillStyle = state.background === 'dark' ? '#e6e8ec' : '#1b1d22';
  drawLegend(context, viewer, canvas.clientHeight, canvas.clientWidth);
  return picture;
}
