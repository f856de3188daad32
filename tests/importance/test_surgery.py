"""A network without filters has the scores of the network with these filters at zero."""

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

import cnnvis
from cnnvis.caffe.caffemodel import read_caffemodel, write_caffemodel
from cnnvis.caffe.deploy import read_deploy
from cnnvis.caffe.prototxt import parse_prototxt
from cnnvis.core.errors import UserError
from cnnvis.engines.inspection import describe
from cnnvis.engines.numpy.graph import build_graph
from cnnvis.importance.surgery import remove_filters
from tests.engines.goldens import GOLDENS, MORE_GOLDENS, difference
from tests.engines.random_networks import (
    INPUT,
    LAYERS,
    add,
    layer,
    network_texts,
    random_weights,
)

relaxed = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
ZEROS = pytest.mark.parametrize("keep_bias", [False, True])


def network_of(*lines, size=(4, 9, 8)):
    """Return the prototxt of layers behind an input of two images."""
    dims = " ".join(f"dim: {each}" for each in (2, *size))
    data = layer("data", "Input", [], ["data"], f"input_param {{ shape {{ {dims} }} }}")
    return "\n".join([data, *lines])


def conv(name, bottom, top=None, outputs=6, kernel=3, **fields):
    fields = {"num_output": outputs, "kernel_size": kernel, **fields}
    text = " ".join(f"{key}: {value}" for key, value in fields.items())
    return layer(name, "Convolution", [bottom], [top or name], f"convolution_param {{ {text} }}")


def inner(name, bottom, outputs=5, more=""):
    fields = f"inner_product_param {{ num_output: {outputs} {more} }}"
    return layer(name, "InnerProduct", [bottom], [name], fields)


def scores(folder, net, weights, batch, score, **options):
    (folder / "net.prototxt").write_text(text_format.MessageToString(net))
    with cnnvis.open_network(folder / "net.prototxt", weights, **options) as network:
        return network.forward(batch, [score])[score]


def check(folder, net, weights, name, filters, keep_bias=False, score="score"):
    """Remove filters, compare the scores with those of the zeroed network; return the `Surgery`."""
    weights = doubled(weights)
    text, before = text_format.MessageToString(net), doubled(weights)
    done = remove_filters(net, weights, name, filters, score=score, keep_bias=keep_bias)
    assert text_format.MessageToString(net) == text
    assert all(map(np.array_equal, flat(weights), flat(before)))
    data = next(each.input_param for each in net.layer if each.type == "Input")
    batch = np.random.default_rng(5).normal(size=tuple(data.shape[0].dim))
    zeroed = doubled(weights)
    for array in zeroed[name][:1] if keep_bias else zeroed[name]:
        array[list(filters)] = 0
    for precision, bound in (("float64", 1e-12), ("float32", 1e-6)):
        expected = scores(folder, net, zeroed, batch, score, dtype=precision)
        found = scores(folder, done.net, done.weights, batch, score, dtype=precision)
        if np.isfinite(expected).all():
            assert difference(found, expected) <= bound, precision
    assert sorted([*done.removed, *done.stay]) == sorted(filters)
    assert len(done.weights[name][0]) == len(weights[name][0]) - len(done.removed)
    return done


def doubled(weights):
    return {name: [np.array(array, float) for array in each] for name, each in weights.items()}


def flat(weights):
    return [array for each in weights.values() for array in each]


def check_text(folder, name, filters, *lines, keep_bias=False, **options):
    net = parse_prototxt(network_of(*lines))
    weights = random_weights(build_graph(net, "net"), 1)
    return check(folder, net, weights, name, filters, keep_bias, **options)


CHANNELWISE = [
    (kind, name, in_place)
    for kind, name, in_place in LAYERS
    if kind not in ("Convolution", "Deconvolution", "LRN", "MVN", "Softmax")
]


