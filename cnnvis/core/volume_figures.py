"""Figures of volumes for papers: the same from aside as PNG, SVG and a turning WebP.

Neither a browser nor a graphics card takes part, and the same volumes give the same bytes. Axes and
text of the SVG are lines, its pictures are pixels.
"""

import functools
import itertools
import math

import numpy as np

from cnnvis.core.colours import GREY, INK, LIGHT_GREY, Colours
from cnnvis.core.drawing import DPI, add_axes, new_page, to_page
from cnnvis.core.files import atomic
from cnnvis.core.painting import MARGIN, TITLE_ROOM
from cnnvis.core.projections import camera, project, spacing_of

# Pixels of a panel, and how many more of them a page in print has.
PANEL, PRINT = 300, 2.5
PANELS_WIDE = 4
HEAD, FOOT, BAR = 26, 14, 90
# Degrees: the view of the still pictures, and from one frame of the animation to the next.
TURN, TILT, STEP = 35, 24, 15
MILLISECONDS = 120
# Of the values that are not 0, this share is within the colours: a single one is often many times
# larger than any other.
PERCENTILE = 99.8
FORMATS = ("png", "svg", "webp")
AXES = ("filter", "y", "x")


def draw_volumes(paths, volumes, *, title, label):
    """Draw volumes side by side on one colour scale.

    Parameters
    ----------
    paths : list of path
        One for each of `FORMATS`.
    volumes : dict of str to ndarray, (filters, height, width)
        By the titles of their panels; all of one shape, all values finite.
    title, label : str
        Of the figure, and of its colour bar.
    """
    png, svg, webp = paths
    colours = _colours(volumes.values())
    draw = functools.partial(_draw, volumes, colours, title=title, label=label)
    _save_print(png, svg, draw(TURN, round(PRINT * PANEL)))
    frames = [to_page(draw(TURN + turn, PANEL)).image for turn in range(0, 360, STEP)]
    options = {"save_all": True, "duration": MILLISECONDS, "loop": 0, "method": 0, "quality": 80}
    with atomic(webp) as temporary:
        frames[0].save(temporary, "WEBP", append_images=frames[1:], **options)


def _save_print(png, svg, figure):
    import matplotlib

    with atomic(png) as temporary:
        figure.savefig(temporary, format="png", dpi=PRINT * DPI, metadata={"Software": None})
    # Without these, names in the file are random and a date is in it.
    with matplotlib.rc_context({"svg.hashsalt": "cnnvis"}), atomic(svg) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})


def _colours(volumes):
    values = np.concatenate([volume[volume != 0] for volume in volumes] + [np.zeros(0)])
    reach = float(np.percentile(np.abs(values), PERCENTILE)) if len(values) else 1.0
    beyond = bool((np.abs(values) > reach).any())
    if (values < 0).any():
        return Colours("RdBu_r", -reach, reach, "both" if beyond else "neither")
    return Colours("inferno", 0.0, reach, "max" if beyond else "neither")


def _draw(volumes, colours, turn, size, *, title, label):
    columns = min(PANELS_WIDE, len(volumes))
    rows = math.ceil(len(volumes) / columns)
    width = 2 * MARGIN + columns * PANEL + BAR
    figure = new_page(width, TITLE_ROOM + rows * (HEAD + PANEL + FOOT), title)
    for place, (name, volume) in enumerate(volumes.items()):
        row, column = divmod(place, columns)
        left, top = MARGIN + column * PANEL, TITLE_ROOM + row * (HEAD + PANEL + FOOT)
        axes = add_axes(figure, left, top + HEAD, PANEL, PANEL)
        axes.set_title(name, fontsize=8, color=GREY, pad=2)
        _draw_box(axes, volume, colours, camera(turn, TILT), size)
    left, top = 2 * MARGIN + columns * PANEL, TITLE_ROOM + HEAD + 20
    _draw_bar(add_axes(figure, left, top, 12, PANEL - 40), colours, label)
    return figure


def _draw_box(axes, volume, colours, view, size):
    """Draw a volume, its first filter outlined, in axes whose places are its pixels."""
    sides = np.array(volume.shape) * spacing_of(volume.shape)
    # It keeps its size in every view, with room for the names of its axes.
    scale = 0.84 * size / np.linalg.norm(sides)
    pixels = colours.pixels(project(volume, view, scale, size))
    axes.imshow(pixels, interpolation="none", extent=(0, size, size, 0))
    axes.set_axis_off()
    corners = {
        signs: size / 2 + view @ (sides * signs / 2) * scale
        for signs in itertools.product((-1, 1), repeat=3)
    }
    for axis, name in enumerate(AXES):
        ends = [(signs, _opposite(signs, axis)) for signs in corners if signs[axis] < 0]
        for start, end in ends:
            first = start[0] < 0 and end[0] < 0
            line = np.array([corners[start], corners[end]])
            colour = INK if first else LIGHT_GREY
            axes.plot(line[:, 1], line[:, 0], color=colour, linewidth=0.6, zorder=2 + first)
        # The edge farthest out, of two the lower one.
        middles = [(corners[start] + corners[end] - size) / 2 for start, end in ends]
        outer = max(middles, key=lambda middle: (round(np.hypot(*middle)), middle[0], middle[1]))
        down, right = size / 2 + outer * (1 + 0.075 * size / max(np.hypot(*outer), 1))
        text = f"{volume.shape[0]} filters" if axis == 0 else f"{name} {volume.shape[axis]}"
        axes.text(right, down, text, fontsize=7, color=GREY, ha="center", va="center")


def _opposite(signs, axis):
    return tuple(-sign if place == axis else sign for place, sign in enumerate(signs))


def _draw_bar(axes, colours, label):
    values = np.linspace(colours.high, colours.low, 256)[:, np.newaxis]
    extent = (0, 1, colours.low, colours.high)
    axes.imshow(colours.pixels(values), extent=extent, aspect="auto", interpolation="none")
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set_xticks([])
    axes.tick_params(labelsize=7, color=GREY, labelcolor=GREY)
    axes.spines[:].set_color(LIGHT_GREY)
    ends = {"both": "; beyond, the last colours", "max": "; beyond, the last colour"}
    axes.set_ylabel(label + ends.get(colours.extend, ""), fontsize=8, color=GREY)
