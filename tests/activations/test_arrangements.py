import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from cnnvis.activations import arrangements, orderings, path_proofs, paths
from cnnvis.activations.distances import METRICS, MapSums
from cnnvis.activations.path_bounds import bound_paths, cheapest_with, spanning_tree
from cnnvis.core.errors import UserError
from tests.conftest import ROOT

PUBLISHED = ROOT.parent / "shared/study/activations/conv1_cat_scaled255.npy"

# Here the bound of Held and Karp is below the optimum, and sets of points are left apart.
HARD = 0


def maps(seed, filters=12, pixels=30):
    return np.random.default_rng(seed).normal(size=(filters, pixels)) + 1


def sums(matrix):
    return MapSums(len(matrix)).add(matrix)


def whole_distances(seed, points, dimensions=5):
    """Return whole distances: random ones without triangle inequality where dimensions is 0."""
    random = np.random.default_rng(seed)
    if dimensions:
        return np.floor(squareform(pdist(random.normal(size=(points, dimensions)))) * 1e6)
    upper = np.triu(random.integers(1, 1000, (points, points)), 1).astype(float)
    return upper + upper.T


def shortest_of_all(distances):
    """Return the length of the shortest path by trying every one."""
    orders = np.array(list(itertools.permutations(range(len(distances)))))
    return distances[orders[:, :-1], orders[:, 1:]].sum(axis=1).min()


@pytest.mark.parametrize("points", range(2, 9))
@pytest.mark.parametrize("dimensions", [0, 2, 20])
def test_no_path_of_all_is_shorter(points, dimensions):
    for seed in range(3):
        distances = whole_distances(seed, points, dimensions)
        path = paths.shortest_path(distances)
        assert sorted(path.points) == list(range(points))
        assert path.optimal
        length = paths.path_length(distances, path.points)
        assert length == path.bound == shortest_of_all(distances)


def test_nine_points_on_a_line_and_a_circle():
    places = np.array([4.0, 0, 7, 1, 8, 3, 5, 2, 6])
    line = np.abs(np.subtract.outer(places, places))
    found = places[paths.shortest_path(line).points].tolist()
    assert found in ([*range(9)], [*range(8, -1, -1)])
    circle = np.minimum(line, 9 - line)
    path = paths.shortest_path(circle)
    assert (paths.path_length(circle, path.points), path.bound, path.optimal) == (8, 8, True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 8), st.sampled_from([0, 1, 3, 30]))
def test_bound_is_below_optimum_is_below_every_start(seed, points, dimensions):
    distances = whole_distances(seed, points, dimensions)
    starts = [paths.nearest_path(distances, start) for start in range(points)]
    lengths = [paths.path_length(distances, start) for start in starts]
    bound, prices = bound_paths(distances, min(lengths))
    optimum = shortest_of_all(distances)
    found = paths.path_length(distances, paths.shortest_path(distances).points)
    assert bound <= optimum == found <= min(lengths)
    edges, ends = cheapest_with(distances, prices)
    every = itertools.permutations(range(points))
    for order in itertools.islice(every, 0, None, 7):
        length = paths.path_length(distances, np.array(order))
        assert edges[list(order[:-1]), list(order[1:])].max() <= length
        assert max(ends[order[0]], ends[order[-1]]) <= length


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 60), st.sampled_from([0, 2, 50]))
def test_many_points(seed, points, dimensions):
    distances = whole_distances(seed, points, dimensions)
    path = paths.shortest_path(distances)
    length = paths.path_length(distances, path.points)
    starts = [paths.nearest_path(distances, start) for start in range(points)]
    assert path.optimal and length == path.bound
    assert length <= min(paths.path_length(distances, start) for start in starts)
    tours = [np.append(start, points) for start in starts[:3]]
    closed = np.pad(distances, (0, 1))
    for tour in tours:
        better = paths.improve_tour(tour, closed)
        assert sorted(better) == list(range(points + 1))
        assert path.bound <= closed[better, np.roll(better, 1)].sum()
        assert closed[better, np.roll(better, 1)].sum() <= closed[tour, np.roll(tour, 1)].sum()


