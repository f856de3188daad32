"""Whether slices agree on the order of filters: a PCA of every row of a layer, compared.

The study says of its slices: "the order from different slices were different, though consecutive
slices produced almost similar ordering". Here every row of a layer's feature maps is ordered, and
every pair of orders compared by Spearman's rank correlation.
"""

import warnings

import numpy as np

from cnnvis.activations.rank_correlations import spearman
from cnnvis.activations.slices import PCA
from cnnvis.activations.slices_figure import draw_stability
from cnnvis.core.arrays import significant
from cnnvis.core.files import safe_name, write_json

# ASSUME: the study gives no numbers for its claim. Orders are almost the same where they correlate
# at 0.9 or more, and different where their ranks share less than half of their variance, at 0.7. On
# the study's conv1, rows next to each other correlate at 0.955, rows 40 apart at 0.38.
ALMOST_THE_SAME = 0.9
DIFFERENT = 0.7
# Rows further apart than this part of the height are too few for a median.
FAR = 0.75


def make_stability(files, feature_maps, method, *, layer, blob, title):
    """Order every row of a layer, compare the orders; write a picture and the numbers.

    Parameters
    ----------
    files : Places
        Of the image. Written are ``slice stability`` and ``slice stability picture``.
    feature_maps : ndarray, (filters, height, width)
        All values finite.
    method : {"study", "scikit-learn"}
        Whose PCA it is.
    layer, blob : str
        The convolution and its blob.
    title : str
        What the picture's title begins with.
    """
    correlations = correlate_rows(feature_maps, method)
    medians = medians_by_distance(correlations)
    holds, sentence = judge(medians)
    name = safe_name(layer)
    report = {
        "layer": layer,
        "blob": blob,
        "method": method,
        "rows": len(correlations),
        "medians": [None if np.isnan(median) else significant(median) for median in medians],
        "holds": holds,
        "sentence": sentence,
    }
    picture = files("slice stability picture", layer=name)
    draw_stability(picture, correlations, medians, sentence, title)
    write_json(files("slice stability", layer=name), report)


def correlate_rows(feature_maps, method):
    """Return the Spearman correlation between the orders of every two rows.

    Parameters
    ----------
    feature_maps : ndarray, (filters, height, width)
    method : {"study", "scikit-learn"}

    Returns
    -------
    ndarray of float64, (height, height)
        NaN where a row has no order, because all filters are equal in it.
    """
    from threadpoolctl import threadpool_limits

    # An order by PCA does not depend on the scale of the layer.
    rows = np.moveaxis(feature_maps, 1, 0).astype(np.float64)
    with threadpool_limits(1):
        projections = [PCA[method](values)[1]["projections"] for values in rows]
    return spearman(projections)


def medians_by_distance(correlations):
    """Return the median correlation of rows that are 1, 2... rows apart, (height - 1,).

    Rows without an order do not count; where none is left, the median is NaN.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a median of nothing
        return np.array(
            [np.nanmedian(np.diagonal(correlations, d)) for d in range(1, len(correlations))]
        )


def judge(medians):
    """Return whether the study's claim holds, or None if that cannot be said, and a sentence.

    Compared are rows next to each other, and rows as far apart as their orders differ most, which
    is at most `FAR` of the layer's height.

    Parameters
    ----------
    medians : ndarray, (height - 1,)
        Of `medians_by_distance`.
    """
    compared = medians[: int(FAR * (len(medians) + 1))]
    if np.isfinite(compared).sum() < 2 or np.isnan(compared[0]):
        return None, "Too few rows of this layer have an order to compare."
    far = int(np.nanargmin(compared))
    same, different = compared[0] >= ALMOST_THE_SAME, compared[far] < DIFFERENT
    nearby = "almost the same order" if same else "different orders"
    distant = f"rows {far + 1} apart {'different' if different else 'similar'} orders"
    verdict = "holds" if same and different else "does not hold"
    return bool(same and different), (
        f"Consecutive rows have {nearby} (median Spearman correlation {compared[0]:.3f}), "
        f"{distant} ({compared[far]:.3f}): that orders differ between slices, but hardly between "
        f"consecutive ones, {verdict} here."
    )
