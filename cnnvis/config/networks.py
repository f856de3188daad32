"""The networks of a configuration: their files are checked, and their prototxts read."""

import os
from pathlib import Path

from cnnvis.config.checks import mistakes, reserved
from cnnvis.config.files import missing
from cnnvis.config.tables import model_of
from cnnvis.core.files import safe_name
from cnnvis.core.schema_errors import dotted
from cnnvis.inputs.labels import read_labels

FOLDERS = (
    *("classes", "collections", "downloads", "recovered", "verify"),
    *("index.html", "methods.html", "parity.html", "parity.json", "recovery.html"),
    *("verify.html", "verify.json"),
)
"""What is in ``results/`` beside the folders of the networks, or would be mistaken for it."""


def read_networks(config, planned):
    """Check the key networks.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    planned : dict
        Missing files that a rule will make (see `cnnvis.config.files.place_files`).

    Returns
    -------
    models : dict of str to Model
        Of the networks whose prototxt is usable.
    lines : list of str
        One per mistake.
    """
    networks = config["networks"]
    models, lines = {}, list(reserved("networks", networks, FOLDERS))
    for name, network in networks.items():
        lines += _files(name, network, planned)
        if os.path.isfile(network["prototxt"]):
            model, place = model_of(config, name), ("networks", name)
            wrong = list(mistakes(dotted(*place, "prototxt"), lambda model=model: model.info))
            if not wrong:
                models[name] = model
                wrong = [*_layers(model, place), *_labels(model, network, place)]
            lines += wrong
    return models, lines


def _files(name, network, planned):
    if not network["weights"] and not network["gradients"]:
        expected = "the path of a .caffemodel file, or published gradients in its place"
        yield f"{dotted('networks', name, 'weights')}missing; expected {expected}"
    if network["weights"] and network["gradients"]:
        yield f"{dotted('networks', name)}has both weights and gradients; expected one of them"
    mean = network["mean"]["file"] if isinstance(network["mean"], dict) else None
    files = {key: network[key] for key in ("prototxt", "weights", "labels") if network.get(key)}
    for key, path in (files | ({"mean": mean} if mean else {})).items():
        yield from missing(dotted("networks", name, key), path, planned)
    if mean and Path(mean).suffix not in (".npy", ".binaryproto"):
        yield f"{dotted('networks', name, 'mean')}{mean} is neither .npy nor .binaryproto"


def _layers(model, place):
    yield from mistakes(dotted(*place, "score"), lambda: model.classes)
    place = dotted(*place, "prototxt")
    if not model.info.convolutions:
        yield f"{place}{model.prototxt} has no convolution"
    names = {}
    for layer in model.info.layers_with_weights:
        other = names.setdefault(safe_name(layer), layer)
        if other != layer:
            yield f"{place}layers {other!r} and {layer!r} have the same name in paths"


def _labels(model, network, place):
    """Yield a line unless there is a label for each class; only pages, the last jobs, read them."""
    labels = network.get("labels")
    if labels and os.path.isfile(labels) and not list(mistakes("", lambda: model.classes)):
        yield from mistakes(dotted(*place, "labels"), read_labels, labels, model.classes)
