"""The embedded network: what it is made of, and that it does what its README says."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnvis
from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.caffe.prototxt import read_prototxt
from cnnvis.inputs import photographs
from cnnvis.inputs.images import crop_image, read_image

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


def test_conv1_is_caffenets(network):
    kept = read_caffemodel(FOLDER.parent / "caffenet" / "conv1.caffemodel")["conv1"]
    for mine, caffenets in zip(network.params["conv1"], kept, strict=True):
        np.testing.assert_array_equal(mine, caffenets)


def test_parts_share_no_pixel_and_leave_none_out(pictures):
    assert list(photographs.HELD_OUT) == photographs.photograph_labels()
    for label, picture in pictures.items():
        seen = np.zeros(picture.shape[:2], int)
        for top, left, height, width in photographs.split(label, picture.shape):
            seen[top : top + height, left : left + width] += 1
        assert np.all(seen == 1), label


def test_photographs_without_their_held_out_part_are_mirrored(pictures):
    for label, picture in pictures.items():
        (top, left, height, width), held_out = photographs.split(label, picture.shape)
        kept = photographs.without_held_out(label, picture)
        part = np.s_[top : top + height, left : left + width]
        assert kept.shape == picture.shape
        np.testing.assert_array_equal(kept[part], picture[part])
        # Whatever the held-out part shows, nothing of it is left.
        other = picture.copy()
        other[held_out[0] :][: held_out[2], held_out[1] :][:, : held_out[3]] = np.nan
        np.testing.assert_array_equal(photographs.without_held_out(label, other), kept)


@pytest.mark.parametrize("shape", [(172, 448), (1411, 1411), (500, 741)])
@pytest.mark.parametrize("label", ["cat", "grass", "moon", "rocket"])
def test_crops_stay_in_their_part(label, shape):
    training, held_out = photographs.split(label, shape)
    rng = np.random.default_rng(0)
    drawn = [photographs.training_crop(label, shape, rng) for _ in range(400)]
    # Some of a texture are all of the photograph, whose held-out part is then replaced.
    largest = [0, 0, *shape] if label in photographs.TEXTURES else training
    assert largest in drawn
    for part, crops in (
        (largest, drawn),
        (held_out, photographs.held_out_crops(label, shape, 200)),
    ):
        top, left, height, width = np.array(crops).T
        assert np.all((top >= part[0]) & (top + height <= part[0] + part[2]))
        assert np.all((left >= part[1]) & (left + width <= part[1] + part[3]))


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


@pytest.fixture(scope="module")
def training():
    """The module models/photonet/train.py."""
    pytest.importorskip("torch", reason="PyTorch is absent, which only training needs")
    specification = importlib.util.spec_from_file_location("train", FOLDER / "train.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("crop", [[3, 5, 120, 97], [0, 0, 300, 451], [40, 10, 240, 260]])
def test_training_sees_what_inference_sees(pictures, training, crop):
    cat = pictures["cat"]
    pixels = training.torch.from_numpy(crop_image(cat, crop, "cat")).permute(2, 0, 1)
    mine = training.view(pixels).flip(0).numpy() * 255 - photographs.MEAN
    np.testing.assert_allclose(mine, photographs.network_input(cat, crop), atol=1e-2)
    mirrored = training.view(pixels, mirrored=True).flip(2)
    np.testing.assert_allclose(mirrored, training.view(pixels), atol=1e-4)


def test_what_is_turned_stays_in_the_crop(pictures, training):
    """By no more than half of a pixel, as what is not turned: beyond is a dark border."""
    pixels = training.torch.ones(3, 100, 80)
    pixels[:, 50, 40] = 0
    for angle in (-0.4, 0.1, 0.8):
        turned = training.view(pixels, angle).numpy()
        assert turned[:, 5:-5, 5:-5].min() < 0.5  # the dark pixel in the middle
        turned[:, 90:-90, 90:-90] = 1
        assert turned.min() > 0.5


def test_mixed_inputs_are_what_their_shares_say(training):
    """Inputs that are constant: the mean of a mixture is the mixture of the means."""
    values = training.torch.arange(8.0)
    inputs = values[:, None, None, None].expand(8, *photographs.SHAPE)
    shares = []
    for seed in range(40):
        found, share, partners = training.mixed(inputs, np.random.default_rng(seed))
        expected = share * values + (1 - share) * values[partners]
        np.testing.assert_allclose(found.mean((1, 2, 3)), expected, atol=1e-3)
        shares.append(share)
    assert 10 < np.sum(np.array(shares) == 1) < 38


def test_batch_normalisation_is_folded_into_the_weights(training, pictures, tmp_path):
    """The file does what the network in training did."""
    training.torch.manual_seed(0)
    net = read_prototxt(PROTOTXT)
    trained = training.build_network(net)
    for name, module in trained.named_children():
        if name.endswith("_scaled"):
            for values in (module.weight.data, module.running_var):
                values.uniform_(0.5, 2)
            for values in (module.bias.data, module.running_mean):
                values.uniform_(-1, 1)
    inputs = photographs.network_input(pictures["cat"], [0, 0, 300, 451])[np.newaxis]
    with training.torch.no_grad():
        expected = trained.eval()(training.torch.from_numpy(inputs)).numpy()
    weights = tmp_path / "photonet.caffemodel"
    training.write_caffemodel(weights, training.exported(trained), net=net)
    with cnnvis.open_network(PROTOTXT, weights, threads=2) as network:
        found = network.forward(inputs, ["fc8"])["fc8"]
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_whole_photographs_are_recognised(pictures, network):
    inputs = [photographs.network_input(x, [0, 0, *x.shape[:2]]) for x in pictures.values()]
    names = [photographs.photograph_labels()[cls] for cls in predicted(network, inputs)]
    assert names == photographs.photograph_labels()
    assert names == [row["whole_photograph"] for row in ACCURACY["classes"].values()]


def test_held_out_crops_are_recognised(pictures, network):
    inputs, classes = [], []
    for cls, (label, picture) in enumerate(pictures.items()):
        for crop in photographs.held_out_crops(label, picture.shape, 6):
            inputs.append(photographs.network_input(picture, crop))
            classes.append(cls)
    assert np.mean(predicted(network, inputs) == classes) > 0.9


def test_no_class_is_missed():
    assert ACCURACY["accuracy"] >= 0.95
    shares = {label: row["accuracy"] for label, row in ACCURACY["classes"].items()}
    assert shares.pop("astronaut") > 0.6  # see README.md
    assert min(shares.values()) >= 0.9


def test_readme_says_what_was_measured():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"{ACCURACY['accuracy']:.1%} of the held-out crops" in readme
    for label, (side, share) in photographs.HELD_OUT.items():
        assert f"| {label} | {ACCURACY['classes'][label]['accuracy']:.0%} |" in readme
        assert re.search(rf"^\| {label} \|.*\| {side} {share:.0%} \|$", readme, re.MULTILINE)


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
