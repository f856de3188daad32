import csv

import numpy as np
import pytest

from cnnvis.activations import order_comparisons
from cnnvis.activations.distances import MapSums
from cnnvis.activations.order_comparisons import (
    CRITERIA,
    Order,
    compare_images,
    compare_networks,
    compare_orderings,
    evenly,
    spread,
    summarise,
    tabulate,
    write_table,
)
from cnnvis.activations.orderings import describe_order

HOW = {
    "natural": {"method": "natural"},
    "mine": {"method": "shortest", "metric": "euclidean"},
    "patterns": {"method": "shortest", "metric": "correlation"},
}


def orders_of(image, seed, names=HOW, filters=7):
    matrix = np.maximum(0, np.random.default_rng(seed).normal(size=(filters, 20)))
    sums = MapSums(filters).add(matrix)
    return [
        Order(name, image, describe_order(matrix, {"blob": "b"}, sums=sums, **HOW[name]))
        for name in names
    ]


def table_of(orders):
    images = list(dict.fromkeys(order.image for order in orders if order.image))
    names, correlations = compare_orderings(orders, images)
    return tabulate(orders, names, images, correlations)


def test_rows_are_relative_to_the_network_to_random_orders_and_to_the_bound():
    natural, mine, patterns = table_of(orders_of("cat", 0))
    assert [row["ordering"] for row in (natural, mine, patterns)] == list(HOW)
    assert natural["to_natural"] == 1
    # Seven filters are proven, so the bound is the shortest path.
    assert mine["bound"] == natural["bound"] == mine["path_length"]
    assert mine["above_bound"] == 0
    for row in (natural, mine, patterns):
        length = row["path_length"]
        assert row["to_natural"] == pytest.approx(length / natural["path_length"], rel=1e-5)
        assert row["above_bound"] == pytest.approx(length / mine["bound"] - 1, rel=1e-4)
        for name in CRITERIA:
            judged = row[name] / row[f"{name}_to_random"]
            assert judged == pytest.approx(natural[name] / natural[f"{name}_to_random"], rel=1e-4)


def test_a_bound_by_another_metric_is_no_bound():
    (row,) = table_of(orders_of("cat", 0, ["patterns"]))
    assert row["bound"] is None and row["above_bound"] is None


def test_an_order_over_many_images_has_a_bound_of_its_own_and_no_image():
    shared = [Order("over", None, order.numbers) for order in orders_of("x", 1, ["mine"])]
    rows = table_of(orders_of("cat", 0) + shared)
    assert rows[-1]["image"] == "" and "spearman_natural" not in rows[-1]
    assert rows[-1]["bound"] == shared[0].numbers["lower_bound"] != rows[0]["bound"]
    entry = summarise(rows, ["to_natural"])[-1]
    assert (entry["ordering"], entry["images"]) == ("over", [])
    # It is the same for each image, and correlates with the image's own orders.
    assert np.isfinite(rows[0]["spearman_over"])


def test_an_order_that_is_not_judged_is_compared_all_the_same():
    bare = {"method": "pca", "parameters": {}, "permutation": list(range(7))}
    orders = [*orders_of("cat", 0, ["natural"]), Order("by gradients", "cat", bare)]
    (row,) = table_of(orders)
    assert row["spearman_by gradients"] == pytest.approx(1)


def test_equal_filters_leave_nothing_to_divide_by():
    sums = MapSums(3).add(np.ones((3, 4)))
    numbers = describe_order(np.ones((3, 4)), {"blob": "b"}, "natural", sums=sums)
    (row,) = table_of([Order("natural", "cat", numbers)])
    assert row["to_natural"] is None and row["mean_output_spearman"] is None
    assert all(row[f"{name}_to_random"] is None for name in CRITERIA)
    (entry,) = summarise([row], ["to_natural"])
    assert entry["to_natural"] is None


def test_summaries_by_hand():
    same = {"method": "pca", "metric": ""}
    rows = [
        {"ordering": "a", "image": "x", "value": 1.0, **same},
        {"ordering": "b", "image": "x", "value": 5.0, **same},
        {"ordering": "a", "image": "y", "value": 4.0, **same},
        {"ordering": "a", "image": "z", "value": None, **same},
    ]
    first, second = summarise(rows, ["value"])
    assert first == {
        **{"ordering": "a", "images": ["x", "y", "z"], **same},
        "value": {"median": 2.5, "least": 1.0, "largest": 4.0},
    }
    assert second["value"] == dict.fromkeys(("median", "least", "largest"), 5.0)
    assert spread([None, float("nan")]) is None


def order(ordering, image, *permutation):
    return Order(ordering, image, {"permutation": list(permutation)})


def test_orderings_by_hand():
    orders = [
        order("a", "x", 0, 1, 2),
        order("b", "x", 2, 1, 0),
        order("a", "y", 1, 2, 0),
        order("c", None, 0, 2, 1),
    ]
    names, correlations = compare_orderings(orders, ["x", "y"])
    assert names == ["a", "b", "c"]
    assert correlations["spearman"][0] == pytest.approx(
        np.array([[1, -1, 0.5], [-1, 1, -0.5], [0.5, -0.5, 1]])
    )
    # Places of y: filter 0 is last, 1 first, 2 in the middle; of c: 0, 2, 1.
    assert correlations["spearman"][1] == pytest.approx(
        np.array([[1, np.nan, -1], [np.nan] * 3, [-1, np.nan, 1]]), nan_ok=True
    )
    assert correlations["kendall"][0, 0, 2] == pytest.approx(1 / 3)


def test_images_by_hand():
    orders = [order("a", "x", 0, 1, 2), order("a", "y", 2, 1, 0), order("a", None, 0, 1, 2)]
    images, correlations = compare_images(orders, "a")
    assert images == ["x", "y"]
    for table in correlations.values():
        assert table == pytest.approx(np.array([[1, -1], [-1, 1]]))


def test_of_many_images_some_are_compared(monkeypatch):
    monkeypatch.setattr(order_comparisons, "MOST_IMAGES", 3)
    assert evenly(list("abcde")) == ["a", "c", "e"]
    assert evenly(list("ab")) == ["a", "b"]
    assert evenly([]) == []


def test_networks_by_hand():
    orders = [order("a", "x", 0, 1, 2), order("a", "y", 0, 1, 2), order("b", "x", 0, 1, 2)]
    others = [order("a", "x", 2, 1, 0), order("a", "z", 0, 1, 2)]
    assert compare_networks(orders, others) == {
        "a": {"spearman": [pytest.approx(-1)], "kendall": [pytest.approx(-1)]}
    }


def test_the_table_is_written_with_empty_cells(tmp_path):
    shared = [Order("over", None, order.numbers) for order in orders_of("x", 1, ["natural"])]
    rows = table_of(orders_of("cat", 0, ["natural", "mine"]) + shared)
    write_table(tmp_path / "conv1.csv", rows)
    with open(tmp_path / "conv1.csv", newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [row["image"] for row in read] == ["cat", "cat", ""]
    assert read[2]["spearman_mine"] == "" and read[2]["bound"] == ""
    assert float(read[1]["path_length"]) == rows[1]["path_length"]
    assert list(read[0]) == list(dict.fromkeys(key for row in rows for key in row))
