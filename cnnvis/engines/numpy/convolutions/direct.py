"""Convolution as a matrix product with the patches of one image.

The patches of an image are the columns of a matrix (Caffe's im2col): row (c, i, j) holds, for
every output position (y, x), the input at channel c, row y * stride + i * dilation - pad.
"""

import numpy as np

from cnnvis.engines.numpy.convolutions.base import Method, parts


class Direct(Method):
    """One product of the weights with all patches, group by group."""

    def suits(self, weights, bottom, top):
        return True

    def forward(self, work, weights, bias, bottom, top):
        groups = bottom.shape[1] // weights.shape[1]
        matrices = parts(weights.reshape(len(weights), -1), groups)
        biases = [None] * groups if bias is None else parts(bias[:, None], groups)
        for image, out in zip(bottom, top, strict=True):
            arguments = (matrices, biases, parts(image, groups), parts(out, groups))

            def one(work, group, arguments=arguments):
                self._product(work, *(array[group] for array in arguments))

            # Group by group, so that the columns are still in the cache when they are read.
            work.each(one, groups)

    def _product(self, work, matrix, bias, image, out):
        columns = self._columns(work, image, out.shape[1:])
        out = out.reshape(len(out), -1)

        def product(first, last):
            np.matmul(matrix[first:last], columns, out=out[first:last])
            if bias is not None:
                out[first:last] += bias[first:last]

        work.split(product, len(out))

    def backward(self, work, weights, top, bottom):
        for products, image in zip(top, bottom, strict=True):
            shape = (len(image), *self.window.kernel, *products.shape[1:])
            columns = self._place_of_columns(work, image, shape)
            flat = products.reshape(len(products), -1)
            arrays = (weights.reshape(len(weights), -1), flat, columns.reshape(-1, flat.shape[1]))
            for rows, part, target in self._by_group(weights, image, *arrays):
                _multiply(work, rows.T, part, target)
            self._sum_columns(work, columns, image)

    def weight_gradient(self, work, gradient, bottom, top):
        columns = self._columns(work, bottom, top.shape[1:])
        arrays = (gradient.reshape(len(top), -1), columns, top.reshape(len(top), -1))
        for rows, patches, part in self._by_group(gradient, bottom, *arrays):
            _multiply(work, part, patches.T, rows)

    @staticmethod
    def _by_group(weights, image, *arrays):
        """Yield the parts of the arrays that belong to each group."""
        groups = len(image) // weights.shape[1]
        yield from zip(*(parts(array, groups) for array in arrays), strict=True)

    def _columns(self, work, image, size):
        return self.window.columns(work, self.name, image, size)

    def _place_of_columns(self, work, image, shape):
        return work.buffer("columns", shape, image.dtype)

    def _sum_columns(self, work, columns, image):
        self.window.sum_columns(work, columns, image)


class Pointwise(Direct):
    """1x1, stride 1, no pad: the patches of an image are the image itself."""

    def suits(self, weights, bottom, top):
        return self.window.is_pointwise

    def _columns(self, work, image, size):
        return image.reshape(len(image), -1)

    def _place_of_columns(self, work, image, shape):
        return image

    def _sum_columns(self, work, columns, image):
        pass


def _multiply(work, left, right, out):
    """Write a matrix product to `out`, its rows divided among the available threads."""

    def rows(first, last):
        np.matmul(left[first:last], right, out=out[first:last])

    work.split(rows, len(left))
