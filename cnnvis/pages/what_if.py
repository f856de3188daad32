"""The page on which filters are switched off."""

import numpy as np

from cnnvis.activations.forward import predict
from cnnvis.core.arrays import packed, read_array
from cnnvis.core.files import safe_name
from cnnvis.engines.inspection import layer_costs
from cnnvis.engines.programs import make_program
from cnnvis.inputs.labels import read_labels
from cnnvis.pages.render import figure, json_in_script, link, write_page

# Filters times the multiplications and additions of a pass: up to this, removing each filter alone
# takes about a second.
CHEAP = 2e11


def what_if_page(files, model, *, network, image, labels=None):
    """Write the page on which filters are switched off for one image.

    Parameters
    ----------
    files : Places
        Of the image. Read are ``input``, ``picture`` and ``blobs``, of these the score; ``what-if
        page`` is written.
    model : Model
    network, image : str
    labels : path, optional
        Class names, one per line.

    Raises
    ------
    UserError
        If a file cannot be read or does not fit the network.
    """
    page, values = files("what-if page"), model.read_input(files("input"))
    scores = read_array(files("blobs"), model.score).reshape(-1)
    names = read_labels(labels, model.classes)
    ranking = predict(scores, model.score)
    top = [choice["index"] for choice in ranking["top"]]
    layers = removable(model)
    effects = _effects(model, values, layers, top) if is_cheap(model, layers) else {}
    spec = {
        "network": link(files("what-if network"), page),
        "labels": names,
        "scores": [float(score) for score in scores],
        "softmax": ranking["probability"] == "softmax",
        "top": top,
        "layers": [
            {
                "name": layer,
                "filters": count,
                "maps": link(files("maps", layer=safe_name(layer)), page)
                if layer in model.info.convolutions
                else None,
                "effects": packed(effects[layer].astype("<f4")) if effects else None,
            }
            for layer, count in layers.items()
        ],
    }
    write_page(
        page,
        "what-if.html",
        title=f"{image} in {network} without filters",
        network=network,
        image=image,
        picture=figure(files("picture"), page),
        ranking=ranking,
        labels=names,
        layers=list(layers),
        effects=bool(effects),
        spec=json_in_script(spec),
        input=packed(values.astype("<f4")),
        styles=["templates/maps.css", "templates/what-if.css"],
    )


def removable(model):
    """Return ``{layer: its number of filters}`` of the layers below the score that have filters."""
    steps = make_program(model.graph, model.score)["steps"]
    names = [step["layer"] for step in steps if model.blob_of(step["layer"]) != model.score]
    return {layer: model.info.filters[layer] for layer in names if layer in model.info.filters}


def is_cheap(model, layers):
    """Whether each filter of layers can be removed alone within about a second."""
    costs = layer_costs(model.graph).values()
    passes = sum(layers.values())
    return passes * sum(cost["multiply_adds"] for cost in costs) <= CHEAP


def _effects(model, values, layers, top):
    """Return ``{layer: scores of classes without each filter, (filters, classes)}``."""
    batch, effects = values[np.newaxis], {}
    with model.open(1, engine="numpy") as engine:
        for layer, count in layers.items():
            alone = [[filter_] for filter_ in range(count)]
            scores = engine.scores_without(batch, layer, alone, model.score)
            effects[layer] = scores[:, 0, top]
    return effects
