"""The shortest path through all points, found and proven by integer programming."""

import numpy as np

from cnnvis.activations.path_bounds import cheapest_with

# A problem of more edges may take minutes; 96 points have as many.
EDGES = 4560
# How often the sets that were left apart are joined, and how often one choice branches.
ROUNDS, BRANCHES = 40, 2000


def find_optimum(distances, prices, points):
    """Look for the shortest path among those that may be shorter than a given one.

    A path is a choice of edges and of two ends: every point has two of them, and every set of
    points is joined to the rest. Sets that a solution leaves apart are joined one after another,
    until it is one path (Dantzig, Fulkerson and Johnson 1954). Edges and ends that only longer
    paths than the given one have are left out.

    Parameters
    ----------
    distances : ndarray of float64, (points, points)
        Symmetric whole numbers.
    prices : ndarray of float64, (points,)
        Of `cnnvis.activations.path_bounds.bound_paths`.
    points : ndarray of int, (points,)
        The given path.

    Returns
    -------
    ndarray of int, (points,) or None
        The shortest path; None where too much is left to choose from.
    """
    count, length = len(distances), distances[points[:-1], points[1:]].sum()
    edges, ends = cheapest_with(distances, prices)
    first, second = np.nonzero(np.triu(edges <= length, 1))
    last = np.flatnonzero(ends <= length)
    if len(first) > EDGES:
        return None
    lengths = np.append(distances[first, second], 0 * last)
    # An end is an edge to a further point at distance 0 of all.
    pairs = np.append(first, last), np.append(second, np.full_like(last, count))
    return _solve(lengths * (1000 / distances.max()), pairs, count)


def _solve(lengths, pairs, end):
    """Return the path that a choice of edges, solved as `find_optimum` says, makes."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components, depth_first_order

    first, second = pairs
    once, shape = np.ones(len(lengths)), (end + 1, end + 1)
    incidence = np.array([np.concatenate(pairs), np.tile(np.arange(len(lengths)), 2)])
    incidence = incidence.astype(np.int32)  # All that milp of older SciPy takes.
    degrees = csr_array((np.tile(once, 2), tuple(incidence)), (end + 1, len(lengths)))
    constraints, whole = [LinearConstraint(degrees, 2, 2)], 0 * once
    for _ in range(ROUNDS):
        found = milp(
            lengths,
            integrality=whole,
            bounds=Bounds(0, 1),
            constraints=constraints,
            options={"mip_rel_gap": 0, "node_limit": BRANCHES},
        )
        if not found.success:
            return None
        chosen = found.x > 1e-6
        graph = csr_array((once[chosen], (first[chosen], second[chosen])), shape)
        sets, labels = connected_components(graph, directed=False)
        if sets > 1:
            leaving = labels[first] != labels[second]
            crossing = [
                leaving & ((labels[first] == one) | (labels[second] == one)) for one in range(sets)
            ]
            constraints.append(LinearConstraint(csr_array(np.array(crossing, float)), 2, np.inf))
        elif np.all(found.x[chosen] > 1 - 1e-6):
            return depth_first_order(graph, end, directed=False)[0][1:]
        else:
            whole = once
    return None
