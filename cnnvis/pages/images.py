"""The page of one image in one network, layer by layer."""

import csv

from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json, safe_name
from cnnvis.core.places import HEADERS_FIRST
from cnnvis.gradients.attributions import KINDS
from cnnvis.inputs.labels import read_labels
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.render import figure, link, write_page

# How many of the most important filters the text names.
NAMED = 5


def image_page(files, model, *, network, image, shown, labels=None):
    """Write the page of one image in one network.

    Parameters
    ----------
    files : Places
        Of the image. Read are ``prediction`` and ``picture``, the network's input; ``page`` is
        written.
    model : Model
        Gives the names, the order and the shapes of the layers.
    network, image : str
        Their names in the configuration.
    shown : iterable of path
        The files to show and to link, see `cnnvis.config.page_files.image_files`. Orderings are
        shown in the order in which they first appear.
    labels : path, optional
        Class names, one per line.

    Raises
    ------
    UserError
        If a file cannot be read.
    ValueError
        If a path fits none of `cnnvis.core.places.PLACES`.
    """
    page, info = files("page"), model.info
    ranking = read_prediction(files("prediction"))
    names = read_labels(labels, ranking["classes"])
    artefacts = Artefacts(shown, page.parents[2])
    layers = [
        describe_layer(layer, info, artefacts, page, names)
        for layer in layers_with_files(info, artefacts)
    ]
    neurons = [_neuron(cls, artefacts, page, names) for cls in artefacts.values("cls")]
    write_page(
        page,
        "image.html",
        title=f"{image} in {network}",
        network=network,
        image=image,
        picture=figure(files("picture"), page),
        ranking=ranking,
        classes=names,
        input_shape=info.input_shape,
        neurons=[neuron for neuron in neurons if neuron],
        layers=layers,
        open_layers=1 if len(layers) > 8 else 2,
    )


def read_prediction(path):
    """Read a ``prediction.json``.

    Raises
    ------
    UserError
        If it is not of the form that `cnnvis.activations.forward.predict` returns.
    """
    prediction = read_json(path)
    if not isinstance(prediction, dict) or not prediction.get("top"):
        raise UserError(f"{path}: is not a prediction: expected a list of classes under 'top'")
    return prediction


def layers_with_files(info, files):
    """Return the layers that `files` show: convolutions first, in the network's order."""
    shown = set(files.values("layer"))
    layers = dict.fromkeys([*info.convolutions, *info.layers_with_weights])
    return [layer for layer in layers if safe_name(layer) in shown]


def describe_layer(layer, info, files, page, labels):
    """Return what the template shows of one layer."""
    name = safe_name(layer)
    convolution = info.convolutions.get(layer)
    return {
        "name": layer,
        "id": f"layer-{name}",
        "feature_maps": convolution.shape if convolution else None,
        "weights": info.layers_with_weights[layer],
        "filters": figure(files.first("filters", layer=name), page),
        "viewer": link(files.first("viewer", layer=name), page),
        "orders": [_order(o, name, files, page) for o in files.values("ordering", layer=name)],
        "slices": [_slice(row, name, files, page) for row in files.values("row", layer=name)],
        "gradients": [
            _gradient(c, name, files, page, labels) for c in files.values("cls", layer=name)
        ],
    }


def _neuron(cls, files, page, labels):
    """Return what the template shows of a neuron outside of the layers, or None if nothing."""
    report = files.first("gradient check", cls=cls)
    shown = {
        "saliency": figure(files.first("saliency picture", cls=cls), page),
        "saliency_map": link(files.first("saliency map", cls=cls), page),
        "data_gradient": link(files.first("data gradient", cls=cls), page),
        "check": read_check(report) if report else None,
        "check_picture": figure(files.first("gradient check picture", cls=cls), page),
        "report": link(report, page),
    }
    return {"cls": int(cls), "label": labels[int(cls)], **shown} if any(shown.values()) else None


def read_check(path):
    """Read a report of `cnnvis.checks.gradient_check.check_gradients`.

    Raises
    ------
    UserError
        If it is not such a report.
    """
    report = read_json(path)
    if not isinstance(report, dict) or not {"agrees", "float32", "layers"} <= report.keys():
        raise UserError(
            f"{path}: is not the report of a gradient check: "
            "expected the keys 'agrees', 'float32' and 'layers'"
        )
    return report


def _order(ordering, layer, files, page):
    numbers = files.first("ordering", ordering=ordering, layer=layer)
    parts = {"ordering": ordering, "layer": layer}
    return {
        "name": ordering,
        "grid": figure(files.first("grid", **parts), page),
        "numbers": read_json(numbers) if numbers else None,
        "volumes": _volumes(files.find("volume", **parts), page),
        "binary_volumes": _volumes(files.find("binary volume", **parts), page),
    }


def _volumes(artefacts, page):
    return [
        {"suffix": a.parts["volume"], "name": a.path.name, "href": link(a.path, page)}
        for a in sorted(artefacts, key=lambda a: HEADERS_FIRST.index(a.parts["volume"]))
    ]


def _slice(row, layer, files, page):
    numbers = files.first("slice numbers", row=row, layer=layer)
    return {
        "row": int(row),
        "numbers": read_json(numbers) if numbers else None,
        "clusters": [
            {"k": a.parts["k"], "picture": figure(a.path, page)}
            for a in files.find("slice clusters", row=row, layer=layer)
        ],
        "pca": figure(files.first("slice pca", row=row, layer=layer), page),
    }


def _gradient(cls, layer, files, page, labels):
    parts = {"cls": cls, "layer": layer}
    table = files.first("importance table", **parts)
    report = files.first("gradient check", cls=cls)
    checks = read_check(report)["layers"] if report else {}
    kinds = sorted(files.values("attribution", **parts), key=list(KINDS).index)
    return {
        "cls": int(cls),
        "label": labels[int(cls)],
        "check": next((c for name, c in checks.items() if safe_name(name) == layer), None),
        "attributions": [_attribution(kind, files, page, **parts) for kind in kinds],
        "picture": figure(files.first("gradient picture", **parts), page),
        "viewer": link(files.first("gradient viewer", **parts), page),
        "volumes": _volumes(files.find("gradient volume", **parts), page),
        "importance": figure(files.first("importance picture", **parts), page),
        "table": link(table, page),
        "top": _most_important(table) if table else [],
    }


def _attribution(kind, files, page, **parts):
    parts["attribution"] = kind
    return {
        "title": KINDS[kind].title,
        "meaning": KINDS[kind].meaning,
        "picture": figure(files.first("attribution picture", **parts), page),
        "volumes": _volumes(files.find("attribution volume", **parts), page),
    }


def _most_important(table):
    """Return ``[(filter, share of the sum of norms)]`` of a table's first rows."""
    try:
        with open(table, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))[:NAMED]
        return [(int(row["filter"]), float(row["share"])) for row in rows]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{table}: is not a table of filter importance ({error})") from error
