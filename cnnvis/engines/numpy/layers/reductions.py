"""Reductions over axes: Reduction, ArgMax."""

import math

import numpy as np

from cnnvis.engines.numpy.layers.base import Layer

SUM, ASUM, SUMSQ, MEAN = 1, 2, 3, 4


class Reduction(Layer):
    """coeff times the sum, sum of magnitudes, sum of squares or mean of all axes from one on."""

    def shapes(self, bottoms):
        axis = self.axis(self.param.reduction_param.axis, bottoms[0])
        self.scope = "mixed" if axis == 0 else "image"
        return [tuple(bottoms[0][:axis])]

    def _rows(self, blob):
        axis = self.axis(self.param.reduction_param.axis, blob.shape)
        return blob.reshape(math.prod(blob.shape[:axis]), -1)

    def _coefficient(self, rows):
        reduction = self.param.reduction_param
        mean = reduction.operation == MEAN
        return rows.dtype.type(reduction.coeff / rows.shape[1] if mean else reduction.coeff)

    def forward(self, work, weights, bottoms, tops):
        rows = self._rows(bottoms[0])
        operation = self.param.reduction_param.operation
        terms = {ASUM: np.abs, SUMSQ: np.square}.get(operation, lambda x: x)(rows)
        tops[0][...] = (terms.sum(axis=1) * self._coefficient(rows)).reshape(tops[0].shape)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        rows = self._rows(bottoms[0])
        slopes = {ASUM: np.sign, SUMSQ: lambda x: 2 * x}
        slope = slopes.get(self.param.reduction_param.operation, np.ones_like)(rows)
        gradient = slope * (dtops[0].reshape(-1, 1) * self._coefficient(rows))
        return [gradient.reshape(bottoms[0].shape)]


class ArgMax(Layer):
    """The positions (or values, or both) of the `top_k` largest, of equals the last first."""

    def __init__(self, param):
        super().__init__(param)
        self.argmax = param.argmax_param
        self.along = self.argmax.HasField("axis")

    def shapes(self, bottoms):
        shape, top_k = list(bottoms[0]), self.argmax.top_k
        axis = self.axis(self.argmax.axis, shape) if self.along else None
        self.scope = "mixed" if axis == 0 else "image"
        longest = shape[axis] if self.along else math.prod(shape[self.axis(0, shape) + 1 :])
        if not 1 <= top_k <= longest:
            self.fail(f"top_k {top_k}: expected 1 to {longest}")
        if self.along:
            shape[axis] = top_k
            return [tuple(shape)]
        values = 2 if self.argmax.out_max_val else 1
        return [(shape[0], values, top_k) + (1,) * (len(shape) - 3)]

    def forward(self, work, weights, bottoms, tops):
        x, top_k = bottoms[0], self.argmax.top_k
        axis = self.axis(self.argmax.axis, x.shape) if self.along else 1
        if not self.along:
            x = x.reshape(len(x), -1)
        # Caffe sorts (value, position) pairs downwards: of equal values the last comes first.
        order = np.flip(np.argsort(x, axis=axis, kind="stable"), axis=axis)
        order = np.take(order, range(top_k), axis=axis)
        values = np.take_along_axis(x, order, axis=axis)
        if self.along:
            tops[0][...] = values if self.argmax.out_max_val else order
        else:
            both = [order, values] if self.argmax.out_max_val else [order]
            tops[0][...] = np.stack(both, axis=1).reshape(tops[0].shape)
