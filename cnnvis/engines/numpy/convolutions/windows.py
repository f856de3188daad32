"""The window that a layer moves over an image."""

import numpy as np
from numpy.lib.stride_tricks import as_strided


class Window:
    """Kernel, stride, pad and dilation of a 2D layer, each as (vertical, horizontal)."""

    def __init__(self, layer, param):
        self.kernel = _pair(layer, param, "kernel_size", "kernel_h", "kernel_w", None)
        self.stride = _pair(layer, param, "stride", "stride_h", "stride_w", 1)
        self.pad = _pair(layer, param, "pad", "pad_h", "pad_w", 0)
        self.dilation = _pair(layer, param, "dilation", None, None, 1)
        if min(*self.kernel, *self.stride, *self.dilation) < 1:
            layer.fail("kernel, stride and dilation must be at least 1")

    @property
    def extent(self):
        """Rows and columns that a dilated kernel spans."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def is_pointwise(self):
        """Whether the patches are the image itself (1x1, stride 1, no pad)."""
        return self.kernel == (1, 1) and self.stride == (1, 1) and self.pad == (0, 0)

    def patches(self, framed, size):
        """Return a view (C, kh, kw, oh, ow) of a padded image (C, H, W)."""
        plane, row, pixel = framed.strides
        (kh, kw), (sh, sw), (dh, dw) = self.kernel, self.stride, self.dilation
        return as_strided(
            framed,
            (framed.shape[0], kh, kw, *size),
            (plane, row * dh, pixel * dw, row * sh, pixel * sw),
        )

    def framed(self, work, key, image):
        """Return `image` (C, H, W) padded with zeros; only one layer may use a `key`."""
        ph, pw = self.pad
        return work.framed(key, image, (ph, ph, pw, pw))

    def columns(self, work, framed, size):
        """Return the patches of a padded image as a matrix (C * kh * kw, oh * ow)."""
        patches = self.patches(framed, size)
        matrix = work.buffer("columns", patches.shape, framed.dtype)
        work.split(lambda a, b: np.copyto(matrix[a:b], patches[a:b]), len(matrix))
        return matrix.reshape(-1, size[0] * size[1])

    def sum_columns(self, work, columns, image):
        """Write to each pixel of `image` the sum of its copies (C, kh, kw, oh, ow)."""
        channels, height, width = image.shape
        (ph, pw), (kh, kw), (sh, sw), (dh, dw) = self.pad, self.kernel, self.stride, self.dilation
        oh, ow = columns.shape[-2:]
        framed = work.buffer("framed", (channels, height + 2 * ph, width + 2 * pw), image.dtype)

        def add(first, last):
            framed[first:last] = 0
            for i, j in np.ndindex(kh, kw):
                rows = slice(i * dh, i * dh + (oh - 1) * sh + 1, sh)
                cells = slice(j * dw, j * dw + (ow - 1) * sw + 1, sw)
                framed[first:last, rows, cells] += columns[first:last, i, j]

        work.split(add, channels)
        image[...] = framed[:, ph : ph + height, pw : pw + width]


def _pair(layer, param, name, vertical, horizontal, default):
    if vertical and (param.HasField(vertical) or param.HasField(horizontal)):
        return getattr(param, vertical), getattr(param, horizontal)
    values = list(getattr(param, name))
    if not values and default is not None:
        values = [default]
    if len(values) not in (1, 2):
        layer.fail(f"{name} {values}: expected one number, or one per spatial axis (two)")
    return values[0], values[-1]
