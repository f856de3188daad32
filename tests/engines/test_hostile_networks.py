"""Networks that Caffe refuses, or whose sizes would exhaust the memory: one line, at once."""

import pytest

from cnnvis.caffe.prototxt import parse_prototxt
from cnnvis.core.errors import UserError
from cnnvis.engines.inspection import describe
from cnnvis.engines.numpy.graph import build_graph
from cnnvis.engines.numpy.layers import LAYERS

INPUT = 'layer { name: "%s" type: "Input" top: "%s" input_param { shape { %s } } } '
LAYER = 'layer { name: "x" type: "%s" %s %s }'
NEEDED = {
    "Convolution": "convolution_param { num_output: 4 kernel_size: 3 }",
    "Deconvolution": "convolution_param { num_output: 4 kernel_size: 3 }",
    "Pooling": "pooling_param { kernel_size: 2 }",
    "InnerProduct": "inner_product_param { num_output: 2 }",
    "Reshape": "reshape_param { shape { dim: 1 dim: -1 } }",
}


def inputs(**shapes):
    return "".join(
        INPUT % (name, name, " ".join(f"dim: {size}" for size in shape))
        for name, shape in shapes.items()
    )


def layer(kind, bottoms=("data",), tops=("y",), more=None):
    blobs = [f'bottom: "{blob}"' for blob in bottoms] + [f'top: "{blob}"' for blob in tops]
    return LAYER % (kind, " ".join(blobs), NEEDED.get(kind, "") if more is None else more)


def shapes(text):
    return describe(build_graph(parse_prototxt(text), "net.prototxt")).blobs


def refusal(text):
    with pytest.raises(UserError, match="^net.prototxt: layer ") as caught:
        shapes(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("size", [2**31, 2**32, 2**63 - 1, -1])
@pytest.mark.parametrize("kind", ["Pooling", "Convolution", "ReLU"])
def test_an_input_larger_than_caffes_int(kind, size):
    assert "at most 2147483647" in refusal(inputs(data=(1, 3, size, 8)) + layer(kind))


def test_a_blob_of_more_numbers_than_caffes_int():
    assert "at most 2147483647" in refusal(inputs(data=(1, 3, 100000, 100000)) + layer("Pooling"))


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        ("Convolution", "num_output: 4 kernel_size: 3 pad: 2147483647", "at most 2147483647"),
        ("Convolution", "num_output: 4 kernel_size: 3 pad: 4294967295", "pad 4294967295: expected"),
        ("Convolution", "num_output: 4294967295 kernel_size: 1", "num_output 4294967295"),
        ("Convolution", "num_output: 4 kernel_size: 3 group: 0", "group 0"),
        ("Convolution", "num_output: 4 kernel_size: 3 dilation: 4294967295", "dilation 4294967295"),
        ("Pooling", "kernel_size: 2 stride: 4294967295", "stride 4294967295: expected"),
        ("InnerProduct", "num_output: 2147483647", "at most 2147483647 numbers"),
    ],
)
def test_numbers_of_a_layer_that_caffe_cannot_hold(kind, more, reason):
    name = {"InnerProduct": "inner_product"}.get(kind, kind.lower())
    text = inputs(data=(1, 3, 8, 8)) + layer(kind, more=f"{name}_param {{ {more} }}")
    assert reason in refusal(text)


def test_the_windows_of_a_pooling_are_counted_without_making_them():
    text = inputs(data=(1, 1, 2**30, 1)) + layer("Pooling", more="pooling_param { kernel_size: 1 }")
    assert shapes(text)["y"] == (1, 2**30, 1)


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_any_number_of_bottoms_and_tops(kind):
    """It is read as Caffe counts them, or refused in one line; never anything else."""
    blobs = inputs(data=(1, 4, 8, 8), row=(1, 4), one=()).replace("shape {  }", "shape { }")
    for names in (["data"] * 3, ["data", "row", "one"], ["row", "data", "row"], ["one"] * 3):
        for bottoms in range(4):
            for tops in range(4):
                text = blobs + layer(kind, names[:bottoms], ["y0", "y1", "y2"][:tops])
                try:
                    shapes(text)
                except UserError as error:
                    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("kind", "bottoms", "tops", "reason"),
    [
        ("ReLU", ["data", "data"], ["y"], "2 bottoms, expected 1"),
        ("ReLU", ["data"], [], "0 tops, expected 1"),
        ("Pooling", ["data"], ["a", "b", "c"], "3 tops, expected 1 to 2"),
        ("Eltwise", ["data"], ["y"], "1 bottoms, expected at least 2"),
        ("Silence", ["data"], ["y"], "1 tops, expected 0"),
        ("Convolution", ["data", "data"], ["y"], "as many tops as bottoms"),
    ],
)
def test_caffes_numbers_of_bottoms_and_tops(kind, bottoms, tops, reason):
    assert reason in refusal(inputs(data=(1, 4, 8, 8)) + layer(kind, bottoms, tops))


@pytest.mark.parametrize("axis", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("bottoms", [("data", "row"), ("row", "data")])
def test_concat_of_different_ranks(axis, bottoms):
    text = inputs(data=(1, 4, 8, 8), row=(1, 4, 8))
    refusal(text + layer("Concat", bottoms, more=f"concat_param {{ axis: {axis} }}"))
