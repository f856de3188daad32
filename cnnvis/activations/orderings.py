"""Orders of a layer's filters in which neighbours look alike.

Each method takes a matrix of the filters' feature maps, one row per filter, and their mean outputs,
and returns a permutation: ``permutation[i]`` is the filter that stands at place ``i``. A method is
added by one function and one entry of `METHODS`, or of those of `cnnvis.activations.arrangements`
where it needs distances only.

- ``natural``: as the network has them.
- ``kmeans``: filters of a cluster together; clusters from weak to strong.
- ``pca``: along the first principal direction, as in the study, from weak to strong.
- ``leaf``, ``shortest``, ``spectral``: by the distances between filters.
"""

import warnings

import numpy as np

from cnnvis.activations import arrangements
from cnnvis.activations.criteria import judge
from cnnvis.activations.distances import MapSums
from cnnvis.activations.rank_correlations import correlate, places
from cnnvis.core.arrays import check_finite, significant
from cnnvis.core.errors import UserError

STARTS = 10
LARGEST = 1e150
"""Far beyond float32, in which networks compute."""
# A caption names at most so many images.
LISTED = 6


def describe_order(matrix, subject, method, sums=None, **parameters):
    """Order the filters of one layer, and say what the order is like.

    Parameters
    ----------
    matrix : ndarray of float64, (filters, pixels)
        See `order`.
    subject : dict
        What the rows are: the ``blob`` of feature maps, or the ``neuron`` of gradients; of a shared
        ordering ``over``, the images, or the collection and how many ``images`` it has.
    method, sums
        See `order`.
    **parameters
        ``k`` and ``seed`` for kmeans; ``metric`` for the methods of
        `cnnvis.activations.arrangements`.

    Returns
    -------
    dict
        Ready for JSON: method, parameters, subject, permutation, the mean distance of neighbours in
        this and in the network's order, and the method's own numbers. Of feature maps, where there
        are `sums`, also ``criteria`` (see `cnnvis.activations.criteria.judge`) by the Euclidean
        distances, whatever the metric of the order, so that all orders are judged alike; and
        ``mean_output``, the rank correlations of the places of filters with their mean outputs.
    """
    permutation, numbers = order(matrix, method, sums, **parameters)
    return {
        "method": method,
        "parameters": parameters,
        **subject,
        "permutation": permutation.tolist(),
        "neighbour_distance": {
            "ordered": significant(neighbour_distance(matrix[permutation])),
            "natural": significant(neighbour_distance(matrix)),
        },
        **numbers,
        **(judge_order(permutation, sums) if sums and "blob" in subject else {}),
    }


def judge_order(permutation, sums):
    """Return ``criteria`` and ``mean_output`` of an order of feature maps, see `describe_order`.

    Parameters
    ----------
    permutation : sequence of int, (filters,)
    sums : MapSums

    Returns
    -------
    dict
    """
    return {
        "criteria": judge(sums.distances("euclidean"), permutation),
        "mean_output": correlate(places(permutation), sums.means),
    }


def provenance(order):
    """Say in a sentence what an order was made of, if not of the feature maps shown.

    Parameters
    ----------
    order : dict
        Of `describe_order`.

    Returns
    -------
    str
        Empty for an image's own feature maps.

    Examples
    --------
    >>> provenance({"blob": "conv1", "over": ["cat", "coffee"]})
    'The order is that of the feature maps for cat and coffee together.'
    >>> provenance({"neuron": 281})
    'The order is that of the gradients of neuron 281 for this image.'
    """
    what = f"the gradients of neuron {order['neuron']}" if "neuron" in order else "the feature maps"
    over = order.get("over")
    if isinstance(over, str):
        return f"The order is that of {what} for {order['images']} images of {over} together."
    if over:
        last = over[-1] if len(over) <= LISTED else f"{len(over) - LISTED + 1} more"
        images = " and ".join(filter(None, [", ".join(over[:-1][: LISTED - 1]), last]))
        return f"The order is that of {what} for {images}{' together' if over[1:] else ''}."
    return f"The order is that of {what} for this image." if "neuron" in order else ""


def order(matrix, method, sums=None, **parameters):
    """Order the rows of a matrix.

    Parameters
    ----------
    matrix : ndarray of float64, (filters, pixels)
        The feature maps, or the gradients, one row per filter; or points that are as far from each
        other and from 0, see `cnnvis.activations.distances.MapSums.points`.
    method : str
        A key of `METHODS` or of `cnnvis.activations.arrangements.METHODS`.
    sums : MapSums, optional
        Of the feature maps, needed where the matrix does not have them.
    **parameters
        The method's.

    Returns
    -------
    permutation : ndarray of int, (filters,)
    numbers : dict
        What the method has to say, ready for JSON.

    Raises
    ------
    UserError
        If the matrix has NaN, infinity or numbers above `LARGEST`.
    """
    check_finite(matrix, "the feature maps to order")
    largest = np.abs(matrix).max(initial=0)
    if largest > LARGEST:
        raise UserError(
            f"the feature maps to order: values up to {largest:g}, expected at most {LARGEST:g}: "
            "the squares of larger ones are infinite"
        )
    from threadpoolctl import threadpool_limits

    # One thread: the order of a parallel sum varies, and with it the last digits; and a job of
    # many beside each other is slower, not faster, when each spreads over all processors.
    with threadpool_limits(1):
        if method in arrangements.METHODS:
            sums = sums or MapSums(len(matrix)).add(matrix)
            return arrangements.arrange(sums, method, **parameters)
        return METHODS[method](matrix, means=sums and sums.means, **parameters)