@st.composite
def prunable_texts(draw):
    """Draw networks of layers that have rules, groups, branches and joints among them."""
    lines, blob = [conv("first", "data", pad=draw(st.integers(0, 1)))], "first"
    for number in range(draw(st.integers(1, 4))):
        name = f"x{number}"
        kind = draw(st.sampled_from(["each", "each", "conv", "depthwise", "concat", "slice"]))
        if kind == "each":
            drawn = draw(st.sampled_from(CHANNELWISE))
            blob = add(draw, lines, *drawn, number, blob)
            continue
        pad, bias = draw(st.integers(0, 1)), draw(st.sampled_from(["true", "false"]))
        group = draw(st.sampled_from([1, 2, 3])) if kind == "conv" else 6
        if kind in ("conv", "depthwise"):
            outputs = draw(st.sampled_from([6, 12])) if kind == "depthwise" else 6
            fields = {"kernel": 2, "pad": pad, "group": group, "bias_term": bias}
            lines.append(conv(name, blob, outputs=outputs, **fields))
            if outputs == 12:
                lines.append(conv(name + "n", name, kernel=1))
                name += "n"
        elif kind == "concat":
            ends = [f"{name}a", f"{name}b"]
            lines += [conv(end, blob, outputs=3, kernel=1 + 2 * pad, pad=pad) for end in ends]
            lines.append(layer(name, "Concat", draw(st.permutations(ends)), [name]))
        else:
            ends = [f"{name}a", f"{name}b"]
            points = draw(st.sampled_from(["", "slice_param { slice_point: 2 }"]))
            lines.append(layer(name, "Slice", [blob], ends, points))
            lines += [conv(f"{end}c", end, outputs=3, kernel=1, pad=pad) for end in ends]
            lines.append(layer(f"{name}j", "Concat", [f"{end}c" for end in ends], [f"{name}j"]))
            name += "j"
        blob = name
    if draw(st.booleans()):
        lines.append(layer("flat", "Flatten", [blob], ["flat"]))
        blob = "flat"
    lines.append(inner("hidden", blob, 7))
    lines.append(layer("relu", "ReLU", ["hidden"], ["hidden"]))
    more = draw(st.sampled_from(["", "bias_term: false", "transpose: true"]))
    return network_of(*lines, inner("score", "hidden", 4, more), size=INPUT)


@settings(max_examples=200, deadline=None, suppress_health_check=relaxed, derandomize=True)
@given(st.one_of(network_texts(), prunable_texts(), prunable_texts()), st.data(), st.booleans())
def test_random_networks(tmp_path, text, data, keep_bias):
    net = parse_prototxt(text)
    try:
        graph = build_graph(net, "net")
        weights = random_weights(graph, 3)
    except UserError:
        assume(False)  # A kernel larger than what is left of the image.
    counts = describe(graph).filters
    names = [name for name, count in counts.items() if name != "score" and count > 1]
    assume(names)
    name = data.draw(st.sampled_from(names))
    filters = data.draw(st.permutations(range(counts[name])))
    filters = filters[: data.draw(st.integers(1, counts[name] - 1))]
    done = check(tmp_path, net, weights, name, filters, keep_bias)
    event(f"removed: {bool(done.removed)}, stay: {bool(done.stay)}")
    assert sum(map(np.size, flat(done.weights))) < sum(map(np.size, flat(weights))) or done.stay


