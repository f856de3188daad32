"""Winograd's F(2x2, 3x3): 2x2 outputs of a 3x3 convolution from 16 products instead of 36.

    out = A' [(G w G') * (B' tile B)] A        * is element by element, summed over channels

for each tile of 4x4 pixels, two pixels apart (Lavin and Gray, "Fast algorithms for convolutional
neural networks", 2016). Summed over channels, each of the 16 elements is one matrix product of all
tiles with all filters. B' is additions, A' one more product; the weights are transformed once.

Five taps are three and two beside them, so that F(2, 3) and F(2, 2) give 2x2 outputs of a 5x5
convolution from 49 products instead of 100. Nothing is scaled by more than 1: errors stay small.

Channels are the last axis here, so that additions run over contiguous memory whatever the size of
the image, and so that the products of one image are large enough.
"""

import functools
import itertools
import math

import numpy as np

from cnnvis.engines.numpy.blas import small_product
from cnnvis.engines.numpy.convolutions.base import Method, parts

# About so many numbers of each channel are in the tiles of a block: more would leave the cache.
NUMBERS = 16 * 294
# Below, transforms and thin products cost more than they save. Measured on one thread by
# benchmarks/bench_convolutions.py, direct's time / Winograd's, forward | gradient of the bottom:
#
#     channels, in and out        16            32            64           256
#     56 x 56                0.58 | 0.89   1.15 | 1.49   1.60 | 1.97   2.23 | 2.08
#     28 x 28                0.64 | 1.14   1.20 | 1.68   1.67 | 2.02   2.32 | 2.28
#     13 x 13                0.54 | 1.09   0.91 | 1.50   1.32 | 1.84   2.12 | 2.22
#     7 x 7                  0.53 | 1.06   0.68 | 1.33   1.07 | 1.79   1.72 | 2.21
LEAST_CHANNELS, LEAST_WEIGHTS, LEAST_TILES = 32, 64 * 64, 16
# Filters to a product where all at once are too many for BLAS to multiply without copying, and of
# how many tiles such a product is at least: thinner ones are slower.
FEWER, LEAST_ROWS = (64, 32), 42

THREE = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
TWO = np.array([[1, 0], [1, 1], [0, 1]])
G = {3: THREE, 5: np.block([[THREE, np.zeros((4, 2))], [np.zeros((3, 3)), TWO]])}
A = {4: np.array([[1, 1, 1, 0], [0, 1, -1, -1]])}
A[7] = np.hstack([A[4], [[1, 1, 0], [0, 1, 1]]])


