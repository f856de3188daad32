"""The page of one image in one network, layer by layer."""

import csv
import itertools

from cnnvis.activations.forward import read_prediction
from cnnvis.core.colours import encoded_tables
from cnnvis.core.files import read_json, safe_name
from cnnvis.core.places import HEADERS_FIRST
from cnnvis.engines.receptive_fields import receptive_fields
from cnnvis.gradients.attributions import KINDS
from cnnvis.inputs.labels import read_labels
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.render import figure, write_page

# How many of the most important filters the text names.
NAMED = 5


def image_page(files, model, *, network, image, shown, labels=None, what_if=""):
    """Write the page of one image in one network.

    Parameters
    ----------
    files : Places
        Of the image. Read are ``prediction``, if the network has weights, and ``picture``, the
        network's input; ``page`` is written.
    model : Model
        Gives the names, the order and the shapes of the layers.
    network, image : str
        Their names in the configuration.
    shown : iterable of path
        The files to show and to link, see `cnnvis.config.page_files.image_files`. Orderings are
        shown in the order in which they first appear.
    labels : path, optional
        Class names, one per line.
    what_if : str
        Why filters cannot be switched off on a page, if they cannot.

    Raises
    ------
    UserError
        If a file cannot be read.
    ValueError
        If a path fits none of `cnnvis.core.places.PLACES`.
    """
    page, info = files("page"), model.info
    runs = model.weights is not None
    ranking = read_prediction(files("prediction"), labels) if runs else None
    names = read_labels(labels, model.classes)
    artefacts = Artefacts(shown, page.parents[2], page)
    layers = [
        describe_layer(layer, info, artefacts, names)
        for layer in layers_with_files(info, artefacts)
    ]
    place_maps(layers, model)
    neurons = [_neuron(cls, artefacts, names) for cls in artefacts.values("cls")]
    write_page(
        page,
        "image.html",
        title=f"{image} in {network}",
        network=network,
        image=image,
        picture=figure(files("picture"), page),
        ranking=ranking,
        input_shape=info.input_shape,
        what_if_page=artefacts.link("what-if page"),
        what_if=what_if,
        colours=encoded_tables()["inferno"],
        styles=["templates/dialog.css", "templates/maps.css"],
        neurons=[neuron for neuron in neurons if neuron],
        layers=layers,
        open_layers=1 if len(layers) > 8 else 2,
    )


def layers_with_files(info, files):
    """Return the layers that `files` show: convolutions first, in the network's order."""
    shown = set(files.values("layer"))
    layers = dict.fromkeys([*info.convolutions, *info.layers_with_weights])
    return [layer for layer in layers if safe_name(layer) in shown]


def describe_layer(layer, info, files, labels):
    """Return what the template shows of one layer."""
    name = safe_name(layer)
    convolution = info.convolutions.get(layer)
    orderings = files.values("ordering", "ordering", "shared ordering", "grid", layer=name)
    rows, classes = (files.values(part, layer=name) for part in ("row", "cls"))
    return {
        "name": layer,
        "id": f"layer-{name}",
        "feature_maps": convolution.shape if convolution else None,
        "weights": info.layers_with_weights[layer],
        "filters": files.figure("filters", layer=name),
        "ordered_filters": [
            {"name": ordering, "picture": files.figure("ordered filters", **where)}
            for ordering in files.values("ordering", "ordered filters", layer=name)
            for where in [{"ordering": ordering, "layer": name}]
        ],
        "tuning": files.link("tuning page", layer=name),
        "viewer": files.link("viewer", layer=name),
        "maps": files.link("maps", layer=name),
        "responses": files.link("response page", layer=name),
        "orders": [_order(files, ordering=ordering, layer=name) for ordering in orderings],
        "slices": [_slice(files, row=row, layer=name) for row in rows],
        "stability": files.figure("slice stability picture", layer=name),
        "compared": _numbers(files, "slice stability", layer=name),
        "gradients": [_gradient(files, labels, cls=cls, layer=name) for cls in classes],
    }


def place_maps(layers, model):
    """Add to layers with ``maps`` their ``place``: where the maps lie over the image.

    Each value covers a stride, around the middle of its receptive field. Of a layer whose receptive
    fields have no one stride it is None.
    """
    shown = [layer for layer in layers if layer["maps"]]
    fields = receptive_fields(model.graph) if shown else []
    for layer in shown:
        field = fields[model.graph.value(model.info.convolutions[layer["name"]].blob)]
        layer["place"] = _place(field, model.info.input_shape[1:])