@ZEROS
@pytest.mark.parametrize(
    ("name", "removed", "stay"),
    [
        ("conv1", [], "layer 'norm1' (LRN) mixes neighbouring channels"),
        ("conv3", [0, 1, 12, 13], "the 2 groups of layer 'conv4' must stay equally large"),
        ("conv4", [0, 1, 12, 13], "the 2 groups of layer 'conv4' must stay equally large"),
        ("conv5", [0, 1, 8, 9], "the 2 groups of layer 'conv5' must stay equally large"),
        ("fc6", [0, 1, 2, 16, 17], None),
    ],
)
def test_caffenet(tmp_path, name, removed, stay, keep_bias):
    """Of conv3 and conv4 a constant goes on to convolutions with zeros at the border."""
    weights = read_caffemodel(GOLDENS / "caffenet_thin.caffemodel")
    weights[name][1] = np.abs(weights[name][1])
    net = read_deploy(GOLDENS / "caffenet_thin.prototxt")
    half = len(weights[name][0]) // 2
    filters = [0, half, 1, half + 1, 2]
    done = check(tmp_path, net, weights, name, filters, keep_bias, "fc8")
    if keep_bias and name in ("conv3", "conv4"):
        removed, stay = [], f"of which layer '{'conv4' if name == 'conv3' else 'conv5'}' makes"
    assert done.removed == removed
    first = min(done.stay, default=None)
    assert not done.stay or stay in done.stay[first]
    if name != "conv1" and removed:
        assert set(done.stay) == set(filters) - set(removed)


def test_a_bias_that_the_relu_cuts_off_does_no_harm(tmp_path):
    weights = read_caffemodel(GOLDENS / "caffenet_thin.caffemodel")
    weights["conv3"][1][:] = np.where(np.arange(24) % 2, 1, -1)
    net = read_deploy(GOLDENS / "caffenet_thin.prototxt")
    done = check(tmp_path, net, weights, "conv3", [0, 1, 12, 13], True, "fc8")
    assert done.removed == [0, 12] and set(done.stay) == {1, 13}


def opened(stem):
    return read_deploy(f"{stem}.prototxt"), read_caffemodel(f"{stem}.caffemodel")


@ZEROS
def test_a_fire_module_passes_on_what_is_left(tmp_path, keep_bias):
    """The second part of a Concat, and the blob that both of its parts are made of."""
    net, weights = opened(GOLDENS / "squeezenet_thin")
    done = check(tmp_path, net, weights, "f2/expand3x3", [11, 0, 4], keep_bias, "pool10")
    assert done.removed == [0, 4, 11]
    kept = [channel for channel in range(24) if channel not in (12, 16, 23)]
    found = done.weights["f3/squeeze1x1"][0]
    np.testing.assert_array_equal(found, weights["f3/squeeze1x1"][0][:, kept])
    for bias in weights["f2/squeeze1x1"][1:]:
        bias[:] = -1, 1, -1, 1
    done = check(tmp_path, net, weights, "f2/squeeze1x1", [1, 2], keep_bias, "pool10")
    assert done.removed == ([2] if keep_bias else [1, 2])


@ZEROS
def test_a_residual_block_ties_its_last_layers_alone(tmp_path, keep_bias):
    """A BatchNorm and a Scale make a constant of a plane of zeros."""
    net, weights = opened(MORE_GOLDENS / "resnet_thin")
    done = check(tmp_path, net, weights, "res2a_branch2a", [0, 5], keep_bias)
    assert done.removed == [0, 5] and len(done.weights["bn2a_branch2a"][0]) == 4
    reader = next(each for each in done.net.layer if each.name == "res2a_branch2b")
    assert reader.convolution_param.bias_term and len(done.weights["res2a_branch2b"]) == 2
    for name in ("res2a_branch1", "res2a_branch2b", "res2b_branch2a"):
        done = check(tmp_path, net, weights, name, [0, 5], keep_bias)
        assert not done.removed and "(Eltwise) needs the same channel" in done.stay[0]
    # Its readers are a convolution with a border of zeros and one without.
    done = check(tmp_path, net, weights, "conv1", [0, 5], keep_bias)
    assert all("'res2a_branch2a' makes something else" in reason for reason in done.stay.values())


