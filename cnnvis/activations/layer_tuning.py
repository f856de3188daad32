"""The tuning of a first layer as files, and whether its filters are those that the study named."""

from dataclasses import dataclass

import numpy as np

from cnnvis.activations.filters import read_weights, to_colours
from cnnvis.activations.tuning import COLOURED, ORIENTED, Tuning, tune
from cnnvis.activations.tuning_figure import draw_tuning
from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.core.arrays import significant
from cnnvis.core.checkout import ROOT
from cnnvis.core.files import safe_name, write_csv, write_json
from cnnvis.inputs.published import NAMED_MAPS

# CaffeNet's, recovered from what the study published: see models/caffenet/README.md.
REFERENCE = ROOT / "models" / "caffenet" / "conv1.caffemodel"
SHAPE = (96, 3, 11, 11)
SAME = 1e-3
"""Relative error below which filters are the reference's. Those are known to 6e-5."""
MOST = 3


@dataclass(frozen=True)
class LayerTuning:
    """What the filters of a first layer are tuned to.

    Attributes
    ----------
    layer, network : str
    weights : ndarray, (filters, 3, height, width)
    channel_order : {"BGR", "RGB"}
    filters : list of Tuning
    error : float or None
        Of the filters from CaffeNet's, see `caffenet_error`.
    """

    layer: str
    network: str
    weights: np.ndarray
    channel_order: str
    filters: list[Tuning]
    error: float | None

    @property
    def is_caffenet(self):
        """Whether these are CaffeNet's conv1, of which the study named three filters."""
        return self.error is not None and self.error < SAME

    def ranking(self, key):
        """Return ``{filter: value}`` of a number, the largest first, without what is None."""
        values = {number: getattr(each, key) for number, each in enumerate(self.filters)}
        known = {number: value for number, value in values.items() if value is not None}
        return dict(sorted(known.items(), key=lambda item: -item[1]))

    def strongest(self, direction):
        """Return the few filters most tuned to ``vertical`` or ``horizontal`` edges.

        They have an orientation, and match edges across less.
        """
        across = {"vertical": "horizontal_edge", "horizontal": "vertical_edge"}[direction]

        def is_tuned(number, match):
            each = self.filters[number]
            return each.orientation is not None and match > getattr(each, across)

        ranking = self.ranking(f"{direction}_edge")
        return [number for number, match in ranking.items() if is_tuned(number, match)][:MOST]

    def pictures(self, number):
        """Return a filter and its Gabor function as RGB in [0, 1], (height, width, 3), 0.5 for 0.

        Each filter has its own scale. The Gabor function is drawn on the mean of each colour; where
        there is none, it is None.
        """
        weights, gabor = self.weights[[number]], self.filters[number].gabor
        colours = to_colours(weights, self.channel_order)[0]
        if gabor is None:
            return colours, None
        pattern = gabor.draw(*weights.shape[2:]).transpose(1, 2, 0)
        return colours, np.clip(colours.mean(axis=(0, 1)) + 0.5 * pattern, 0, 1)


def make_layer_tuning(files, model, *, layer, network, channel_order="BGR"):
    """Say of each filter of a first layer what it is tuned to, as a table and as a chart.

    Parameters
    ----------
    files : Places
        Of the network. Written are ``tuning csv``, ``tuning summary`` and ``tuning picture``.
    model : Model
    layer, network : str
    channel_order : {"BGR", "RGB"}

    Returns
    -------
    LayerTuning

    Raises
    ------
    UserError
        If the weights are not usable.
    """
    weights = read_weights(model, [layer])[layer]
    filters, error = tune(weights, channel_order), caffenet_error(weights, channel_order)
    tuning = LayerTuning(layer, network, weights, channel_order, filters, error)
    where = {"layer": safe_name(layer)}
    rows = [_rounded(each.numbers()) for each in filters]
    table = [[number, *row.values()] for number, row in enumerate(rows)]
    write_csv(files("tuning csv", **where), ["filter", *rows[0]], table)
    write_json(files("tuning summary", **where), _summary(tuning, rows))
    draw_tuning(files("tuning picture", **where), filters, layer=layer, network=network)
    return tuning


def _rounded(numbers):
    return {key: value if value is None else significant(value) for key, value in numbers.items()}


def _summary(tuning, rows):
    return {
        "layer": tuning.layer,
        "kernel": list(tuning.weights.shape[2:]),
        "oriented": ORIENTED,
        "coloured": COLOURED,
        "edges": {name: tuning.strongest(name) for name in ("vertical", "horizontal")},
        "study": NAMED_MAPS if tuning.is_caffenet else None,
        "filters": rows,
    }


def caffenet_error(weights, channel_order="BGR"):
    """Return how far filters are from CaffeNet's conv1, as this project recovered it.

    Parameters
    ----------
    weights : ndarray, (filters, 3, height, width)
    channel_order : {"BGR", "RGB"}

    Returns
    -------
    float or None
        The relative error after a common positive factor: the median over the filters, or that of
        a filter that the study named, whichever is largest. The factor is a median, too, because
        two of the 96 filters are not determined. None for other shapes.
    """
    if weights.shape != SHAPE:
        return None
    stored = read_caffemodel(REFERENCE)["conv1"][0].astype(np.float64)
    ours = (weights if channel_order == "BGR" else weights[:, ::-1]).astype(np.float64)
    factors = (ours * stored).sum(axis=(1, 2, 3)) / (stored**2).sum(axis=(1, 2, 3))
    factor = max(np.median(factors), 0)
    left = np.sqrt(((ours - factor * stored) ** 2).sum(axis=(1, 2, 3)))
    norms = np.sqrt((ours**2).sum(axis=(1, 2, 3)))
    errors = np.divide(left, norms, out=np.full(len(left), np.inf), where=norms > 0)
    return float(max(np.median(errors), *errors[list(NAMED_MAPS.values())]))
