"""Rank correlations: whether two orders of the same filters agree.

They are those of `scipy.stats`, which takes longer to import than to compute them. Both are 1 for
equal orders, -1 for an order and its reverse, and 0 on average for orders that have nothing to do
with each other.
"""

import numpy as np

from cnnvis.core.arrays import significant


def rank(values):
    """Return the rank of each value from 0, equal ones having the mean of theirs.

    >>> rank([0.5, 0.1, 0.5])
    array([1.5, 0. , 1.5])
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[places]


def spearman(rows):
    """Return Spearman's correlation of every two rows: that of their ranks.

    Parameters
    ----------
    rows : array_like, (rows, filters)
        Values of the same filters.

    Returns
    -------
    ndarray of float64, (rows, rows)
        NaN where all values of a row are equal.
    """
    ranks = np.array([rank(values) for values in rows])
    return _cosines(ranks - ranks.mean(axis=1, keepdims=True))


def kendall(rows):
    """Return Kendall's correlation of every two rows: that of the signs of all differences.

    Parameters and result are those of `spearman`; equal values count as in Kendall's tau-b.
    """
    ranks = np.array([rank(values) for values in rows])
    first, second = np.triu_indices(ranks.shape[1], 1)
    # The products are whole numbers, which float32 holds exactly up to 5793 filters.
    return _cosines(np.sign(ranks[:, first] - ranks[:, second]).astype(np.float32))


def _cosines(vectors):
    products = (vectors @ vectors.T).astype(np.float64)
    lengths = np.sqrt(np.diagonal(products))
    lengths = np.where(lengths > 0, lengths, np.nan)
    return products / np.outer(lengths, lengths)


def places(permutation):
    """Return the place of each filter in an order.

    >>> places([2, 0, 1])
    array([1, 2, 0])
    """
    return np.argsort(permutation)


def correlate(first, second):
    """Return Spearman's and Kendall's correlation of two rows, ready for JSON.

    Returns
    -------
    dict
        ``spearman`` and ``kendall``: float, or None where all values of a row are equal.
    """
    values = {kind: function([first, second])[0, 1] for kind, function in CORRELATIONS.items()}
    return {kind: None if np.isnan(x) else significant(x) for kind, x in values.items()}


CORRELATIONS = {"spearman": spearman, "kendall": kendall}
