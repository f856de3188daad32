"""Every method of convolution computes what the direct one does, whatever the window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnvis.caffe.schema import messages
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
