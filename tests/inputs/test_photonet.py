"""The embedded network: what it is made of, and that it does what its README says."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnvis
from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.caffe.prototxt import read_prototxt
from cnnvis.inputs import photographs
from cnnvis.inputs.images import read_image

FOLDER = Path(__file__).parents[2] / "models" / "photonet"
PROTOTXT, WEIGHTS = FOLDER / "deploy.prototxt", FOLDER / "photonet.caffemodel"
ACCURACY = json.loads((FOLDER / "accuracy.json").read_text(encoding="utf-8"))
# CaffeNet's own layers, in its order.
LAYERS = (
    "data conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2 conv3 relu3 conv4 relu4 conv5 relu5 "
    "pool5 fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob"
)


@pytest.fixture(scope="module")
def pictures():
    return photographs.read_photographs()


@pytest.fixture(scope="module")
def network():
    with cnnvis.open_network(PROTOTXT, WEIGHTS, threads=2) as network:
        yield network


def predicted(network, inputs):
    """Classes in batches of 17: memory stays small."""
    batches = (np.stack(inputs[i : i + 17]) for i in range(0, len(inputs), 17))
    scores = [network.forward(batch, ["fc8"])["fc8"] for batch in batches]
    return np.concatenate(scores).argmax(axis=1)


def test_layers_are_those_of_caffenet():
    assert [layer.name for layer in read_prototxt(PROTOTXT).layer] == LAYERS.split()


def test_labels_are_sorted_and_one_per_neuron(network):
    assert len(photographs.photograph_labels()) == 17
    assert sorted(set(photographs.photograph_labels())) == photographs.photograph_labels()
    assert network.params["fc8"][0].shape[0] == 17


def test_weights_are_small_and_of_caffenets_shape():
    weights = read_caffemodel(WEIGHTS)
    assert weights["conv1"][0].shape == (96, 3, 11, 11)
    assert weights["conv2"][0].shape[1:] == (48, 5, 5)
    assert sum(blob.size for blobs in weights.values() for blob in blobs) == 550225
    assert WEIGHTS.stat().st_size < 3e6


def test_no_filter_of_conv1_is_dead_or_noise(network):
    filters = network.params["conv1"][0].astype(np.float64)
    assert np.all(np.abs(filters).max(axis=(1, 2, 3)) > 0.1 * np.abs(filters).max())
    # White noise has a roughness of 2 by this measure, and the finest Gabor filters, which are
    # clean, nearly as much: so the bank is judged by its median.
    filters -= filters.mean(axis=(2, 3), keepdims=True)
    steps = np.diff(filters, axis=2)[..., :-1] ** 2 + np.diff(filters, axis=3)[:, :, :-1] ** 2
    roughness = steps.mean(axis=(1, 2, 3)) / (2 * filters.var(axis=(2, 3)).mean(axis=1))
    assert np.median(roughness) < 0.7


def test_crops_stay_in_their_part():
    rng = np.random.default_rng(0)
    for shape in ((172, 448), (1411, 1411), (500, 741)):
        split = photographs.split_column(shape[1])
        for held_out in (False, True):
            crops = [photographs.draw_crop(shape, held_out, rng) for _ in range(200)]
            top, left, height, width = np.array(crops).T
            assert top.min() >= 0 and (top + height).max() <= shape[0]
            assert left.min() >= (split if held_out else 0)
            assert (left + width).max() <= (shape[1] if held_out else split)


def test_held_out_crops_are_the_same_every_time():
    first = photographs.held_out_crops("cat", (300, 451, 3), 3)
    assert first == photographs.held_out_crops("cat", (300, 451, 3), 3)
    assert first != photographs.held_out_crops("coffee", (300, 451, 3), 3)


def test_crops_are_written_as_files(pictures, tmp_path):
    photographs.make_crops("cat", 3, tmp_path / "crops")
    photographs.make_crops("cat", 2, tmp_path / "crops")
    files = sorted((tmp_path / "crops").iterdir())
    crops = photographs.held_out_crops("cat", pictures["cat"].shape, 2)
    for file, (top, left, height, width) in zip(files, crops, strict=True):
        expected = pictures["cat"][top : top + height, left : left + width]
        np.testing.assert_array_equal(read_image(file), expected)


@pytest.mark.parametrize("crop", [[3, 5, 120, 97], [0, 0, 300, 451], [40, 10, 240, 260]])
def test_training_sees_what_inference_sees(pictures, crop):
    cat = pictures["cat"]
    mine = photographs.sampled(cat, crop).transpose(2, 0, 1)[::-1] * 255 - photographs.MEAN
    np.testing.assert_allclose(mine, photographs.network_input(cat, crop), atol=1e-3)


def test_whole_photographs_are_named_as_recorded(pictures, network):
    # Six of them wrongly, see the README. The record is of PyTorch's answers in training.
    inputs = [photographs.network_input(x, [0, 0, *x.shape[:2]]) for x in pictures.values()]
    names = [photographs.photograph_labels()[cls] for cls in predicted(network, inputs)]
    recorded = [
        ACCURACY["classes"][label]["whole_photograph"] for label in photographs.photograph_labels()
    ]
    assert names == recorded
    right = [a for a, b in zip(names, photographs.photograph_labels(), strict=True) if a == b]
    assert {"cat", "coffee", "flower", "rocket", "motorcycle"} <= set(right)


def test_held_out_crops_are_recognised(pictures, network):
    inputs, classes = [], []
    for cls, (label, picture) in enumerate(pictures.items()):
        for crop in photographs.held_out_crops(label, picture.shape, 6):
            inputs.append(photographs.network_input(picture, crop))
            classes.append(cls)
    assert np.mean(predicted(network, inputs) == classes) > 0.8


def test_readme_says_what_was_measured():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"{ACCURACY['accuracy']:.1%} of the held-out crops" in readme
    for label in photographs.photograph_labels():
        assert f"| {label} | {ACCURACY['classes'][label]['accuracy']:.0%} |" in readme


def test_training_without_pytorch_is_one_line():
    code = (
        "import runpy, sys; sys.modules['torch'] = None; sys.argv = ['train.py']; "
        f"runpy.run_path({str(FOLDER / 'train.py')!r}, run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.splitlines() == [
        "train.py: PyTorch is missing; install it with: pip install -e .[train]"
    ]
