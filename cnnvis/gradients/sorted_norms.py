"""Paint the norms at all filters, sorted, of several images or classes in one plot.

The study's figure 6 shows a neuron's norms over an image of its class and over one of another.
"""

import numpy as np

from cnnvis.core.colours import INK
from cnnvis.core.painting import LINE, TICK_SIZE, number, ticks, whole_ticks

# Room left of the plot and under it, for axes with their labels.
AXIS, LOWER_AXIS = 76, 48
# Of a line, in pixels.
WIDTH = 2


def draw_sorted_norms(page, place, curves):
    """Draw one line per curve from its smallest to its largest value, with axes and a legend.

    Parameters
    ----------
    page : cnnvis.core.painting.Page
    place : (int, int, int, int)
        Left, top, width and height of the plot without its axes.
    curves : list of (str or None, ndarray, str)
        Name in the legend, norms (filters,), and colour.
    """
    left, top, width, height = place
    count = max(len(norms) for _, norms, _ in curves)
    limit = 1.05 * (float(max(norms.max() for _, norms, _ in curves)) or 1.0)
    for _, norms, colour in curves:
        across = left + (np.arange(len(norms)) + 0.5) * width / count
        down = top + height * (1 - np.sort(norms) / limit)
        points = list(zip(across.tolist(), down.tolist(), strict=True))
        if count == 1:  # One point is no line: it is drawn across the plot.
            points = [(left, down.item()), (left + width, down.item())]
        page.draw.line(points, colour, WIDTH, joint="curve")
    named = [(name, colour) for name, _, colour in curves if name is not None]
    for line, (name, colour) in enumerate(named, 1):
        middle = top + LINE * line
        page.draw.line(((left + 16, middle), (left + 44, middle)), colour, WIDTH)
        page.write((left + 52, middle), name, TICK_SIZE, anchor="lm")
    bottom = top + height
    page.draw.line(((left, top), (left, bottom), (left + width, bottom)), INK)
    upwards = [(height * (1 - norm / limit), number(norm)) for norm in ticks(0, limit, 9)]
    page.left_axis(left, top, height, upwards, "norm of the gradient")
    places = [((rank + 0.5) * width / count, str(rank)) for rank in whole_ticks(count)]
    page.lower_axis(left, bottom + 1, width, places, "filters, sorted by their norms")
