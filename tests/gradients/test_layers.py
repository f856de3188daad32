import json

import numpy as np
import pytest
from PIL import Image

from cnnvis.config.page_files import image_files
from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.places import Places
from cnnvis.core.volume_files import read_vox
from cnnvis.gradients import layers
from cnnvis.gradients.attributions import KINDS
from cnnvis.gradients.volumes import CHANNELS, SUMMED

PCA = {"pca": {"method": "pca"}}


@pytest.fixture
def files(tmp_path):
    return Places(tmp_path / "results", network="tiny", image="cat")


def written(folder):
    """Return the files under a folder, relative to it."""
    paths = (folder / "results").rglob("*")
    return {str(path.relative_to(folder)) for path in paths if path.is_file()}


def make(files, layer, **options):
    return layers.make_gradient_layer(
        files, **{"layer": layer, "cls": 0, "orderings": {}, "title": "of neuron 0"} | options
    )


def write_tensors(files, tensors):
    """Write gradients by layer, and the same times ten as every kind of attribution."""
    write_arrays(files("gradients", cls=0), tensors)
    kinds = {f"{kind}/{name}": 10 * array for kind in KINDS for name, array in tensors.items()}
    write_arrays(files("attributions", cls=0), kinds)


def test_volumes_and_pictures_of_one_layer(files):
    tensor = np.random.default_rng(1).normal(size=(5, 4, 2, 3))
    write_tensors(files, {"part/1": tensor, "other": np.zeros((1, 1))})
    layer = make(files, "part/1", kinds=list(KINDS))
    assert np.array_equal(layer.gradient, tensor)
    where = {"cls": 0, "layer": "part-1"}
    volume = read_vox(files("gradient volume", volume="vox", **where))
    assert volume.shape == (5, 2, 3)
    assert np.array_equal(volume, SUMMED.voxels(tensor))
    volume = read_vox(files("gradient channels volume", volume="vox", **where))
    assert volume.shape == (5, 4, 6)
    assert np.array_equal(volume, CHANNELS.voxels(tensor))
    with Image.open(files("gradient picture", **where)) as image:
        assert "4 channels as 2 x 2 tiles" in image.info["Description"]
    for name, kind in KINDS.items():
        volume = read_vox(files("attribution volume", attribution=name, volume="vox", **where))
        assert np.array_equal(volume, CHANNELS.voxels(10 * tensor))
        with Image.open(files("attribution picture", attribution=name, **where)) as image:
            assert kind.title in image.info["Description"]


def test_filters_are_ordered_by_all_their_gradients_and_the_sums_stand_in_that_order(files):
    # The filters are 2, 1 and -1.5 times (2, -3). The mean one is on the side of the first.
    tensor = np.array([[4, -6], [2, -3], [-3, 4.5]], np.float32).reshape(3, 2, 1, 1)
    write_tensors(files, {"conv1": tensor})
    layer = make(files, "conv1", orderings=PCA)
    where = {"cls": 0, "layer": "conv1", "ordering": "pca"}
    order = json.loads(files("gradient ordering", **where).read_text())
    assert layer.orders == {"pca": order}
    assert order["permutation"] == [2, 1, 0]
    assert (order["method"], order["neuron"]) == ("pca", 0)
    volume = read_vox(files("gradient ordered volume", volume="vox", **where))
    # Sums are -2, -1 and 1.5.
    assert volume.ravel().tolist() == [255, 73, 0]
    volume = read_vox(files("gradient volume", volume="vox", cls=0, layer="conv1"))
    assert volume.ravel().tolist() == [0, 73, 255]


@pytest.mark.parametrize("kinds", [[], ["loss"], list(KINDS)])
@pytest.mark.parametrize("orderings", [{}, PCA])
def test_exactly_the_files_of_the_pages_are_written(files, tmp_path, kinds, orderings):
    """Those of `image_files`, but for the 3D pages and the importance, which the script adds."""
    write_tensors(files, {"part/1": np.ones((2, 3))})
    before = written(tmp_path)
    make(files, "part/1", kinds=kinds, orderings=orderings)
    tables = {
        "layers": {"tiny": {"part-1": {"blob": None, "gradient_orderings": list(orderings)}}},
        "orderings": {name: {"by": "shown"} for name in orderings},
        "responses": {},
        "what_if": {"tiny": "too large"},
        "tuned": {},
        "differentiated": {"tiny": ["part/1"]},
        "images": {"cat": {"classes": [0]}},
        "check": {"mode": "none"},
        "attributions": {"tiny": kinds},
        "networks": {"tiny": {"runs": True}},
    }
    shown = set(image_files(tables, "tiny", "cat")["shown"])
    others = ("importance", "viewer", "saliency", "data_gradient")
    expected = {path for path in shown if not any(word in path for word in others)}
    assert written(tmp_path) - before == expected
    assert len(expected) == 9 + 5 * (len(orderings) + len(kinds))


def test_each_array_is_read_once(files, monkeypatch):
    write_tensors(files, {"conv1": np.ones((2, 3))})
    names, read = [], layers.read_array

    def counted(path, name, *rest):
        names.append(name)
        return read(path, name, *rest)

    monkeypatch.setattr(layers, "read_array", counted)
    make(files, "conv1", kinds=["loss"])
    assert names == ["conv1", "loss/conv1"]


def test_a_missing_layer_is_named(files):
    write_tensors(files, {"conv1": np.zeros((1, 1, 1, 1))})
    with pytest.raises(UserError, match="no gradient of layer 'conv2'; it holds conv1"):
        make(files, "conv2")
    write_arrays(files("attributions", cls=0), {"loss/conv2": np.zeros(1)})
    with pytest.raises(UserError, match="no attribution 'loss/conv1'; it holds loss/conv2"):
        make(files, "conv1", kinds=["loss"])


def test_without_attributions_their_file_is_not_needed(files):
    write_arrays(files("gradients", cls=0), {"conv1": np.ones((2, 3))})
    make(files, "conv1")
    assert not files("attributions", cls=0).exists()
