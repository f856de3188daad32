"""A change that is followed gives what a full pass with changed weights gives."""

import numpy as np
import pytest

import cnnvis
from cnnvis.engines.numpy.changes import Base, find_route
from tests.engines.goldens import GOLDENS, MORE_GOLDENS, difference

# (golden, layer, score): LRN and groups, branches, shortcuts with BatchNorm, inner products.
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
]


def opened(stem, **options):
    batch = np.load(f"{stem}.npz")["data"]
    return cnnvis.open_network(f"{stem}.prototxt", f"{stem}.caffemodel", **options), batch


def first_convolution(network):
    kinds = [(node.layer.param.type, node.layer.name) for node in network.graph.nodes]
    return next(name for kind, name in kinds if kind == "Convolution")


def last_blob(network):
    return list(network.graph.blobs)[-1]


def full_pass(network, batch, layer, filters, blob):
    """Return the blob with the weights and the bias of some filters set to zero."""
    kept = network.params[layer]
    zeroed = [array.copy() for array in kept]
    for array in zeroed:
        array[filters] = 0
    network.set_weights({layer: zeroed})
    found = network.forward(batch, [blob])[blob]
    network.set_weights({layer: kept})
    return found


@pytest.mark.parametrize(("stem", "layer"), PLACES, ids=lambda x: getattr(x, "name", x))
def test_followed_and_resumed_changes_are_full_passes(stem, layer):
    network, batch = opened(stem)
    layer = layer or first_convolution(network)
    blob = last_blob(network)
    base = Base(network, batch, layer, [blob])
    count = base.output.shape[1]
    random = np.random.default_rng(0)
    for size in sorted({1, 2, count // 3, count}):
        filters = random.permutation(count)[:size]
        expected = full_pass(network, batch, layer, filters, blob)
        np.testing.assert_array_equal(base.resume(filters, 0.0)[blob], expected)
        assert difference(base.change(filters, 0.0)[blob], expected) <= 1e-5
    unchanged = network.forward(batch, [blob])[blob]
    for ask in (base.resume, base.change):
        np.testing.assert_array_equal(ask([], 0.0)[blob], unchanged)


def test_values_belong_to_their_channels_in_any_order():
    network, batch = opened(GOLDENS / "caffenet_thin", dtype="float64")
    base = Base(network, batch, "conv1", ["fc8"])
    values = np.random.default_rng(1).normal(size=(2, 2, *base.output.shape[2:]))
    output = base.output.copy()
    output[:, [5, 2]] = values
    expected = network.resume({"conv1": output}, ["fc8"])["fc8"]
    assert difference(base.change([5, 2], values)["fc8"], expected) <= 1e-12
    per_channel = base.change([5, 2], np.array([1.0, -3.0]))["fc8"]
    output[:, 5], output[:, 2] = 1, -3
    assert difference(per_channel, network.resume({"conv1": output}, ["fc8"])["fc8"]) <= 1e-12


def test_a_change_leaves_the_base_as_it_was():
    network, batch = opened(GOLDENS / "caffenet_thin")
    base = Base(network, batch, "conv1", ["conv1", "fc8"])
    before = {value: array.copy() for value, array in base.values.items()}
    for ask in (base.change, base.resume):
        found = ask([0, 3], 7.0)
        assert (found["conv1"][:, [0, 3]] == 7).all()
        for value, array in base.values.items():
            np.testing.assert_array_equal(array, before[value])


def test_only_what_changes_is_followed_to_the_next_linear_layers():
    network, _ = opened(GOLDENS / "caffenet_thin")
    graph = network.graph
    route = find_route(graph, graph.output("conv1"), [graph.value("fc8")])
    names = [graph.nodes[number].layer.name for number in (*route.steps, *route.linear)]
    assert names == ["relu_conv1", "pool1", "norm1", "conv2"]
    assert not route.completed and not route.aside


def test_a_shortcut_is_kept_aside_and_a_sum_gets_all_channels():
    network, _ = opened(MORE_GOLDENS / "resnet_thin")
    graph = network.graph
    sums = [node for node in graph.nodes if node.layer.param.type == "Eltwise"]
    branch = graph.nodes[graph.values[sums[0].bottoms[-1]].producer]
    route = find_route(graph, branch.tops[0], [len(graph.values) - 1])
    assert sums[0].bottoms[-1] in route.completed
    assert sums[0].bottoms[0] in route.aside
