"""Receptive fields against gradients, enlarged networks, and the numbers of other programs."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import cnnvis
from cnnvis.caffe.deploy import read_deploy
from cnnvis.core.errors import UserError
from cnnvis.engines.numpy.graph import read_graph
from cnnvis.engines.numpy.layers import LAYERS
from cnnvis.engines.receptive_fields import (
    COMPLETE,
    RULES,
    Box,
    receptive_field,
    receptive_fields,
)
from tests.conftest import ROOT
from tests.engines.goldens import golden_networks
from tests.engines.random_networks import fields, layer, maybe, network_texts
from tests.engines.test_random_networks import relaxed

numbers = st.integers
CAFFENET = ROOT / "models" / "caffenet" / "deploy.prototxt"
FLAT = {"ArgMax", "Threshold"}
"""Layers without a gradient."""


def test_every_layer_type_has_one_rule():
    elementwise = [name for name, layer in LAYERS.items() if layer.elementwise]
    assert sorted([*RULES, *elementwise, *COMPLETE]) == sorted(LAYERS)


# The proof: what changes an element is where its gradient with respect to the input is not zero.


def write_smooth(net, folder):
    """Write a network in which every element has a gradient to all that it is computed from."""
    for param in net.layer:
        if param.type == "Pooling":
            param.pooling_param.pool = 1  # AVE has the windows of MAX
        if param.type == "Eltwise" and param.eltwise_param.operation == 2:
            param.eltwise_param.operation = 1
        if param.type == "ReLU":
            param.relu_param.negative_slope = 0.5
        param.ClearField("power_param")  # may be constant, or saturate what follows
    path = folder / "smooth.prototxt"
    path.write_text(text_format.MessageToString(net))
    return path


def supports(network, batch, blob, positions):
    """Return the box around the non-zero gradient of the element at each position."""
    shape = network.forward(batch, [blob])[blob].shape
    weights = np.random.default_rng(0).uniform(0.5, 1.5, shape[1])
    images = np.repeat(batch, len(positions), axis=0)
    neurons = np.zeros((len(positions), *shape[1:]))
    for number, place in enumerate(positions):
        neurons[(number, slice(None), *place)] = weights
    gradients = network.data_gradient(images, blob, neurons)
    return [support(gradient) for gradient in gradients]


def support(gradient):
    _, rows, columns = np.nonzero(gradient)
    if not len(rows):
        return Box(0, 0, 0, 0)
    return Box(*map(int, (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)))


def check_boxes(prototxt, seed, most=None):
    """Compare the boxes of all blobs with height and width; of `most` positions, if given."""
    graph = read_graph(prototxt)
    random = np.random.default_rng(seed)
    weights = {
        name: [random.uniform(0.5, 1.5, shape) / max(1, np.prod(shape[1:])) for shape in shapes]
        for name, shapes in graph.shapes(graph.inputs)[1].items()
    }
    shape = next(iter(graph.inputs.values()))
    batch = random.uniform(0.2, 1, (1, *shape[1:]))
    found = receptive_fields(graph)
    compared = 0
    with cnnvis.open_network(prototxt, weights, dtype="float64", threads=1) as network:
        for blob, value in graph.blobs.items():
            below = graph.ancestors([value])
            values = network.forward(batch, [blob])[blob]
            if values.ndim != 4 or not np.isfinite(values).all() or not below:
                continue
            if any(n.layer.param.type in FLAT or n.layer.scope == "mixed" for n in below):
                continue
            positions = list(np.ndindex(values.shape[2:]))
            if most and len(positions) > most:
                chosen = {0, len(positions) - 1, *random.integers(len(positions), size=most)}
                positions = [positions[place] for place in sorted(chosen)]
            boxes = [found[value].box(*place) for place in positions]
            assert boxes == supports(network, batch, blob, positions), blob
            compared += len(boxes)
    return compared


@settings(max_examples=30, deadline=None, suppress_health_check=relaxed, derandomize=True)
@given(network_texts(), numbers(0, 2**32 - 1))
def test_a_box_is_the_support_of_the_gradient(tmp_path, text, seed):
    (tmp_path / "random.prototxt").write_text(text)
    prototxt = write_smooth(read_deploy(tmp_path / "random.prototxt"), tmp_path)
    try:
        read_graph(prototxt).shapes(read_graph(prototxt).inputs)
    except UserError:
        assume(False)  # a kernel larger than what is left of the image
    check_boxes(prototxt, seed)


@pytest.mark.parametrize("golden", golden_networks(), ids=lambda path: path.stem)
def test_a_box_is_the_support_of_the_gradient_in_known_networks(tmp_path, golden):
    assert check_boxes(write_smooth(read_deploy(golden), tmp_path), 0, most=12) > 0


def write_network(folder, *layers, dims=(1, 3, 13, 11)):
    """Write a network; each layer is name, type, bottoms and parameters, its top has its name."""
    path = folder / "net.prototxt"
    shape = " ".join(f"dim: {dim}" for dim in dims)
    path.write_text(
        "\n".join(
            [
                f'layer {{ name: "data" type: "Input" top: "data" '
                f"input_param {{ shape {{ {shape} }} }} }}",
                *(layer(name, kind, bottoms, tops.split(), parameters)
                  for (name, tops), kind, bottoms, parameters in map(_named, layers)),
            ]
        )
    )  # fmt: skip
    return path


def _named(given):
    names, kind, bottoms, *parameters = given
    name, *tops = names.split()
    return (name, " ".join(tops) or name), kind, bottoms.split(), "".join(parameters)


def convolution(kernel=1, outputs=4, **more):
    more = {"num_output": outputs, "kernel_size": kernel, **more}
    return f"convolution_param {{ {' '.join(f'{key}: {v}' for key, v in more.items())} }}"


def cut(*points, axis=1):
    return f"slice_param {{ axis: {axis} {' '.join(f'slice_point: {p}' for p in points)} }}"


FIRE = [
    ("one", "Convolution", "data", convolution()),
    ("three", "Convolution", "data", convolution(3, pad=1)),
    ("fire", "Concat", "one three"),
]
NETWORKS = {
    "channels are told apart by groups": [
        *FIRE,
        ("grouped", "Convolution", "fire", convolution(3, 8, group=4)),
        ("cut left middle right", "Slice", "grouped", cut(1, 4)),
        ("ends", "Concat", "left right"),
    ],
    "channels are told apart by Slice and Crop": [
        *FIRE,
        ("halves low high", "Slice", "fire"),
        ("few", "Crop", "fire low", "crop_param { axis: 1 offset: 1 offset: 0 offset: 0 }"),
        ("row", "Softmax", "low", "softmax_param { axis: 3 }"),
        ("near", "LRN", "fire", "lrn_param { local_size: 3 alpha: 1 }"),
        ("ends first next rest", "Slice", "near", cut(3, 4)),
    ],
    "a scale for every channel": [
        ("conv", "Convolution", "data", convolution(3, stride=2)),
        ("pool", "Pooling", "conv", "pooling_param { pool: AVE global_pooling: true }"),
        ("flat", "Flatten", "pool"),
        ("scaled", "Scale", "conv flat", "scale_param { axis: 0 }"),
        ("both", "Concat", "conv scaled"),
    ],
    "channels beside others that are scaled": [
        *FIRE,
        ("pool", "Pooling", "fire", "pooling_param { pool: AVE global_pooling: true }"),
        ("flat", "Flatten", "pool"),
        ("scaled", "Scale", "fire flat", "scale_param { axis: 0 }"),
        ("both", "Concat", "fire scaled"),
        ("halves first second", "Slice", "both"),
        ("after", "Convolution", "first", convolution(3)),
    ],
    "a scale from a corner": [
        ("small", "Convolution", "data", convolution(9)),
        ("corner", "Crop", "data small", "crop_param { axis: 2 offset: 4 }"),
        ("pool", "Pooling", "corner", "pooling_param { pool: AVE global_pooling: true }"),
        ("flat", "Flatten", "pool"),
        ("scaled", "Scale", "data flat", "scale_param { axis: 0 }"),
    ],
    "from a vector back to an image": [
        ("code", "InnerProduct", "data", "inner_product_param { num_output: 12 }"),
        ("image", "Reshape", "code", "reshape_param { shape { dim: 0 dim: 3 dim: 2 dim: 2 } }"),
        ("up", "Deconvolution", "image", convolution(2, stride=3)),
    ],
    "holes between the windows": [
        ("up", "Deconvolution", "data", convolution(2, stride=3, dilation=2)),
        ("wide", "Convolution", "up", convolution(2, pad=3, dilation=3)),
        ("down", "Convolution", "wide", convolution(1, stride=4)),
    ],
    "rows in another order": [
        ("cut top end", "Slice", "data", cut(5, axis=2)),
        ("turned", "Concat", "end top", "concat_param { axis: 2 }"),
        ("conv", "Convolution", "turned", convolution(3)),
    ],
    "different strides": [
        ("one", "Convolution", "data", convolution()),
        ("half", "Convolution", "data", convolution(stride=2)),
        ("crop", "Crop", "one half", "crop_param { axis: 2 offset: 1 }"),
        ("sum", "Eltwise", "crop half"),
        ("after", "Convolution", "sum", convolution(3)),
    ],
}


@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
def test_a_box_is_the_support_of_the_gradient_where(tmp_path, layers):
    assert check_boxes(write_network(tmp_path, *layers), 1) > 20


# Where blobs do not end, a box is what it is in the middle of a far larger image.

MARGIN = 64  # a multiple of every stride below, and farther than any of the windows reach
sides = [
    ("Convolution", "convolution_param", fields(
        num_output=st.just(2), kernel_size=numbers(1, 3), stride=maybe(numbers(1, 2)),
        pad=maybe(numbers(0, 2)), dilation=maybe(numbers(1, 2)),
    )),
    ("Deconvolution", "convolution_param", fields(
        num_output=st.just(2), kernel_size=numbers(1, 4), stride=maybe(numbers(1, 2)),
        pad=maybe(numbers(0, 1)),
    )),
    ("Pooling", "pooling_param", fields(
        kernel_size=numbers(2, 3), stride=numbers(1, 2), pad=numbers(0, 1)
    )),
    ("LRN", "lrn_param", fields(
        local_size=st.sampled_from([1, 3]), norm_region=st.just("WITHIN_CHANNEL")
    )),
]  # fmt: skip


@st.composite
def layers_of_windows(draw):
    chosen = [draw(st.sampled_from(sides)) for _ in range(draw(numbers(1, 4)))]
    names = ["data", *(f"b{number}" for number in range(1, 1 + len(chosen)))]
    layers = [
        (name, kind, bottom, f"{key} {{ {draw(parameters)} }}")
        for (kind, key, parameters), bottom, name in zip(chosen, names, names[1:], strict=False)
    ]
    near = [(name, "Convolution", names[-1], convolution(k, pad=k // 2))
            for name, k in (("a", 1), ("b", 3))]  # fmt: skip
    return [*layers, *near, ("joined", draw(st.sampled_from(["Eltwise", "Concat"])), "a b")]


@settings(max_examples=50, deadline=None, suppress_health_check=relaxed, derandomize=True)
@given(layers_of_windows())
def test_a_box_that_is_not_clipped_is_that_in_a_larger_image(tmp_path, layers):
    try:
        small = receptive_fields(read_graph(write_network(tmp_path, *layers)))
    except UserError:
        assume(False)  # a kernel larger than what is left of the image
    dims = 1, 3, 13 + 2 * MARGIN, 11 + 2 * MARGIN
    large = receptive_fields(read_graph(write_network(tmp_path, *layers, dims=dims)))
    for field, wide in zip(small, large, strict=True):
        assert (field.stride, field.size, field.offset) == (wide.stride, wide.size, wide.offset)
        first = [int(MARGIN / stride) for stride in field.stride]
        for y, x in itertools.product(*map(range, field.positions)):
            expected = wide.box(y + first[0], x + first[1])
            found = field.box(y, x, clipped=False)
            empty = found == expected == (0, 0, 0, 0)
            assert empty or found == Box(*(side - MARGIN for side in expected)), field.blob
            if not empty:
                check_extent(field, y, x, found)


def check_extent(field, y, x, box):
    for axis, place in enumerate((y, x)):
        start = field.offset[axis] + field.stride[axis] * place
        assert start <= box[axis] and box[axis + 2] <= start + field.size[axis]


# The numbers of other programs.


def test_caffenet_is_as_the_toolbox_has_it():
    """Boxes by convert_region of the Deep Visualization Toolbox (find_maxes/caffe_misc.py)."""
    boxes = {
        ("conv1", 0, 0): (0, 0, 11, 11),
        ("conv1", 54, 27): (216, 108, 227, 119),
        ("pool1", 26, 3): (208, 24, 227, 43),
        ("conv2", 0, 0): (0, 0, 35, 35),
        ("conv2", 13, 26): (88, 192, 139, 227),
        ("pool2", 12, 6): (176, 80, 227, 147),
        ("conv3", 0, 12): (0, 160, 67, 227),
        ("conv3", 6, 6): (64, 64, 163, 163),
        ("conv4", 6, 6): (48, 48, 179, 179),
        ("conv4", 1, 11): (0, 128, 99, 227),
        ("conv5", 0, 0): (0, 0, 99, 99),
        ("conv5", 6, 6): (32, 32, 195, 195),
        ("conv5", 12, 4): (128, 0, 227, 163),
    }
    for (blob, y, x), box in boxes.items():
        assert receptive_field(CAFFENET, blob).box(y, x) == box
    field = cnnvis.receptive_field(CAFFENET, "conv5")
    assert (field.size, field.stride, field.offset) == ((163, 163), (16, 16), (-64, -64))


def stride_and_centre(field):
    assert field.size[0] == field.size[1] and field.stride[0] == field.stride[1]
    return field.stride[0], field.offset[0] + Fraction(field.size[0] - 1) / 2


@pytest.mark.parametrize(
    ("pad", "pool", "deconv_pad", "conv", "pooled", "up"),
    [
        (0, 2, 0, (1, 1), (2, 1.5), (1, 0)),
        (0, 4, 0, (1, 1), (4, 2.5), (1, -1)),
        (7, 2, 0, (1, -6), (2, -5.5), (1, -7)),
        (0, 2, 4, (1, 1), (2, 1.5), (1, 4)),
        (4, 2, 4, (1, -3), (2, -2.5), (1, 0)),
    ],
)
def test_strides_and_centres_are_coord_map_s(tmp_path, pad, pool, deconv_pad, conv, pooled, up):
    """The networks of Caffe's test_coord_map.py, and what its coord_map_from_to returns."""
    network = write_network(
        tmp_path,
        ("conv", "Convolution", "data", convolution(3, pad=pad)),
        ("pool", "Pooling", "conv", f"pooling_param {{ kernel_size: {pool} stride: {pool} }}"),
        ("up", "Deconvolution", "pool", convolution(2 * pool, stride=pool, pad=deconv_pad)),
        dims=(2, 1, 100, 100),
    )
    found = [stride_and_centre(receptive_field(network, blob)) for blob in ("conv", "pool", "up")]
    assert found == [conv, pooled, up]


