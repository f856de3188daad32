"""Feature maps, binarised: 255 where they are above a threshold, 0 elsewhere."""

import numbers

import numpy as np

from cnnvis.core.errors import UserError

RULES = ("positive", "otsu", "percentile")


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

    Raises
    ------
    UserError
        If the rule is none of these.

    Examples
    --------
    >>> to_binary(np.array([-1.0, 0.0, 2.0]))
    array([  0,   0, 255], dtype=uint8)
    """
    return np.where(outputs > _threshold(outputs, rule, percentile), 255, 0).astype(np.uint8)


def _threshold(outputs, rule, percentile):
    if isinstance(rule, numbers.Real) and not isinstance(rule, bool) and np.isfinite(rule):
        return rule
    if rule == "positive":
        return 0
    if rule == "otsu":
        from skimage.filters import threshold_otsu

        return threshold_otsu(outputs)
    if rule == "percentile":
        if not 0 <= percentile <= 100:
            raise UserError(f"volumes: percentile {percentile} is not between 0 and 100")
        return np.percentile(outputs, percentile)
    expected = ", ".join(RULES)
    raise UserError(f"volumes: binarise '{rule}' is unknown, expected {expected} or a number")
