import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage, to_tree
from sklearn.decomposition import PCA

from cnnvis.activations import arrangements, orderings
from cnnvis.activations.distances import MapSums
from cnnvis.core.errors import UserError
from tests.conftest import ROOT

STUDY = ROOT.parent / "shared" / "study"


def outputs(seed, filters=12, pixels=30):
    return np.maximum(0, np.random.default_rng(seed).normal(size=(filters, pixels)))


def test_pca_by_hand():
    # The rows differ along (1, 0) only; the mean row lies on its positive side.
    matrix = np.array([[3.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    permutation, numbers = orderings.order_by_pca(matrix)
    assert permutation.tolist() == [1, 2, 0]
    assert numbers["projections"] == [3.0, 1.0, 2.0]
    assert numbers["explained_variance"] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(("filters", "pixels"), [(12, 30), (30, 12), (8, 8)])
def test_pca_agrees_with_scikit_learn(filters, pixels):
    matrix = outputs(1, filters, pixels)
    fitted = PCA(1).fit(matrix)
    direction, ratios = orderings.principal_direction(matrix)
    assert abs(fitted.components_[0] @ direction) == pytest.approx(1, abs=1e-9)
    assert ratios[0] == pytest.approx(fitted.explained_variance_ratio_[0])
    assert matrix.mean(axis=0) @ direction > 0
    assert np.all(np.diff((matrix @ direction)[orderings.order_by_pca(matrix)[0]]) >= 0)


def test_pca_projects_what_is_not_centred():
    matrix = outputs(2)
    _, numbers = orderings.order_by_pca(matrix)
    direction, _ = orderings.principal_direction(matrix)
    assert numbers["projections"] == pytest.approx(list(matrix @ direction), rel=1e-5)


def test_pca_sign_does_not_depend_on_the_order_of_filters():
    matrix = outputs(3)
    shuffle = np.random.default_rng(0).permutation(len(matrix))
    ordered = matrix[orderings.order_by_pca(matrix)[0]]
    assert np.array_equal(ordered, matrix[shuffle][orderings.order_by_pca(matrix[shuffle])[0]])


def test_pca_sign_where_the_mean_is_orthogonal():
    matrix = np.array([[2.0, 0.0], [-2.0, 0.0]])
    assert orderings.principal_direction(matrix)[0] == pytest.approx([1, 0])
    assert orderings.order_by_pca(matrix)[0].tolist() == [1, 0]


@pytest.mark.parametrize("matrix", [np.zeros((4, 3)), np.full((4, 3), 0.1), np.ones((1, 3))])
def test_pca_of_equal_rows_is_natural(matrix):
    permutation, numbers = orderings.order_by_pca(matrix)
    assert permutation.tolist() == list(range(len(matrix)))
    assert set(numbers["explained_variance"]) == {0.0}


def test_dead_filters_keep_their_order():
    matrix = outputs(4)
    matrix[[2, 5, 9]] = 0
    permutation = orderings.order_by_pca(matrix)[0].tolist()
    start = permutation.index(2)
    assert permutation[start : start + 3] == [2, 5, 9]


def test_kmeans_by_hand():
    # Two obvious clusters, the weaker one first, members in natural order.
    matrix = np.array([[9.0, 9.0], [0.0, 1.0], [9.0, 8.0], [1.0, 0.0], [9.0, 9.5]])
    permutation, numbers = orderings.order_by_kmeans(matrix, k=2, seed=0)
    assert permutation.tolist() == [1, 3, 0, 2, 4]
    assert numbers["labels"] == [1, 0, 1, 0, 1]
    assert numbers["sizes"] == [2, 3]
    # Centres (0.5, 0.5) and (9, 8.8333): 4 * 0.25 + (1/6)^2 + (5/6)^2 + (4/6)^2
    assert numbers["inertia"] == pytest.approx(1 + 42 / 36, rel=1e-5)


def test_kmeans_is_the_same_again():
    matrix = outputs(5, 40)
    first = orderings.order(matrix, "kmeans", k=6, seed=3)
    again = orderings.order(matrix, "kmeans", k=6, seed=3)
    assert first[0].tolist() == again[0].tolist()
    assert first[1] == again[1]


def test_kmeans_with_as_many_clusters_as_filters_sorts_them_by_mean():
    matrix = outputs(6, 5)
    permutation, numbers = orderings.order_by_kmeans(matrix, k=5)
    assert permutation.tolist() == np.argsort(matrix.mean(axis=1)).tolist()
    assert numbers["inertia"] == 0


def test_kmeans_of_fewer_distinct_rows_leaves_clusters_out(recwarn):
    matrix = np.array([[1.0], [0.0], [1.0], [0.0]])
    permutation, numbers = orderings.order_by_kmeans(matrix, k=4)
    assert permutation.tolist() == [1, 3, 0, 2]
    assert numbers["sizes"] == [2, 2]
    assert not recwarn.list


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 20), st.sampled_from(["natural", "pca", "kmeans"]))
def test_every_method_gives_a_permutation(seed, filters, method):
    parameters = {"k": min(3, filters)} if method == "kmeans" else {}
    permutation, _ = orderings.order(outputs(seed, filters, 5), method, **parameters)
    assert sorted(permutation.tolist()) == list(range(filters))


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("natural", {}), ("pca", {}), ("kmeans", {"k": 3}), *((m, {}) for m in arrangements.METHODS)],
)
def test_an_order_over_images_is_that_of_their_maps_side_by_side(method, parameters):
    images = [outputs(seed, 9, pixels=20) for seed in range(3)]
    sums = MapSums(9)
    for matrix in images:
        sums.add(matrix)
    over = orderings.describe_order(sums.points, {}, method, sums=sums, **parameters)
    beside = orderings.describe_order(np.hstack(images), {}, method, **parameters)
    assert over["permutation"] == beside["permutation"]
    assert over["neighbour_distance"] == pytest.approx(beside["neighbour_distance"], rel=1e-4)


