"""Normalisation layers: LRN, BatchNorm, MVN, Softmax."""

import numpy as np

from cnnvis.engines.numpy.layers.base import Layer, column

WITHIN_CHANNEL = 1


class LRN(Layer):
    """Local response normalisation: y = x s^-beta.

    Across channels, s = k + alpha / n * (sum of x^2 over n neighbouring channels); within a
    channel, s = 1 + alpha * (mean of x^2 over n x n neighbouring pixels): there Caffe ignores k,
    and at the border counts the zeros of the padding.
    """

    def __init__(self, param):
        super().__init__(param)
        lrn = param.lrn_param
        self.within = lrn.norm_region == WITHIN_CHANNEL
        self.reach, self.size = lrn.local_size // 2, lrn.local_size
        if self.size % 2 == 0:
            self.fail(f"local_size {self.size}: must be odd")
        self.beta = lrn.beta
        self.k = 1.0 if self.within else lrn.k
        # Within a channel Caffe divides by the window clipped to the padded plane, which is never
        # clipped (stride 1, pad n // 2).
        self.factor = lrn.alpha / (self.size**2 if self.within else self.size)

    def shapes(self, bottoms):
        if len(bottoms[0]) != 4:
            self.fail(f"bottom of shape {bottoms[0]}: expected (images, channels, height, width)")
        return [bottoms[0]]

    def _sums(self, values, out):
        """Write to `out`, for each number, the (weighted) sum over its neighbourhood."""
        if not self.within:
            return _sum_neighbours(values, out, 1, self.reach)
        across = np.empty_like(values)
        _sum_neighbours(values, across, 2, self.reach)
        return _sum_neighbours(across, out, 3, self.reach)

    def _scale(self, x, out):
        """Write s to `out`."""
        self._sums(x * x, out)
        out *= x.dtype.type(self.factor)
        out += x.dtype.type(self.k)
        return out

    def _power(self, scale):
        """Return s^-beta; for the usual beta of 3/4 by two square roots, much faster."""
        if self.beta == 0.75:
            root = np.sqrt(scale)
            root *= np.sqrt(root)
            return np.divide(1, root, out=root)
        return np.power(scale, scale.dtype.type(-self.beta))

    def forward(self, work, weights, bottoms, tops):
        x = bottoms[0]
        scale = work.buffer("scale", x.shape, x.dtype)
        np.multiply(x, self._power(self._scale(x, scale)), out=tops[0])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        x, dy = bottoms[0], dtops[0]
        scale = self._scale(x, work.buffer("scale", x.shape, x.dtype))
        gradient = dy * self._power(scale)
        dy *= tops[0]
        dy /= scale
        sums = self._sums(dy, scale)
        sums *= x
        sums *= x.dtype.type(2 * self.beta * self.factor)
        gradient -= sums
        return [gradient]


def _sum_neighbours(values, out, axis, reach):
    """Write to `out` the sum of the 2 reach + 1 neighbours along `axis`, zeros outside."""
    np.copyto(out, values)
    front, back = np.moveaxis(values, axis, 0), np.moveaxis(out, axis, 0)
    for shift in range(1, min(reach, len(front) - 1) + 1):
        back[shift:] += front[:-shift]
        back[:-shift] += front[shift:]
    return out


class BatchNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps), with the stored (global) statistics.

    They are stored as sums: the third blob is what both are to be divided by.
    """

    overwrites, needs_top, elementwise = True, False, True

    def __init__(self, param):
        super().__init__(param)
        batch_norm = param.batch_norm_param
        if batch_norm.HasField("use_global_stats") and not batch_norm.use_global_stats:
            self.fail(
                "use_global_stats: false would normalise by the batch at hand; not known here"
            )
        self.eps = batch_norm.eps

    def weight_shapes(self, bottoms):
        channels = 1 if len(bottoms[0]) == 1 else bottoms[0][self.axis(1, bottoms[0])]
        return [(channels,), (channels,), (1,)]

    def _statistics(self, weights, axes):
        mean, variance, factor = weights
        factor = mean.dtype.type(0) if factor[0] == 0 else 1 / factor[0]
        deviation = np.sqrt(variance * factor + mean.dtype.type(self.eps))
        return column(mean * factor, axes), column(deviation, axes)

    def forward(self, work, weights, bottoms, tops):
        mean, deviation = self._statistics(weights, bottoms[0].ndim)
        np.subtract(bottoms[0], mean, out=tops[0])
        tops[0] /= deviation

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        return [dtops[0] / self._statistics(weights, bottoms[0].ndim)[1]]

    def weight_gradients(self, work, weights, bottoms, tops, dtops):
        # Statistics are not learned by gradient descent: in Caffe their gradient is zero.
        return [np.zeros_like(array) for array in weights]


class MVN(Layer):
    """y = x - mean, divided by (standard deviation + eps): per channel, or across channels."""

    def shapes(self, bottoms):
        return [tuple(bottoms[0]) + (1,) * (4 - len(bottoms[0]))]

    def _rows(self, blob):
        images, channels = blob.shape[:2]
        across = self.param.mvn_param.across_channels
        return blob.reshape(images if across else images * channels, -1)

    def _deviation(self, x):
        centred = x - x.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=1, keepdims=True))
        return centred, spread + x.dtype.type(self.param.mvn_param.eps)

    def forward(self, work, weights, bottoms, tops):
        centred, deviation = self._deviation(self._rows(bottoms[0]))
        if self.param.mvn_param.normalize_variance:
            centred /= deviation
        self._rows(tops[0])[...] = centred

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        dy, y = self._rows(dtops[0]), self._rows(tops[0])
        gradient = dy - dy.mean(axis=1, keepdims=True)
        if self.param.mvn_param.normalize_variance:
            # Caffe's formula, which neglects eps except in the divisor.
            gradient -= y * (dy * y).mean(axis=1, keepdims=True)
            gradient /= self._deviation(self._rows(bottoms[0]))[1]
        return [gradient.reshape(bottoms[0].shape)]


class Softmax(Layer):
    """y = exp(x) / sum of exp(x) along one axis, the maximum subtracted first."""

    overwrites = True

    def shapes(self, bottoms):
        self.scope = "mixed" if self._axis(bottoms[0]) == 0 else "image"
        return [bottoms[0]]

    def _axis(self, shape):
        return self.axis(self.param.softmax_param.axis, shape)

    def forward(self, work, weights, bottoms, tops):
        x, y = bottoms[0], tops[0]
        axis = self._axis(x.shape)
        np.exp(x - x.max(axis=axis, keepdims=True), out=y)
        y /= y.sum(axis=axis, keepdims=True)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        y, dy = tops[0], dtops[0]
        return [y * (dy - (dy * y).sum(axis=self._axis(y.shape), keepdims=True))]