def test_without_a_proof_there_is_a_bound(monkeypatch):
    distances = whole_distances(HARD, 40, 3)
    proven = paths.shortest_path(distances)
    monkeypatch.setattr(path_proofs, "EDGES", 0)
    path = paths.shortest_path(distances)
    assert not path.optimal
    assert path.bound < proven.bound <= paths.path_length(distances, path.points)


def test_a_problem_that_branches_too_often_is_not_proven(monkeypatch):
    monkeypatch.setattr(path_proofs, "ROUNDS", 1)
    distances = whole_distances(HARD, 40, 3)
    assert not paths.shortest_path(distances).optimal


def test_spanning_tree_by_hand():
    weights = np.array([[0.0, 5, 2, 9], [5, 0, 1, 3], [2, 1, 0, 4], [9, 3, 4, 0]])
    order, parents = spanning_tree(weights)
    assert order.tolist() == [2, 1, 3]
    assert parents[order].tolist() == [0, 2, 1]


def test_edges_of_a_path_by_hand():
    # Points 0, 1, 3 on a line: path 3. With 0 beside 3 it is 4 or 5; prices of 0 bound it by
    # 3 - the edge of length 2 + 3 = 4, no end costs more.
    line = np.array([[0.0, 1, 3], [1, 0, 2], [3, 2, 0]])
    edges, ends = cheapest_with(line, np.zeros(3))
    assert edges[0, 1] == edges[1, 2] == 3
    assert edges[0, 2] == 4
    assert ends.tolist() == [3, 3, 3]


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the study's feature maps are not here")
def test_the_shortest_order_of_the_study():
    matrix = np.load(PUBLISHED).reshape(96, -1).astype(float)
    order, numbers = orderings.order(matrix, "shortest")
    length = orderings.neighbour_distance(matrix[order])
    # Also found by integer programming without the bound, the prices and the left out edges.
    assert length == pytest.approx(353.222431915354, abs=1e-9)
    assert numbers["neighbour_distance"] == {"ordered": 353.222, "natural": 542.663}
    assert (numbers["lower_bound"], numbers["optimal"], numbers["gap"]) == (353.222, True, 0)
    distances = np.floor(sums(matrix).distances("euclidean") * 2**20)
    _, prices = bound_paths(distances, paths.path_length(distances, order))
    found = paths.find_paths(distances, prices, range(96))
    best = min(orderings.neighbour_distance(matrix[path]) for path in found)
    assert best == pytest.approx(length, abs=1e-9)
    means = matrix.mean(axis=1)[order]
    assert means[:48].mean() < means[48:].mean()


@pytest.mark.parametrize("method", arrangements.METHODS)
@pytest.mark.parametrize("metric", METRICS)
def test_scale_and_order_of_filters_do_not_matter(method, metric):
    matrix = maps(3, 20, 40)
    order, numbers = orderings.order(matrix, method, metric=metric)
    scaled, _ = orderings.order(matrix * 1000, method, metric=metric)
    assert scaled.tolist() == order.tolist()
    shuffle = np.random.default_rng(1).permutation(20)
    shuffled, again = orderings.order(matrix[shuffle], method, metric=metric)
    assert shuffle[shuffled].tolist() == order.tolist()
    assert again["neighbour_distance"]["ordered"] == numbers["neighbour_distance"]["ordered"]


@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_those_of_scipy(metric):
    images = [maps(seed, 7, pixels) for seed, pixels in ((1, 10), (2, 30))]
    both = MapSums(7).add(images[0]).add(images[1])
    expected = squareform(pdist(np.hstack(images), metric))
    assert both.distances(metric) == pytest.approx(expected, abs=1e-12)
    assert both.means == pytest.approx(np.hstack(images).mean(axis=1))


@pytest.mark.parametrize("method", arrangements.METHODS)
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_dead_filters_stand_at_the_beginning_and_are_named(method, metric):
    matrix = maps(4, 9)
    matrix[[6, 2]] = [[0], [0.1]]
    order, numbers = orderings.order(matrix, method, metric=metric)
    assert order[:2].tolist() == [2, 6]
    assert numbers["dead"] == [2, 6]
    alive = [0, 1, 3, 4, 5, 7, 8]
    rest, expected = orderings.order(matrix[alive], method, metric=metric)
    assert order[2:].tolist() == [alive[one] for one in rest]
    assert numbers["neighbour_distance"] == expected["neighbour_distance"]


