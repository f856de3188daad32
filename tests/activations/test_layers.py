"""All files of one layer: which there are, and what is in them."""

import itertools

import numpy as np
import pytest
from PIL import Image

from cnnvis.activations import layers
from cnnvis.config.page_files import image_files
from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.core.places import Places
from cnnvis.core.volume_files import read_vox

ORDERINGS = {
    "natural": {"method": "natural"},
    "two": {"method": "kmeans", "k": 2, "seed": 0},
    "pca": {"method": "pca"},
}
SLICES = {"method": "study", "seed": 0, "starts": 20, "cluster_order": "labels"}
SLICES |= {"rows": [0], "k": [1, 2], "stability": True}
VOLUMES = {"rule": "positive", "percentile": 90}
# From weak to strong the filters are 1, 2, 0; their bytes are (x + 1) * 51.
MAPS = np.array([[[3.0, 4.0]], [[-1.0, 0.0]], [[0.0, 1.0]]], np.float32)
BYTES = np.array([[[204, 255]], [[0, 51]], [[51, 102]]])


@pytest.fixture
def files(tmp_path):
    places = Places(tmp_path / "results", network="net", image="cat")
    write_arrays(places("blobs"), {"relu1": MAPS, "fc8": np.zeros(3)})
    return places


def run(files, **options):
    options = {
        **{"layer": "part/conv1", "blob": "relu1", "orderings": ORDERINGS, "volumes": VOLUMES},
        **{"slices": SLICES, "title": "conv1 of net on cat"},
        **options,
    }
    return layers.make_layer(files, **options)


def written(folder):
    """Return the files that were written beside the blobs, relative to a folder."""
    paths = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return paths - {"results/net/cat/blobs.npz"}


def documented(volumes, slices, orderings):
    """Return the files that a page shows of the layer, but for those of other jobs."""
    facts = {"blob": "relu1", "volumes": volumes, "slices": slices}
    facts |= {"orderings": list(orderings), "shared": []}
    tables = {
        "tuned": {},
        "layers": {"net": {"part-conv1": facts}},
        "responses": {},
        "what_if": {"net": "There is none."},
        "differentiated": {"net": []},
        "images": {"cat": {"classes": []}},
    }
    shown = set(image_files(tables, "net", "cat")["shown"])
    others = {"results/net/filters/part-conv1.png", "results/net/cat/grids/part-conv1.js"}
    if volumes:
        others.add("results/net/cat/viewer/part-conv1.html")
    assert others <= shown
    return shown - others


@pytest.mark.parametrize(
    ("volumes", "rows", "clusters", "orderings"),
    [*itertools.product((VOLUMES, None), ([0], []), ([1, 2], []), (list(ORDERINGS), []))],
)
def test_exactly_the_files_of_the_pages_are_written(
    files, tmp_path, volumes, rows, clusters, orderings
):
    slices = {**SLICES, "rows": rows, "k": clusters, "stability": bool(rows)}
    chosen = {name: ORDERINGS[name] for name in orderings}
    run(files, volumes=volumes, slices=slices, orderings=chosen)
    assert written(tmp_path) == documented(volumes, slices, chosen)
    # Each ordering has 2 files and 8 of volumes; each row a picture for each k and 2 files more;
    # the comparison of all rows has 2.
    count = len(orderings) * (10 if volumes else 2) + len(rows) * (len(clusters) + 2 + 2)
    assert len(written(tmp_path)) == count


def test_volumes_are_in_the_order_of_the_ordering(files):
    layer = run(files)
    assert layer.name == "part/conv1"
    assert np.array_equal(layer.feature_maps, MAPS)
    assert np.array_equal(layer.voxels, BYTES)
    permutations = {"natural": [0, 1, 2], "two": [1, 2, 0], "pca": [1, 2, 0]}
    for ordering, permutation in permutations.items():
        where = {"ordering": ordering, "layer": "part-conv1"}
        order = read_json(files("ordering", **where))
        assert order == layer.orders[ordering]
        assert order["permutation"] == permutation
        assert order["blob"] == "relu1"
        volume = read_vox(files("volume", volume="vox", **where))
        assert np.array_equal(volume, BYTES[permutation])
        binary = read_vox(files("binary volume", volume="vox", **where))
        assert np.array_equal(binary, np.where(MAPS[permutation] > 0, 255, 0))
        header = files("binary volume", volume="mhd", **where).read_text()
        assert "ElementDataFile = part-conv1.binary.vox" in header
        with Image.open(files("grid", **where)) as picture:
            method = ORDERINGS[ordering]["method"]
            assert f"in the order '{method}'" in picture.info["Description"]


def test_slices_are_of_their_rows(files):
    maps = np.concatenate([np.zeros_like(MAPS), MAPS], axis=1)
    write_arrays(files("blobs"), {"relu1": maps})
    run(files, slices={**SLICES, "rows": [0, 1], "k": [2]})
    for row, sizes in ((0, [3]), (1, [2, 1])):
        numbers = read_json(files("slice numbers", layer="part-conv1", row=row))
        assert (numbers["layer"], numbers["blob"], numbers["row"]) == ("part/conv1", "relu1", row)
        assert sorted(numbers["kmeans"]["2"]["sizes"], reverse=True) == sizes


def test_the_blob_is_read_and_scaled_once(files, monkeypatch):
    calls = []
    for function in (layers.read_array, layers.to_bytes, layers.to_binary):
        name = function.__name__

        def counted(*arguments, function=function, name=name, **options):
            calls.append(name)
            return function(*arguments, **options)

        monkeypatch.setattr(layers, name, counted)
    run(files)
    assert sorted(calls) == ["read_array", "to_binary", "to_bytes"]


def test_files_are_the_same_again(files, tmp_path):
    run(files)
    first = {name: (tmp_path / name).read_bytes() for name in written(tmp_path)}
    run(files)
    assert first == {name: (tmp_path / name).read_bytes() for name in written(tmp_path)}


def test_a_layer_that_is_not_cut_may_have_fewer_filters_than_clusters(files, tmp_path):
    run(files, slices={**SLICES, "rows": [], "stability": False, "k": ["4x2"]})
    assert any("grids" in name for name in written(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blob": "conv2"}, "no blob 'conv2'; it holds relu1, fc8"),
        (
            {"orderings": {"kmeans": {"method": "kmeans", "k": 4}}},
            "blobs.npz: blob 'relu1': 3 filters are too few for k = 4 clusters",
        ),
        (
            {"slices": {**SLICES, "k": ["4x2"]}},
            "blobs.npz: blob 'relu1': 3 filters are too few for k = 4 clusters",
        ),
        (
            {"slices": {**SLICES, "rows": [1]}},
            "blobs.npz: blob 'relu1': has rows 0 to 0, so no slice of row 1",
        ),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(files, tmp_path, options, message):
    with pytest.raises(UserError, match=message) as error:
        run(files, **options)
    assert "\n" not in str(error.value)
    assert not written(tmp_path)