def test_strides_behind_a_deconvolution_are_fractions(tmp_path):
    """Caffe's coord_map_from_to returns 3/2 and -1/4."""
    network = write_network(
        tmp_path,
        ("conv", "Convolution", "data", convolution(3)),
        ("pool", "Pooling", "conv", "pooling_param { kernel_size: 3 stride: 3 }"),
        ("up", "Deconvolution", "pool", convolution(4, stride=2)),
        dims=(2, 1, 100, 100),
    )
    field = receptive_field(network, "up")
    assert stride_and_centre(field) == (Fraction(3, 2), Fraction(-1, 4))
    assert (field.size, field.offset) == ((Fraction(19, 2),) * 2, (Fraction(-9, 2),) * 2)
    assert field.box(7, 8) == (6, 9, 14, 17)
    assert field.box(8, 7) == (9, 6, 17, 14)


def vgg(stages=(2, 2, 3, 3, 3)):
    bottom, layers = "data", []
    for stage, count in enumerate(stages, start=1):
        for number in range(1, count + 1):
            name, pad = f"conv{stage}_{number}", 100 if not layers else 1
            layers.append((name, "Convolution", bottom, convolution(3, 1, pad=pad)))
            bottom = name
        layers.append(
            (f"pool{stage}", "Pooling", bottom, "pooling_param { kernel_size: 2 stride: 2 }")
        )
        bottom = f"pool{stage}"
    return layers


