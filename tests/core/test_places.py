import doctest
from pathlib import Path

import pytest

from cnnvis.core import places
from cnnvis.core.places import PLACES, Places

PARTS = {
    **{"network": "net", "image": "cat", "layer": "conv1", "ordering": "pca", "volume": "vox"},
    **{"cls": "3", "row": "1", "k": "4", "attribution": "loss", "comparison": "rocks"},
    **{"collection": "val", "frame": "000", "picture": "00000", "sheet": "000", "preset": "blur"},
    "share": "0.3",
    "format": "svg",
}


def test_every_kind_of_file_has_a_place_of_its_own():
    files = Places("results", **PARTS)
    paths = [files(kind) for kind in PLACES]
    assert len(set(paths)) == len(PLACES)
    of_runs = [kind for kind in PLACES if "{network}" not in PLACES[kind]]
    assert [str(files(kind)) for kind in of_runs] == [
        f"results/{page}.html" for page in ("methods", "verify", "parity", "recovery")
    ]
    others = [path for kind, path in zip(PLACES, paths, strict=True) if kind not in of_runs]
    assert all(path.parts[:2] == ("results", "net") for path in others)


def test_parts_are_settled_at_once_or_later():
    expected = Path("results/net/cat/gradients/3/conv1.png")
    where = {"cls": 3, "layer": "conv1"}
    assert Places("results", network="net", image="cat")("gradient picture", **where) == expected
    assert Places("results", network="net")("gradient picture", image="cat", **where) == expected


def test_a_part_that_is_missing_is_an_error():
    with pytest.raises(KeyError, match="cls"):
        Places("results", network="net", image="cat")("gradients")


def test_a_volume_has_three_headers_which_come_first():
    files = Places("results", network="net", image="cat")
    paths = files.volumes("binary volume", ordering="pca", layer="conv1")
    assert [path.name.removeprefix("conv1.binary.") for path in paths] == [
        *("nhdr", "mhd", "hd", "vox")
    ]


def test_examples():
    assert doctest.testmod(places) == (0, 1)
