"""Orders of filters that need nothing but the distances between their feature maps.

- ``leaf``: as the leaves of a tree of clusters, neighbours as near as the tree allows.
- ``shortest``: the sum of distances between neighbours is as small as possible.
- ``spectral``: filters that are alike are near each other on a line.

Whatever the method, filters with equal maps count once and stand together, in the order of the
network. A constant map has no direction: where the metric is ``cosine`` or ``correlation``, dead
filters stand at the beginning, in the order of the network, and the rest is ordered.
"""

import math

import numpy as np

from cnnvis.activations.leaf_ordering import order_leaves
from cnnvis.activations.paths import path_length, shortest_path
from cnnvis.core.arrays import significant

# Distances become whole numbers up to this, so that sums are exact; what is less is rounding.
WHOLE = 2.0**38


def arrange(sums, method, metric="euclidean"):
    """Order filters by the distances between their feature maps.

    The direction of a path is arbitrary; here it runs from weak to strong: its first half has
    the lower mean output, or, where both are equal, it begins with the lower filter number.

    Parameters
    ----------
    sums : cnnvis.activations.distances.MapSums
    method : {"leaf", "shortest", "spectral"}
    metric : {"euclidean", "cosine", "correlation"}

    Returns
    -------
    permutation : ndarray of int, (filters,)
    numbers : dict
        ``dead``, the filters of constant maps; ``neighbour_distance``, the mean distance of
        neighbours in this and in the network's order, by the metric and, where dead filters have
        no distance, without them; and what the method has to say: for ``leaf`` the ``tree``, a
        list of ``[node, node, height]``: what each merge joins, filters or, from the number of
        filters on, earlier merges.
    """
    distances, left = sums.distances(metric), np.arange(len(sums.dead))
    if metric != "euclidean":
        left = np.flatnonzero(~sums.dead)
        distances = distances[np.ix_(left, left)]
    first = np.setdiff1d(np.arange(len(sums.dead)), left)
    order, numbers = _arrange(distances, sums.means[left], method)
    steps = max(len(left) - 1, 1)
    if "tree" in numbers:
        nodes = [*left.tolist(), *range(len(sums.dead), len(sums.dead) + len(left))]
        numbers["tree"] = [[nodes[a], nodes[b], height] for a, b, height in numbers["tree"]]
    return np.concatenate([first, left[order]]), {
        "dead": np.flatnonzero(sums.dead).tolist(),
        "neighbour_distance": {
            "ordered": significant(path_length(distances, order) / steps),
            "natural": significant(path_length(distances, np.arange(len(left))) / steps),
        },
        **numbers,
    }


def _arrange(distances, means, method):
    """Return the order of filters that are not dead, and the method's numbers."""
    largest = distances.max(initial=0) or 1.0
    whole = np.floor(distances * (WHOLE / largest))
    # Equal ones are led by the first of them.
    leaders = (whole == 0).argmax(axis=1) if len(whole) else np.arange(0)
    distinct, group = np.unique(leaders, return_inverse=True)
    path, numbers = np.arange(len(distinct)), {}
    if len(distinct) > 1:
        path, numbers = METHODS[method](whole[np.ix_(distinct, distinct)])
    path = from_weak_to_strong(path, means[distinct])
    order = np.argsort(np.argsort(path)[group], kind="stable")
    if method == "shortest":
        numbers = _certificate(path_length(distances, order), len(order), largest, **numbers)
    if method == "leaf":
        numbers = {"tree": _tree(leaders, numbers.get("tree", []), largest / WHOLE)}
    return order, numbers


def _tree(leaders, merges, scale):
    """Return the merges of all filters: first equal ones at height 0, then those of distinct ones.

    Parameters
    ----------
    leaders : ndarray of int, (filters,)
        For each filter, the first that is equal to it.
    merges : sequence of (node, node, height)
        Of the distinct filters.
    scale : float
        What heights are multiplied by.
    """
    count, tree, nodes = len(leaders), [], {}
    for filter_, leader in enumerate(leaders.tolist()):
        if leader in nodes:
            tree.append([nodes[leader], filter_, 0.0])
        nodes[leader] = count + len(tree) - 1 if leader in nodes else filter_
    nodes = [*nodes.values(), *range(count + len(tree), count + len(tree) + len(merges))]
    return tree + [[nodes[int(a)], nodes[int(b)], significant(h * scale)] for a, b, h in merges]


