"""What the study did with the rows of a slice: its PCA, its k-means clustering, its drawing.

Each function takes a slice as a matrix, one row per filter, scaled to 0..1 over the whole *layer*:
the stopping rule of k-means is a number in these units. With the outputs of conv1 that the study
published, the pictures that it published come out row by row (see the tests).
"""

import numpy as np

from cnnvis.activations.orderings import order_by_pca

SEED = 123
STARTS = 1000
# Lloyd's iterations end when the mean distance falls by no more than this: SciPy's `thresh`.
THRESHOLD = 1e-5
# ASSUME: starts whose mean distances differ by less than this part have found the same clusters,
# and rounding alone decides which of them is less; so the first of them counts.
SAME = 1e-9
# Below this part of a row's squared length, a squared distance is rounding, and 0.
ROUNDING = 1e-12
# Rows are 0 to 1: a centroid here is never the nearest one.
FAR = 1e6
# Numbers of one array that are worked on at a time: 0.8 MB stay in the processor's cache.
CHUNK = 100_000


def order_by_standardised_pca(rows):
    """Order the rows of a slice along the first principal direction of standardised columns.

    As ``matplotlib.mlab.PCA`` did in 2016, every column is centred and divided by its standard
    deviation (of the population) first; a column of equal numbers contributes nothing. Rows are
    sorted by the projections of the standardised rows, ascending, equal ones by filter number.

    This is `cnnvis.activations.orderings.order_by_pca` of the columns divided by their standard
    deviations: that they are not centred adds one number to all projections. So its rule for the
    direction's sign holds, from weak to strong, which is the sign of the study's picture.

    Parameters
    ----------
    rows : ndarray of float64, (filters, width)

    Returns
    -------
    permutation, numbers
        See `cnnvis.activations.orderings.order_by_pca`.
    """
    varied = np.ptp(rows, axis=0) > 0
    return order_by_pca(np.divide(rows, rows.std(axis=0), out=np.zeros_like(rows), where=varied))


def cluster_as_scipy_2016(rows, k, seed=SEED, starts=STARTS):
    """Cluster the rows of a slice as ``scipy.cluster.vq.kmeans`` did in 2016.

    A start draws `k` rows *with replacement*. Lloyd's iterations follow until the mean distance
    (not squared) to the nearest centroid falls by at most `THRESHOLD`; a centroid without members
    is dropped. The start of the least mean distance wins, the first of equal ones. SciPy's loop
    measures the distance *before* it moves the centroids and returns those moved last; the labels
    are by the nearest of these, the first of equally near ones.

    Parameters
    ----------
    rows : ndarray of float64, (filters, width)
        Scaled to 0..1 over the layer.
    k : int
        Number of clusters; fewer come out where centroids lose their members.
    seed : int or numpy.random.RandomState
        Starts draw from it one after the other.
    starts : int

    Returns
    -------
    labels : ndarray of int, (filters,)
        Cluster of each row; clusters are numbered as the centroids that remain, in the order in
        which the winning start drew them.
    distance : float
        The mean distance of the winning start.
    """
    random = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
    draws = random.randint(0, len(rows), (starts, k))
    at_once = max(1, CHUNK // (k * max(rows.shape)))
    distances, books = [], []
    for first in range(0, starts, at_once):
        centroids, distance = _iterate(rows, rows[draws[first : first + at_once]])
        least = _first_least(distance)
        distances.append(distance[least])
        books.append(centroids[least])
    winner = _first_least(np.array(distances))
    nearest, _ = _nearest(rows, books[winner][np.newaxis])
    return np.unique(nearest[0], return_inverse=True)[1], float(distances[winner])


def draw_as_study(values, permutation, sizes):
    """Return a clustered slice as the study drew it: a white bar *replaces* a row.

    There are as many lines as filters. The first row of each cluster but the first is missing;
    where it should be is a bar. Of a cluster of one filter only the bar is seen.

    Parameters
    ----------
    values : ndarray, (filters, width)
        The slice, from 0 to 1.
    permutation : sequence of int, (filters,)
        Rows of one cluster are together.
    sizes : sequence of int, (clusters,)

    Returns
    -------
    ndarray of float64, (filters, width)
        In the new order, bars being 1.

    Examples
    --------
    >>> draw_as_study(np.array([[0.5], [0.1], [0.6], [0.2]]), [1, 3, 0, 2], [2, 2]).ravel()
    array([0.1, 0.2, 1. , 0.6])
    """
    lines = values[np.asarray(permutation)].astype(float)
    lines[np.cumsum(sizes)[:-1]] = 1
    return lines


def _first_least(distances):
    return int(np.argmax(distances <= distances.min() * (1 + SAME)))


def _iterate(rows, centroids):
    """Return the last centroids and mean distances of several starts.

    Parameters
    ----------
    rows : ndarray, (filters, width)
    centroids : ndarray, (starts, k, width)

    Returns
    -------
    centroids : ndarray, (starts, k, width)
        `FAR` where a centroid was dropped.
    distances : ndarray, (starts,)
    """
    final, distances = np.empty_like(centroids), np.full(len(centroids), np.inf)
    numbers = np.arange(centroids.shape[1])[:, np.newaxis]
    active = np.arange(len(centroids))
    while len(active):
        labels, distance = _nearest(rows, centroids)
        members = (labels[:, np.newaxis] == numbers).astype(float)
        sizes = members.sum(axis=2, keepdims=True)
        # In place here and below: new arrays of this size cost as much as the arithmetic.
        centroids = members @ rows
        centroids /= np.maximum(sizes, 1)
        centroids += FAR * (sizes == 0)
        goes_on = distances[active] - distance > THRESHOLD
        final[active], distances[active] = centroids, distance
        active, centroids = active[goes_on], centroids[goes_on]
    return final, distances


def _nearest(rows, centroids):
    """Return the nearest centroid of each row, (starts, filters), and mean distances, (starts,)."""
    own = (rows**2).sum(axis=1)
    # |x - c|^2 = |x|^2 - 2 x c + |c|^2, by one matrix product.
    relative = centroids @ (-2 * rows.T)
    relative += np.einsum("skw,skw->sk", centroids, centroids)[..., np.newaxis]
    labels = relative.argmin(axis=1)
    squares = own + np.take_along_axis(relative, labels[:, np.newaxis], axis=1)[:, 0]
    return labels, np.sqrt(np.where(squares > ROUNDING * own, squares, 0)).mean(axis=1)