def test_dead_filters_have_a_place_by_euclidean_distance():
    matrix = np.array([[1.0, 0], [0, 0], [5, 5], [0, 0], [2, 0]])
    order, numbers = orderings.order(matrix, "shortest")
    assert order.tolist() == [1, 3, 0, 4, 2]
    assert numbers["dead"] == [1, 2, 3]
    # Steps 0, 1, 1, sqrt(34); in the network's order 1, sqrt(50), sqrt(50), 2.
    assert numbers["neighbour_distance"] == {"ordered": 1.95774, "natural": 4.28553}
    assert numbers["optimal"]


@pytest.mark.parametrize("method", arrangements.METHODS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "matrix",
    [np.ones((1, 3)), np.zeros((1, 3)), np.zeros((5, 3)), np.full((3, 4), 0.1), maps(0, 1)]
    + [np.repeat(maps(1, 1), 4, axis=0)],
)
def test_one_filter_and_equal_filters_keep_their_order(method, metric, matrix):
    order, numbers = orderings.order(matrix, method, metric=metric)
    assert order.tolist() == list(range(len(matrix)))
    assert numbers["neighbour_distance"] == {"ordered": 0, "natural": 0}
    if method == "shortest":
        assert (numbers["lower_bound"], numbers["optimal"], numbers["gap"]) == (0, True, 0)


@pytest.mark.parametrize("method", arrangements.METHODS)
def test_two_filters_run_from_weak_to_strong(method):
    matrix = np.array([[3.0, 4.0], [0.0, 1.0]])
    assert orderings.order(matrix, method)[0].tolist() == [1, 0]
    assert orderings.order(matrix[::-1], method)[0].tolist() == [0, 1]


@pytest.mark.parametrize("method", arrangements.METHODS)
def test_equal_filters_stand_together_in_the_order_of_the_network(method):
    matrix = maps(5, 10)
    matrix[[1, 7, 8]] = matrix[4]
    order = orderings.order(matrix, method)[0].tolist()
    start = order.index(1)
    assert order[start : start + 4] == [1, 4, 7, 8]


@pytest.mark.parametrize("method", arrangements.METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(method, value):
    matrix = maps(6)
    matrix[2, 3] = value
    with pytest.raises(UserError, match="1 of 360 values are NaN or infinite"):
        orderings.order(matrix, method)


def test_a_certificate_in_words():
    assert arrangements.certificate({"method": "pca"}) == ""
    proven = arrangements.certificate({"optimal": True, "gap": 0})
    assert proven.startswith("It is proven that in no order")
    bounded = arrangements.certificate({"optimal": False, "gap": 0.8701})
    assert bounded == "In no order are neighbours on average more than 0.88 % closer to each other."


def test_an_order_without_a_proof_has_a_gap(monkeypatch):
    matrix = np.random.default_rng(0).normal(size=(40, 3))
    monkeypatch.setattr(path_proofs, "EDGES", 0)
    _, numbers = orderings.order(matrix, "shortest")
    assert not numbers["optimal"]
    reached, bound = numbers["neighbour_distance"]["ordered"], numbers["lower_bound"]
    assert 0 < numbers["gap"] == pytest.approx(100 * (1 - bound / reached), rel=1e-2)


def test_spectral_finds_the_order_of_a_line():
    places = np.array([4.0, 0, 7, 1, 8, 3, 5, 2, 6])
    order, _ = orderings.order(places[:, np.newaxis], "spectral")
    assert places[order].tolist() == list(range(9))


@pytest.mark.parametrize("method", arrangements.METHODS)
def test_the_same_bytes_in_another_process_with_more_threads(method, monkeypatch):
    matrix = maps(7, 30)
    script = (
        "import json, numpy as np; from cnnvis.activations import orderings; "
        "matrix = np.random.default_rng(7).normal(size=(30, 30)) + 1; "
        f"print(json.dumps(orderings.describe_order(matrix, {{}}, '{method}')))"
    )
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == json.dumps(orderings.describe_order(matrix, {}, method))
