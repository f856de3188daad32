"""Convolution and its transpose: parameters, shapes, groups and bias.

What is computed how, is chosen among the methods of `cnnvis.engines.numpy.convolutions`.
"""

from math import inf

import numpy as np

from cnnvis.engines.numpy.convolutions import METHODS
from cnnvis.engines.numpy.convolutions.windows import Window
from cnnvis.engines.numpy.layers.base import Layer


class _Convolutional(Layer):
    """What Convolution and Deconvolution share."""

    needs_top = False
    transposed = False
    bottoms = tops = (1, inf)

    def __init__(self, param):
        super().__init__(param)
        convolution = param.convolution_param
        if convolution.axis not in (1, -3):
            self.fail(f"axis {convolution.axis}: only 2D convolution over axis 1 is known here")
        self.window = Window(self, convolution)
        self.outputs, self.group = convolution.num_output, convolution.group
        self.bias = convolution.bias_term
        self.methods = [method(self.name, self.window) for method in METHODS]
        if self.group < 1 or len(param.top) != len(param.bottom):
            self.fail(
                f"group {self.group}, {len(param.bottom)} bottoms and {len(param.top)} tops: "
                "expected a group of at least 1, and as many tops as bottoms"
            )

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

    def method(self, weights, bottom, top):
        """Return the method of convolution that suits some weights and arrays or their shapes."""
        return next(method for method in self.methods if method.suits(weights, bottom, top))

    def weight_gradients(self, work, weights, bottoms, tops, dtops):
        total = [np.zeros_like(array) for array in weights]
        part = np.empty_like(weights[0])
        for bottom, dtop in zip(bottoms, dtops, strict=True):
            ends = (dtop, bottom) if self.transposed else (bottom, dtop)
            method = self.method(weights[0], *ends)
            method.weight_gradient(work, part, *(array[0] for array in ends))
            total[0] += part
            if self.bias:
                total[1] += dtop[0].sum(axis=(1, 2))
        return total


class Convolution(_Convolutional):
    """y[o] = sum over (c, i, j) of w[o, c, i, j] * patch[c, i, j] + b[o], group by group."""

    @staticmethod
    def _output(size, extent, stride, pad):
        return (size + 2 * pad - extent) // stride + 1

    def forward(self, work, weights, bottoms, tops):
        for bottom, top in zip(bottoms, tops, strict=True):
            method = self.method(weights[0], bottom, top)
            method.forward(work, weights[0], *weights[1:] or [None], bottom, top)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        gradients = [np.empty_like(bottom) for bottom in bottoms]
        for gradient, dtop in zip(gradients, dtops, strict=True):
            method = self.method(weights[0], gradient, dtop)
            method.backward(work, weights[0], dtop, gradient)
        return gradients


class Deconvolution(_Convolutional):
    """The transpose of Convolution: its forward is the other's backward, and vice versa."""

    transposed = True

    @staticmethod
    def _output(size, extent, stride, pad):
        return stride * (size - 1) + extent - 2 * pad

    def forward(self, work, weights, bottoms, tops):
        for bottom, top in zip(bottoms, tops, strict=True):
            self.method(weights[0], top, bottom).backward(work, weights[0], bottom, top)
            if self.bias:
                top += weights[1][:, None, None]

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        gradients = [np.empty_like(bottom) for bottom in bottoms]
        for gradient, dtop in zip(gradients, dtops, strict=True):
            method = self.method(weights[0], dtop, gradient)
            method.forward(work, weights[0], None, dtop, gradient)
        return gradients
