"""A change that is propagated gives what a whole pass with changed weights gives."""

import numpy as np
import pytest

import cnnvis
from cnnvis.engines.base import Engine
from cnnvis.engines.numpy.change_propagation import Base, find_route
from cnnvis.engines.numpy.graph import read_graph
from tests.engines.goldens import GOLDENS, MORE_GOLDENS, difference, output_of
from tests.engines.random_networks import INPUT, layer, random_weights

# (golden, layer): LRN and groups, branches, shortcuts with BatchNorm, inner products, one
# channel a group.
PLACES = [
    (GOLDENS / "caffenet_thin", "conv1"),
    (GOLDENS / "caffenet_thin", "conv2"),
    (GOLDENS / "caffenet_thin", "conv5"),
    (GOLDENS / "caffenet_thin", "fc6"),
    (GOLDENS / "caffenet_thin", "fc8"),
    (GOLDENS / "alexnet_thin", "conv1"),
    (GOLDENS / "squeezenet_thin", "conv1"),
    (GOLDENS / "squeezenet_thin", "f2/squeeze1x1"),
    (GOLDENS / "squeezenet_thin", "f2/expand3x3"),
    (MORE_GOLDENS / "resnet_thin", None),
    (MORE_GOLDENS / "googlenet_thin", None),
    (MORE_GOLDENS / "mobilenet_thin", None),
    (MORE_GOLDENS / "mobilenet_thin", "conv2_2/dw"),
]
places = pytest.mark.parametrize(("stem", "layer"), PLACES, ids=lambda x: getattr(x, "name", x))


def opened(stem, **options):
    batch = np.load(f"{stem}.npz")["data"]
    return cnnvis.open_network(f"{stem}.prototxt", f"{stem}.caffemodel", **options), batch


def first_convolution(network):
    kinds = [(node.layer.param.type, node.layer.name) for node in network.graph.nodes]
    return next(name for kind, name in kinds if kind == "Convolution")


def score_blob(network):
    """Return the last blob before a softmax, which would make rounding larger."""
    last = network.graph.nodes[-1]
    value = last.bottoms[0] if last.layer.param.type == "Softmax" else last.tops[0]
    return network.graph.values[value].blob


@places
@pytest.mark.parametrize("keep_bias", [False, True])
def test_scores_without_filters_are_those_of_whole_passes(stem, layer, keep_bias):
    network, batch = opened(stem)
    layer, blob = layer or first_convolution(network), score_blob(network)
    random, count = np.random.default_rng(0), len(network.params[layer][0])
    sets = [random.permutation(count)[:size] for size in (0, 1, 2, count // 3, count)]
    scores = network.scores_without(batch, layer, sets, blob, keep_bias)
    whole = Engine.scores_without(network, batch, layer, sets, blob, keep_bias)
    for number in range(len(sets)):
        assert difference(scores[number], whole[number]) <= 1e-5
    if not keep_bias:
        # Where nothing or everything changes, nothing is saved, and nothing may differ.
        np.testing.assert_array_equal(scores[[0, -1]], whole[[0, -1]])


@places
def test_a_perturbed_weight_is_that_of_a_whole_pass(stem, layer):
    network, batch = opened(stem, dtype="float64")
    layer = layer or first_convolution(network)
    perturbations = network.perturbations(batch[:1], score_blob(network), 1, layer)
    indices = np.random.default_rng(0).choice(perturbations.weights.size, 5)
    steps = np.full(5, 1e-2)
    scores, regions = perturbations.of_steps(indices, steps)
    assert len(regions) == 5
    changed = np.repeat(perturbations.weights[None], 5, axis=0)
    changed.reshape(5, -1)[range(5), indices] += steps
    whole, _ = perturbations.of_weights(changed)
    assert difference(scores, whole) <= 1e-12


def test_a_change_leaves_the_base_as_it_was():
    network, batch = opened(GOLDENS / "caffenet_thin")
    graph = network.graph
    start, target = output_of(graph, "conv1"), graph.value("fc8")
    base = Base(network, network.input_values(batch), start, target)
    before = {value: array.copy() for value, array in base.values.items()}
    for channels in ([0, 3], range(16)):
        base.after(channels, np.full(len(channels), 7.0, np.float32))
        for value, array in base.values.items():
            np.testing.assert_array_equal(array, before[value])


def names(nodes):
    return [node.layer.name for node in nodes]


def test_a_change_is_propagated_to_the_next_linear_layers():
    graph = opened(GOLDENS / "caffenet_thin")[0].graph
    route = find_route(graph, output_of(graph, "conv1"), graph.value("fc8"))
    assert names(route.steps) == ["relu_conv1", "pool1", "norm1"]
    assert names(route.linear) == ["conv2"]
    assert not route.completed and not graph.beside(graph.value("fc8"), route.ends)


def test_a_sum_needs_all_channels_and_its_other_branch():
    graph = opened(MORE_GOLDENS / "resnet_thin")[0].graph
    first_sum = next(node for node in graph.nodes if node.layer.param.type == "Eltwise")
    branch = graph.values[first_sum.bottoms[-1]].producer
    last = len(graph.values) - 1
    route = find_route(graph, branch.tops[0], last)
    assert first_sum.bottoms[-1] in route.completed
    assert first_sum.bottoms[0] in graph.beside(last, route.ends)


def test_the_bias_of_a_layer_of_its_own_is_followed(tmp_path):
    data = "input_param { shape { dim: 2 dim: 3 dim: 13 dim: 11 } }"
    convolution = "convolution_param { num_output: 6 kernel_size: 3 }"
    lines = [
        layer("data", "Input", [], ["data"], data),
        layer("c", "Convolution", ["data"], ["c"], convolution),
        layer("b", "Bias", ["c"], ["b"]),
        layer("score", "InnerProduct", ["b"], ["score"], "inner_product_param { num_output: 4 }"),
    ]
    (tmp_path / "net.prototxt").write_text("\n".join(lines))
    graph = read_graph(tmp_path / "net.prototxt")
    route = find_route(graph, output_of(graph, "c"), graph.value("score"))
    assert (names(route.steps), names(route.linear)) == (["b"], ["score"])
    with cnnvis.open_network(tmp_path / "net.prototxt", random_weights(graph, 0)) as network:
        batch = np.random.default_rng(0).normal(size=(2, *INPUT))
        found = network.scores_without(batch, "c", [[0, 4]], "score")
        whole = Engine.scores_without(network, batch, "c", [[0, 4]], "score")
    assert difference(found, whole) <= 1e-5


def test_what_does_not_depend_on_a_change_stays():
    network, batch = opened(GOLDENS / "caffenet_thin")
    scores = network.scores_without(batch, "conv5", [[0, 1]], "conv2")
    whole = network.forward(batch, ["conv2"])["conv2"]
    np.testing.assert_array_equal(scores[0], whole.reshape(2, -1))


@places
def test_images_that_are_taken_together_are_those_taken_alone(stem, layer):
    network, batch = opened(stem, threads=1)
    layer, blob = layer or first_convolution(network), score_blob(network)
    random = np.random.default_rng(3)
    batch = np.concatenate([batch * random.uniform(0.5, 1.5) for _ in range(4)])
    sets = [[], [0], list(range(len(network.params[layer][0])))]
    together = network.scores_without(batch, layer, sets, blob)
    alone = [network.scores_without(one[None], layer, sets, blob) for one in batch]
    assert difference(together, np.concatenate(alone, axis=1)) <= 1e-6