def test_fcn_8s_is_aligned_as_its_authors_cropped_it(tmp_path):
    """The published voc-fcn8s crops at 5, 9 and 31; centres are what Caffe's coord_map returns."""
    network = write_network(
        tmp_path,
        *vgg(),
        ("fc6", "Convolution", "pool5", convolution(7, 1)),
        ("up2", "Deconvolution", "fc6", convolution(4, 1, stride=2)),
        ("crop4", "Crop", "pool4 up2", "crop_param { axis: 2 offset: 5 }"),
        ("fuse4", "Eltwise", "up2 crop4"),
        ("up4", "Deconvolution", "fuse4", convolution(4, 1, stride=2)),
        ("crop3", "Crop", "pool3 up4", "crop_param { axis: 2 offset: 9 }"),
        ("fuse3", "Eltwise", "up4 crop3"),
        ("up8", "Deconvolution", "fuse3", convolution(16, 1, stride=8)),
        ("score", "Crop", "up8 data", "crop_param { axis: 2 offset: 31 }"),
        dims=(1, 3, 64, 96),
    )
    expected = {
        **{"conv1_1": (1, -99), "pool1": (2, -98.5), "pool3": (8, -95.5), "pool4": (16, -91.5)},
        **{"pool5": (32, -83.5), "fc6": (32, 12.5), "up2": (16, -11.5), "crop4": (16, -11.5)},
        **{"fuse4": (16, -11.5), "up4": (8, -23.5), "crop3": (8, -23.5), "fuse3": (8, -23.5)},
        **{"up8": (1, -31), "score": (1, 0)},
    }
    found = {blob: stride_and_centre(receptive_field(network, blob)) for blob in expected}
    assert found == expected


