"""The configuration's orderings: checked, and arranged in tables.

This module is what `cnnvis.config.checks` and `cnnvis.config.tables` are to the other keys. An
ordering is *shared* where it is computed over images, once for each network and layer.
"""

from cnnvis.config.checks import (
    check_clusters,
    check_neuron,
    chosen_layers,
    gradient_layers,
    networks_of,
    runs,
    unknown,
)
from cnnvis.core.errors import suggest
from cnnvis.core.schema_errors import dotted

# The parameters of each method of ordering.
METHODS = {
    **{"natural": (), "kmeans": ("k", "seed"), "pca": ()},
    **dict.fromkeys(("leaf", "shortest", "spectral"), ("metric",)),
}
PARAMETERS = {"seed": 0, "metric": "euclidean"}
"""The defaults of parameters."""
SOURCE = ("by", "neuron", "over")
"""The keys that say what of the filters is compared, and over which images."""


def check_orderings(config, names, models):
    """Yield one line per mistake in orderings, gradients.orderings and comparisons.NAME.ordering.

    Parameters
    ----------
    config : dict
        Completed with all defaults.
    names : dict of str to list of str
        All ``networks`` and ``images`` that the user named.
    models : dict of str to Model
        The networks that could be read.
    """
    infos = {name: model.info for name, model in models.items()}
    for name, ordering in config["orderings"].items():
        place = ("orderings", name)
        yield from _method(place, ordering, infos)
        yield from _source(place, ordering, models)
        yield from _over(place, ordering, config, names, models)
    yield from _of_gradients(config, infos)
    for name, comparison in config["comparisons"].items():
        place = dotted("comparisons", name, "ordering")
        yield from _of_comparison(place, comparison, config, infos)


def _method(place, ordering, infos):
    method = ordering.get("method", place[-1])
    if method not in METHODS:
        near = suggest(method, METHODS)
        yield f"{dotted(*place, 'method')}missing, and {method!r} is not a method; {near}"
        return
    for key in sorted(ordering.keys() - {"method", *SOURCE, *METHODS[method]}):
        fitting = " and ".join(name for name, keys in METHODS.items() if key in keys)
        yield f"{dotted(*place, key)}{key} applies to {fitting} only, not to {method}"
    if method == "kmeans":
        for network, info in infos.items():
            shapes = {layer: conv.shape for layer, conv in info.convolutions.items()}
            yield from check_clusters(dotted(*place, "k"), ordering["k"], network, shapes)


def _source(place, ordering, models):
    by_gradients = ordering.get("by") == "gradients"
    if by_gradients and "neuron" not in ordering:
        yield f"{dotted(*place, 'neuron')}missing; expected the class number whose gradients count"
    if "neuron" in ordering and not by_gradients:
        yield f"{dotted(*place, 'neuron')}applies to orderings by gradients only; add by: gradients"
    for model in models.values() if by_gradients and "neuron" in ordering else ():
        yield from check_neuron(dotted(*place, "neuron"), ordering["neuron"], model)


def _over(place, ordering, config, names, models):
    where, over = dotted(*place, "over"), ordering.get("over", [])
    if isinstance(over, str):
        yield from unknown(where, [over], config["collections"], "collections")
        if ordering.get("by") == "gradients":
            yield f"{where}gradients are compared over images, not over a collection"
        members = {over: config["collections"].get(over, {})}
    else:
        yield from unknown(where, over, names["images"], "images")
        members = {name: config["images"].get(name, {}) for name in over}
    for network in models:
        for name, entry in members.items():
            if _exists(ordering, config, network) and not networks_of(entry, [network]):
                yield f"{where}{name!r} is not shown to network {network}"


def _exists(ordering, config, network):
    """Return whether a network has what an ordering compares: without weights, no feature maps."""
    return ordering.get("by") == "gradients" or runs(config, network)