def order_naturally(matrix, means=None):
    """Keep the order of the network; see `order`."""
    return np.arange(len(matrix)), {}


def order_by_pca(matrix, means=None):
    """Order rows along the first principal direction, ascending, as the study did.

    The matrix is centred across filters, its first principal direction taken, and the *uncentred*
    rows are projected on it. Equal rows (dead filters, say) keep their natural order.

    The direction's sign is arbitrary; here it is the one for which the mean row has a positive
    projection. Outputs after a ReLU are not negative, so the order then runs from filters that
    respond weakly to filters that respond strongly, as it does in the study's figures. Where the
    mean row is orthogonal to the direction, the projection of the largest magnitude is positive.

    Parameters
    ----------
    matrix : ndarray of float64, (filters, pixels)
    means
        Not used: the projections say which filters are weak.

    Returns
    -------
    permutation : ndarray of int, (filters,)
    numbers : dict
        ``projections`` of each filter (natural order) and the ``explained_variance`` ratios of
        the leading directions.
    """
    direction, ratios = principal_direction(matrix)
    projections = matrix @ direction
    return np.argsort(projections, kind="stable"), {
        "projections": [significant(value) for value in projections],
        "explained_variance": [significant(value) for value in ratios[:5]],
    }


def principal_direction(matrix):
    """Return the first principal direction of rows, signed as `order_by_pca` says.

    Parameters
    ----------
    matrix : ndarray of float64, (filters, pixels)

    Returns
    -------
    direction : ndarray, (pixels,)
        Of length 1, or zeros where all rows are equal.
    ratios : ndarray, (filters,)
        Share of the variance along each principal direction, descending.
    """
    mean = matrix.mean(axis=0)
    centred = matrix - mean
    ratios = np.zeros(len(matrix))
    if 2 * len(mean) < len(matrix):
        values, vectors = np.linalg.eigh(centred.T @ centred)
        direction = vectors[:, -1]
        along, length = _unit(centred @ direction)
    else:
        # The Gram matrix (filters x filters) has the same spectrum as the covariance of thousands
        # of pixels: 96 x 96 instead of 3025 x 3025 for conv1.
        values, vectors = np.linalg.eigh(centred @ centred.T)
        along = vectors[:, -1]
        direction, length = _unit(centred.T @ along)
    # Rounding of equal rows leaves a direction of noise.
    if length <= 1e-12 * np.linalg.norm(matrix):
        return np.zeros_like(mean), ratios
    along_mean = mean @ direction
    if abs(along_mean) <= 1e-9 * np.linalg.norm(mean):
        # Of magnitudes that differ by rounding only, the first filter's counts.
        magnitudes = np.abs(along)
        along_mean = along[np.argmax(magnitudes > (1 - 1e-9) * magnitudes.max())]
    values = np.maximum(values[::-1], 0)
    ratios[: len(values)] = values / values.sum()
    return direction * np.copysign(1.0, along_mean), ratios


def _unit(vector):
    """Return a vector scaled to length 1, if it has a length, and this length."""
    length = np.linalg.norm(vector)
    return vector / (length or 1), length


def order_by_kmeans(matrix, k=10, seed=0, means=None):
    """Put rows of one cluster together.

    Clusters stand in the order of the mean output of their members, ascending (weak to strong,
    like `order_by_pca`), then of their first filter; members keep their natural order.

    Parameters
    ----------
    matrix : ndarray of float64, (filters, pixels)
    k : int
        Number of clusters, at most that of rows; fewer come out where fewer rows are distinct.
    seed : int
    means : ndarray of float64, (filters,), optional
        The filters' mean outputs, by default those of the rows.

    Returns
    -------
    permutation : ndarray of int, (filters,)
    numbers : dict
        ``labels`` (cluster of each filter, natural order), ``sizes`` of the clusters and their
        ``inertia`` (sum of squared distances to the centres).
    """
    labels, inertia = cluster(matrix, k, seed, means=means)
    return np.argsort(labels, kind="stable"), {
        "labels": labels.tolist(),
        "sizes": np.bincount(labels).tolist(),
        "inertia": significant(inertia),
    }


def cluster(matrix, k, seed, starts=STARTS, means=None):
    """Cluster rows by k-means as scikit-learn does, the best of seeded starts.

    Parameters
    ----------
    matrix : ndarray of float64, (filters, pixels)
    k, starts : int
    seed : int or numpy.random.RandomState
    means : ndarray of float64, (filters,), optional
        See `order_by_kmeans`.

    Returns
    -------
    labels : ndarray of int, (filters,)
        Cluster of each row; clusters are numbered in the order that `order_by_kmeans` gives them.
    inertia : float
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Fewer distinct rows than k (dead filters) is no mistake: clusters then stay empty.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(k, n_init=starts, random_state=seed).fit(matrix)
    _, firsts, labels = np.unique(model.labels_, return_index=True, return_inverse=True)
    means = matrix.mean(axis=1) if means is None else means
    outputs = [means[labels == cluster].mean() for cluster in range(len(firsts))]
    ranks = np.argsort(np.lexsort((firsts, outputs)))
    return ranks[labels], float(model.inertia_)


def neighbour_distance(matrix):
    """Return the mean Euclidean distance between successive rows, 0 for a single row."""
    steps = np.linalg.norm(np.diff(matrix, axis=0), axis=1)
    return float(steps.mean()) if len(steps) else 0.0


METHODS = {"natural": order_naturally, "kmeans": order_by_kmeans, "pca": order_by_pca}