def test_neighbour_distance_by_hand():
    assert orderings.neighbour_distance(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])) == 3
    assert orderings.neighbour_distance(np.ones((1, 4))) == 0


@pytest.mark.parametrize(
    ("method", "parameters"), [("natural", {}), ("pca", {}), ("kmeans", {"k": 3, "seed": 1})]
)
def test_an_order_is_described_the_same_again(method, parameters):
    matrix = outputs(7)
    description = orderings.describe_order(matrix, {"blob": "conv1"}, method, **parameters)
    again = orderings.describe_order(matrix, {"blob": "conv1"}, method, **parameters)
    assert json.dumps(description) == json.dumps(again)
    assert (description["method"], description["parameters"]) == (method, parameters)
    assert description["blob"] == "conv1"
    assert sorted(description["permutation"]) == list(range(12))
    distance = description["neighbour_distance"]
    assert (distance["ordered"] == distance["natural"]) == (method == "natural")


def test_neighbours_of_both_orders_by_hand():
    description = orderings.describe_order(np.array([[3.0], [1.0], [2.0]]), {}, "pca")
    assert description["permutation"] == [1, 2, 0]
    assert description["neighbour_distance"] == {"ordered": 1.0, "natural": 1.5}


def test_feature_maps_are_judged_by_euclidean_distances_whatever_the_metric():
    matrix = outputs(8)
    sums = MapSums(len(matrix)).add(matrix)
    for method, parameters in [("pca", {}), ("shortest", {"metric": "correlation"})]:
        order = orderings.describe_order(matrix, {"blob": "b"}, method, sums, **parameters)
        distance = orderings.neighbour_distance(matrix[order["permutation"]])
        path = order["criteria"]["path_length"]
        assert path["value"] == pytest.approx(distance, rel=1e-5)
        assert path["natural"] == pytest.approx(orderings.neighbour_distance(matrix), rel=1e-5)
    assert "criteria" not in orderings.describe_order(matrix, {"neuron": 1}, "pca", sums)


def test_orders_are_compared_with_the_mean_output():
    matrix = np.array([[4.0, 4.0], [1.0, 1.0], [2.0, 3.0]])
    sums = MapSums(3).add(matrix)
    found = [orderings.judge_order(order, sums) for order in ([1, 2, 0], [0, 2, 1])]
    assert [of["mean_output"]["spearman"] for of in found] == [1.0, -1.0]