def _of_gradients(config, infos):
    place, orderings = dotted("gradients", "orderings"), config["orderings"]
    names = config["gradients"]["orderings"]
    yield from unknown(place, names, orderings, "orderings")
    for name in names:
        by = orderings.get(name, {}).get("by")
        if by and infos and not any(runs(config, network) for network in infos):
            yield f"{place}{name!r} needs a network with weights; {next(iter(infos))} has none"
    clusters = [orderings[name]["k"] for name in names if "k" in orderings.get(name, {})]
    for network, info in infos.items():
        layers, shapes = gradient_layers(config, network, info), info.layers_with_weights
        for k in clusters:
            ordered = {layer: shapes[layer] for layer in layers if layer in shapes}
            yield from check_clusters(place, k, network, ordered)


def _of_comparison(place, comparison, config, infos):
    name = comparison.get("ordering")
    if name is None:
        return
    shared = {key: each for key, each in config["orderings"].items() if "over" in each}
    yield from unknown(place, [name], shared, "orderings with the key over")
    for network in networks_of(comparison, infos) if name in shared else ():
        ordered = layers_of(shared[name], config, network, infos[network])
        chosen = chosen_layers(comparison.get("layers"), network)
        for layer in chosen or gradient_layers(config, network, infos[network]):
            if layer not in ordered:
                what = f"{name!r} compares feature maps, and layer {layer} of {network} has none"
                yield f"{place}{what}; name the other layers in layers"


def layers_of(ordering, config, network, info):
    """Return the layers for which a network has an ordering of ``orderings``."""
    if ordering.get("by") == "gradients":
        return gradient_layers(config, network, info)
    return list(info.convolutions) if runs(config, network) else []


def compared_neurons(config, image):
    """Return the neurons whose gradients for an image the shared orderings need.

    Parameters
    ----------
    config : dict
        Orderings may still be a list, and their parameters None.
    image : str
    """
    orderings = config["orderings"]
    each = [x or {} for x in (orderings.values() if isinstance(orderings, dict) else [])]
    over = [x for x in each if isinstance(x.get("over"), list) and image in x["over"]]
    return {ordering["neuron"] for ordering in over if "neuron" in ordering}


def resolve_orderings(config):
    """Return ``{ordering: table}``.

    A table has ``how``, the method and its parameters; ``by``, "shown", "feature_maps" or
    "gradients"; the ``neuron`` of gradients, or None; ``shared``, whether it is over images; and
    its ``images`` or its ``collection``: otherwise an empty list and None.
    """
    return {name: _table(name, ordering) for name, ordering in config["orderings"].items()}


def _table(name, ordering):
    source = {key: ordering[key] for key in SOURCE if key in ordering}
    how = {key: value for key, value in ordering.items() if key not in source}
    how = {"method": name, **how}
    defaults = {key: PARAMETERS[key] for key in METHODS[how["method"]] if key in PARAMETERS}
    over = source.get("over", [])
    return {
        "how": {**defaults, **how},
        "by": source.get("by", "feature_maps" if over else "shown"),
        "neuron": source.get("neuron"),
        "shared": bool(over),
        "images": [] if isinstance(over, str) else over,
        "collection": over if isinstance(over, str) else None,
    }


def ordered_layers(config, network, info):
    """Return which orderings each layer of a network is shown in.

    Returns
    -------
    dict
        ``{layer: {"orderings": those of its feature maps; "gradient_orderings": those of its
        gradients; "shared": those over images}}``, lists of names.
    """
    orderings, chosen = config["orderings"], config["gradients"]["orderings"]
    differentiated, running = gradient_layers(config, network, info), runs(config, network)
    layers = {}
    for layer in info.layers_with_weights:
        there = [
            name
            for name, ordering in orderings.items()
            if layer in layers_of(ordering, config, network, info)
        ]
        shared = [name for name in there if "over" in orderings[name]]
        # Those by feature maps or gradients of the image itself are made with its feature maps.
        own = [
            name
            for name in chosen
            if name not in shared and ("by" not in orderings[name] or (running and name in there))
        ]
        maps = running and layer in info.convolutions
        layers[layer] = {
            "orderings": there if maps else [],
            "gradient_orderings": own + shared if layer in differentiated else [],
            "shared": shared,
        }
    return layers