class Winograd(Method):
    """3x3 or 5x5, stride 1, no dilation: products of transformed tiles with transformed weights."""

    def suits(self, weights, bottom, top):
        window = self.window
        if not G.keys() >= set(window.kernel) or max(*window.stride, *window.dilation) > 1:
            return False
        if any(pad >= size for size, pad in zip(window.kernel, window.pad, strict=True)):
            return False
        if weights.flags.writeable:  # they may change, and would have to be transformed each time
            return False
        channels, height, width = weights.shape[1], *top.shape[2:]
        filters = len(weights) // (bottom.shape[1] // channels)
        is_wide = min(channels, filters) >= LEAST_CHANNELS and channels * filters >= LEAST_WEIGHTS
        return is_wide and (height + 1) // 2 * ((width + 1) // 2) >= LEAST_TILES

    def forward(self, work, weights, bias, bottom, top):
        groups = bottom.shape[1] // weights.shape[1]
        self._convolve(work, "forward", weights, groups, bias, self.window.pad, bottom, top)

    def backward(self, work, weights, top, bottom):
        groups = bottom.shape[1] // weights.shape[1]
        axes = zip(self.window.kernel, self.window.pad, strict=True)
        pad = [size - 1 - pad for size, pad in axes]
        self._convolve(work, "backward", weights, groups, None, pad, top, bottom)

    def _convolve(self, work, direction, weights, groups, bias, pad, images, outs):
        """Write to `outs` what kernels, or (backward) the turned ones, make of `images`."""
        size = self.window.kernel
        channels, filters = images.shape[1] // groups, outs.shape[1] // groups
        tiles = [-(-pixels // 2) for pixels in outs.shape[2:]]
        rows, together = block(size, channels, filters, tiles)

        def make(weights):
            if direction == "backward":
                weights = turned(weights, groups)
            return transform(weights, groups, together)

        kernels = work.derived((self.name, direction, together), weights, make)
        biases = [None] * groups if bias is None else parts(bias, groups)
        pairs = [
            list(zip(kernels, biases, parts(image, groups), parts(out, groups), strict=True))
            for image, out in zip(images, outs, strict=True)
        ]
        blocks = list(itertools.product(itertools.chain(*pairs), range(0, tiles[0], rows)))

        def one(work, number):
            (kernel, bias, image, out), first = blocks[number]
            area = min(rows, tiles[0] - first), tiles[1]
            transformed = _tiles(work, image, size, pad, first, area)

            def some(work, k):
                part = slice(k * together, (k + 1) * together)
                of_part = None if bias is None else bias[part]
                _outputs(work, transformed, kernel[k], of_part, out[part, 2 * first :])

            work.each(some, len(kernel))

        work.each(one, len(blocks))

    def weight_gradient(self, work, gradient, bottom, top):
        groups = len(bottom) // gradient.shape[1]
        window = self.window
        for arrays in zip(
            *(parts(array, groups) for array in (gradient, bottom, top)), strict=True
        ):
            part, image, products = arrays
            _weight_gradient(work, part, window.kernel, window.pad, image, products)


def _weight_gradient(work, gradient, kernel, pad, image, products):
    """Write the gradient (O, C, kh, kw) of one group: the adjoint of what `_convolve` does."""
    matrix = _matrix(kernel, image.dtype)
    height, width = (-(-size // 2) for size in products.shape[1:])
    together = _rows(len(matrix), width)
    shape = (len(matrix), *gradient.shape[:2])
    total, part = (work.buffer(key, shape, image.dtype) for key in ("total", "part"))
    for first in range(0, height, together):
        area = min(together, height - first), width
        tiles = _tiles(work, image, kernel, pad, first, area)
        left = _lifted(work, products[:, 2 * first :], tiles.shape[:4]).swapaxes(1, 2)
        right = tiles.reshape(len(matrix), -1, shape[2])
        target = part if first else total

        def product(a, b, left=left, right=right, target=target):
            np.matmul(left[a:b], right[a:b], out=target[a:b])

        work.split(product, len(matrix))
        if first:
            total += part
    np.matmul(total.reshape(len(matrix), -1).T, matrix, out=gradient.reshape(-1, matrix.shape[1]))


def _lifted(work, products, shape):
    """Return ``A' products A`` of the first rows, (16 to 49, tiles, O).

    `shape` is (4 or 7, 4 or 7, rows, columns) of the tiles.
    """
    down, right, height, width = shape
    filters, dtype = len(products), products.dtype
    plane = work.buffer("plane", (2 * height, 2 * width, filters), dtype)
    plane[...] = 0
    inside = _compact(work, products[:, : 2 * height])
    plane[: inside.shape[1], : inside.shape[2]] = inside.transpose(1, 2, 0)
    corners = work.buffer("corners", (2, 2, height, width, filters), dtype)
    np.copyto(corners, plane.reshape(height, 2, width, 2, filters).transpose(1, 3, 0, 2, 4))
    lifted = work.buffer("products", (down * right, height * width, filters), dtype)
    _by_matrix(work, outward(down, right, dtype).T, corners, lifted)
    return lifted


def _by_matrix(work, matrix, arrays, out):
    """Write to `out` the products of a matrix with the first axes of arrays."""
    arrays, out = arrays.reshape(matrix.shape[1], -1), out.reshape(len(matrix), -1)
    work.split(lambda a, b: np.matmul(matrix, arrays[:, a:b], out=out[:, a:b]), out.shape[1])


def _rows(numbers, width):
    """Return how many rows of tiles make a block, for so many numbers a tile and tiles a row."""
    return max(1, round(NUMBERS / numbers / width))


def block(kernel, channels, filters, tiles):
    """Return how many rows of tiles and how many filters are computed together.

    All filters, unless products of fewer are small enough for BLAS to multiply without copying.
    """
    height, width = tiles
    rows = min(height, _rows(math.prod(len(G[size]) for size in kernel), width))
    for some in (filters, *(some for some in FEWER if filters % some == 0)):
        small = min(rows, small_product() // (channels * some * width))
        if small * width >= min(LEAST_ROWS, rows * width):
            return small, some
    return rows, filters


def transform(weights, groups, together):
    """Return ``G w G'`` of kernels (O, C / groups, kh, kw), `together` filters side by side.

    Returns
    -------
    ndarray, (groups, O / groups / together, 16 to 49, C / groups, together)
    """
    channels, *kernel = weights.shape[1:]
    matrix = _matrix(kernel, weights.dtype)
    by_block = weights.reshape(groups, -1, together, channels, matrix.shape[1])
    return np.ascontiguousarray((by_block @ matrix.T).transpose(0, 1, 4, 3, 2))


def _matrix(kernel, dtype):
    """Return the matrix that transforms a kernel, (16 to 49, kh * kw)."""
    return np.kron(*(G[size] for size in kernel)).astype(dtype)


@functools.cache
def outward(down, right, dtype):
    """Return ``A'``, down and across, as one matrix, (4, 16 to 49).

    A product with it takes less time than additions, and fewer calls of NumPy: for each call, the
    threads wait for each other.
    """
    return np.kron(A[down], A[right]).astype(dtype)


def turned(weights, groups):
    """Return the kernels that a gradient is convolved with, (C, O / groups, kh, kw)."""
    by_group = weights[:, :, ::-1, ::-1].reshape(groups, -1, *weights.shape[1:])
    swapped = by_group.swapaxes(1, 2)
    return swapped.reshape(-1, *swapped.shape[2:])


def _tiles(work, image, kernel, pad, first, area):
    """Return the transformed tiles of an image (C, H, W), `area` rows and columns of them.

    Returns
    -------
    ndarray, (4 or 7, 4 or 7, rows, columns, C)
    """
    (height, width), (down, right) = area, (len(G[size]) for size in kernel)
    shape = (2 * height + kernel[0] - 1, 2 * width + kernel[1] - 1, len(image))
    frame = work.buffer("plane", shape, image.dtype)
    frame[...] = 0
    top, left = 2 * first - pad[0], pad[1]
    inside = _compact(work, image[:, max(top, 0) : top + shape[0]])
    cells = frame[max(-top, 0) :, left:][: inside.shape[1], : inside.shape[2]]
    np.copyto(cells, inside.transpose(1, 2, 0))
    rows = work.buffer("rows", (down, height, *shape[1:]), image.dtype)
    tiles = work.buffer("tiles", (down, right, *area, len(image)), image.dtype)
    _spread([frame[k : k + 2 * height : 2] for k in range(kernel[0] + 1)], rows)

    def columns(low, high):
        cells = [rows[low:high, :, k : k + 2 * width : 2] for k in range(kernel[1] + 1)]
        _spread(cells, tiles[low:high].swapaxes(0, 1))

    work.split(columns, down)
    return tiles


def _compact(work, rows):
    """Return some rows (C, rows, W) of an image in contiguous memory.

    Where planes are a power of two apart, pixels of many channels displace each other in the cache.
    """
    if rows.flags.c_contiguous:
        return rows
    compact = work.buffer("compact", rows.shape, rows.dtype)
    np.copyto(compact, rows)
    return compact


def _spread(x, out):
    """Write ``B' x``, x being every second row or column from the k-th on."""
    np.subtract(x[0], x[2], out=out[0])
    np.add(x[1], x[2], out=out[1])
    np.subtract(x[2], x[1], out=out[2])
    np.subtract(x[1], x[3], out=out[3])
    if len(out) == 7:
        np.subtract(x[3], x[4], out=out[4])
        np.copyto(out[5], x[4])
        np.subtract(x[5], x[4], out=out[6])


def _outputs(work, tiles, kernel, bias, out):
    """Write to the first rows of `out` (O, H, W) the products of tiles with a kernel."""
    down, right, height, width, channels = tiles.shape
    count, filters, dtype = down * right, kernel.shape[-1], tiles.dtype
    products = work.buffer("products", (count, height * width, filters), dtype)
    left = tiles.reshape(count, -1, channels)
    work.split(lambda a, b: np.matmul(left[a:b], kernel[a:b], out=products[a:b]), count)
    if bias is not None:
        products[right + 1] += bias  # which every output contains once
    corners = work.buffer("corners", (2, 2, height, width, filters), dtype)
    _by_matrix(work, outward(down, right, dtype), products, corners)
    plane = work.buffer("plane", (height, 2, width, 2, filters), dtype)
    np.copyto(plane.transpose(1, 3, 0, 2, 4), corners)
    out = out[:, : 2 * height]
    plane = plane.reshape(2 * height, 2 * width, filters)
    np.copyto(out, plane[: out.shape[1], : out.shape[2]].transpose(2, 0, 1))