def test_of_a_depthwise_layer_go_the_filters_over_the_channels_that_go(tmp_path):
    lines = [conv("c", "data"), conv("d", "c", outputs=12, group=6), inner("score", "d")]
    done = check_text(tmp_path, "c", [4, 1], *lines)
    assert done.removed == [1, 4] and done.weights["d"][0].shape == (8, 1, 3, 3)
    layers = {each.name: each.convolution_param for each in done.net.layer}
    assert (layers["d"].group, layers["d"].num_output, layers["c"].num_output) == (4, 8, 4)
    # Its own filters are a group each, and of equally large groups none can lose any.
    done = check_text(tmp_path, "d", [4, 1], *lines)
    assert not done.removed and "6 groups of layer 'd'" in done.stay[1]


def test_every_position_of_a_flat_channel_goes(tmp_path):
    flat_ = layer("f", "Flatten", ["c"], ["f"])
    lines = [conv("c", "data"), flat_, layer("s", "Scale", ["f"], ["s"]), inner("score", "s")]
    done = check_text(tmp_path, "c", [4], *lines, keep_bias=True)
    assert done.removed == [4] and len(done.weights["s"][0]) == 5 * 7 * 6
    partly = layer("f", "Flatten", ["c"], ["f"], "flatten_param { axis: 2 }")
    done = check_text(tmp_path, "c", [4], conv("c", "data"), partly, inner("score", "f"))
    assert done.weights["score"][0].shape == (5, 5 * 7 * 6)


def test_a_slice_is_cut_elsewhere(tmp_path):
    cut = layer("s", "Slice", ["c"], ["a", "b"])
    ends = [inner("ia", "a"), inner("ib", "b"), layer("score", "Concat", ["ia", "ib"], ["score"])]
    done = check_text(tmp_path, "c", [0, 5, 4], conv("c", "data"), cut, *ends)
    assert done.removed == [0, 4, 5]
    assert [list(each.slice_param.slice_point) for each in done.net.layer][2] == [2]
    done = check_text(tmp_path, "c", [3, 5, 4], conv("c", "data"), cut, *ends)
    assert done.stay == {5: "layer 's' (Slice) needs a channel"}


def test_filters_that_stay_in_any_case_do_not_count_in_groups(tmp_path):
    """Of the second group, filter 3 comes before 4, but its bias is not cut off."""
    relu = layer("r", "ReLU", ["c"], ["c"])
    net = parse_prototxt(
        network_of(conv("c", "data"), relu, conv("x", "c", pad=1, group=2), inner("score", "x"))
    )
    weights = random_weights(build_graph(net, "net"), 1)
    weights["c"][1][:] = -1, -1, -1, 1, -1, -1
    done = check(tmp_path, net, weights, "c", [0, 3, 4], keep_bias=True)
    assert done.removed == [0, 4] and list(done.stay) == [3]


def test_of_groups_the_first_named_filters_go(tmp_path):
    lines = [conv("c", "data", group=2), conv("d", "c", group=3), inner("score", "d")]
    done = check_text(tmp_path, "c", [5, 0, 2, 3], *lines)
    # One of each third and as many of each half: no three are.
    assert done.removed == [] and "2 groups of layer 'c'" in done.stay[2]


def test_an_inner_product_may_be_transposed_and_without_bias(tmp_path):
    more = "transpose: true bias_term: false"
    for outputs in (["hidden", "score"], ["score"]):
        names = zip(["c", "hidden"], outputs, strict=False)
        lines = [inner(name, bottom, 5, more) for bottom, name in names]
        done = check_text(tmp_path, "c", [1, 2], conv("c", "data"), *lines, keep_bias=True)
        assert done.removed == [1, 2] and len(done.weights[outputs[0]]) == 2


def x(kind, fields="", bottoms=("c",), tops=("x",)):
    """Return the layer that follows in the test below, in a list."""
    return [layer("x", kind, bottoms, tops, fields)]


AT_THE_BORDER = "layer 'x' makes something else at its border than inside"


