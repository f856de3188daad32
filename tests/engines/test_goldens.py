"""The embedded engine against BVLC Caffe 1.0, number by number."""

from pathlib import Path

import numpy as np
import pytest

import cnnvis
from cnnvis.engines.numpy.convolutions import winograd
from tests.engines.goldens import MORE_GOLDENS, difference, golden_networks, gradients_of

TOLERANCE = 1e-5
SQUEEZENET = Path(__file__).parents[3] / "shared" / "squeezenet"


@pytest.fixture(params=["chosen", "everywhere"])
def winograd_is(request, monkeypatch):
    """Small as these networks are, let Winograd's convolution be used where it is possible."""
    if request.param == "everywhere":
        for name in ("LEAST_CHANNELS", "LEAST_WEIGHTS", "LEAST_TILES"):
            monkeypatch.setattr(winograd, name, 1)


@pytest.fixture(params=golden_networks(), ids=lambda path: path.stem)
def golden(request, winograd_is):
    weights = request.param.with_suffix(".caffemodel")
    with cnnvis.open_network(request.param, weights) as network:
        yield network, np.load(request.param.with_suffix(".npz"))


def test_every_blob_is_caffes(golden):
    network, expected = golden
    blobs = network.forward(expected["data"])
    names = [key.removeprefix("blob/") for key in expected.files if key.startswith("blob/")]
    assert set(names) | set(network.graph.inputs) == set(blobs)
    wrong = {name: difference(blobs[name], expected[f"blob/{name}"]) for name in names}
    assert {name: value for name, value in wrong.items() if not value <= TOLERANCE} == {}


def test_every_gradient_is_caffes(golden):
    network, expected = golden
    if "in_place_overwritten" in network.graph.source:
        pytest.skip("the derivative is right here and Caffe's is not: see the next test")
    layers, data = gradients_of(expected)
    neurons = [int(expected[f"class/{image}"]) for image in range(len(expected["data"]))]
    blob = str(expected["score_blob"])
    found, found_data = network.gradients(expected["data"], blob, neurons, list(layers), data=True)
    wrong = {"data": difference(found_data, np.concatenate(data))}
    for layer, parameters in layers.items():
        for number, arrays in parameters.items():
            wrong[layer, number] = difference(found[layer][number], np.stack(arrays))
    assert {name: value for name, value in wrong.items() if not value <= TOLERANCE} == {}


def test_derivative_where_caffe_reads_what_it_has_overwritten():
    """Some layers' backward pass reads their bottom: in place, Caffe finds their top there."""
    prototxt = MORE_GOLDENS / "in_place_overwritten.prototxt"
    expected = np.load(prototxt.with_suffix(".npz"))
    batch, neuron = expected["data"][:1].astype(float), int(expected["class/0"])
    direction = np.random.default_rng(0).normal(size=batch.shape)
    with cnnvis.open_network(prototxt, prototxt.with_suffix(".caffemodel"), dtype="float64") as net:
        gradient = net.data_gradient(batch, "score", neuron)
        ends = [net.forward(batch + h * direction, ["score"])["score"] for h in (1e-6, -1e-6)]
    slope = (ends[0] - ends[1]).ravel()[neuron] / 2e-6
    assert np.vdot(gradient, direction) == pytest.approx(slope, rel=1e-7)
    assert np.vdot(expected["grad/0/data"], direction) != pytest.approx(slope, rel=0.1)


def test_one_image_alone_is_as_in_a_batch(golden):
    network, expected = golden
    blob = str(expected["score_blob"])
    together = network.forward(expected["data"], [blob])[blob]
    alone = network.forward(expected["data"][:1], [blob])[blob]
    assert difference(alone, together[:1]) <= TOLERANCE


needs_squeezenet = pytest.mark.skipif(
    not SQUEEZENET.exists(), reason="../shared/squeezenet (SqueezeNet v1.0) is not here"
)


@pytest.fixture(scope="module")
def squeezenets():
    files = SQUEEZENET / "SqueezeNet_deploy.prototxt", SQUEEZENET / "squeezenet.caffemodel"
    return [cnnvis.open_network(*files, dtype=dtype) for dtype in ("float32", "float64")]


@needs_squeezenet
@pytest.mark.parametrize("image", ["cat", "Persian_1", "pembroke", "chihuahua_miss"])
def test_squeezenet_scores_are_caffes(squeezenets, image):
    expected = np.load(SQUEEZENET / f"{image}.npz")
    blobs = squeezenets[0].forward(expected["input"][None], ["pool_final", "conv1"])
    assert difference(blobs["pool_final"].ravel(), expected["score"].ravel()) <= TOLERANCE
    if "conv1" in expected.files:
        assert difference(blobs["conv1"][0], expected["conv1"]) <= TOLERANCE


@needs_squeezenet
@pytest.mark.parametrize("image", ["cat", "Persian_1", "pembroke", "chihuahua_miss"])
def test_squeezenet_gradients_are_caffes_up_to_flips(squeezenets, image):
    """A gradient in float32 jumps where rounding flips a ReLU gate or a pooling maximum.

    Two correct engines differ there, so Caffe's result must be that of one of the many ways to
    round: it must lie within `TOLERANCE` of the embedded engine's in float32, or in float64,
    or no farther from them than results for inputs moved by up to four units in the last place.
    """
    expected = np.load(SQUEEZENET / f"{image}.npz")
    batch, neuron = expected["input"][None], int(expected["class"])
    layers = [
        key.removeprefix("grad/")
        for key in expected.files
        if key.startswith("grad/") and key != "grad/data"
    ]
    single, double = (
        network.weight_gradient(batch, "pool_final", neuron, layers) for network in squeezenets
    )
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (8, *batch.shape[1:]))
    moved = squeezenets[1].weight_gradient(
        batch + 8 * noise * np.spacing(np.abs(batch)), "pool_final", neuron, layers
    )
    for layer in layers:
        caffe = expected[f"grad/{layer}"]
        nearest = min(difference(found[layer][0], caffe) for found in (single, double))
        spread = max(difference(one, double[layer][0]) for one in moved[layer])
        assert nearest <= max(TOLERANCE, 5 * spread), (layer, nearest, spread)
        assert nearest <= 1e-3, (layer, nearest)
