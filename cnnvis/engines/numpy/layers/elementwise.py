"""Element-wise combinations of blobs: Eltwise, Scale, Bias."""

import math

import numpy as np

from cnnvis.engines.numpy.layers.base import Layer

PROD, SUM, MAX = 0, 1, 2


class Eltwise(Layer):
    """The product, the weighted sum or the maximum of blobs of one shape."""

    elementwise = True
    bottoms = (2, math.inf)

    def __init__(self, param):
        super().__init__(param)
        eltwise = param.eltwise_param
        self.operation = eltwise.operation
        self.coefficients = list(eltwise.coeff) or [1.0] * len(param.bottom)
        if len(self.coefficients) != len(param.bottom):
            self.fail(f"{len(self.coefficients)} coefficients for {len(param.bottom)} bottoms")
        if self.operation == PROD and eltwise.coeff:
            self.fail("coefficients go with SUM only")

    def shapes(self, bottoms):
        if len({tuple(shape) for shape in bottoms}) != 1:
            self.fail(f"bottoms of shapes {bottoms}: expected one shape")
        return [bottoms[0]]

    def forward(self, work, weights, bottoms, tops):
        y = tops[0]
        if self.operation == SUM:
            np.multiply(bottoms[0], y.dtype.type(self.coefficients[0]), out=y)
            for x, coefficient in zip(bottoms[1:], self.coefficients[1:], strict=True):
                y += x * y.dtype.type(coefficient)
            return
        combine = np.multiply if self.operation == PROD else np.maximum
        combine(bottoms[0], bottoms[1], out=y)
        for x in bottoms[2:]:
            combine(y, x, out=y)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        dy = dtops[0]
        if self.operation == SUM:
            return [dy * dy.dtype.type(coefficient) for coefficient in self.coefficients]
        if self.operation == MAX:
            winners = self._winners(bottoms)
            return [dy * (winners == number) for number in range(len(bottoms))]
        if not self.param.eltwise_param.stable_prod_grad:
            with np.errstate(divide="ignore", invalid="ignore"):
                return [dy * (tops[0] / x) for x in bottoms]
        others = [bottoms[:number] + bottoms[number + 1 :] for number in range(len(bottoms))]
        return [math.prod(rest[1:], start=rest[0]) * dy for rest in others]

    @staticmethod
    def _winners(bottoms):
        """Return which bottom is the largest; of equal ones the second of two, then the first."""
        winners = np.where(bottoms[0] > bottoms[1], 0, 1)
        largest = np.maximum(bottoms[0], bottoms[1])
        for number, x in enumerate(bottoms[2:], start=2):
            winners = np.where(x > largest, number, winners)
            largest = np.maximum(largest, x)
        return winners


class _Broadcast(Layer):
    """A factor or term, learned or a second bottom, broadcast along some axes of the first."""

    elementwise = True
    bottoms = (1, 2)

    def __init__(self, param):
        super().__init__(param)
        self.options = param.scale_param if param.type == "Scale" else param.bias_param

    def shapes(self, bottoms):
        if len(bottoms) > 1:
            axis = self._first_axis(len(bottoms[1]), bottoms[0])
            if tuple(bottoms[0][axis : axis + len(bottoms[1])]) != tuple(bottoms[1]):
                self.fail(f"second bottom {bottoms[1]} does not fit {bottoms[0]} at axis {axis}")
            if axis == 0 and len(bottoms[1]) == 0:
                self.scope = "mixed"
        return [bottoms[0]]

    def weight_shapes(self, bottoms):
        if len(bottoms) > 1:
            return []
        shape, count = bottoms[0], self.options.num_axes
        axis = self.axis(self.options.axis, shape)
        stop = len(shape) if count == -1 else axis + count
        if stop > len(shape):
            self.fail(f"axis {axis} and num_axes {count} reach past a blob {shape}")
        return [tuple(shape[axis:stop])]

    def _first_axis(self, axes, shape):
        """Return which axis of `shape` the first of the other's `axes` is."""
        return self.axis(self.options.axis, shape) if axes else 0

    @staticmethod
    def _other(weights, bottoms):
        return bottoms[1] if len(bottoms) > 1 else weights[0]

    def _spread(self, other, x):
        """Return the factor or term shaped to be combined with `x`."""
        before = self._first_axis(other.ndim, x.shape)
        return other.reshape((1,) * before + other.shape + (1,) * (x.ndim - before - other.ndim))

    def _gather(self, products, other):
        """Return the sum of `products` over every axis that `other` was broadcast along."""
        first = self._first_axis(other.ndim, products.shape)
        own = range(first, first + other.ndim)
        axes = tuple(axis for axis in range(products.ndim) if axis not in own)
        return products.sum(axis=axes).reshape(other.shape)


class Scale(_Broadcast):
    """y = x s, or x s + b: s learned or the second bottom, b learned."""

    needs_top = False

    def weight_shapes(self, bottoms):
        learned = super().weight_shapes(bottoms)
        bias = (learned or [tuple(bottoms[1])]) if self.options.bias_term else []
        return learned + bias

    def forward(self, work, weights, bottoms, tops):
        factor = self._spread(self._other(weights, bottoms), bottoms[0])
        np.multiply(bottoms[0], factor, out=tops[0])
        if self.options.bias_term:
            tops[0] += self._spread(weights[-1], bottoms[0])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        factor = self._other(weights, bottoms)
        gradients = [dtops[0] * self._spread(factor, bottoms[0])]
        if len(bottoms) > 1:
            gradients.append(self._gather(dtops[0] * bottoms[0], factor))
        return gradients

    def weight_gradients(self, work, weights, bottoms, tops, dtops):
        terms = [dtops[0] * bottoms[0]] if len(bottoms) == 1 else []
        terms += [dtops[0]] * self.options.bias_term
        return [self._gather(*pair) for pair in zip(terms, weights, strict=True)]


class Bias(_Broadcast):
    """y = x + b, b learned or the second bottom."""

    def forward(self, work, weights, bottoms, tops):
        np.add(bottoms[0], self._spread(self._other(weights, bottoms), bottoms[0]), out=tops[0])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        gradients = [dtops[0].copy()]
        if len(bottoms) > 1:
            gradients.append(self._gather(dtops[0], bottoms[1]))
        return gradients

    def weight_gradients(self, work, weights, bottoms, tops, dtops):
        return [self._gather(dtops[0], array) for array in weights]
