"""Draw the importance of filters to one neuron over several image sets: the study's figure 6."""

from cnnvis.core.colours import BLUE, INK, ORANGE
from cnnvis.core.painting import BAR_ROOM, LINE, MARGIN, TEXT_SIZE, TITLE_ROOM, Page, shorten
from cnnvis.gradients.sorted_norms import AXIS, LOWER_AXIS, draw_sorted_norms
from cnnvis.importance.filter_importance_figure import map_colours, paint_map

PLOT, LEAST_WIDTH = 340, 760
# Largest height of a map, and the least room across for one and its name.
MAPS, LEAST_MAP = 512, 150
# Blues of the neuron's own class, of which there may be several image sets.
OWN = (BLUE, "#7fa8cf", "#22507c")


def draw_neuron_importance(picture, means, numbers, *, title):
    """Draw the sorted norms over all image sets in one plot, and under it their maps.

    Parameters
    ----------
    picture : str or Path
        The PNG.
    means : dict of str to ndarray
        ``{image set: mean norms (filters,)}``, those of the neuron's own class first, and last
        that of another class.
    numbers : dict
        The summary of `cnnvis.importance.neuron_importance.make_neuron_importance`.
    title : str
    """
    *own, other = means
    groups = _groups(means)
    across = sum(_width(*panel) for group in groups.values() for panel in group)
    width = max(LEAST_WIDTH, across + MARGIN * len(groups)) + MARGIN
    top = TITLE_ROOM + PLOT + LOWER_AXIS + 3 * LINE
    tall = max(cells.shape[0] for group in groups.values() for _, cells, _ in group)
    page = Page(width, top + tall, title)
    colours = [OWN[place % len(OWN)] for place in range(len(own))] + [ORANGE]
    labels = [f"over {name}, images of its class" for name in own]
    labels.append(f"over {other}, images of another class")
    left = MARGIN + AXIS
    place = (left, TITLE_ROOM, width - left - MARGIN, PLOT)
    draw_sorted_norms(page, place, list(zip(labels, means.values(), colours, strict=True)))
    _draw_maps(page, groups, top)
    page.save(picture, _caption(numbers, own, len(means[other])))


def _groups(means):
    """Return ``{heading: [(image set, cells of its map, colours of a bar behind it or None)]}``."""
    scales = {name: map_colours(mean) for name, mean in means.items()}
    apart = [
        (name, paint_map(mean, scales[name], MAPS), scales[name]) for name, mean in means.items()
    ]
    if len(means) == 1:
        return {"": apart}
    common, last = max(scales.values(), key=lambda colours: colours.high), list(means)[-1]
    together = [
        (name, paint_map(mean, common, MAPS), common if name == last else None)
        for name, mean in means.items()
    ]
    return {"each on its own scale": apart, "all on one scale": together}


def _width(_, cells, colours):
    return max(LEAST_MAP, cells.shape[1] + MARGIN + (BAR_ROOM if colours else 0))


def _draw_maps(page, groups, top):
    left = MARGIN
    for heading, panels in groups.items():
        page.write((left, top - LINE - 10), heading, TEXT_SIZE, INK, bold=True)
        for name, cells, colours in panels:
            page.paste(cells, left, top)
            page.write((left, top - 8), shorten(name, _width(name, cells, colours) // 9))
            if colours:
                bar = (left + cells.shape[1] + 10, top, min(cells.shape[0], 420))
                page.colour_bar(*bar, "norm of the gradient", colours)
            left += _width(name, cells, colours)
        left += MARGIN


def _caption(numbers, own, filters):
    cls, images, other = (numbers[key] for key in ("cls", "images", "collection"))
    beside = f" and over {', '.join(own)}, images of its own class" if own else ""
    return (
        f"{numbers['sentence']} Shown is the L2 norm of the gradient of neuron {cls} with respect "
        f"to the weights of each of the {filters} filters of layer {numbers['layer']}, averaged "
        f"over {images} images of {other}{beside}. Above: the norms, sorted. Below: one cell per "
        "filter, with its number, row after row."
    )
