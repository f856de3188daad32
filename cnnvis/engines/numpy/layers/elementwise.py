"""Element-wise combinations of blobs: Eltwise, Scale, Bias."""

import math

import numpy as np

from cnnvis.engines.numpy.layers.base import Layer

PROD, SUM, MAX = 0, 1, 2


class Eltwise(Layer):
    """The product, the weighted sum or the maximum of blobs of one shape."""

    def __init__(self, param):
        super().__init__(param)
        eltwise = param.eltwise_param
        self.operation = eltwise.operation
        self.coefficients = list(eltwise.coeff) or [1.0] * len(param.bottom)
        if len(self.coefficients) != len(param.bottom):
            self.fail(f"{len(self.coefficients)} coefficients for {len(param.bottom)} bottoms")
        if self.operation == PROD and eltwise.coeff:
            self.fail("coefficients go with SUM only")
        if len(param.bottom) < 2:
            self.fail("expected at least two bottoms")

    def shapes(self, bottoms):
        if len({tuple(shape) for shape in bottoms}) != 1:
            self.fail(f"bottoms of shapes {bottoms}: expected one shape")
        return [bottoms[0]]

    def forward(self, work, weights, bottoms, tops):
        y = tops[0]
        if self.operation == PROD:
            np.multiply(bottoms[0], bottoms[1], out=y)
            for x in bottoms[2:]:
                y *= x
        elif self.operation == SUM:
            np.multiply(bottoms[0], y.dtype.type(self.coefficients[0]), out=y)
            for x, coefficient in zip(bottoms[1:], self.coefficients[1:], strict=True):
                y += x * y.dtype.type(coefficient)
        else:
            np.maximum(bottoms[0], bottoms[1], out=y)
            for x in bottoms[2:]:
                np.maximum(y, x, out=y)

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

    def _span(self, shape, param):
        axis = self.axis(param.axis, shape)
        stop = len(shape) if param.num_axes == -1 else axis + param.num_axes
        if stop > len(shape):
            self.fail(f"axis {axis} and num_axes {param.num_axes} reach past a blob {shape}")
        return tuple(shape[axis:stop])

    def _spread(self, other, shape, param):
        """Return `other` shaped to be combined with a blob of `shape`."""
        axis = self.axis(param.axis, shape) if other.ndim else 0
        return other.reshape((1,) * axis + other.shape + (1,) * (len(shape) - axis - other.ndim))

    def _gather(self, products, other, param):
        """Return the sum of `products` over every axis that `other` was broadcast along."""
        axis = self.axis(param.axis, products.shape) if other.ndim else 0
        own = range(axis, axis + other.ndim)
        axes = tuple(number for number in range(products.ndim) if number not in own)
        return products.sum(axis=axes).reshape(other.shape)

    def _check_second(self, bottoms, param):
        if len(bottoms) > 1:
            axis = self.axis(param.axis, bottoms[0]) if len(bottoms[1]) else 0
            if tuple(bottoms[0][axis : axis + len(bottoms[1])]) != tuple(bottoms[1]):
                self.fail(f"second bottom {bottoms[1]} does not fit {bottoms[0]} at axis {axis}")
            if axis == 0 and len(bottoms[1]) == 0:
                self.scope = "mixed"


class Scale(_Broadcast):
    """y = x s, or x s + b: s learned or the second bottom, b learned."""

    def shapes(self, bottoms):
        self._check_second(bottoms, self.param.scale_param)
        return [bottoms[0]]

    def weight_shapes(self, bottoms):
        param = self.param.scale_param
        learned = self._span(bottoms[0], param) if len(bottoms) == 1 else tuple(bottoms[1])
        return [learned] * ((len(bottoms) == 1) + param.bias_term)

    def _factor(self, weights, bottoms):
        return bottoms[1] if len(bottoms) > 1 else weights[0]

    def forward(self, work, weights, bottoms, tops):
        param, x = self.param.scale_param, bottoms[0]
        np.multiply(x, self._spread(self._factor(weights, bottoms), x.shape, param), out=tops[0])
        if param.bias_term:
            tops[0] += self._spread(weights[-1], x.shape, param)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        param, x = self.param.scale_param, bottoms[0]
        factor = self._factor(weights, bottoms)
        gradients = [dtops[0] * self._spread(factor, x.shape, param)]
        if len(bottoms) > 1:
            gradients.append(self._gather(dtops[0] * x, factor, param))
        return gradients

    def weight_gradients(self, work, weights, bottoms, tops, dtops):
        param = self.param.scale_param
        gradients = []
        if len(bottoms) == 1:
            gradients.append(self._gather(dtops[0] * bottoms[0], weights[0], param))
        if param.bias_term:
            gradients.append(self._gather(dtops[0], weights[-1], param))
        return gradients


class Bias(_Broadcast):
    """y = x + b, b learned or the second bottom."""

    def shapes(self, bottoms):
        self._check_second(bottoms, self.param.bias_param)
        return [bottoms[0]]

    def weight_shapes(self, bottoms):
        return [self._span(bottoms[0], self.param.bias_param)] if len(bottoms) == 1 else []

    def forward(self, work, weights, bottoms, tops):
        term = bottoms[1] if len(bottoms) > 1 else weights[0]
        term = self._spread(term, bottoms[0].shape, self.param.bias_param)
        np.add(bottoms[0], term, out=tops[0])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        gradients = [dtops[0].copy()]
        if len(bottoms) > 1:
            gradients.append(self._gather(dtops[0], bottoms[1], self.param.bias_param))
        return gradients

    def weight_gradients(self, work, weights, bottoms, tops, dtops):
        return [self._gather(dtops[0], weights[0], self.param.bias_param)]


ELEMENTWISE = {"Bias": Bias, "Eltwise": Eltwise, "Scale": Scale}
