"""How much one neuron depends on each filter: the norm of the gradient at its weights."""

import numpy as np

from cnnvis.core.files import write_csv
from cnnvis.gradients.norms import filter_norms
from cnnvis.importance.filter_importance_figure import draw_importance


def write_importance(table, picture, gradient, *, layer, title, orders=None):
    """Write the importance of each filter of a layer as a table and a picture.

    Parameters
    ----------
    table : str or Path
        CSV with the columns rank (1 is the most important; the lower filter at a tie), filter,
        norm, and share (of the sum of norms; 0 where that is 0).
    picture : str or Path
        PNG: the study's map, and the norms sorted.
    gradient : ndarray, (filters, ...)
        Of the neuron with respect to the layer's weights, all values finite.
    layer, title : str
    orders : dict of str to dict, optional
        Further orders of the filters in which the picture has the map, too.
    """
    norms = filter_norms(gradient)
    total = norms.sum() or 1.0
    rows = [
        (rank, index, f"{norms[index]:.9g}", f"{norms[index] / total:.6g}")
        for rank, index in enumerate(np.argsort(-norms, kind="stable"), 1)
    ]
    write_csv(table, ("rank", "filter", "norm", "share"), rows)
    draw_importance(picture, norms, layer=layer, title=title, orders=orders)