def _place(field, image):
    """Return where a feature map lies, in shares of the image's height and width."""
    if field is None or field.refusal:
        return None
    sides = zip(field.size, field.stride, field.offset, field.positions, image, strict=True)
    spans = [
        (float(offset + (size - stride) / 2) / length, float(stride * count) / length)
        for size, stride, offset, count, length in sides
    ]
    (top, height), (left, width) = spans
    return {"top": top, "left": left, "height": height, "width": width}


def _neuron(cls, files, labels):
    """Return what the template shows of a neuron outside of the layers, or None if nothing."""
    shown = {
        "saliency": files.figure("saliency picture", cls=cls),
        "saliency_map": files.link("saliency map", cls=cls),
        "data_gradient": files.link("data gradient", cls=cls),
        "check": _numbers(files, "gradient check", cls=cls),
        "check_picture": files.figure("gradient check picture", cls=cls),
        "report": files.link("gradient check", cls=cls),
    }
    return {"cls": int(cls), "label": labels[int(cls)], **shown} if any(shown.values()) else None


def _numbers(files, kind, **parts):
    """Return the content of a JSON file, or None if it is not shown."""
    path = files.first(kind, **parts)
    return read_json(path) if path else None


def _order(files, **parts):
    return {
        "name": parts["ordering"],
        "grid": files.figure("grid", **parts),
        "numbers": _numbers(files, "ordering", **parts)
        or _numbers(files, "shared ordering", **parts),
        "volumes": _volumes(files, "volume", **parts),
        "binary_volumes": _volumes(files, "binary volume", **parts),
    }


def _volumes(files, kind, **parts):
    hrefs = {suffix: files.link(kind, volume=suffix, **parts) for suffix in HEADERS_FIRST}
    return [{"suffix": suffix, "href": href} for suffix, href in hrefs.items() if href]


def _slice(files, **parts):
    return {
        "row": int(parts["row"]),
        "numbers": _numbers(files, "slice numbers", **parts),
        "clusters": [
            {"k": k, "picture": files.figure("slice clusters", k=k, **parts)}
            for k in files.values("k", "slice clusters", **parts)
        ],
        "pca": files.figure("slice pca", **parts),
    }


def _gradient(files, labels, **parts):
    cls, table = parts["cls"], files.first("importance table", **parts)
    report = _numbers(files, "gradient check", cls=cls)
    checks = {safe_name(name): check for name, check in report["layers"].items()} if report else {}
    kinds = sorted(files.values("attribution", **parts), key=list(KINDS).index)
    return {
        "cls": int(cls),
        "label": labels[int(cls)],
        "check": checks.get(parts["layer"]),
        "attributions": [_attribution(files, kind, **parts) for kind in kinds],
        "picture": files.figure("gradient picture", **parts),
        "viewer": files.link("gradient viewer", **parts),
        "volumes": _volumes(files, "gradient volume", **parts),
        "channels_viewer": files.link("gradient channels viewer", **parts),
        "channels_volumes": _volumes(files, "gradient channels volume", **parts),
        "orders": [
            {
                "name": ordering,
                "numbers": _numbers(files, "gradient ordering", ordering=ordering, **parts),
                "volumes": _volumes(files, "gradient ordered volume", ordering=ordering, **parts),
            }
            for ordering in files.values("ordering", "gradient ordered volume", **parts)
        ],
        "importance": files.figure("importance picture", **parts),
        "table": files.link("importance table", **parts),
        "top": _most_important(table) if table else [],
    }


def _attribution(files, kind, **parts):
    return {
        "title": KINDS[kind].title,
        "meaning": KINDS[kind].meaning,
        "picture": files.figure("attribution picture", attribution=kind, **parts),
        "volumes": _volumes(files, "attribution volume", attribution=kind, **parts),
    }


def _most_important(table):
    """Return ``[(filter, share of the sum of norms)]`` of a table's first rows."""
    with open(table, newline="", encoding="utf-8") as stream:
        rows = itertools.islice(csv.DictReader(stream), NAMED)
        return [(int(row["filter"]), float(row["share"])) for row in rows]
