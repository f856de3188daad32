"""``results/{network}/index.html``: a network's layers, with their shapes and receptive fields."""

import math
from pathlib import Path

from cnnvis.core.files import safe_name
from cnnvis.engines.numpy.sharing import shared_groups
from cnnvis.engines.receptive_fields import receptive_fields
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.graph_drawing import lay_out
from cnnvis.pages.render import sides, write_page

# What a layer's row links, and how it calls it.
LINKS = {
    "filters": "filters",
    "response page": "responses",
    "tuning page": "tuning",
    "lesion page": "lesions",
}
# The least distance of two names in the drawing, as a share of its height.
LINE = 0.05


def network_page(page, *, network, graph, shown):
    """Write the page of a network, which is made from its prototxt alone.

    Parameters
    ----------
    page : str or Path
    network : str
        Its name in the configuration.
    graph : cnnvis.engines.numpy.graph.Graph
    shown : iterable of path
        The files to link, see `cnnvis.config.page_files.network_files`.
    """
    files = Artefacts(shown, Path(page).parents[1], page)
    shapes, weights = graph.shapes(graph.inputs)
    fields = receptive_fields(graph)
    # The Split layers that Caffe inserts are no layers of the prototxt.
    nodes = [node for node in graph.nodes if not node.layer.name.endswith("_split")]
    image = next(shape for shape in graph.inputs.values() if len(shape) == 4)[1:]
    rows = [_input(blob, shape) for blob, shape in graph.inputs.items()]
    for node in nodes:
        name, values = node.layer.name, node.tops
        tops = [_top(graph.values[v], shapes[v], fields[v], image[1:]) for v in values]
        kind = f"{node.layer.param.type}{', in place' if node.in_place else ''}"
        rows.append(_row(name, kind, tops, weights.get(name, []), _links(files, name)))
    write_page(
        page,
        "network.html",
        title=network,
        network=network,
        image=image,
        inputs=len(graph.inputs),
        layers=rows,
        with_weights=len(weights),
        weights=_count(graph, weights),
        blocks=lay_out(graph),
        facts={row["name"]: row for row in rows},
        shapes=shapes,
        blob_of={value: graph.values[value].blob for value in graph.input_values},
        fields=[_field(field, image[1:]) for field in fields],
        drawing=_drawing(nodes, fields, image[1:]),
    )


def _count(graph, weights):
    """Return how many weights a network has; those that layers share count once."""
    shared = [member for group in shared_groups(graph, weights) for member in group[1:]]
    repeated = sum(math.prod(weights[layer][number]) for layer, number in shared)
    return sum(math.prod(shape) for shapes in weights.values() for shape in shapes) - repeated


def _input(blob, shape):
    return _row(blob, "Input", [{"blob": blob, "shape": shape[1:], "field": None}])


def _top(value, shape, field, image):
    """Return what a row tells of one value that a layer writes."""
    return {"blob": value.blob, "shape": shape[1:], "field": _field(field, image)}


def _row(name, kind, tops, weights=(), links=None):
    """Return a row of the table: a layer, the values that it writes, and its weights' shapes."""
    return {
        "name": name,
        "id": f"layer-{safe_name(name)}",
        "type": kind,
        "tops": tops,
        "weights": weights,
        "count": sum(map(math.prod, weights)),
        "links": links or [],
    }


def _links(files, layer):
    hrefs = {text: files.link(kind, layer=safe_name(layer)) for kind, text in LINKS.items()}
    return [{"text": text, "href": href} for text, href in hrefs.items() if href]


def _field(field, image):
    """Return what a row tells of a receptive field, as text; None where there is none."""
    if field is None:
        return None
    if field.refusal:
        return {"box": field.box() if field.positions == (1, 1) else None, "text": field.refusal}
    return {
        # Where all elements have the same box, it is told without padding.
        "box": None if any(field.stride) else field.box(),
        "text": None,
        "size": sides(field.size),
        "stride": _text(field.stride),
        "offset": _text(field.offset),
        "share": max(size / length for size, length in zip(field.size, image, strict=True)),
    }


def _text(pair):
    """Return a pair of numbers as text, one for both if they are the same."""
    return ", ".join(str(number).replace("-", "−") for number in dict.fromkeys(pair))


def _drawing(nodes, fields, image):
    """Return the sizes of receptive fields, the largest first, with the layers that have each."""
    layers = {}
    for node in nodes:
        for field in (fields[value] for value in node.tops):
            if field and not field.refusal and all(field.stride):
                layers.setdefault(tuple(map(float, field.size)), []).append(node.layer.name)
    height, width = (max(sides) for sides in zip(image, *layers, strict=True))
    boxes, last, text = [], math.inf, 0.8 * LINE * height
    for size in sorted(layers, key=math.prod, reverse=True):
        names = list(dict.fromkeys(layers[size]))
        named = last - size[0] >= 2 * LINE * height and size[1] >= 0.6 * text * len(names[0])
        last = size[0] if named else last
        boxes.append({"size": size, "layers": names, "named": named})
    return {"size": (height, width), "boxes": boxes, "text": text}
