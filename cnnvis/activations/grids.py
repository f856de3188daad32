"""All feature maps of a layer in one picture."""

import numpy as np

from cnnvis.core.colours import Colours
from cnnvis.core.sheets import draw_sheet

# A few outliers would leave everything else black.
WHITE = 99.8


def draw_grid(picture, feature_maps, permutation, *, layer, method, title, note=""):
    """Draw all feature maps of one layer, numbered, in one grey scale.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    feature_maps : ndarray, (filters, height, width)
        All values finite.
    permutation : sequence of int, (filters,)
        Which filter is at each position.
    layer, method, title : str
        The method of the ordering is named in the caption.
    note : str, optional
        What else the caption says of the ordering.
    """
    low, high, extend = grey_limits(feature_maps)
    count, height, width = feature_maps.shape
    share = f", which {100 - WHITE:.1f} % of the values exceed" if extend == "max" else ""
    draw_sheet(
        picture,
        feature_maps[permutation],
        permutation,
        title=title,
        caption=f"The feature maps of the {count} filters of layer {layer} ({width} x {height} "
        f"values each), in the order '{method}'. {note + ' ' if note else ''}The number above "
        "each is the filter's. All have one grey scale: "
        f"black is {low:.3g}, the layer's minimum, and white is {high:.3g}{share}.",
        label="activation",
        colours=Colours("gray", low, high, extend),
    )


def grey_limits(outputs):
    """Return ``(low, high, extend)`` of the grey scale of filter outputs.

    `low` is the minimum; `high` the `WHITE` percentile, or the maximum where that is not above
    the minimum. `extend` is the colour bar's: "max" where values lie above `high`.
    """
    low, top = float(outputs.min()), float(outputs.max())
    high = float(np.percentile(outputs, WHITE))
    if high <= low:
        high = top
    if high <= low:
        return low, low + 1, "neither"
    return low, high, "max" if top > high else "neither"
