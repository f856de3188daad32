"""The study's analysis of one slice: one row of every feature map, put in order.

The slice of row ``r`` is the matrix (filters, width) of ``feature_maps[:, r, :]``: horizontally the
image's columns, vertically the filters. K-means and PCA order its rows; a picture shows the slice
before and after. There are two methods, the study's and the one of scikit-learn.
"""

import numpy as np

from cnnvis.activations import orderings
from cnnvis.activations.slices_figure import draw_clusters, draw_pca
from cnnvis.activations.study_slices import cluster_as_scipy_2016, order_by_standardised_pca
from cnnvis.core.arrays import cluster_numbers, significant, to_unit_range
from cnnvis.core.files import safe_name, write_json

SECOND_STARTS = 20


def make_slice(files, feature_maps, row, slices, *, layer, blob, title):
    """Cluster and order the rows of one slice; write a picture of each and the numbers.

    Parameters
    ----------
    files : Places
        Of the image. Written are ``slice clusters`` for each number of clusters, ``slice pca`` and
        ``slice numbers``, a JSON with every permutation and its numbers.
    feature_maps : ndarray, (filters, height, width)
        All values finite.
    row : int
        Which row of the feature maps, from 0 at the top.
    slices : dict
        See `order_slice`.
    layer, blob : str
        The convolution and its blob.
    title : str
        What the pictures' titles begin with.
    """
    values = feature_maps[:, row, :].astype(np.float64)
    where, title = {"layer": safe_name(layer), "row": row}, f"{title}, row {row}"
    orders = order_slice(feature_maps, row, slices)
    for k, numbers in orders["kmeans"].items():
        picture = files("slice clusters", k=k, **where)
        # The study's script draws clusters of one clustering only.
        as_study = slices["method"] == "study" and k.isdigit()
        draw_clusters(picture, values, numbers, title, k, as_study=as_study)
    draw_pca(files("slice pca", **where), values, orders["pca"], title)
    numbers = {
        "layer": layer,
        "blob": blob,
        "row": row,
        "filters": values.shape[0],
        "width": values.shape[1],
        **{key: slices[key] for key in ("method", "seed", "starts", "cluster_order")},
        "neighbour_distance": significant(orderings.neighbour_distance(values)),
        **orders,
    }
    write_json(files("slice numbers", **where), numbers)


def order_slice(feature_maps, row, slices):
    """Cluster and order the rows of one slice.

    Parameters
    ----------
    feature_maps : ndarray, (filters, height, width)
    row : int
    slices : dict
        ``method``, "study" or "scikit-learn"; ``k``, the numbers of clusters, each at most that of
        filters, or as "20x5" (see `cluster_rows`); ``seed`` and ``starts`` of k-means;
        ``cluster_order``, "labels" or "similarity".

    Returns
    -------
    dict
        Ready for JSON: ``kmeans``, by numbers of clusters as str, and ``pca``; each with its
        ``permutation``, the mean distance of neighbours in it, and what the method has to say.
    """
    from threadpoolctl import threadpool_limits

    values = feature_maps[:, row, :].astype(np.float64)
    rows = rows_of(feature_maps, row, slices["method"])
    # One thread, as in `cnnvis.activations.orderings.order`.
    with threadpool_limits(1):
        kmeans = {str(k): cluster_rows(rows, k, slices) for k in slices["k"]}
        pca = PCA[slices["method"]](rows)
    return {
        "kmeans": {k: _describe(values, *outcome) for k, outcome in kmeans.items()},
        "pca": _describe(values, *pca),
    }


def rows_of(feature_maps, row, method):
    """Return a slice as float64, (filters, width), in the scale in which a method takes it.

    The study's is 0 to 1 over the whole layer, on which the stopping rule of its k-means depends.
    """
    maps = feature_maps.astype(np.float64)
    return (to_unit_range(maps) if method == "study" else maps)[:, row]


def cluster_rows(rows, k, slices):
    """Put the rows of a slice that are in one cluster together.

    With `k` as "20x5" the rows are clustered into 20, and the means of these clusters into 5 by
    `SECOND_STARTS` starts that go on with the same random numbers. The report says no more than "20
    X 5 Means", but its picture comes out so, row by row: SciPy's own number of starts was 20.

    Clusters stand in the order in which the method numbers them, which is that of the winning
    start's draws in the study's, and from weak to strong in scikit-learn's; or so that clusters
    with similar means are neighbours (`cnnvis.activations.arrangements`).

    Parameters
    ----------
    rows : ndarray of float64, (filters, width)
    k : int or str
    slices : dict
        See `order_slice`.

    Returns
    -------
    permutation : ndarray of int, (filters,)
        Rows of a cluster of a cluster are together too; else they keep their natural order.
    numbers : dict
        ``labels``, the cluster of each filter, numbered in the order shown; ``sizes`` of the
        clusters; of the first clustering the mean ``distance`` (study) or the ``inertia``, and
        where its clusters were clustered, its own labels, ``parts``.
    """
    function, measure = KMEANS[slices["method"]]
    random, arrange = np.random.RandomState(slices["seed"]), ARRANGE[slices["cluster_order"]]
    count, *fewer = cluster_numbers(k)
    labels, value = function(rows, count, random, slices["starts"])
    parts = labels = arrange(rows, labels)
    for count in fewer:
        means = _means(rows, parts)
        groups, _ = function(means, min(count, len(means)), random, SECOND_STARTS)
        labels = arrange(rows, groups[parts])
    return np.lexsort((parts, labels)), {
        "labels": labels.tolist(),
        "sizes": np.bincount(labels).tolist(),
        measure: significant(value),
        **({"parts": parts.tolist()} if fewer else {}),
    }


def _means(rows, labels):
    return np.array([rows[labels == label].mean(axis=0) for label in range(labels.max() + 1)])


def _as_labelled(_rows, labels):
    return labels


def _by_similarity(rows, labels):
    order, _ = orderings.order(_means(rows, labels), "leaf")
    return np.argsort(order)[labels]


def _describe(values, permutation, numbers):
    distance = significant(orderings.neighbour_distance(values[permutation]))
    return {"permutation": permutation.tolist(), "neighbour_distance": distance, **numbers}


ARRANGE = {"labels": _as_labelled, "similarity": _by_similarity}
# By method: the function that clusters, and what the number is that it returns; PCA.
KMEANS = {
    "study": (cluster_as_scipy_2016, "distance"),
    "scikit-learn": (orderings.cluster, "inertia"),
}
PCA = {"study": order_by_standardised_pca, "scikit-learn": orderings.order_by_pca}