@pytest.mark.parametrize(
    ("between", "keep_bias", "reason"),
    [
        (x("LRN"), False, "layer 'x' (LRN) mixes neighbouring channels"),
        (x("Softmax"), False, "layer 'x' (Softmax) has no rule for fewer channels"),
        (x("MVN"), False, "(MVN) has no rule"),
        (x("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }"), False, "(Reshape) has no"),
        (x("Concat", "concat_param { axis: 2 }", ["c", "c"]), False, "(Concat) has no rule"),
        (x("Slice", "slice_param { axis: 2 slice_point: 2 }", tops="xy"), False, "(Slice) has no"),
        (x("InnerProduct", "inner_product_param { num_output: 2 axis: 2 }"), False, "has no rule"),
        (x("Deconvolution", "convolution_param { num_output: 1 kernel_size: 2 }"), False, "rule"),
        (x("Scale", "scale_param { axis: 0 }", ["c", "data"]), False, "(Scale) has no rule"),
        (x("Eltwise", bottoms=["c", "data"]), False, "the same channel of its other bottoms"),
        (x("Pooling", "pooling_param { kernel_size: 2 }", tops="xy"), False, "(Pooling) has no"),
        (x("Log"), False, "layer 'x' makes no finite number of it"),
        ([conv("x", "c", pad=1)], True, AT_THE_BORDER),
        (
            [layer("n", "Power", ["c"], ["n"], "power_param { shift: 1 }"), conv("x", "n", pad=1)],
            False,
            AT_THE_BORDER,
        ),
    ],
)
def test_what_is_refused(tmp_path, between, keep_bias, reason):
    lines = [conv("c", "data", outputs=4, pad=1), *between, inner("score", "x")]
    done = check_text(tmp_path, "c", [2], *lines, keep_bias=keep_bias)
    assert not done.removed and reason in done.stay[2]


def test_shared_weights_and_the_score_stay(tmp_path):
    shared = 'param { name: "w" } convolution_param { num_output: 4 kernel_size: 3 pad: 1 }'
    lines = [layer("c", "Convolution", ["data"], ["c"], shared)]
    lines += [layer("x", "Convolution", ["c"], ["x"], shared), conv("score", "x", pad=1)]
    done = check_text(tmp_path, "c", [2], *lines)
    assert done.stay == {2: "layer 'c' shares its weights with 'x'"}
    # Set to zero in one, they are in the other.
    assert not done.weights["x"][0][2].any()
    done = check_text(tmp_path, "score", [2], *lines)
    assert done.stay == {2: "its output is a neuron of the score 'score'"}


@ZEROS
@pytest.mark.parametrize(
    ("stem", "name", "score"),
    [
        (GOLDENS / "caffenet_thin", "conv5", "fc8"),
        (GOLDENS / "squeezenet_thin", "f2/expand3x3", "pool10"),
        (MORE_GOLDENS / "resnet_thin", "res2a_branch2a", "score"),
    ],
)
def test_real_caffe_reads_the_files_and_agrees(
    tmp_path, caffe_python, stem, name, score, keep_bias
):
    net, weights = opened(stem)
    half = len(weights[name][0]) // 2
    filters = [0, half]
    done = remove_filters(net, weights, name, filters, score=score, keep_bias=keep_bias)
    assert done.removed == filters
    prototxt, caffemodel = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(text_format.MessageToString(done.net))
    write_caffemodel(caffemodel, done.weights, done.net)
    batch = np.load(f"{stem}.npz")["data"]
    options = {"engine": "pycaffe", "python": caffe_python}
    with cnnvis.open_network(f"{stem}.prototxt", f"{stem}.caffemodel", **options) as network:
        expected = network.scores_without(batch, name, [filters], score, keep_bias)[0]
    with cnnvis.open_network(prototxt, caffemodel, **options) as network:
        found = network.forward(batch, [score])[score].reshape(expected.shape)
    assert difference(found, expected) <= 1e-6
