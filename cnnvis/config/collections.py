"""The configuration's image sets, class importance and pruning: checked, and arranged in tables.

In the configuration an image set is an entry of ``collections``. This module is what
`cnnvis.config.checks` and `cnnvis.config.tables` are to the other keys.
"""

from dataclasses import asdict

import numpy as np

from cnnvis.config.checks import (
    check_neuron,
    chosen_layers,
    gradient_layers,
    mistakes,
    networks_of,
    reserved,
    unknown,
    unknown_networks,
)
from cnnvis.core.errors import UserError
from cnnvis.core.files import safe_name
from cnnvis.core.schema_errors import dotted
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.photographs import photograph_labels
from cnnvis.inputs.streaming import portions

# The images of a path `photonet:LABEL` are cut from one of photonet's photographs, by a rule; those
# of `photonet:*` from all of them, with a list of their classes.
PHOTONET = "photonet:"
ALL = "*"
CROPPED = "results/collections"
CROPS = 200
PRUNING = ("zero", "criterion", "steps", "random_seeds", "study_sweep")
"""The keys of pruning that are its settings."""


def check_collections(config, names, models):
    """Yield one line per mistake in the keys collections and pruning.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    names : dict of str to list of str
        All ``networks`` that the user named.
    models : dict of str to Model
        Of the networks that can be run: others see no image set.
    """
    yield from reserved("collections", config["collections"], ["index.html"])
    for name, collection in config["collections"].items():
        yield from _collection(("collections", name), collection, names, models)
    yield from _pruning(config, models)


def _collection(place, collection, names, models):
    yield from unknown_networks(place, collection, names)
    label, path = label_of(collection["path"]), dotted(*place, "path")
    if label is None:
        yield from mistakes(path, lambda: image_set_of(place[1], collection).images)
    elif label != ALL or "cls" in collection:
        yield from unknown(path, [label], photograph_labels(), "photographs of photonet")
    classes = classes_of(place[1], collection)
    if None in classes:
        expected = "the class of all images, or none for a list whose lines are `path class`"
        yield f"{dotted(*place, 'cls')}is missing; expected {expected}"
        return
    for network in networks_of(collection, models):
        yield from check_neuron(dotted(*place, "cls"), max(classes, default=0), models[network])
        for neuron in collection.get("neurons", []):
            yield from check_neuron(dotted(*place, "neurons"), neuron, models[network])


def classes_of(name, collection):
    """Return the distinct classes of a collection, None among them where one is not known."""
    if "cls" in collection:
        return {collection["cls"]}
    label = label_of(collection["path"])
    if label is not None:
        return set(range(len(photograph_labels()))) if label == ALL else {None}
    try:
        return set(image_set_of(name, collection).classes.values())
    except UserError:
        return set()  # That its images cannot be listed is said of its path.


def _pruning(config, models):
    pruning, collections = config["pruning"], config["collections"]
    place, chosen = dotted("pruning", "collections"), pruning.get("collections", [])
    yield from unknown(place, chosen, list(collections), "collections")
    for network, model in models.items() if collections else ():
        filters = model.info.filters
        for layer in pruned_layers(config, network, model.info):
            if pruning.get("write") and filters.get(layer) == 1:
                what = f"{layer} of {network} has a single filter, which cannot be removed"
                yield f"{dotted('pruning', 'write')}{what}; name other layers in pruning.layers"
            for step in pruning.get("steps", []):
                if step > filters.get(layer, step):
                    what = f"{step} is more than the {filters[layer]} filters of {layer}"
                    yield f"{dotted('pruning', 'steps')}{what} in {network}"


def pruned_layers(config, network, info):
    """Return the layers that are pruned: by default the first convolution that can be."""
    chosen = chosen_layers(config["pruning"].get("layers"), network)
    return list(chosen or [layer for layer in info.convolutions if layer in info.filters][:1])


def averaged_layers(config, network, info):
    """Return the layers whose importance is averaged: by default those of the gradients."""
    chosen = chosen_layers(config["class_importance"].get("layers"), network)
    return list(chosen or gradient_layers(config, network, info))


