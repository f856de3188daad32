"""Convolution as a matrix product with the patches of one image.

The patches of an image are the columns of a matrix (Caffe's im2col): row (c, i, j) holds, for
every output position (y, x), the input at channel c, row y * stride + i * dilation - pad.
"""

import numpy as np

from cnnvis.engines.numpy.convolutions.base import Method, parts

# Patches are copied and multiplied so many bytes at a time, which stay in the cache in between.
COLUMN_BYTES = 600_000


class Direct(Method):
    """Products of the weights with the patches, group by group."""

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
        framed, flat = self._framed(work, image), out.reshape(len(out), -1)
        rows = self._rows(matrix, out)

        def some(work, number):
            first, last = number * rows, min((number + 1) * rows, out.shape[1])
            part = slice(first * out.shape[2], last * out.shape[2])
            size = last - first, out.shape[2]
            columns = self._columns(work, framed[:, first * self.window.stride[0] :], size)

            def product(a, b):
                np.matmul(matrix[a:b], columns, out=flat[a:b, part])
                if bias is not None:
                    flat[a:b, part] += bias[a:b]

            work.split(product, len(flat))

        work.each(some, -(-out.shape[1] // rows))

    def _rows(self, matrix, out):
        """Return of how many rows of the output the patches are copied at a time."""
        return max(1, COLUMN_BYTES // (matrix.shape[1] * out.shape[2] * out.itemsize))

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
        columns = self._columns(work, self._framed(work, bottom), top.shape[1:])
        arrays = (gradient.reshape(len(top), -1), columns, top.reshape(len(top), -1))
        for rows, patches, part in self._by_group(gradient, bottom, *arrays):
            _multiply(work, part, patches.T, rows)

    @staticmethod
    def _by_group(weights, image, *arrays):
        """Yield the parts of the arrays that belong to each group."""
        groups = len(image) // weights.shape[1]
        yield from zip(*(parts(array, groups) for array in arrays), strict=True)

    def _framed(self, work, image):
        return self.window.framed(work, self.name, image)

    def _columns(self, work, framed, size):
        return self.window.columns(work, framed, size)

    def _place_of_columns(self, work, image, shape):
        return work.buffer("columns", shape, image.dtype)

    def _sum_columns(self, work, columns, image):
        self.window.sum_columns(work, columns, image)


class Pointwise(Direct):
    """1x1, stride 1, no pad: the patches of an image are the image itself."""

    def suits(self, weights, bottom, top):
        return self.window.is_pointwise

    def _rows(self, matrix, out):
        return out.shape[1]

    def _columns(self, work, framed, size):
        return framed.reshape(len(framed), -1)

    def _place_of_columns(self, work, image, shape):
        return image

    def _sum_columns(self, work, columns, image):
        pass


def _multiply(work, left, right, out):
    """Write a matrix product to `out`, its rows divided among the available threads."""

    def rows(first, last):
        np.matmul(left[first:last], right, out=out[first:last])

    work.split(rows, len(left))
