"""The configuration's collections, class importance and pruning: checked, and arranged in tables.

What `cnnvis.config.checks` and `cnnvis.config.tables` are to the rest.
"""

from pathlib import Path

from cnnvis.config.checks import (
    chosen_layers,
    classes_of,
    gradient_layers,
    networks_of,
)
from cnnvis.core.errors import UserError, suggest
from cnnvis.core.files import safe_name
from cnnvis.core.schema_errors import dotted
from cnnvis.inputs.image_sets import fingerprint, list_images

# A collection whose path is `photonet:LABEL` is cut from one of photonet's photographs.
MADE = "photonet:"
CROPS = 200
LABELS = Path(__file__).resolve().parents[2] / "models" / "photonet" / "labels.txt"


def check_collections(config, names, infos):
    """Yield one line per mistake in the keys collections, class_importance and pruning.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    names : dict of str to list of str
        All ``networks`` the user named.
    infos : dict of str to NetworkInfo
    """
    if "collections" in names["networks"]:
        yield "networks: key 'collections' is a folder of the results; expected another name"
    for name, collection in config.get("collections", {}).items():
        place = ("collections", name)
        for network in collection.get("networks", []):
            if network not in names["networks"]:
                near = suggest(network, names["networks"])
                yield f"{dotted(*place, 'networks')}{network!r} is not one of the networks; {near}"
        yield from _path(dotted(*place, "path"), collection)
        for network in networks_of(collection, infos):
            size = classes_of(config["networks"][network], infos[network])
            if collection["cls"] >= size:
                score = config["networks"][network]["score"]
                where = f"{dotted(*place, 'cls')}{collection['cls']} is outside {score}"
                yield f"{where} of {network}; expected 0 to {size - 1}"
    yield from _layers(config, infos)
    yield from _pruning(config, infos)


def _path(place, collection):
    path = collection["path"]
    if _label(path) is None:
        try:
            list_images(path, collection["cls"], 1)
        except UserError as error:
            yield f"{place}{error}"
    else:
        labels = LABELS.read_text(encoding="utf-8").split()
        if _label(path) not in labels:
            near = suggest(_label(path), labels)
            yield f"{place}photonet has no photograph {_label(path)!r}; {near}"


def _layers(config, infos):
    for network, info in infos.items():
        kinds = {
            "class_importance": (info.layers_with_weights, "layer with weights"),
            "pruning": (_prunable(info), "layer with filters to remove"),
        }
        for key, (known, kind) in kinds.items():
            for layer in chosen_layers(config.get(key, {}).get("layers"), network) or []:
                if layer not in known:
                    near = suggest(layer, list(known))
                    yield f"{dotted(key, 'layers')}{layer!r} is no {kind} of {network}; {near}"


def _prunable(info):
    """Return ``{layer: filters}`` of convolutions and inner products: weights of 4 or 2 axes."""
    shapes = info.layers_with_weights
    return {layer: shape[0] for layer, shape in shapes.items() if len(shape) in (2, 4)}


def _pruning(config, infos):
    pruning, known = config.get("pruning", {}), list(config.get("collections", {}))
    for name in pruning.get("collections", []):
        if name not in known:
            place = dotted("pruning", "collections")
            yield f"{place}{name!r} is not one of the collections; {suggest(name, known)}"
    for network, info in infos.items():
        filters = _prunable(info)
        for layer in pruned_layers(config, network, info) if known else []:
            for step in pruning.get("steps", []):
                if step > filters.get(layer, step):
                    place, count = dotted("pruning", "steps"), filters[layer]
                    yield f"{place}{step} is more than the {count} filters of {layer} in {network}"


def pruned_layers(config, network, info):
    """Return the layers whose filters are removed: by default the first convolution."""
    chosen = chosen_layers(config.get("pruning", {}).get("layers"), network)
    return list(chosen or list(info.convolutions)[:1])


def weighed_layers(config, network, info):
    """Return the layers whose importance is averaged: by default those of the gradients."""
    chosen = chosen_layers(config.get("class_importance", {}).get("layers"), network)
    return list(chosen or gradient_layers(config, network, info))


def resolve_collections(config, infos):
    """Arrange collections in tables.

    Returns
    -------
    dict
        - ``collections``: {collection: {``path``, ``cls``, ``limit``, ``label`` (of the photograph
          it is cut from, or None), ``made`` (a list: the folder, where a rule makes it) and
          ``images`` (a digest of the files, where no rule makes them)}}
        - ``summed``: {network: [layer's own name, ...]}, what one pass over a collection averages
        - ``classes``: {network: {collection: {``layers`` and ``pruned`` (in paths), ``others``,
          ``counted`` ({collection: its table}) and ``made`` (of all those)}}}
        - ``pruning``: {``zero``, ``steps``, ``random_seeds``}
        - ``class_pictures``: [(network, collection, layer), ...]
        - ``class_places``: {network: {``importance`` and ``pruning``: [(collection, layer), ...]}}
        - ``class_pages``: [network, ...], those with collections
    """
    tables = {
        name: _collection(name, collection)
        for name, collection in config.get("collections", {}).items()
    }
    classes = {name: _classes(config, name, info, tables) for name, info in infos.items()}
    pruning = config.get("pruning", {})
    return {
        "collections": tables,
        "summed": {
            name: list(
                dict.fromkeys(
                    [*weighed_layers(config, name, info), *pruned_layers(config, name, info)]
                )
            )
            for name, info in infos.items()
        },
        "classes": classes,
        "pruning": {
            "zero": pruning.get("zero", "weights_and_bias"),
            "steps": pruning.get("steps"),
            "random_seeds": pruning.get("random_seeds", 5),
        },
        "class_pictures": [
            (network, name, layer)
            for network, each in classes.items()
            for name, layer in _places(each, "layers")
        ],
        "class_places": {
            network: {"importance": _places(each, "layers"), "pruning": _places(each, "pruned")}
            for network, each in classes.items()
        },
        "class_pages": [network for network, each in classes.items() if each],
    }


def _collection(name, collection):
    path, cls, limit = collection["path"], collection["cls"], collection.get("limit")
    label = _label(path)
    if label is None:
        images = fingerprint(list_images(path, cls, limit))
        return _table(path, cls, limit) | {"images": images}
    folder = f"results/collections/{name}"
    made = {"label": label, "made": [folder]}
    return _table(folder, cls, limit or CROPS) | made


def _label(path):
    """Return the photograph's label of a collection that a rule makes, or None."""
    made = isinstance(path, str) and path.startswith(MADE)
    return path.removeprefix(MADE) if made else None


def _table(path, cls, limit):
    return {"path": path, "cls": cls, "limit": limit, "label": None, "made": [], "images": None}


def _classes(config, network, info, tables):
    collections = config.get("collections", {})
    names = [name for name in collections if network in networks_of(collections[name], [network])]
    pruned = config.get("pruning", {}).get("collections", names)
    layers = list(map(safe_name, weighed_layers(config, network, info)))
    removed = list(map(safe_name, pruned_layers(config, network, info)))
    return {
        name: {
            "layers": layers,
            "pruned": removed if name in pruned else [],
            "others": [other for other in names if other != name],
            "counted": {other: tables[other] for other in names},
            "made": [folder for other in names for folder in tables[other]["made"]],
        }
        for name in names
    }


def _places(collections, kind):
    return [(name, layer) for name, table in collections.items() for layer in table[kind]]
