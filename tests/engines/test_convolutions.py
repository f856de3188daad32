"""Every method of convolution computes what the direct one does, whatever the window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnvis.caffe.schema import messages
from cnnvis.engines.numpy.convolutions import winograd
from cnnvis.engines.numpy.convolutions.depthwise import Depthwise
from cnnvis.engines.numpy.convolutions.direct import Direct
from cnnvis.engines.numpy.convolutions.winograd import Winograd
from cnnvis.engines.numpy.layers.convolution import Convolution
from cnnvis.engines.numpy.workers import Workers
from tests.engines.goldens import difference

numbers = st.integers
pairs = st.tuples
KERNEL, STRIDE = numbers(1, 4), numbers(1, 3)


@st.composite
def windows(draw, kernel=KERNEL, stride=STRIDE, dilation=STRIDE):
    """Draw a convolution's parameters and an image's size, of a layer that Caffe would take."""
    kernel, stride = (draw(pairs(one, one)) for one in (kernel, stride))
    pad, dilation = draw(pairs(numbers(0, 2), numbers(0, 2))), draw(dilation)
    extent = [dilation * (k - 1) + 1 for k in kernel]
    least = [max(1, e - 2 * p) for e, p in zip(extent, pad, strict=True)]
    size = [draw(numbers(low, low + 8)) for low in least]
    fields = {"kernel": kernel, "stride": stride, "pad": pad}
    param = {f"{name}_{axis}": value for name, pair in fields.items()
             for axis, value in zip("hw", pair, strict=True)}  # fmt: skip
    return param | {"dilation": [dilation]}, size


def arrays_of(param, size, groups, depth, rows, images, dtype, seed=0):
    """Return a layer, and random weights, bias, bottom and gradient of the top."""
    convolution = messages.ConvolutionParameter(num_output=groups * rows, group=groups, **param)
    layer = Convolution(messages.LayerParameter(name="c", convolution_param=convolution))
    bottom = (images, groups * depth, *size)
    shapes = (*layer.weight_shapes([bottom]), bottom, *layer.shapes([bottom]))
    random = np.random.default_rng(seed)
    return layer, [random.normal(size=shape).astype(dtype) for shape in shapes]


def three_passes(kind, layer, arrays, threads):
    """Return the top, the gradient of the bottom and of the weights by a method of convolution."""
    weights, bias, bottom, dtop = arrays
    weights.flags.writeable = False
    workers = Workers(threads)
    method, work = kind(layer.name, layer.window), workers.shared
    top, dbottom, gradient = (np.full_like(array, np.nan) for array in (dtop, bottom, weights))
    method.forward(work, weights, bias, bottom, top)
    method.backward(work, weights, dtop, dbottom)
    method.weight_gradient(work, gradient, bottom[0], dtop[0])
    workers.close()
    return top, dbottom, gradient


def agree(kind, layer, arrays, threads):
    found = three_passes(kind, layer, arrays, threads)
    expected = three_passes(Direct, layer, arrays, 1)
    limit = 2e-6 if arrays[0].dtype == np.float32 else 4e-15
    return max(difference(a, b) for a, b in zip(found, expected, strict=True)) <= limit


@settings(max_examples=100, deadline=None)
@given(
    window=windows(), groups=numbers(1, 5), depth=numbers(1, 3), rows=numbers(1, 3),
    images=numbers(1, 2), dtype=st.sampled_from(["f4", "f8"]), threads=numbers(1, 2),
)  # fmt: skip
def test_sums_over_shifted_planes(window, groups, depth, rows, images, dtype, threads):
    layer, arrays = arrays_of(*window, groups, depth, rows, images, dtype)
    assert agree(Depthwise, layer, arrays, threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_many_channels_in_several_blocks(threads):
    layer, arrays = arrays_of({"kernel_size": [3], "pad": [1]}, (28, 28), 256, 1, 1, 2, "f4")
    assert layer.method(arrays[0], arrays[2], arrays[3]).__class__ is Depthwise
    assert agree(Depthwise, layer, arrays, threads)


@settings(max_examples=100, deadline=None)
@given(
    window=windows(kernel=st.sampled_from([3, 5]), stride=st.just(1), dilation=st.just(1)),
    groups=numbers(1, 2), depth=numbers(1, 9), rows=numbers(1, 9), images=numbers(1, 3),
    dtype=st.sampled_from(["f4", "f8"]), threads=numbers(1, 2),
)  # fmt: skip
def test_winograd(window, groups, depth, rows, images, dtype, threads):
    layer, arrays = arrays_of(*window, groups, depth, rows, images, dtype)
    assert agree(Winograd, layer, arrays, threads)


@pytest.mark.parametrize("size", [(13, 13), (57, 30)], ids=["images", "bands"])
def test_winograd_of_several_blocks(size):
    layer, arrays = arrays_of({"kernel_size": [3], "pad": [1]}, size, 2, 64, 96, 11, "f4")
    assert agree(Winograd, layer, arrays, 2)


@pytest.mark.parametrize("small", [0, 100**3])
@pytest.mark.parametrize("filters", [128, 96, 72])
def test_winograd_of_blocks_of_filters(monkeypatch, small, filters):
    """Whatever products BLAS multiplies without copying, of some of the filters or of all."""
    monkeypatch.setattr("cnnvis.engines.numpy.convolutions.winograd.small_product", lambda: small)
    layer, arrays = arrays_of({"kernel_size": [3], "pad": [1]}, (14, 13), 2, 256, filters, 1, "f4")
    assert agree(Winograd, layer, arrays, 2)


def test_blocks_are_of_products_that_are_small_enough(monkeypatch):
    """CaffeNet's conv3 and conv2, VGG's; and where BLAS always copies."""
    monkeypatch.setattr(winograd, "small_product", lambda: 100**3)
    assert winograd.block((3, 3), 256, 384, (7, 7)) == (7, 64)
    assert winograd.block((5, 5), 48, 128, (14, 14)) == (7, 128)
    assert winograd.block((3, 3), 512, 512, (7, 7)) == (7, 32)
    assert winograd.block((3, 3), 64, 64, (56, 56)) == (4, 64)
    monkeypatch.setattr(winograd, "small_product", lambda: 0)
    assert winograd.block((3, 3), 256, 384, (7, 7)) == (7, 384)


@pytest.mark.parametrize("threads", [1, 2])
def test_patches_of_several_bands(threads):
    """The direct method, a band of the output at a time, is the sum that it stands for."""
    param = {"kernel_size": [7], "stride": [2], "pad": [3]}
    layer, arrays = arrays_of(param, (101, 90), 1, 3, 4, 2, "f8")
    weights, bias, bottom, _ = arrays
    top = three_passes(Direct, layer, arrays, threads)[0]
    framed = np.pad(bottom, ((0, 0), (0, 0), (3, 3), (3, 3)))
    patches = np.lib.stride_tricks.sliding_window_view(framed, (7, 7), (2, 3))[:, :, ::2, ::2]
    expected = np.einsum("ncyxij,ocij->noyx", patches, weights) + bias[:, None, None]
    np.testing.assert_allclose(top, expected, rtol=1e-12, atol=1e-12)
