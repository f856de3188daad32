"""Winograd's F(2x2, 3x3): 2x2 outputs of a 3x3 convolution from 16 products instead of 36.

    out = A' [(G w G') * (B' tile B)] A        * is element by element, summed over channels

for each tile of 4x4 pixels, two pixels apart (Lavin and Gray, "Fast algorithms for convolutional
neural networks", 2016). Summed over channels, each of the 16 elements is one matrix product of all
tiles with all filters. B' and A' are additions; the weights are transformed once.

Channels are the last axis here, so that additions run over contiguous memory whatever the size of
the image, and so that the products of one image are large enough.
"""

import itertools

import numpy as np

from cnnvis.engines.numpy.convolutions.base import parts
from cnnvis.engines.numpy.convolutions.direct import Direct

# At most so many tiles together (but a whole row): more would leave the cache.
TILES = 196
# Below, transforms and thin products cost more than they save. Measured on one thread by
# benchmarks/bench_convolutions.py, direct's time / Winograd's, forward | gradient of the bottom:
#
#     channels, in and out        16            32            64           256
#     56 x 56                0.45 | 0.71   0.86 | 1.26   1.50 | 1.76   1.55 | 1.65
#     28 x 28                0.55 | 1.01   0.98 | 1.49   1.34 | 1.77   1.57 | 1.84
#     13 x 13                0.41 | 0.90   0.75 | 1.24   1.12 | 1.67   1.39 | 1.74
#     7 x 7                  0.39 | 0.88   0.51 | 1.11   0.85 | 1.51   1.27 | 1.57
LEAST_CHANNELS, LEAST_WEIGHTS, LEAST_TILES = 32, 64 * 64, 16

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


class Winograd(Direct):
    """3x3, stride 1, no dilation: products of transformed tiles with transformed weights.

    The gradient with respect to weights is the direct one.
    """

    def suits(self, weights, bottom, top):
        window = self.window
        if window.kernel != (3, 3) or max(*window.stride, *window.dilation, *window.pad) > 1:
            return False
        if weights.flags.writeable:  # they may change, and would have to be transformed each time
            return False
        channels, height, width = weights.shape[1], *top.shape[2:]
        filters = len(weights) // (bottom.shape[1] // channels)
        is_wide = min(channels, filters) >= LEAST_CHANNELS and channels * filters >= LEAST_WEIGHTS
        return is_wide and (height + 1) // 2 * ((width + 1) // 2) >= LEAST_TILES

    def forward(self, work, weights, bias, bottom, top):
        groups = bottom.shape[1] // weights.shape[1]
        kernels = work.derived((self.name, "forward"), weights, lambda w: transform(w, groups))
        _convolve(work, kernels, bias, self.window.pad, bottom, top)

    def backward(self, work, weights, top, bottom):
        groups = bottom.shape[1] // weights.shape[1]
        kernels = work.derived((self.name, "backward"), weights, lambda w: turned(w, groups))
        _convolve(work, kernels, None, [2 - pad for pad in self.window.pad], top, bottom)


def transform(weights, groups):
    """Return ``G w G'`` of kernels (O, C / groups, 3, 3): (groups, 16, C / groups, O / groups)."""
    matrix = np.kron(G, G).astype(weights.dtype)
    by_group = weights.reshape(groups, -1, weights.shape[1], 9)
    return np.ascontiguousarray((by_group @ matrix.T).transpose(0, 3, 2, 1))


def turned(weights, groups):
    """Return what `transform` does, of the kernels that a gradient is convolved with."""
    by_group = weights[:, :, ::-1, ::-1].reshape(groups, -1, *weights.shape[1:])
    return transform(by_group.swapaxes(1, 2).reshape(-1, by_group.shape[1], 3, 3), groups)


def _convolve(work, kernels, bias, pad, images, outs):
    """Write to `outs` what kernels (groups, 16, channels, filters) make of `images`."""
    groups = len(kernels)
    biases = [None] * groups if bias is None else parts(bias, groups)
    pairs = [
        list(zip(kernels, biases, parts(image, groups), parts(out, groups), strict=True))
        for image, out in zip(images, outs, strict=True)
    ]
    height, width = (-(-size // 2) for size in outs.shape[2:])
    together = max(1, TILES // width)
    blocks = list(itertools.product(itertools.chain(*pairs), range(0, height, together)))

    def block(work, number):
        (kernel, bias, image, out), first = blocks[number]
        tiles = _tiles(work, image, pad, first, min(together, height - first), width)
        _outputs(work, tiles, kernel, bias, out[:, 2 * first :])

    work.each(block, len(blocks))


def _tiles(work, image, pad, first, height, width):
    """Return transformed tiles (4, 4, height, width, C) of an image (C, H, W) from a row on."""
    shape = (2 * height + 2, 2 * width + 2, len(image))
    frame = work.buffer("plane", shape, image.dtype)
    frame[...] = 0
    top, left = 2 * first - pad[0], pad[1]
    inside = _compact(work, image[:, max(top, 0) : top + shape[0]])
    below = max(-top, 0)
    cells = frame[below : below + inside.shape[1], left : left + inside.shape[2]]
    np.copyto(cells, inside.transpose(1, 2, 0))
    rows = work.buffer("rows", (4, height, *shape[1:]), image.dtype)
    tiles = work.buffer("tiles", (4, 4, height, width, len(image)), image.dtype)
    _spread([frame[k : k + 2 * height : 2] for k in range(4)], rows)

    def columns(low, high):
        cells = [rows[low:high, :, k : k + 2 * width : 2] for k in range(4)]
        _spread(cells, tiles[low:high].swapaxes(0, 1))

    work.split(columns, 4)
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
    """Write ``B' x`` for four arrays: every second row or column from the k-th on."""
    np.subtract(x[0], x[2], out=out[0])
    np.add(x[1], x[2], out=out[1])
    np.subtract(x[2], x[1], out=out[2])
    np.subtract(x[1], x[3], out=out[3])


def _outputs(work, tiles, kernel, bias, out):
    """Write to the first rows of `out` (O, H, W) the products of tiles with a kernel."""
    height, width, channels = tiles.shape[2:]
    shape, dtype = (height, width, kernel.shape[-1]), tiles.dtype
    products = work.buffer("products", (4, 4, *shape), dtype)
    rows = work.buffer("rows", (4, 2, *shape), dtype)
    left, flat = tiles.reshape(16, -1, channels), products.reshape(16, -1, shape[-1])
    work.split(lambda a, b: np.matmul(left[a:b], kernel[a:b], out=flat[a:b]), 16)
    if bias is not None:
        products[1, 1] += bias  # which every output contains once
    work.split(lambda a, b: _gather(products[a:b].swapaxes(0, 1), rows[a:b].swapaxes(0, 1)), 4)
    plane = work.buffer("plane", (height, 2, width, 2, shape[-1]), dtype)
    _gather(rows, plane.transpose(1, 3, 0, 2, 4))
    out = out[:, : 2 * height]
    plane = plane.reshape(2 * height, 2 * width, shape[-1])
    np.copyto(out, plane[: out.shape[1], : out.shape[2]].transpose(2, 0, 1))


def _gather(products, out):
    """Write ``A' products`` of four arrays to two."""
    np.add(products[1], products[2], out=out[0])
    np.add(out[0], products[0], out=out[0])
    np.subtract(products[1], products[2], out=out[1])
    np.subtract(out[1], products[3], out=out[1])
