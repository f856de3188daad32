"""Convolution of each channel alone, or of very few, as sums over shifted planes.

A matrix product per channel would be all overhead. Instead one call multiplies and adds the planes
of many channels, each channel by its own weight. The planes are copied once for each column of the
kernel, shifted so that these columns lie on top of each other, with the padding in place. Then the
pixels that a row of the kernel meets are contiguous, and vertical shifts are mere offsets:

    shifted[j, a, c, q, x] = image[c, a + q * stride - pad, x * stride + j * dilation - pad]

where ``a < stride``: rows that are a stride apart are neighbours. The gradient with respect to the
bottom is the same with turned weights, over images with zeros in between for strides.
"""

from dataclasses import dataclass

import numpy as np

from cnnvis.engines.numpy.convolutions.base import Method

# Bytes of the shifted planes of the channels that are computed together, which stay in the cache.
BLOCK_BYTES = 2_000_000
# Weights of one group at each pixel of a kernel; above, a product per group is faster. Measured
# by benchmarks/bench_convolutions.py, direct's time / this one's, forward | gradient of the bottom:
#
#     channels a group, in and out        1             2             4
#     56 x 56                        2.29 | 7.15   0.83 | 1.58   0.36 | 0.83
#     14 x 14                        9.99 | 5.95   2.54 | 1.73   0.65 | 0.62
LARGEST = 4


class Depthwise(Method):
    """Sums over shifted planes, many groups at a time."""

    def suits(self, weights, bottom, top):
        depth, groups = weights.shape[1], bottom.shape[1] // weights.shape[1]
        return groups > 1 and len(weights) // groups * depth <= LARGEST

    def forward(self, work, weights, bias, bottom, top):
        groups = bottom.shape[1] // weights.shape[1]
        kernels = _by_group(weights, groups)
        for image, out in zip(bottom, top, strict=True):
            _correlate(work, self._forwards, kernels, image, out)
            if bias is not None:
                out += bias[:, None, None]

    def backward(self, work, weights, top, bottom):
        groups = bottom.shape[1] // weights.shape[1]
        kernels = _by_group(weights, groups)[..., ::-1, ::-1].swapaxes(1, 2)
        for products, image in zip(top, bottom, strict=True):
            _correlate(work, self._backwards, kernels, products, image)

    def weight_gradient(self, work, gradient, bottom, top):
        groups = len(bottom) // gradient.shape[1]
        kernels = _by_group(gradient, groups)

        def some(work, part, image, products):
            flat = products.reshape(*products.shape[:2], -1)
            for i, rows in _rows(work, self._forwards, part.shape[3:], image, products.shape[2:]):
                for m, d in np.ndindex(part.shape[1:3]):
                    np.einsum("jgl,gl->gj", rows[:, :, d], flat[:, m], out=part[:, m, d, i])

        _each_block(work, some, kernels, bottom, top)

    @property
    def _forwards(self):
        window = self.window
        axes = zip(window.stride, window.dilation, window.pad, strict=True)
        return [Axis(stride, 1, dilation, pad) for stride, dilation, pad in axes]

    @property
    def _backwards(self):
        window = self.window
        axes = zip(window.stride, window.dilation, window.pad, window.extent, strict=True)
        return [Axis(1, s, d, extent - 1 - pad) for s, d, pad, extent in axes]


@dataclass(frozen=True)
class Axis:
    """How a kernel moves along one axis of an image with ``spread - 1`` zeros between pixels."""

    stride: int
    spread: int
    dilation: int
    pad: int

    def slices(self, offset, pixels, length):
        """Return where in a row of `length` the pixels belong that an offset leads to, and which.

        Element x of the row is at position ``x * stride + offset - pad`` of the spread image.
        Either the stride or the spread is 1.
        """
        offset -= self.pad
        if self.spread == 1:
            first = max(0, -(offset // self.stride))
            count = min(length - 1, (pixels - 1 - offset) // self.stride) - first + 1
            return _run(first, count), _run(first * self.stride + offset, count, self.stride)
        first = max(0, -(-offset // self.spread))
        count = min(pixels - 1, (length - 1 + offset) // self.spread) - first + 1
        return _run(first * self.spread - offset, count, self.spread), _run(first, count)


def _run(first, count, step=1):
    return slice(first, first + max(0, count) * step, step)


def _by_group(weights, groups):
    """Return weights (O, C / groups, kh, kw) as (groups, O / groups, C / groups, kh, kw)."""
    return weights.reshape(groups, -1, *weights.shape[1:])


def _correlate(work, axes, kernels, image, out):
    """Write to `out` (O, oh, ow) what `kernels` (groups, O / groups, C / groups, kh, kw) make."""

    def some(work, part, image, out):
        flat = out.reshape(*out.shape[:2], -1)
        total = work.buffer("total", flat[:, 0].shape, out.dtype)
        for i, rows in _rows(work, axes, part.shape[3:], image, out.shape[2:]):
            for m, d in np.ndindex(part.shape[1:3]):
                is_first = i == 0 and d == 0
                target = flat[:, m] if is_first else total
                np.einsum("jgl,gj->gl", rows[:, :, d], part[:, m, d, i], out=target)
                if not is_first:
                    flat[:, m] += total

    _each_block(work, some, kernels, image, out)


def _each_block(work, function, kernels, image, out):
    """Call ``function(work, kernels, image, out)`` for blocks of groups of (C, H, W) arrays."""
    groups, width = len(kernels), kernels.shape[-1]
    images, outs = (array.reshape(groups, -1, *array.shape[1:]) for array in (image, out))
    size = max(1, BLOCK_BYTES // (width * max(images[0].nbytes, outs[0].nbytes)))

    def block(work, number):
        some = slice(number * size, (number + 1) * size)
        function(work, kernels[some], images[some], outs[some])

    work.each(block, -(-groups // size))


def _rows(work, axes, kernel, image, size):
    """Yield each row of a kernel (kh, kw) and the shifted planes (kw, groups, channels, oh * ow).

    ``image`` is (groups, channels, H, W), ``size`` (oh, ow).
    """
    (vertical, horizontal), (oh, ow) = axes, size
    stride, reach = vertical.stride, (kernel[0] - 1) * vertical.dilation
    height = oh + reach // stride
    shifted = work.buffer("shifted", (kernel[1], stride, *image.shape[:2], height, ow), image.dtype)
    shifted[...] = 0
    for j, phase in np.ndindex(shifted.shape[:2]):
        to_rows, rows = vertical.slices(phase, image.shape[2], height)
        to_cells, cells = horizontal.slices(j * horizontal.dilation, image.shape[3], ow)
        shifted[j, phase, :, :, to_rows, to_cells] = image[:, :, rows, cells]
    flat = shifted.reshape(*shifted.shape[:4], -1)
    for i in range(kernel[0]):
        down, phase = divmod(i * vertical.dilation, stride)
        yield i, flat[:, phase, :, :, down * ow : (down + oh) * ow]
