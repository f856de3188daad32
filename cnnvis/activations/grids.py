"""All feature maps of a layer in one picture."""

import numpy as np

from cnnvis.core.colours import Colours
from cnnvis.core.sheets import draw_sheet

# A few outliers would leave everything else black.
WHITE = 99.8
# Of most layers behind a ReLU, half of the values are below a twentieth of the largest: on a linear
# scale they are black.
GAMMA = 0.5
# How many filters a caption names.
NAMED = 12


def draw_grid(picture, feature_maps, permutation, *, layer, method, title, note=""):
    """Draw all feature maps of one layer, numbered, in one grey scale; constant ones crossed out.

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
    colours = grey_scale(feature_maps)
    low, high = colours.low, colours.high
    count, height, width = feature_maps.shape
    # A map of one value is no more constant than any other.
    dead = np.flatnonzero((np.ptp(feature_maps, axis=(1, 2)) == 0) & (height * width > 1))
    share = f", which {100 - WHITE:.1f} % of the values exceed" if colours.extend == "max" else ""
    curve = " Grey is the square root of the share between (gamma 0.5)." * (colours.gamma != 1)
    draw_sheet(
        picture,
        feature_maps[permutation],
        permutation,
        title=title,
        caption=f"The feature maps of the {count} filters of layer {layer} ({width} x {height} "
        f"values each), in the order '{method}'. {note + ' ' if note else ''}The number above "
        "each is the filter's. All have one grey scale: "
        f"black is {low:.3g}, the layer's minimum, and white is {high:.3g}{share}.{curve}"
        f"{_of_dead(dead)}",
        label="activation",
        colours=colours,
        crossed=np.flatnonzero(np.isin(permutation, dead)),
    )


def _of_dead(dead):
    """Return what a caption says of filters that are crossed out."""
    if not len(dead):
        return ""
    named = ", ".join(map(str, dead[:NAMED]))
    more = f" and {len(dead) - NAMED} more" if len(dead) > NAMED else ""
    return f" Crossed out: constant, so no response to this image (filters {named}{more})."


def grey_scale(outputs):
    """Return the grey scale of filter outputs on which weak responses show, a `Colours`.

    Its ends are `grey_limits`. Of outputs that are not negative, grey is the square root of the
    share between them; others are near neither end, and their scale is linear.
    """
    low, high, extend = grey_limits(outputs)
    return Colours("gray", low, high, extend, GAMMA if low >= 0 else 1)


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
