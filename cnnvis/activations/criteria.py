"""How good an order of filters is: criteria of the seriation literature.

The distances between filters, with rows and columns put in the order, show what is asked for: they
are small at the diagonal and grow away from it. The criteria measure how far that is so, from near
to far, as R's package seriation defines them (Hahsler, Hornik and Buchta 2008, `criterion`), but as
means rather than sums, so that layers with different numbers of filters compare:

- ``path_length``: the mean distance of neighbours (its Path_length by the number of steps).
- ``banded``: the mean distance of filters at most a fifth of the layer apart, nearer ones counting
  more (banded anti-Robinson form, its BAR; Earle and Hurley 2015).
- ``linear_seriation``: the mean distance of all pairs, weighted by how far apart they stand (its
  LS; Hubert and Schultz 1976). It is large where the order is good; the order that makes it largest
  is the one with the smallest least-squares criterion.
- ``anti_robinson_events``: of two filters on the same side of a third, how often the farther one is
  the more alike, as a share of all such triples (its AR_events; its RGAR with the widest window).
- ``anti_robinson_deviations``: by how much, as a mean over all such triples (its AR_deviations;
  Chen 2002).

What a random order gives on average is known for each, without drawing any: every two filters are
equally likely at every two places.
"""

import numpy as np

from cnnvis.core.arrays import significant

# The width of the band, as a part of all filters: that of the package.
BAND = 5
# Rows whose inversions are counted at once, few enough for a processor's cache.
STRIP = 64


def judge(distances, permutation):
    """Return the criteria of an order.

    Parameters
    ----------
    distances : ndarray of float64, (filters, filters)
        Symmetric, zero on the diagonal.
    permutation : sequence of int, (filters,)

    Returns
    -------
    dict of str to dict
        Ready for JSON: for each criterion its ``value``, and ``random``, its mean over all orders;
        both 0 where there are too few filters for it. Of the path length also ``natural``, that in
        the network's order.
    """
    ordered = distances[np.ix_(permutation, permutation)]
    count = len(ordered)
    triples = max(count * (count - 1) * (count - 2) // 3, 1)
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    anywhere, (unequal, differences) = _mean(ordered, apart > 0), spread(ordered)
    values = {
        "path_length": (_mean(ordered, apart == 1), anywhere),
        "banded": (_mean(ordered, np.maximum(max(count // BAND, 1) + 1 - apart, 0)), anywhere),
        "linear_seriation": (_mean(ordered, apart), anywhere),
        "anti_robinson_events": (events(ordered) / triples, unequal / 2),
        "anti_robinson_deviations": (deviations(ordered) / triples, differences / 2),
    }
    criteria = {
        name: {"value": significant(value), "random": significant(random)}
        for name, (value, random) in values.items()
    }
    criteria["path_length"]["natural"] = significant(_mean(distances, apart == 1))
    return criteria


def _mean(distances, weights):
    """Return the weighted mean of the distances between two filters."""
    weights = np.triu(weights, 1)
    return (weights * distances).sum() / max(weights.sum(), 1)


def events(distances):
    """Count the anti-Robinson events of distances whose rows and columns are in order.

    Parameters
    ----------
    distances : ndarray of float64, (filters, filters)

    Returns
    -------
    int
        Of all ``i < j < k``, how often ``i`` is farther from ``j`` than from ``k``, and how often
        ``k`` is farther from ``j`` than from ``i``.
    """
    return sum(_events_right_of_diagonal(side) for side in (distances, distances[::-1, ::-1]))


def _events_right_of_diagonal(distances):
    # Zeros are above nothing: what is left of the diagonal does not count.
    right = np.triu(distances)
    return sum(inversions(right[row : row + STRIP]) for row in range(0, len(right), STRIP))


def inversions(rows):
    """Count how often the first of two numbers of a row is the larger one, in all rows together.

    Parameters
    ----------
    rows : ndarray, (rows, length)

    Returns
    -------
    int

    Examples
    --------
    >>> inversions(np.array([[1, 3, 2], [3, 2, 1], [1, 1, 1]]))
    4
    """
    count, length = 0, rows.shape[1]
    bits = (length - 1).bit_length()
    # A row's ranks, filled up to a power of two: by each bit, a half of them is an upper one.
    ranks = np.arange(1 << bits, dtype=np.uint32)[np.newaxis].repeat(len(rows), axis=0)
    order = np.argsort(rows, axis=1, kind="stable")
    np.put_along_axis(ranks, order, ranks[:, :length].copy(), axis=1)
    for bit in reversed(range(bits)):
        # In one row now: those that agree in all higher bits, in the order of the given row.
        ranks = ranks.reshape(-1, 2 << bit)
        upper = (ranks >> bit & 1).astype(bool)
        count += int(np.cumsum(upper, axis=1)[~upper].sum())
        halves = [ranks[half].reshape(-1, 1 << bit) for half in (~upper, upper)]
        ranks = np.stack(halves, axis=1)
    return count


def deviations(distances):
    """Return the sum of the differences of distances that `events` counts."""
    return sum(_deviations_right_of_diagonal(side) for side in (distances, distances[::-1, ::-1]))


def _deviations_right_of_diagonal(distances):
    # The part of x above 0 is (|x| + x) / 2. Of numbers a1, a2... am, both the sum of all
    # aj - ak and that of all |aj - ak|, which is the same of the sorted ones from the last to the
    # first, are weighted sums, with weights m - 1, m - 3... 1 - m.
    right, places = np.triu(distances), np.arange(len(distances))
    weights = 2 * places - places[:, np.newaxis] - len(distances)
    return ((np.sort(right, axis=1) - right) * weights).sum() / 2


def spread(distances):
    """Compare the distances of each filter to every two others.

    Returns
    -------
    unequal : float
        How often two of them differ, as a share.
    difference : float
        By how much, on average.
    """
    count = len(distances) - 1
    pairs = (count + 1) * count * (count - 1) // 2
    if not pairs:
        return 0.0, 0.0
    # First in each row is the filter's distance to itself.
    others = np.sort(distances, axis=1)[:, 1:]
    starts = np.ones(others.shape, bool)
    starts[:, 1:] = np.diff(others, axis=1) > 0
    runs = np.diff(np.append(np.flatnonzero(starts), others.size))
    weights = 2 * np.arange(count) - count + 1
    equal = (runs * (runs - 1)).sum() // 2
    return (pairs - equal) / pairs, (others * weights).sum() / pairs