# What there is where a blob has no places, and what is refused.


def test_what_reads_a_whole_blob_has_one_box(tmp_path):
    network = write_network(tmp_path, *NETWORKS["a scale for every channel"])
    for blob in ("pool", "flat", "scaled", "both"):
        field = receptive_field(network, blob)
        assert (field.size, field.stride, field.offset) == ((13, 11), (0, 0), (0, 0))
        assert field.box() == field.box(clipped=False) == (0, 0, 13, 11)
    assert receptive_field(network, "flat").positions == (1, 1)
    assert receptive_field(network, "scaled").box(5, 4) == (0, 0, 13, 11)


@pytest.mark.parametrize(
    ("name", "blob", "reason"),
    [
        ("different strides", "after", "layer sum joins branches with strides 1 and 2"),
        ("a scale from a corner", "scaled", "layer scaled joins branches with strides 0 and 1"),
        ("rows in another order", "conv", "layer turned joins parts that are not neighbours"),
    ],
)
def test_boxes_that_do_not_move_alike_have_no_stride(tmp_path, name, blob, reason):
    field = receptive_field(write_network(tmp_path, *NETWORKS[name]), blob)
    for ask in (lambda: field.size, lambda: field.stride, lambda: field.box(clipped=False)):
        with pytest.raises(
            UserError, match=f"net.prototxt: {reason}.* blob {blob} has no one size"
        ):
            ask()


