"""Patches and feature maps of the strongest images: what is where."""

import numpy as np
import pytest
from PIL import Image

from cnnvis.activations import response_pictures
from cnnvis.activations.response_pictures import OUTSIDE, PATCH, cut, side_by_side, to_grey
from cnnvis.activations.responses import make_responses
from cnnvis.core.files import read_json
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.engines.receptive_fields import Box
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.streaming import Streams

THIN = "tests/goldens/caffenet_thin"


def quarters(size):
    """Return a picture whose quarters are black, red, green and blue."""
    pixels = np.zeros((size, size, 3), np.uint8)
    half = size // 2
    pixels[:half, half:, 0] = pixels[half:, :half, 1] = pixels[half:, half:, 2] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [40, 400])
def test_a_patch_is_cut_where_its_box_is_at_any_resolution(size):
    """Boxes are in pixels of the network's input, here 40 x 40."""
    patch = cut(quarters(size), Box(0, 20, 20, 40), (40, 40))
    assert patch.shape == (PATCH, PATCH, 3)
    assert patch[3:-3, 3:-3].reshape(-1, 3).min(axis=0).tolist() == [255, 0, 0]


def test_what_lies_beyond_the_image_is_grey_and_the_scale_stays():
    patch = cut(quarters(40), Box(-20, -20, 20, 20), (40, 40))
    half = PATCH // 2
    assert (patch[: half - 1] == OUTSIDE).all()
    assert (patch[:, : half - 1] == OUTSIDE).all()
    assert (patch[half + 1 : -4, half + 1 : -4] == 0).all()
    assert (cut(quarters(40), Box(50, 50, 60, 60), (40, 40)) == OUTSIDE).all()


def test_a_feature_map_is_black_to_white():
    values = np.array([[-1.0, 0.0, 1.0], [4.0, 2.0, 3.0]])
    assert to_grey(values, 1).tolist() == [[0, 0, 64], [255, 128, 191]]
    assert to_grey(values, 2).tolist() == [[255, 191]]
    assert to_grey(np.full((2, 2), -3.0), 1).tolist() == [[0, 0], [0, 0]]


def test_tiles_side_by_side():
    tiles = np.arange(12).reshape(2, 3, 1, 2)
    assert side_by_side(tiles).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the places, the model and the preprocessing of a run over a few small pictures."""
    folder, random = tmp_path_factory.mktemp("run"), np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(5):
        pixels = Image.fromarray(random.integers(0, 255, (9, 6, 3), dtype=np.uint8))
        pixels.resize((200, 300)).save(folder / "images" / f"{number}.png")
    files = Places(folder, network="thin")
    model = Model(f"{THIN}.prototxt", f"{THIN}.caffemodel", score="fc8")
    preprocessing = Preprocessing(model.info.input_shape, [104.0, 117.0, 123.0])
    images = ImageSet("s", str(folder / "images"), 0)
    streams = Streams(model, preprocessing, files("responses", layer="conv1"), threads=1)
    make_responses(streams, files, [images], ["conv1", "conv5"], 3)
    return files, model, preprocessing


def test_sheets_hold_the_patches_and_the_maps_of_the_strongest(made):
    files, model, preprocessing = made
    blob = model.info.convolutions["conv5"].blob
    summary = read_json(files("responses", layer="conv5"))
    filters, height, width = model.info.convolutions["conv5"].shape
    maps = np.asarray(Image.open(files("response maps", layer="conv5", sheet="000")).convert("L"))
    rows = min(filters, response_pictures.ROWS)
    assert maps.shape == (rows * height, 3 * width)
    box = response_pictures.boxes_of(model, blob)
    patches = Image.open(files("response patches", layer="conv5", sheet="000")).convert("RGB")
    patches = np.asarray(patches, float)
    assert patches.shape == (rows * PATCH, 3 * PATCH, 3)
    with model.open(1) as network:
        for index, column in ((0, 0), (1, 2)):
            entry = summary["filters"][index]["top"][column]
            values = network.forward(preprocessing(entry["image"])[None], [blob])[blob][0][index]
            tile = maps[index * height :, column * width :][:height, :width]
            assert tile.tolist() == to_grey(values, 1).tolist()
            assert values[entry["y"], entry["x"]] == pytest.approx(entry["value"], rel=1e-5)
            exact = cut(Image.open(entry["image"]), box(entry["y"], entry["x"]), (115, 115))
            patch = patches[index * PATCH :, column * PATCH :][:PATCH, :PATCH]
            # WebP loses some of it.
            assert np.corrcoef(patch.ravel(), exact.ravel())[0, 1] > 0.95


def test_each_image_has_one_picture(made):
    files, _, preprocessing = made
    for layer in ("conv1", "conv5"):
        for each in read_json(files("responses", layer=layer))["filters"]:
            for entry in each["top"]:
                with Image.open(
                    files("response picture", picture=f"{entry['picture']:05}")
                ) as seen:
                    assert seen.size == (115, 115)
                    expected = preprocessing.undo(preprocessing(entry["image"])).astype(float)
                    assert abs(np.asarray(seen) - expected).mean() < 6


def test_the_weights_of_a_first_layer(made):
    files, model, _ = made
    with Image.open(files("response filters", layer="conv1")) as weights:
        filters, _, kernel, _ = model.info.layers_with_weights["conv1"]
        assert weights.size == (kernel, filters * kernel)
    assert not files("response filters", layer="conv5").exists()
