"""Colours of text and groups, and colour maps as tables, without matplotlib.

``colours.json`` holds each map as the base64 of 256 x 3 bytes (RGB). They are matplotlib's maps,
rounded: ``np.rint(255 * matplotlib.colormaps[name](range(256))[:, :3])``; a test compares them.
"ice and fire" is this project's own: the usual diverging maps are white in the middle, which turns
to grey fog when voxels glow before a dark background, whereas this one is dark there and bright at
both ends. It interpolates linearly between five colours.
"""

import base64
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

INK = "#1a1a1a"
GREY = "#595959"
LIGHT_GREY = "#b3b3b3"
BLUE = "#3b6fa0"
GREEN = "#7a9a4f"
ORANGE = "#b5743b"
GROUP_COLOURS = {"reference": BLUE, "similar": GREEN, "dissimilar": ORANGE}
# For a prediction that is correct, and one that is not: what it is called, and its colour.
VERDICTS = {True: ("correct", "#2e7d32"), False: ("wrong", "#b3261e")}


@functools.cache
def encoded_tables():
    """Return ``{name: base64 of 256 x 3 bytes}`` of all colour maps."""
    return json.loads(Path(__file__).with_suffix(".json").read_text(encoding="ascii"))


def table(name):
    """Return a colour map as uint8 RGB, (256, 3), from its lowest to its highest value."""
    return np.frombuffer(base64.b64decode(encoded_tables()[name]), np.uint8).reshape(256, 3)


@dataclass(frozen=True)
class Colours:
    """A colour scale.

    Attributes
    ----------
    name : str
        The colour map.
    low, high : float
        The values at its ends.
    extend : {"neither", "min", "max", "both"}
        At which ends values lie beyond; they get the colour of that end.
    gamma : float
        The exponent of the share of the way from `low` to `high`; below 1, values near `low` show.
    """

    name: str
    low: float
    high: float
    extend: str = "neither"
    gamma: float = 1

    def pixels(self, values):
        """Return the colours of values as uint8 RGB, (..., 3); NaN is white.

        Values beyond an end have its colour.

        Examples
        --------
        >>> Colours("gray", 0, 2).pixels(np.array([-1.0, 1.0, 5.0]))[:, 0]
        array([  0, 128, 255], dtype=uint8)
        """
        places = (values - self.low) * (256 / (self.high - self.low))
        if self.gamma != 1:
            places = 256 * (np.maximum(places, 0) / 256) ** self.gamma
        pixels = table(self.name)[np.nan_to_num(np.clip(places, 0, 255)).astype(np.uint8)]
        pixels[np.isnan(values)] = 255
        return pixels
