"""Figures of plots with axes, drawn with matplotlib: no global state, one look, atomic files.

Places are in pixels from the top left corner. Pictures without plots are painted, by
`cnnvis.core.painting`: that takes less time than importing matplotlib.
"""

import numpy as np

from cnnvis.core.colours import GREY, INK
from cnnvis.core.painting import MARGIN, Page

DPI = 120


def new_page(width, height, title):
    """Return a figure of `width` x `height` pixels with a title at its top left."""
    # No pyplot: importing it costs a third of a second per job, and nothing here is interactive.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    # A bold letter of 11 points is at most about 11.8 pixels wide, as names go.
    size = max(6, min(11, 11 * (width - 2 * MARGIN) / (11.8 * max(1, len(title)))))
    place = (MARGIN / width, 1 - 14 / height)
    figure.text(*place, title, va="top", fontsize=size, weight="bold", color=INK)
    return figure


def add_axes(figure, left, top, width, height):
    """Return axes at a place given in pixels."""
    across, down = (round(inches * DPI) for inches in figure.get_size_inches())
    return figure.add_axes(
        (left / across, 1 - (top + height) / down, width / across, height / down)
    )


def style(axes, xlabel, ylabel):
    """Give axes the look of all plots: grey, small, open to the top and to the right."""
    axes.set_xlabel(xlabel, fontsize=8, color=GREY)
    axes.set_ylabel(ylabel, fontsize=8, color=GREY)
    axes.tick_params(labelsize=7, color=GREY, labelcolor=GREY)
    axes.spines[["top", "right"]].set_visible(False)


def to_page(figure):
    """Return a figure as a page, on which more can be painted."""
    figure.canvas.draw()
    pixels = np.ascontiguousarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    page = Page(*pixels.shape[1::-1], "")
    page.paste(pixels, 0, 0)
    return page


def save_figure(figure, path, caption):
    """Write a figure as PNG, with a caption under it and in the file's metadata."""
    to_page(figure).save(path, caption)
