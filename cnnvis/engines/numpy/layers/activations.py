"""Element-wise layers: y = f(x), dx = dy f'(x)."""

import numpy as np

from cnnvis.engines.numpy.layers.base import Layer, column


class _Activation(Layer):
    elementwise = True


class ReLU(_Activation):
    """y = max(x, 0) + slope min(x, 0)."""

    overwrites = True

    def __init__(self, param):
        super().__init__(param)
        self.slope = param.relu_param.negative_slope
        # If the slope is not negative, y has the sign of x, so that dx can be computed from y.
        self.overwrites = self.slope >= 0

    def forward(self, work, weights, bottoms, tops):
        x, y = bottoms[0], tops[0]
        if self.slope == 0:
            np.maximum(x, 0, out=y)
        else:
            np.add(np.maximum(x, 0), np.minimum(x, 0) * x.dtype.type(self.slope), out=y)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        positive = (tops[0] if self.overwrites else bottoms[0]) > 0
        if self.slope == 0:
            dtops[0] *= positive
        else:
            dtops[0] *= np.where(positive, 1, self.slope).astype(dtops[0].dtype)
        return [dtops[0]]


class PReLU(_Activation):
    """y = max(x, 0) + a min(x, 0), a learned per channel or for all."""

    def weight_shapes(self, bottoms):
        if len(bottoms[0]) < 2:
            self.fail(f"bottom of shape {bottoms[0]}: expected channels on axis 1")
        return [() if self.param.prelu_param.channel_shared else (bottoms[0][1],)]

    def forward(self, work, weights, bottoms, tops):
        x = bottoms[0]
        slope = column(weights[0], x.ndim)
        np.add(np.maximum(x, 0), np.minimum(x, 0) * slope, out=tops[0])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        slope = column(weights[0], bottoms[0].ndim)
        return [dtops[0] * np.where(bottoms[0] > 0, slope.dtype.type(1), slope)]

    def weight_gradients(self, work, weights, bottoms, tops, dtops):
        products = dtops[0] * np.minimum(bottoms[0], 0)
        shared = self.param.prelu_param.channel_shared
        axes = tuple(axis for axis in range(products.ndim) if shared or axis != 1)
        return [products.sum(axis=axes).reshape(weights[0].shape)]


class ELU(_Activation):
    """y = max(x, 0) + alpha (exp(min(x, 0)) - 1)."""

    def forward(self, work, weights, bottoms, tops):
        x = bottoms[0]
        alpha = x.dtype.type(self.param.elu_param.alpha)
        np.add(np.maximum(x, 0), alpha * (np.exp(np.minimum(x, 0)) - 1), out=tops[0])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        alpha = tops[0].dtype.type(self.param.elu_param.alpha)
        return [dtops[0] * np.where(bottoms[0] > 0, 1, alpha + tops[0])]


class Sigmoid(_Activation):
    """y = 0.5 tanh(0.5 x) + 0.5."""

    overwrites = True

    def forward(self, work, weights, bottoms, tops):
        np.tanh(bottoms[0] * 0.5, out=tops[0])
        tops[0] *= 0.5
        tops[0] += 0.5

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        return [dtops[0] * (tops[0] * (1 - tops[0]))]


class TanH(_Activation):
    """y = tanh(x)."""

    overwrites = True

    def forward(self, work, weights, bottoms, tops):
        np.tanh(bottoms[0], out=tops[0])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        return [dtops[0] * (1 - tops[0] * tops[0])]


class AbsVal(_Activation):
    """y = abs(x)."""

    def forward(self, work, weights, bottoms, tops):
        np.abs(bottoms[0], out=tops[0])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        return [dtops[0] * np.sign(bottoms[0])]


class Power(_Activation):
    """y = (shift + scale x)^power."""

    def forward(self, work, weights, bottoms, tops):
        y, p = tops[0], self.param.power_param
        if p.power * p.scale == 0:
            # Caffe ignores x here, even if it is NaN.
            y[...] = 1 if p.power == 0 else y.dtype.type(p.shift) ** p.power
            return
        np.multiply(bottoms[0], y.dtype.type(p.scale), out=y)
        y += y.dtype.type(p.shift)
        if p.power != 1:
            with np.errstate(invalid="ignore", divide="ignore"):
                np.power(y, y.dtype.type(p.power), out=y)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        x, p = bottoms[0], self.param.power_param
        if p.power * p.scale == 0:
            return [np.zeros_like(x)]
        factor = x.dtype.type(p.power * p.scale)
        if p.power == 1:
            return [dtops[0] * factor]
        base = x * x.dtype.type(p.scale) + x.dtype.type(p.shift)
        if p.power == 2:
            return [dtops[0] * (factor * base)]
        with np.errstate(invalid="ignore", divide="ignore"):
            return [dtops[0] * (factor * (tops[0] / base))]


class Exp(_Activation):
    """y = base^(shift + scale x), base e where it is -1."""

    overwrites = True

    def __init__(self, param):
        super().__init__(param)
        exp = param.exp_param
        if exp.base != -1 and exp.base <= 0:
            self.fail(f"base {exp.base}: must be positive, or -1 for e")
        log_base = 1.0 if exp.base == -1 else float(np.log(exp.base))
        self.inner, self.outer = log_base * exp.scale, float(np.exp(log_base * exp.shift))

    def forward(self, work, weights, bottoms, tops):
        y = tops[0]
        np.exp(bottoms[0] * y.dtype.type(self.inner), out=y)
        y *= y.dtype.type(self.outer)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        return [dtops[0] * tops[0] * tops[0].dtype.type(self.inner)]


class Log(_Activation):
    """y = log_base(shift + scale x), base e where it is -1."""

    def __init__(self, param):
        super().__init__(param)
        log = param.log_param
        if log.base != -1 and (log.base <= 0 or log.base == 1):
            self.fail(f"base {log.base}: must be positive and not 1, or -1 for e")
        self.per_base = 1.0 if log.base == -1 else 1 / float(np.log(log.base))

    def _argument(self, x):
        log = self.param.log_param
        return x * x.dtype.type(log.scale) + x.dtype.type(log.shift)

    def forward(self, work, weights, bottoms, tops):
        with np.errstate(invalid="ignore", divide="ignore"):
            np.log(self._argument(bottoms[0]), out=tops[0])
        tops[0] *= tops[0].dtype.type(self.per_base)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        factor = bottoms[0].dtype.type(self.param.log_param.scale * self.per_base)
        with np.errstate(invalid="ignore", divide="ignore"):
            return [dtops[0] * (factor / self._argument(bottoms[0]))]


class BNLL(_Activation):
    """y = log(1 + exp(x)), the binomial normal log likelihood."""

    def forward(self, work, weights, bottoms, tops):
        x = bottoms[0]
        np.add(np.maximum(x, 0), np.log1p(np.exp(-np.abs(x))), out=tops[0])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        exponential = np.exp(np.minimum(bottoms[0], 50))
        return [dtops[0] * (exponential / (exponential + 1))]


class Threshold(_Activation):
    """y = 1 where x > threshold, else 0. It has no gradient in Caffe."""

    def forward(self, work, weights, bottoms, tops):
        np.copyto(tops[0], bottoms[0] > self.param.threshold_param.threshold)


class Dropout(_Activation):
    """y = x, as in testing (Caffe scales in training instead)."""

    is_view = True
