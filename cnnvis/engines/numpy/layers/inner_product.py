"""Inner product: the axes from `axis` on are one vector."""

import math

import numpy as np

from cnnvis.engines.numpy.layers.base import Layer


class InnerProduct(Layer):
    """y = x W^T + b, or x W + b where `transpose` is set."""

    scope = "batch"
    needs_top = False

    def __init__(self, param):
        super().__init__(param)
        self.inner = param.inner_product_param

    def shapes(self, bottoms):
        axis = self.axis(self.inner.axis, bottoms[0])
        if axis == 0:
            self.scope = "mixed"
        return [(*bottoms[0][:axis], self.inner.num_output)]

    def weight_shapes(self, bottoms):
        length = math.prod(bottoms[0][self.axis(self.inner.axis, bottoms[0]) :])
        outputs = self.inner.num_output
        weights = (length, outputs) if self.inner.transpose else (outputs, length)
        return [weights, (outputs,)] if self.inner.bias_term else [weights]

    def _rows(self, bottom):
        axis = self.axis(self.inner.axis, bottom.shape)
        return bottom.reshape(math.prod(bottom.shape[:axis]), -1)

    def _columns(self, weights):
        """Return the weights as (length, outputs)."""
        return weights[0] if self.inner.transpose else weights[0].T

    def forward(self, work, weights, bottoms, tops):
        vectors, matrix = self._rows(bottoms[0]), self._columns(weights)
        out = tops[0].reshape(len(vectors), -1)

        def product(first, last):
            # W x^T is faster than x W^T: the large matrix is read once, in the order of memory.
            out[:, first:last] = (matrix[:, first:last].T @ vectors.T).T
            if self.inner.bias_term:
                out[:, first:last] += weights[1][first:last]

        work.split(product, out.shape[1])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        gradient = np.empty_like(bottoms[0])
        rows, matrix = self._rows(gradient), self._columns(weights)
        dout = dtops[0].reshape(len(rows), -1)

        def product(first, last):
            rows[:, first:last] = dout @ matrix[first:last].T

        work.split(product, rows.shape[1])
        return [gradient]

    def weight_gradients(self, work, weights, bottoms, tops, dtops):
        vectors = self._rows(bottoms[0])
        dout = dtops[0].reshape(len(vectors), -1)
        gradient = vectors.T @ dout if self.inner.transpose else dout.T @ vectors
        return [gradient, dout.sum(axis=0)] if self.inner.bias_term else [gradient]
