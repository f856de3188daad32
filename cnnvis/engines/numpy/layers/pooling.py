"""Pooling, with Caffe's output size: the number of windows is rounded up, windows are clipped."""

import numpy as np

from cnnvis.engines.numpy.layers.base import Layer

MAX, AVE = 0, 1
ROUND_DOWN = 1


class Pooling(Layer):
    """The maximum or the average of each window.

    An axis of length n gives ceil((n + 2 pad - kernel) / stride) + 1 windows; where there is
    padding, on either axis, a last window that would start behind the image is dropped. Windows
    are clipped to the image (MAX) or to the padded image (AVE, which divides by that many pixels).
    A window left with no pixel, possible where kernel < stride, stays: its maximum is the lowest
    float.
    """

    def __init__(self, param):
        self.tops = (1, 2 if param.pooling_param.pool == MAX else 1)
        super().__init__(param)
        pooling = self.pooling = param.pooling_param
        if pooling.pool not in (MAX, AVE):
            self.fail("STOCHASTIC pooling: Caffe itself computes it only on a GPU")
        self.floor = pooling.round_mode == ROUND_DOWN
        sides = ("h", "w")
        self.kernel = tuple(self._side("kernel", "kernel_size", side) for side in sides)
        self.stride = tuple(self._side("stride", "stride", side) for side in sides)
        self.pad = tuple(self._side("pad", "pad", side) for side in sides)
        self._check()

    def _side(self, name, whole, side):
        one = f"{name}_{side}"
        return getattr(self.pooling, one if self.pooling.HasField(one) else whole)

    def _check(self):
        plain = self.pad == (0, 0) and self.stride == (1, 1)
        if self.pooling.global_pooling:
            if any(self.kernel) or not plain:
                self.fail("global_pooling goes without kernel_size, pad 0 and stride 1")
        elif min(self.kernel) < 1 or min(self.stride) < 1:
            self.fail(f"kernel {self.kernel}, stride {self.stride}: must be at least 1")
        elif self.pad[0] >= self.kernel[0] or self.pad[1] >= self.kernel[1]:
            self.fail(f"pad {self.pad} must be smaller than kernel {self.kernel}")

    def shapes(self, bottoms):
        if len(bottoms[0]) != 4:
            self.fail(f"bottom of shape {bottoms[0]}: expected (images, channels, height, width)")
        images, channels, *size = bottoms[0]
        counts = [len(starts) for starts, _ in self._windows(size)]
        if min(counts) < 1:
            self.fail(f"the kernel is larger than its padded bottom {tuple(bottoms[0])}")
        return [(images, channels, *counts)] * len(self.param.top)

    def _windows(self, size):
        """Return, for each axis, the windows' starts in the padded image, and the kernel size."""
        kernel = tuple(size) if self.pooling.global_pooling else self.kernel
        axes = []
        for length, k, stride, pad in zip(size, kernel, self.stride, self.pad, strict=True):
            room = length + 2 * pad - k
            count = (room // stride if self.floor else -(-room // stride)) + 1
            if any(self.pad) and (count - 1) * stride >= length + pad:
                count -= 1
            axes.append((range(0, count * stride, stride), k))
        return axes

    def _framed(self, work, image, value):
        """Return the image, padded far enough for every window."""
        (height, width), (ph, pw) = image.shape[1:], self.pad
        rows, cells = self._extent((height, width))
        frame = (ph, rows - ph - height, pw, cells - pw - width)
        return work.framed((self.name, value), image, frame, value)

    def _extent(self, size):
        """Return the rows and columns of an image that is padded far enough for every window."""
        axes = zip(size, self._windows(size), self.pad, strict=True)
        return [max(pad + length, int(starts[-1]) + k) for length, (starts, k), pad in axes]

    def _shifts(self, framed, size):
        """Yield views of `framed`: the first pixel of all windows, the second, ..."""
        (rows, kh), (cells, kw) = self._windows(size)
        sh, sw = self.stride
        for i, j in np.ndindex(kh, kw):
            down = slice(i, i + rows[-1] + 1, sh)
            yield framed[:, down, j : j + cells[-1] + 1 : sw]

    def _areas(self, size):
        """Return how many pixels of the padded image each window has (the divisor of AVE)."""
        lengths = [
            np.minimum(np.array(starts) + k, length + 2 * pad) - np.array(starts)
            for length, (starts, k), pad in zip(size, self._windows(size), self.pad, strict=True)
        ]
        return lengths[0][:, None] * lengths[1][None, :]

    def forward(self, work, weights, bottoms, tops):
        # Every plane is pooled alone, so that those of all images can be pooled together.
        planes, *outs = (array.reshape(-1, *array.shape[2:]) for array in (bottoms[0], *tops))
        if self.pooling.pool == MAX:
            self._maximum(work, planes, outs[0])
            if len(tops) > 1:
                self._write_mask(work, planes, *outs)
        else:
            self._average(work, planes, outs[0])

    def _maximum(self, work, image, out):
        lowest = np.finfo(image.dtype).min
        framed = self._framed(work, image, lowest)
        (rows, kh), (cells, kw) = self._windows(image.shape[1:])
        sh, sw = self.stride
        height = rows[-1] + kh
        across = work.buffer("across", (len(image), height, len(cells)), image.dtype)
        _extreme(framed[:, :height], across, 2, kw, sw)
        _extreme(across, out, 1, kh, sh)

    def _average(self, work, image, out):
        framed = self._framed(work, image, 0.0)
        out[...] = 0
        for view in self._shifts(framed, image.shape[1:]):
            out += view
        # As in Caffe, 0 is divided by 0 where a window is empty.
        with np.errstate(divide="ignore", invalid="ignore"):
            out /= self._areas(image.shape[1:]).astype(out.dtype)

    def _write_mask(self, work, image, out, mask):
        """Write the position (y * width + x) of each window's maximum in its plane, or -1."""
        places = np.arange(image[0].size, dtype=mask.dtype).reshape(image.shape[1:])
        framed = self._framed(work, np.broadcast_to(places, image.shape), -1.0)
        mask[...] = -1
        shifts = self._shifts(framed, image.shape[1:])
        for chosen, view in zip(self._first_maxima(work, image, out), shifts, strict=True):
            np.copyto(mask, view, where=chosen)

    def _first_maxima(self, work, image, out):
        """Yield, shift by shift, where the window's first maximum in scan order is."""
        framed = self._framed(work, image, np.finfo(image.dtype).min)
        left = out > np.finfo(image.dtype).min
        for view in self._shifts(framed, image.shape[1:]):
            chosen = view == out
            chosen &= left
            left &= ~chosen
            yield chosen

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        gradient = np.empty_like(bottoms[0])
        for number, image in enumerate(bottoms[0]):
            if self.pooling.pool == MAX:
                shares = self._first_maxima(work, image, tops[0][number])
                self._spread(work, gradient[number], dtops[0][number], shares)
            else:
                with np.errstate(divide="ignore", invalid="ignore"):
                    areas = self._areas(image.shape[1:]).astype(image.dtype)
                    self._spread(work, gradient[number], dtops[0][number] / areas)
        return [gradient]

    def _spread(self, work, dimage, dout, shares=None):
        """Write to `dimage` the sum of `dout` (times its share) over each pixel's windows."""
        size, (ph, pw) = dimage.shape[1:], self.pad
        framed = work.buffer("framed", (len(dimage), *self._extent(size)), dimage.dtype)
        framed[...] = 0
        for view in self._shifts(framed, size):
            view += dout if shares is None else dout * next(shares)
        dimage[...] = framed[:, ph : ph + size[0], pw : pw + size[1]]


def _extreme(source, out, axis, kernel, stride):
    """Write to `out` the maximum of `kernel` neighbours along `axis`, every `stride`."""
    reach = (out.shape[axis] - 1) * stride + 1

    def view(shift):
        index = [slice(None)] * source.ndim
        index[axis] = slice(shift, shift + reach, stride)
        return source[tuple(index)]

    np.copyto(out, view(0))
    for shift in range(1, kernel):
        np.maximum(out, view(shift), out=out)
