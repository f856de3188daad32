"""Feature maps, binarised: 255 where they are above a threshold, 0 elsewhere."""

import numpy as np


def to_binary(outputs, rule="positive", percentile=90):
    """Return 255 where a layer is above a threshold, 0 elsewhere.

    Parameters
    ----------
    outputs : ndarray
        Any shape, all values finite.
    rule : {"positive", "otsu", "percentile"} or float
        The threshold: 0; Otsu's over the whole layer; that percentile of the whole layer; or the
        number itself, in the blob's units.
    percentile : float
        In [0, 100], for the rule "percentile".

    Returns
    -------
    ndarray of uint8

    Examples
    --------
    >>> to_binary(np.array([-1.0, 0.0, 2.0]))
    array([  0,   0, 255], dtype=uint8)
    """
    return np.where(outputs > threshold(outputs, rule, percentile), 255, 0).astype(np.uint8)


def threshold(outputs, rule, percentile):
    """Return the value that `to_binary` compares with."""
    if rule == "positive":
        return 0
    if rule == "otsu":
        return _otsu(outputs)
    if rule == "percentile":
        with np.errstate(over="ignore"):
            value = np.percentile(outputs, percentile)
        # Differences of float32 may be infinite, those of the same numbers in float64 are not.
        return value if np.isfinite(value) else np.percentile(outputs.astype(float), percentile)
    return rule


def _otsu(outputs):
    from skimage.filters import threshold_otsu

    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return threshold_otsu(outputs)
    except (ValueError, IndexError):  # the second of NumPy 2.0
        # float32 has no 256 numbers between values that are nearly equal or far apart.
        return threshold_otsu(outputs.astype(float))
