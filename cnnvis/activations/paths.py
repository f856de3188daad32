"""The shortest path through all points, or a path and how much shorter one may be at most."""

from collections import deque
from typing import NamedTuple

import numpy as np

from cnnvis.activations.path_bounds import bound_paths
from cnnvis.activations.path_proofs import find_optimum

# How many paths that go to the nearest point are improved.
STARTS = 2
# How many edges are tried as the first, the second and every further one of a chain.
BREADTH = (5, 3, 1)
# How many edges a chain has at most.
DEPTH = 50


class Path(NamedTuple):
    """A path through all points.

    Attributes
    ----------
    points : ndarray of int, (points,)
        In the order in which the path visits them, in one of its two directions.
    bound : float
        No path is shorter than this.
    optimal : bool
        Whether no path is shorter than this one.
    """

    points: np.ndarray
    bound: float
    optimal: bool


def shortest_path(distances):
    """Find a path through all points that is as short as possible.

    Paths that go from several points to the nearest one are improved by Lin and Kernighan's
    exchanges. Then the optimum is found by integer programming, or, where many points leave too
    many edges to choose from, the bound of Held and Karp says how much shorter a path may be.

    Parameters
    ----------
    distances : ndarray of float64, (points, points)
        Symmetric whole numbers, so that sums are exact and neither their order nor the machine
        decides between two paths; 0 on the diagonal.

    Returns
    -------
    Path
    """
    count = len(distances)
    if count == 1:
        return Path(np.zeros(1, int), 0.0, True)
    bound, prices = bound_paths(distances, path_length(distances, nearest_path(distances, 0)))
    starts = np.unique(np.linspace(0, count - 1, STARTS).astype(int))
    found = find_paths(distances, prices, starts)
    points = min(found, key=lambda path: path_length(distances, path))
    if path_length(distances, points) <= bound:
        return Path(points, bound, True)
    optimum = find_optimum(distances, prices, points)
    if optimum is None:
        return Path(points, bound, False)
    return Path(optimum, path_length(distances, optimum), True)


def find_paths(distances, prices, starts):
    """Find short paths: go to the nearest point from each start, and exchange edges.

    Both go by distances with the bound's prices: these change all closed tours by the same
    length, and make the edges of short ones short (Helsgaun 2000).

    Parameters
    ----------
    distances : ndarray of float64, (points, points)
    prices : ndarray of float64, (points,)
        Of `cnnvis.activations.path_bounds.bound_paths`.
    starts : iterable of int

    Yields
    ------
    ndarray of int, (points,)
    """
    count = len(distances)
    # The open ends of a path are the neighbours of a further point at distance 0 of all.
    weights = np.zeros((count + 1, count + 1))
    weights[:count, :count] = distances + prices[:, np.newaxis] + prices
    weights[count, :count] = weights[:count, count] = prices
    for start in starts:
        tour = np.append(nearest_path(weights[:-1, :-1], start), count)
        yield _open(improve_tour(tour, weights))


def path_length(distances, points):
    """Return the sum of the distances of neighbours."""
    return float(distances[points[:-1], points[1:]].sum())


def nearest_path(distances, start):
    """Return the path that goes to the nearest point not yet visited, of equal ones the first."""
    left, points = distances.copy(), [start]
    for _ in range(len(distances) - 1):
        left[:, points[-1]] = np.inf
        points.append(int(left[points[-1]].argmin()))
    return np.array(points)


def _open(tour):
    """Return the path that is left of a tour without its last point."""
    place = int(tour.argmax())
    return np.concatenate([tour[place + 1 :], tour[:place]])


def improve_tour(tour, weights):
    """Shorten a closed tour until no chain of exchanges from any point does any more.

    Parameters
    ----------
    tour : ndarray of int, (points,)
    weights : ndarray of float64, (points, points)
        Symmetric whole numbers.

    Returns
    -------
    ndarray of int, (points,)
    """
    waiting = deque(tour.tolist())
    while waiting:
        place = int(np.flatnonzero(tour == waiting.popleft())[0])
        for path in (np.roll(tour, -place), np.roll(tour[::-1], place + 1)):
            steps, gain = weights[path[:-1], path[1:]], weights[path[-1], path[0]]
            better = _exchange(path, steps, gain, weights, 0)
            if better is not None:
                changed = (_neighbours(better) != _neighbours(tour)).any(axis=1)
                waiting.extend(np.setdiff1d(np.flatnonzero(changed), waiting).tolist())
                tour = better
                break
    return tour


def _neighbours(tour):
    """Return the two neighbours of every point, the lower first."""
    neighbours = np.empty((len(tour), 2), int)
    neighbours[tour] = np.sort(np.stack([np.roll(tour, 1), np.roll(tour, -1)], axis=1), axis=1)
    return neighbours


def _exchange(path, steps, gain, weights, depth):
    """Look for a shorter tour by Lin and Kernighan's chains of exchanges.

    The tour was opened between the last and the first point of a path. Its last point is joined
    to a point inside, and the edge behind that one removed: this gives a path with another last
    point, which either makes a shorter tour or goes on the same way::

        first ... a  b ... last     to     first ... a  last ... b

    Parameters
    ----------
    path : ndarray of int, (points,)
    steps : ndarray of float64, (points - 1,)
        The lengths of its edges; minus infinity for those that the chain added, which stay.
    gain : float
        By how much the path is shorter than the tour.
    weights : ndarray of float64, (points, points)
    depth : int
        How many edges the chain has.

    Returns
    -------
    ndarray or None
        The shorter tour, if there is one.
    """
    added = weights[path[-1], path[:-1]]
    gains = np.where(added < gain, gain + steps - added, -np.inf)[:-1]
    breadth = BREADTH[min(depth, len(BREADTH) - 1)]
    places = np.argsort(-gains, kind="stable")[:breadth] if breadth > 1 else [gains.argmax()]
    for place in places:
        if gains[place] == -np.inf:
            break
        turned = np.concatenate([path[: place + 1], path[:place:-1]])
        if gains[place] > weights[turned[-1], turned[0]]:
            return turned
        if depth < DEPTH:
            kept = np.concatenate([steps[:place], [-np.inf], steps[:place:-1]])
            shorter = _exchange(turned, kept, gains[place], weights, depth + 1)
            if shorter is not None:
                return shorter
    return None
