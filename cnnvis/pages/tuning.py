"""``results/{network}/tuning/{layer}.html``: what the filters of a first layer are tuned to."""

import statistics

from cnnvis.activations.tuning import COLOURED, GABOR_KERNEL, ORIENTED, opposites
from cnnvis.core.files import safe_name
from cnnvis.inputs.published import NAMED_MAPS
from cnnvis.pages.artefacts import figure_of
from cnnvis.pages.render import embedded, link, write_page

# Columns of the table: heading, and how many digits stand behind the point.
COLUMNS = {
    "orientation": ("Orientation (°)", 0),
    "selectivity": ("Selectivity", 2),
    "frequency": ("Cycles per pixel", 3),
    "colour": ("Colour", 2),
    "hue": ("Hue (°)", 0),
    "uniform": ("Uniform", 2),
    "vertical_edge": ("Vertical edge", 2),
    "horizontal_edge": ("Horizontal edge", 2),
    "gabor_explained": ("Explained by Gabor", 2),
    "gabor_phase": ("Phase (°)", 0),
    "gabor_orientation_bandwidth": ("Orientation bandwidth (°)", 0),
    "gabor_frequency_bandwidth": ("Frequency bandwidth (octaves)", 1),
}
DIRECTIONS = ("vertical", "horizontal")
RANKED = ("vertical_edge", "horizontal_edge", "uniform")


def tuning_page(files, tuning):
    """Write the page on the tuning of a first layer.

    Parameters
    ----------
    files : Places
        Of the network. ``tuning page`` is written; ``tuning picture``, ``tuning csv`` and ``tuning
        summary`` are linked.
    tuning : cnnvis.activations.layer_tuning.LayerTuning
    """
    where = {"layer": safe_name(tuning.layer)}
    page = files("tuning page", **where)
    rows = [_row(tuning, number, each) for number, each in enumerate(tuning.filters)]
    write_page(
        page,
        "tuning.html",
        title=f"Tuning of {tuning.layer} in {tuning.network}",
        network=tuning.network,
        layer=tuning.layer,
        columns=COLUMNS,
        rows=rows,
        gabors=min(tuning.weights.shape[2:]) >= GABOR_KERNEL,
        picture=figure_of(files("tuning picture", **where), page.parents[2], page),
        files=[link(files(f"tuning {kind}", **where), page) for kind in ("csv", "summary")],
        edges={name: [rows[number] for number in tuning.strongest(name)] for name in DIRECTIONS},
        named=[_named(tuning, rows, *item) for item in NAMED_MAPS.items() if tuning.is_caffenet],
        error=tuning.error,
        oriented=ORIENTED,
        coloured=COLOURED,
    )


def _row(tuning, number, each):
    numbers = each.numbers()
    weights, fitted = tuning.pictures(number)
    return {
        "number": number,
        "weights": embedded(weights),
        "gabor": None if fitted is None else embedded(fitted),
        "cells": {key: _cell(numbers[key], digits) for key, (_, digits) in COLUMNS.items()},
        "colours": None if each.hue is None else [_css(colour) for colour in opposites(each.hue)],
    }


def _cell(value, digits):
    """Return a number as it sorts and as it is shown; None where there is none."""
    if value is None:
        return None
    return {"value": f"{value:.6g}", "text": f"{value:z.{digits}f}".replace("-", "−")}


def _css(colour):
    return f"rgb({', '.join(f'{255 * part:.0f}' for part in colour)})"


def _named(tuning, rows, name, number):
    """Return what is said of a filter that the study named: values, places among all filters."""
    rankings = {key: tuning.ranking(key) for key in RANKED}
    return {
        "name": name,
        "row": rows[number],
        "tuning": tuning.filters[number],
        "typical": statistics.median(rankings["uniform"].values()),
        **{
            key: {"value": ranking[number], "place": list(ranking).index(number) + 1}
            for key, ranking in rankings.items()
        },
    }
