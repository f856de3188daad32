"""The page that judges orders, of two networks, several images and orders over them."""

import csv

import numpy as np
import pytest

from cnnvis.activations.distances import MapSums
from cnnvis.activations.orderings import describe_order
from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.core.places import Places
from cnnvis.pages.orderings import orderings_page
from tests.pages.test_pages import Page

HOW = {
    "natural": {"method": "natural"},
    "along": {"method": "shortest", "metric": "euclidean"},
    "groups": {"method": "leaf", "metric": "euclidean"},
    "by_output": {"method": "pca"},
}
IMAGES = ["cat & dog", "coffee", "rocket"]
# Both have the same feature maps, so medians over both are those of each.
LAYERS = {"conv1-a": {"name": "conv1/a", "blob": "b"}, "conv2": {"name": "conv2", "blob": "b"}}


def maps_of(seed, filters=9):
    return np.maximum(0, np.random.default_rng(seed).normal(size=(filters, 5, 6))).astype("f4")


def rows_of(maps):
    return maps.reshape(len(maps), -1).astype(float)


def write_orders(files, maps, names=HOW, **subject):
    matrix = rows_of(maps)
    sums = MapSums(len(matrix)).add(matrix)
    for name in names:
        order = describe_order(matrix, subject or {"blob": "b"}, sums=sums, **HOW[name])
        for layer in LAYERS:
            write_json(files("ordering", ordering=name, layer=layer), order)


def make(root, networks=("net",), images=IMAGES, orders=HOW):
    """Write the orders of networks on images, and the page of the first network."""
    for place, network in enumerate(networks):
        for seed, image in enumerate(images):
            files = Places(root, network=network, image=image)
            maps = maps_of(seed + 10 * place, filters=8 if network == "smaller" else 9)
            write_arrays(files("blobs"), {"b": maps})
            write_orders(files, maps, orders)
    return judge(root)


def judge(root, image=IMAGES[0]):
    files = Places(root, network="net")
    shown = sorted(root.glob("*/*/orderings/*/*.json")) + sorted(root.glob("net/*/slices/*/*"))
    shown += sorted(root.glob("net/orderings/*/*.json"))
    orderings_page(files, LAYERS, network="net", image=image, shown=shown)
    with open(files("orderings table", layer="conv1-a"), newline="") as stream:
        return Page(files("orderings page")), list(csv.DictReader(stream))


def test_the_page_tells_which_order_to_use_with_the_numbers_of_this_run(tmp_path):
    page, rows = make(tmp_path)
    assert page.faults == []
    along = [float(row["to_natural"]) for row in rows if row["ordering"] == "along"]
    assert f"the path is {np.median(along):.0%}".replace("%", " %") in page.prose
    assert "and no order has a shorter one" in page.prose
    assert "their Spearman correlation is 0.945" in page.prose
    output = [float(row["mean_output_spearman"]) for row in rows if row["method"] == "pca"]
    median = f"{np.median(output):.2f}"
    assert f"In this run the median is {median}, at conv1/a {median}." in page.prose
    assert "Medians over 2 layers and 3 images" in page.prose
    assert "For groups: groups" in page.prose
    assert "compare images filter by filter: the network’s order" in page.prose
    assert "cat & dog" in page.prose


@pytest.mark.parametrize("shape", [(9, 5, 6), (1, 5, 6), (1, 1, 1)])
def test_layers_whose_filters_are_all_dead_or_one(tmp_path, monkeypatch, shape):
    monkeypatch.setitem(globals(), "maps_of", lambda seed, filters: np.zeros(shape, "f4"))
    page, rows = make(tmp_path)
    assert page.faults == []
    assert "here all maps of a layer are equal, and every order is as good." in page.prose
    assert {row["to_natural"] for row in rows} == {""}


def test_the_table_has_every_order_of_every_image(tmp_path):
    _, rows = make(tmp_path)
    assert len(rows) == len(HOW) * len(IMAGES)
    assert {row["image"] for row in rows} == set(IMAGES)
    for row in rows:
        assert float(row["above_bound"]) >= 0
        assert float(row[f"spearman_{row['ordering']}"]) == pytest.approx(1)


def test_orders_over_images_are_judged_as_one_and_for_the_first(tmp_path):
    make(tmp_path)
    sums = MapSums(9)
    for seed in range(len(IMAGES)):
        sums.add(rows_of(maps_of(seed)))
    shared = describe_order(sums.points, {"blob": "b"}, sums=sums, **HOW["along"])
    by_gradients = describe_order(rows_of(maps_of(77)), {"neuron": 2}, sums=sums, **HOW["along"])
    for name, order in {"over": shared, "by_gradients": by_gradients}.items():
        path = Places(tmp_path, network="net")("shared ordering", ordering=name, layer="conv1-a")
        write_json(path, order)
    page, rows = judge(tmp_path)
    found = {(row["ordering"], row["image"]): row for row in rows}
    assert float(found["over", ""]["above_bound"]) == 0
    here = found["over", IMAGES[0]]
    # Not its own bound, which is over all images, but that of the image's shortest order.
    assert here["bound"] == found["along", IMAGES[0]]["bound"] != found["over", ""]["bound"]
    assert ("by_gradients", "") not in found
    assert found["by_gradients", IMAGES[0]]["bound"] == here["bound"]
    assert "compare images filter by filter: by_gradients and over" in page.prose
    assert "are the same for all images" in page.prose


def test_networks_are_compared_where_they_have_as_many_filters(tmp_path):
    page, _ = make(tmp_path, ["net", "other", "smaller"])
    assert "Between networks" in page.prose
    assert "other" in page.prose and "smaller" not in page.prose


def test_the_stability_of_rows_is_quoted_and_linked(tmp_path):
    make(tmp_path)
    for image, median in zip(IMAGES, (0.25, 0.75, None), strict=True):
        files = Places(tmp_path, network="net", image=image)
        write_json(files("slice stability", layer="conv1-a"), {"medians": [median]})
    files("slice stability picture", layer="conv1-a").write_bytes(b"")
    page, _ = judge(tmp_path)
    assert "a median Spearman correlation of 0.50 (from 0.25 to 0.75 by image)" in page.prose


@pytest.mark.parametrize("orders", [["natural"], ["along"]])
def test_one_order_of_one_image_is_enough(tmp_path, orders):
    page, rows = make(tmp_path, images=IMAGES[:1], orders=orders)
    assert page.faults == []
    assert len(rows) == 1
    assert "Between" not in page.prose.replace("Between images:", "")


def test_an_order_that_cannot_be_read_is_one_line(tmp_path):
    make(tmp_path)
    broken = tmp_path / "net" / IMAGES[0] / "orderings" / "along" / "conv1-a.json"
    broken.write_text("{")
    with pytest.raises(UserError, match=r"along/conv1-a\.json: cannot be read as JSON"):
        judge(tmp_path)
