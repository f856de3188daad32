"""How strong the gradient at each filter is."""

import numpy as np


def filter_norms(gradient):
    """Return the L2 norm of each filter's gradient.

    Parameters
    ----------
    gradient : ndarray, (filters, ...)

    Returns
    -------
    ndarray of float64, (filters,)

    Examples
    --------
    >>> filter_norms(np.array([[[3.0, 4.0]], [[0.0, 0.0]]]))
    array([5., 0.])
    """
    rows = np.asarray(gradient, np.float64).reshape(len(gradient), -1)
    return np.linalg.norm(rows, axis=1)
