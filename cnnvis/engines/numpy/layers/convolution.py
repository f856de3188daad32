"""Convolution and its transpose, as matrix products with the patches of one image.

The patches of an image are the columns of a matrix (Caffe's im2col): row (c, i, j) holds, for
every output position (y, x), the input at channel c, row y * stride + i * dilation - pad.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from cnnvis.engines.numpy.layers.base import Layer


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

    def columns(self, work, key, image, size):
        """Return the patches of `image` (C, H, W) as a matrix (C * kh * kw, oh * ow)."""
        if self.is_pointwise:
            return image.reshape(image.shape[0], -1)
        patches = self.patches(self.framed(work, key, image), size)
        matrix = work.buffer("columns", patches.shape, image.dtype)
        work.split(lambda a, b: np.copyto(matrix[a:b], patches[a:b]), len(matrix))
        return matrix.reshape(-1, size[0] * size[1])

    def add_columns(self, work, columns, image):
        """Add every entry of a matrix of patches to the pixel of `image` it came from."""
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
        image += framed[:, ph : ph + height, pw : pw + width]


def _pair(layer, param, name, vertical, horizontal, default):
    if vertical and (param.HasField(vertical) or param.HasField(horizontal)):
        return getattr(param, vertical), getattr(param, horizontal)
    values = list(getattr(param, name))
    if not values and default is not None:
        values = [default]
    if len(values) not in (1, 2):
        layer.fail(f"{name} {values}: expected one number, or one per spatial axis (two)")
    return values[0], values[-1]


def _multiply(work, left, right, out):
    """Write a matrix product to `out`, its rows divided among the available threads."""

    def rows(first, last):
        np.matmul(left[first:last], right, out=out[first:last])

    work.split(rows, len(left))


def _split(array, count):
    # np.split takes longer than a small convolution.
    size = len(array) // count
    return [array[first : first + size] for first in range(0, len(array), size)]


class _Convolutional(Layer):
    """What Convolution and Deconvolution share: parameters, weights, groups and bias."""

    needs_top = False
    transposed = False

    def __init__(self, param):
        super().__init__(param)
        convolution = param.convolution_param
        if convolution.axis not in (1, -3):
            self.fail(f"axis {convolution.axis}: only 2D convolution over axis 1 is known here")
        self.window = Window(self, convolution)
        self.outputs, self.group = convolution.num_output, convolution.group
        self.bias = convolution.bias_term

    def shapes(self, bottoms):
        if len({tuple(shape) for shape in bottoms}) != 1 or len(bottoms[0]) != 4:
            self.fail(f"bottoms of shape {bottoms}: expected (images, channels, height, width)")
        images, channels, *size = bottoms[0]
        if channels % self.group or self.outputs % self.group or not self.outputs:
            self.fail(f"{channels} channels, {self.outputs} outputs: not multiples of {self.group}")
        window = self.window
        axes = zip(size, window.extent, window.stride, window.pad, strict=True)
        size = tuple(self._output(*axis) for axis in axes)
        if min(size) < 1:
            self.fail(f"the kernel is larger than its padded bottom {tuple(bottoms[0])}")
        return [(images, self.outputs, *size)] * len(bottoms)

    def weight_shapes(self, bottoms):
        across = (bottoms[0][1], self.outputs)
        rows, depth = across if self.transposed else reversed(across)
        weights = (rows, depth // self.group, *self.window.kernel)
        return [weights, (self.outputs,)] if self.bias else [weights]

    def forward(self, work, weights, bottoms, tops):
        for bottom, top in zip(bottoms, tops, strict=True):
            for image, out in zip(bottom, top, strict=True):
                self._forward(work, weights, image, out)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        gradients = [np.zeros_like(bottom) for bottom in bottoms]
        for gradient, dtop in zip(gradients, dtops, strict=True):
            for image, out in zip(gradient, dtop, strict=True):
                self._backward(work, weights[0], out, image)
        return gradients

    def weight_gradients(self, work, weights, bottoms, tops, dtops):
        total = [np.zeros_like(array) for array in weights]
        part = np.empty_like(weights[0])
        for bottom, dtop in zip(bottoms, dtops, strict=True):
            image, products = (dtop, bottom) if self.transposed else (bottom, dtop)
            self._weight_gradient(work, part, image[0], products[0])
            total[0] += part
            if self.bias:
                total[1] += dtop[0].sum(axis=(1, 2))
        return total

    def _weight_gradient(self, work, gradient, image, products):
        """Write the products of every patch of `image` with the numbers that it makes, or is of."""
        columns = self.window.columns(work, self.name, image, products.shape[1:])
        flat = products.reshape(len(products), -1)
        for rows, patches, part in self._groups(gradient, columns, flat):
            _multiply(work, part, patches.T, rows)

    def _add_products(self, work, weights, products, image):
        """Add to `image` every number of `products` times the weights, where its patch lies."""
        flat = products.reshape(len(products), -1)
        columns = work.buffer("columns", (self.group * weights[0].size, flat.shape[1]), image.dtype)
        for rows, part, target in self._groups(weights, flat, columns):
            _multiply(work, rows.T, part, target)
        if self.window.is_pointwise:
            image += columns.reshape(image.shape)
        else:
            shape = (len(image), *self.window.kernel, *products.shape[1:])
            self.window.add_columns(work, columns.reshape(shape), image)

    def _groups(self, weights, *matrices):
        """Yield, for each group, its rows of the (rows, depth) weights and of the matrices."""
        arrays = (weights.reshape(len(weights), -1), *matrices)
        yield from zip(*(_split(array, self.group) for array in arrays), strict=True)


class Convolution(_Convolutional):
    """y[o] = sum over (c, i, j) of w[o, c, i, j] * patch[c, i, j] + b[o], group by group."""

    @staticmethod
    def _output(size, extent, stride, pad):
        return (size + 2 * pad - extent) // stride + 1

    def _forward(self, work, weights, image, out):
        images, parts = _split(image, self.group), _split(out, self.group)
        matrices = _split(weights[0].reshape(len(out), -1), self.group)
        biases = _split(weights[1], self.group) if self.bias else [None] * self.group

        def one(work, group):
            self._product(work, matrices[group], images[group], parts[group], biases[group])

        # Group by group, so that the columns are still in the cache when they are read.
        work.each(one, self.group)

    def _product(self, work, matrix, image, out, bias):
        columns = self.window.columns(work, self.name, image, out.shape[1:])
        out = out.reshape(len(out), -1)

        def product(first, last):
            np.matmul(matrix[first:last], columns, out=out[first:last])
            if bias is not None:
                out[first:last] += bias[first:last, None]

        work.split(product, len(out))

    def _backward(self, work, weights, dout, dimage):
        self._add_products(work, weights, dout, dimage)


class Deconvolution(_Convolutional):
    """The transpose of Convolution: its forward is the other's backward, and vice versa."""

    transposed = True

    @staticmethod
    def _output(size, extent, stride, pad):
        return stride * (size - 1) + extent - 2 * pad

    def _forward(self, work, weights, image, out):
        out[...] = weights[1][:, None, None] if self.bias else 0
        self._add_products(work, weights[0], image, out)

    def _backward(self, work, weights, dout, dimage):
        columns = self.window.columns(work, self.name, dout, dimage.shape[1:])
        parts = dimage.reshape(len(dimage), -1)
        for rows, patches, part in self._groups(weights, columns, parts):
            part += rows @ patches