def test_rows_cut_and_joined_again_are_as_before(tmp_path):
    cut, turned, conv = NETWORKS["rows in another order"]
    network = write_network(tmp_path, cut, ("turned", "Concat", "top end", turned[3]), conv)
    field = receptive_field(network, "conv")
    assert (field.size, field.stride, field.offset) == ((3, 3), (1, 1), (0, 0))


def test_of_several_inputs_one_counts(tmp_path):
    path = write_network(
        tmp_path,
        ("conv", "Convolution", "data", convolution(3, 3, pad=1)),
        ("other", "Convolution", "second", convolution(5, 3, pad=2)),
        ("sum", "Eltwise", "conv other"),
        ("scaled", "Scale", "conv factors", "scale_param { axis: 0 }"),
    )
    more = [
        f'input: "{name}" input_shape {{ {" ".join(f"dim: {dim}" for dim in dims)} }}'
        for name, dims in (
            ("factors", (1, 3)),
            ("data", (1, 3, 13, 11)),
            ("second", (1, 3, 13, 11)),
        )
    ]
    _, *layers = path.read_text().splitlines()
    path.write_text("\n".join([*more, *layers]))
    sizes = {
        data: [receptive_field(path, blob, data=data).size for blob in ("sum", data or "data")]
        for data in (None, "second")
    }
    assert sizes == {None: [(3, 3), (1, 1)], "second": [(5, 5), (1, 1)]}
    assert receptive_field(path, "scaled").size == (3, 3)
    with pytest.raises(UserError, match="blob other is not computed from the input data"):
        receptive_field(path, "other", data="data")
    with pytest.raises(UserError, match="no input 'factors' with height and width; .*data, second"):
        receptive_field(path, "conv", data="factors")


def test_an_element_is_one_of_the_blob():
    field = receptive_field(CAFFENET, "conv5")
    assert field.positions == (13, 13)
    for place in ((13, 0), (0, -1)):
        with pytest.raises(UserError, match=r"conv5: there is no element .* y from 0 to 12 and x"):
            field.box(*place)
    with pytest.raises(UserError, match="no blob 'conv55'; did you mean conv5?"):
        receptive_field(CAFFENET, "conv55")


def test_a_chain_of_thousands_of_layers(tmp_path):
    depth = 2000
    names = ["data", *(f"conv{number}" for number in range(depth))]
    chain = zip(names[1:], names, strict=False)
    layers = [(name, "Convolution", bottom, convolution(3, 2, pad=1)) for name, bottom in chain]
    field = receptive_field(write_network(tmp_path, *layers), names[-1])
    assert field.size == (1 + 2 * depth,) * 2
    assert field.box(0, 0) == (0, 0, 13, 11)