def from_weak_to_strong(path, means):
    """Return the direction of a path that `arrange` documents.

    Parameters
    ----------
    path : ndarray of int, (filters,)
    means : ndarray of float64, (filters,)
        The mean outputs of filters, in the order of the network.

    Returns
    -------
    ndarray of int, (filters,)
    """
    half = len(path) // 2
    if not half:
        return path
    first, second = np.sort(means[path[:half]]).sum(), np.sort(means[path[-half:]]).sum()
    return path if (first, path[0]) <= (second, path[-1]) else path[::-1]


def _certificate(length, filters, largest, bound=0.0, optimal=True):
    """Return how good a shortest path is, ready for JSON.

    ``lower_bound``: no order has a smaller mean distance of neighbours; ``optimal``: whether
    it is proven that no order has a smaller one than this; ``gap``: by how many per cent of this
    order's the bound is below it.
    """
    bound = length if optimal else bound * largest / WHOLE
    return {
        "lower_bound": significant(bound / max(filters - 1, 1)),
        "optimal": optimal,
        "gap": significant(100 * (1 - bound / length)) if length else 0.0,
    }


def certificate(order):
    """Say in a sentence how good an order is, where that is known.

    Parameters
    ----------
    order : dict
        Of `cnnvis.activations.orderings.describe_order`.

    Returns
    -------
    str
        Empty for methods without a bound.

    Examples
    --------
    >>> certificate({"optimal": False, "gap": 0.0871})
    'In no order are neighbours on average more than 0.09 % closer to each other.'
    """
    if "gap" not in order:
        return ""
    if order["optimal"]:
        return "It is proven that in no order are neighbours on average closer to each other."
    # Rounded up, for it must stay true.
    gap = math.ceil(100 * order["gap"]) / 100
    return f"In no order are neighbours on average more than {gap:.2f} % closer to each other."


def arrange_leaves(distances):
    """Order points as the leaves of a tree, average linkage, with its branches turned for the best.

    No order in which the branches can be turned has a smaller sum of distances between
    neighbours.

    Parameters
    ----------
    distances : ndarray of float64, (points, points)
        Symmetric whole numbers, zero on the diagonal only.

    Returns
    -------
    path : ndarray of int, (points,)
    numbers : dict
        ``tree``: (node, node, height) of each merge.
    """
    from scipy.cluster.hierarchy import linkage

    tree = linkage(distances[np.triu_indices(len(distances), 1)], "average")
    return order_leaves(tree, distances), {"tree": tree[:, :3]}


def arrange_shortest(distances):
    """Order points along a shortest path, see `cnnvis.activations.paths.shortest_path`.

    Parameters
    ----------
    distances : ndarray of float64, (points, points)
        See `arrange_leaves`.

    Returns
    -------
    path : ndarray of int, (points,)
    numbers : dict
        ``bound``, the length that no path is below, and ``optimal``.
    """
    path = shortest_path(distances)
    return path.points, {"bound": path.bound, "optimal": path.optimal}


def arrange_spectral(distances):
    """Order points by the Fiedler vector of the graph of their similarities.

    It is the eigenvector of the graph's Laplacian to the second smallest eigenvalue: of all ways
    to put the points on a line, with mean 0 and length 1, the one with the least sum of squared
    differences weighted by similarity (Atkins, Boman and Hendrickson 1998).

    ASSUME: two points at distance d have similarity 1 / (1 + d / mean distance), that of R's
    package seriation made independent of the unit; Gaussian and nearest-neighbour similarities
    gave no shorter paths on the study's feature maps.

    Parameters
    ----------
    distances : ndarray of float64, (points, points)
        See `arrange_leaves`.

    Returns
    -------
    path : ndarray of int, (points,)
        Points whose entries differ by rounding only stand in their order.
    numbers : dict
        Empty.
    """
    count = len(distances)
    similarities = 1 / (1 + distances * (count * (count - 1) / distances.sum()))
    laplacian = np.diag(similarities.sum(axis=1)) - similarities
    fiedler = np.linalg.eigh(laplacian)[1][:, 1]
    fiedler *= np.sign(fiedler[np.abs(fiedler).argmax()])
    return np.argsort(np.round(fiedler, 9), kind="stable"), {}


METHODS = {"leaf": arrange_leaves, "shortest": arrange_shortest, "spectral": arrange_spectral}
