"""How much one neuron depends on each filter: the norm of the gradient at its weights."""

import numpy as np

from cnnvis.core.files import write_csv
from cnnvis.gradients.norms import filter_norms
from cnnvis.importance.filter_importance_figure import draw_importance


def write_importance(table, picture, gradient, *, layer, title):
    """Write the importance of each filter of a layer as a table and a picture.

    Parameters
    ----------
    table : str or Path
        CSV with the columns rank (1 is the most important), filter, norm, and share (of the sum
        of norms).
    picture : str or Path
        PNG: the study's map, and the norms sorted.
    gradient : ndarray, (filters, ...)
        Of the neuron with respect to the layer's weights, all values finite.
    layer, title : str
    """
    norms = filter_norms(gradient)
    rows = ((rank, index, f"{n:.9g}", f"{s:.6g}") for rank, index, n, s in rank_filters(norms))
    write_csv(table, ("rank", "filter", "norm", "share"), rows)
    draw_importance(picture, norms, layer=layer, title=title)


def rank_filters(norms):
    """Return ``[(rank, filter, norm, share)]``, most important first, lower filter at a tie.

    Shares are of the sum of all norms; all 0 where that is 0.
    """
    total = norms.sum() or 1.0
    order = np.argsort(-norms, kind="stable")
    return [
        (rank, int(index), float(norms[index]), float(norms[index] / total))
        for rank, index in enumerate(order, 1)
    ]