def resolve_collections(config, infos):
    """Arrange image sets in tables.

    Returns
    -------
    dict
        - ``collections``: {collection: {``image_set``, what an `ImageSet` is made of; ``images``,
          the fingerprint of its images; ``size``, how many there are; ``label`` of the photograph
          that a rule cuts it from, and how many ``crops``; ``folders`` that this rule makes;
          ``portions``, see `portions_of`}}
        - ``summed``: {network: [layer's own name, ...]}, what one pass averages
        - ``classes``: {network: {collection: {``layers`` and ``pruned`` (in paths),
          ``criteria`` (the latter, by their own names), ``others``;
          ``neurons`` of other classes: {neuron, as in paths: collections of its class};
          ``image_sets`` (of all collections, its own first), their ``images``, ``folders`` and
          ``portions``}}}
        - ``pruning``: {``zero``, ``criterion``, ``steps``, ``random_seeds``, ``study_sweep``}
        - ``pruned``: {share, as in paths: share} of the filters that networks are written without
    """
    tables = {name: collection_table(name, each) for name, each in config["collections"].items()}
    for table in tables.values():
        table["portions"] = portions_of(config, [table])
    pruning = config["pruning"]
    return {
        "collections": tables,
        "summed": {name: _summed(config, name, info) for name, info in infos.items()},
        "classes": {name: _classes(config, name, info, tables) for name, info in infos.items()},
        "pruning": {key: pruning.get(key) for key in PRUNING},
        "pruned": {
            np.format_float_positional(share): share
            for share in map(float, pruning.get("write", []))
        },
    }


def collection_table(name, collection):
    """Return the table of a collection, see `resolve_collections`."""
    label, image_set = label_of(collection["path"]), image_set_of(name, collection)
    crops = collection.get("limit", CROPS)
    cut = crops * len(photograph_labels()) if label == ALL else crops
    return {
        "image_set": asdict(image_set),
        "images": image_set.fingerprint if label is None else None,
        "size": len(image_set.images) if label is None else cut,
        "label": label,
        "crops": crops,
        "folders": [] if label is None else [f"{CROPPED}/{name}"],
    }


def portions_of(config, tables):
    """Divide the images of some collections, in this order, among jobs.

    Returns
    -------
    dict of str to dict
        See `cnnvis.inputs.streaming.portions`: empty where one job does all.
    """
    sizes = {table["image_set"]["name"]: table["size"] for table in tables}
    return portions(sizes, config.get("images_per_job"))


def _summed(config, network, info):
    layers = averaged_layers(config, network, info) + pruned_layers(config, network, info)
    return list(dict.fromkeys(layers))


def image_set_of(name, collection):
    """Return the `ImageSet` that a collection is."""
    path, label = collection["path"], label_of(collection["path"])
    if label is not None:
        # What the rule cuts is all there.
        path = f"{CROPPED}/{name}" + ("/images.txt" if label == ALL else "")
    limit = collection.get("limit") if label is None else None
    return ImageSet(name, path, collection.get("cls"), limit)


def label_of(path):
    """Return the label of the photograph that images are cut from, or None."""
    cut = isinstance(path, str) and path.startswith(PHOTONET)
    return path.removeprefix(PHOTONET) if cut else None


def _classes(config, network, info, tables):
    collections = config["collections"]
    names = [name for name in collections if networks_of(collections[name], [network])]
    pruned = config["pruning"].get("collections", names)
    layers = list(map(safe_name, averaged_layers(config, network, info)))
    removed = pruned_layers(config, network, info)
    classes = {}
    for name in names:
        others = [other for other in names if other != name]
        sets = [tables[each] for each in (name, *others)]
        classes[name] = {
            "layers": layers,
            "pruned": list(map(safe_name, removed)) if name in pruned else [],
            "criteria": removed if name in pruned else [],
            "others": others,
            "neurons": _neurons(collections, name, others),
            "image_sets": [table["image_set"] for table in sets],
            "images": [table["images"] for table in sets],
            "folders": [folder for table in sets for folder in table["folders"]],
            "portions": portions_of(config, sets),
        }
    return classes


def _neurons(collections, name, others):
    """Return ``{neuron of another class: the collections of its class}``."""
    collection = collections[name]
    return {
        str(neuron): [other for other in others if collections[other].get("cls") == neuron]
        for neuron in collection.get("neurons", [])
        if neuron != collection.get("cls")
    }
