"""A length that no path through all points can undercut.

A path is a spanning tree of which two points, the ends, touch one edge and all others two. So the
least spanning tree is no longer than the shortest path, and stays so when every point is given a
price that each of its edges pays once, and that is paid back twice for every point but the ends.
Prices that make the tree look like a path make the bound sharp (Held and Karp 1970 and 1971).
"""

import numpy as np

STEPS = 300
# Steps without a better bound after which the length of a step is halved.
PATIENCE = 10
# The length at which the climb ends, as a share of Polyak's.
LEAST = 5e-4
# How much of a step is the one before it.
INERTIA = 0.3


def bound_paths(distances, length):
    """Bound the length of all paths through all points from below.

    The prices climb along the subgradient: points of too many edges become dearer. The length
    of a step is that of Polyak, ``pace * (length - bound) / |subgradient|^2``, with the inertia of
    Volgenant and Jonker.

    Parameters
    ----------
    distances : ndarray of float64, (points, points)
        Symmetric whole numbers, so that all sums are exact; two points or more.
    length : float
        Of some path.

    Returns
    -------
    bound : float
    prices : ndarray of float64, (points,)
        Those of the bound.
    """
    count = len(distances)
    # ASSUME: a point far from all others is so for each of its edges. From prices of 0 the same
    # bound takes several times as many steps.
    prices = -np.rint((distances + np.diag(np.full(count, np.inf))).min(axis=1) / 2)
    best, step, pace, waited = (-np.inf, prices), 0.0, 2.0, 0
    for _ in range(STEPS):
        bound, degrees = _bound(distances, prices)
        best, waited = ((bound, prices), 0) if bound > best[0] else (best, waited + 1)
        excess = degrees - 2
        if best[0] >= length or pace < LEAST or not excess.any():
            break
        if waited == PATIENCE:
            pace, waited = pace / 2, 0
        ahead = pace * (length - bound) / (excess @ excess) * excess
        step = (1 - INERTIA) * ahead + INERTIA * step
        prices = prices + np.rint(step)
    return best


def _bound(distances, prices):
    """Return the bound that prices give, and how many edges and ends each point then has."""
    priced = distances + prices[:, np.newaxis] + prices
    order, parents = spanning_tree(priced)
    ends = np.argsort(prices, kind="stable")[:2]
    touched = np.concatenate([order, parents[order], ends])
    tree = priced[order, parents[order]].sum()
    return float(tree + prices[ends].sum() - 2 * prices.sum()), np.bincount(touched)


def spanning_tree(weights):
    """Find the least spanning tree by Prim's algorithm; of equal edges the first point's counts.

    Parameters
    ----------
    weights : ndarray of float64, (points, points)

    Returns
    -------
    order : ndarray of int, (points - 1,)
        The points but point 0, in the order in which they join the tree.
    parents : ndarray of int, (points,)
        To which point of the tree each was joined.
    """
    count = len(weights)
    nearest, parents = weights[0].copy(), np.zeros(count, np.intp)
    joined, order = np.zeros(count), np.empty(count - 1, np.intp)
    nearest[0] = joined[0] = np.inf
    for place in range(count - 1):
        order[place] = point = nearest.argmin()
        nearest[point] = joined[point] = np.inf
        offered = weights[point] + joined
        nearer = offered < nearest
        np.copyto(nearest, offered, where=nearer)
        np.copyto(parents, point, where=nearer)
    return order, parents


def cheapest_with(distances, prices):
    """Bound the length of the paths that have a certain edge, or a certain end.

    An edge that joins the least spanning tree replaces the longest of the circle it closes.

    Parameters
    ----------
    distances : ndarray of float64, (points, points)
    prices : ndarray of float64, (points,)

    Returns
    -------
    edges : ndarray of float64, (points, points)
        The bound for the paths in which two points are neighbours.
    ends : ndarray of float64, (points,)
        The bound for the paths that end at a point.
    """
    bound, _ = _bound(distances, prices)
    priced = distances + prices[:, np.newaxis] + prices
    longest, tree = np.full_like(priced, -np.inf), [0]
    for point, parent in _pairs(*spanning_tree(priced)):
        longest[point, tree] = np.maximum(longest[parent, tree], priced[point, parent])
        longest[tree, point] = longest[point, tree]
        tree.append(point)
    return bound + priced - longest, bound + np.maximum(prices - np.sort(prices)[1], 0)


def _pairs(order, parents):
    return zip(order.tolist(), parents[order].tolist(), strict=True)