@pytest.mark.skipif(not STUDY.is_dir(), reason="../shared/study is not here")
def test_the_study_s_order_is_nearly_that_of_the_mean_output():
    maps = np.load(STUDY / "activations" / "conv1_cat_scaled255.npy")
    matrix = maps.reshape(len(maps), -1).astype(np.float64)
    sums = MapSums(len(maps)).add(matrix)
    order = orderings.describe_order(matrix, {"blob": "conv1"}, "pca", sums)
    assert order["mean_output"]["spearman"] == pytest.approx(0.945, abs=5e-4)


@pytest.mark.parametrize("metric", ["euclidean", "correlation"])
def test_the_tree_joins_neighbours_and_is_that_of_scipy(metric):
    matrix = np.vstack([outputs(9, filters=6), np.ones((1, 30))])
    # Filters 1, 4 and 8 are equal, filter 6 is dead.
    matrix = np.vstack([matrix, outputs(10, filters=1), matrix[1]])
    matrix[4] = matrix[1]
    permutation, numbers = orderings.order(matrix, "leaf", metric=metric)
    groups = [{filter_} for filter_ in range(len(matrix))]
    for one, other, _ in numbers["tree"]:
        groups.append(groups[one] | groups[other])
        places = sorted(permutation.tolist().index(filter_) for filter_ in groups[-1])
        assert places == list(range(places[0], places[-1] + 1))
    living = set(range(9)) - ({6} if metric == "correlation" else set())
    assert groups[-1] == living
    distinct = sorted(living - {4, 8})
    heights = [height for *_, height in numbers["tree"]]
    assert heights[:2] == [0, 0]
    assert heights[2:] == pytest.approx(
        linkage(matrix[distinct], "average", metric)[:, 2], rel=1e-5
    )


@pytest.mark.parametrize(
    ("filters", "tree"), [(1, []), (2, [[0, 1, 0.0]]), (3, [[0, 1, 0.0], [3, 2, 0.0]])]
)
def test_the_tree_of_few_or_equal_filters(filters, tree):
    assert orderings.order(np.ones((filters, 4)), "leaf")[1]["tree"] == tree


def leaf_orders(node):
    """Return every order of the leaves of a tree whose branches are turned."""
    if node.is_leaf():
        return [[node.id]]
    left, right = leaf_orders(node.left), leaf_orders(node.right)
    return [one for a in left for b in right for one in (a + b, b + a)]


@pytest.mark.parametrize("seed", range(5))
def test_no_order_of_the_tree_has_nearer_neighbours_than_leaf(seed):
    matrix = outputs(seed, filters=8)
    permutation, _ = orderings.order(matrix, "leaf")
    tree = to_tree(linkage(matrix, "average"))
    every = [orderings.neighbour_distance(matrix[order]) for order in leaf_orders(tree)]
    assert len(every) == 2**7
    reached = orderings.neighbour_distance(matrix[permutation])
    assert reached == pytest.approx(min(every), abs=1e-12)
    assert reached < orderings.neighbour_distance(matrix)


def test_leaf_by_hand():
    matrix = np.array([[9.0], [1.0], [8.0], [0.0], [2.5]])
    assert orderings.order(matrix, "leaf")[0].tolist() == [3, 1, 4, 2, 0]
    assert orderings.order(matrix[:1], "leaf")[0].tolist() == [0]
    assert orderings.order(np.ones((2, 3)), "leaf")[0].tolist() == [0, 1]


@pytest.mark.parametrize("method", [*orderings.METHODS, *arrangements.METHODS])
def test_numbers_whose_squares_are_infinite_are_one_line(method):
    with pytest.raises(UserError, match=r"values up to .*e\+300, expected at most 1e\+150"):
        orderings.order(outputs(3) * 1e300, method)


@pytest.mark.parametrize("shape", [(9, 4), (3, 1), (100, 13)])
def test_many_filters_of_few_pixels_have_the_direction_that_more_pixels_of_nothing_leave(shape):
    """Beside few pixels the covariance is computed, beside many the products of filters."""
    few = np.maximum(np.random.default_rng(0).normal(size=shape), 0)
    many = np.concatenate([few, np.zeros((len(few), 2 * len(few)))], axis=1)
    (one, ratios), (other, others) = map(orderings.principal_direction, (few, many))
    np.testing.assert_allclose(one, other[: len(one)], atol=1e-13)
    np.testing.assert_allclose(ratios, others, atol=1e-13)
    assert not orderings.principal_direction(np.ones(shape))[0].any()
