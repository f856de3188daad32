"""The completed configuration, arranged for the workflow to look things up in.

Layers stand here by the names they have in paths; their own names and blobs are in ``layers``.
"""

import math
from dataclasses import asdict

from cnnvis.config.checks import GROUPS, chosen_layers, gradient_layers, networks_of
from cnnvis.core.files import safe_name
from cnnvis.engines.model import Model

# Threads share a network of more weights than this well; jobs side by side suit a smaller one.
LARGE = 5_000_000


def resolve(config, infos):
    """Arrange a configuration that is right.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    infos : dict of str to NetworkInfo

    Returns
    -------
    dict
        ``engine``, ``pycaffe``, ``check``, ``volumes`` and ``slices`` as configured, and

        - ``networks``: {network: its keys, ``shape``, ``threads``, ``engine_options``;
          ``labels`` and ``mean_file`` as lists}
        - ``layers``: {network: {layer: {``name``, ``blob``}}}
        - ``differentiated``: {network: [layer's own name, ...]}, where gradients are taken
        - ``images``: {image: its keys; ``file``: a list}
        - ``shown``: {network: {image: what its page shows}}, see `_shown`
        - ``orderings``: {ordering: {``method`` and its numbers}}
        - ``comparisons``: {network: {comparison: {``neuron``, ``layers``, ``members``}}}
        - ``filters``: [(network, layer), ...]
        - ``pages``: [(network, image), ...]
        - ``comparison_pages``: [(network, comparison), ...]
        - ``comparison_pictures``: [(network, comparison, layer), ...]
    """
    comparisons = {name: _comparisons(config, name, info) for name, info in infos.items()}
    shown = {name: _shown(config, name, info) for name, info in infos.items()}
    return {
        "engine": config["engine"],
        "pycaffe": config["pycaffe"],
        "check": _check(config["gradients"]["check"]),
        "networks": {name: _network(config, name, info) for name, info in infos.items()},
        "layers": {name: _layers(info) for name, info in infos.items()},
        "differentiated": {
            name: gradient_layers(config, name, info) for name, info in infos.items()
        },
        "images": {name: _image(image) for name, image in config["images"].items()},
        "shown": shown,
        "attributions": config["attributions"],
        "orderings": _orderings(config["orderings"]),
        "volumes": {key: config["volumes"][key] for key in ("binarise", "percentile")},
        "slices": {key: config["slices"][key] for key in ("k", "seed")},
        "comparisons": comparisons,
        "filters": [
            (name, safe_name(layer)) for name, info in infos.items() for layer in info.convolutions
        ],
        "pages": [(name, image) for name, images in shown.items() for image in images],
        "comparison_pages": [(name, key) for name, each in comparisons.items() for key in each],
        "comparison_pictures": [
            (name, key, layer)
            for name, each in comparisons.items()
            for key, comparison in each.items()
            for layer in comparison["layers"]
        ],
    }


def _weights(info):
    return sum(math.prod(shape) for shape in info.layers_with_weights.values())


def _check(check):
    numbers = {"mode": "sample", "per_filter": 5, "directions": 8, "seed": 0}
    return {**numbers, **({"mode": check} if isinstance(check, str) else check)}


def _network(config, name, info):
    network = config["networks"][name]
    mean, given = network["mean"], network.get("input_shape")
    options = config["pycaffe"] if config["engine"] == "pycaffe" else {}
    return {
        **network,
        "mean_file": [mean["file"]] if isinstance(mean, dict) else [],
        "labels": [network["labels"]] if "labels" in network else [],
        "shape": list(info.input_shape),
        "input_shape": given,
        "threads": 4 if _weights(info) > LARGE else 1,
        "engine_options": options | ({"input_shape": given} if given else {}),
        "model": asdict(model_of(config, name)),
        "preprocessing": {
            "shape": tuple(info.input_shape),
            "mean": mean,
            "input_scale": network["input_scale"],
            "channel_order": network["channel_order"],
        },
    }


def model_of(config, name):
    """Return the `Model` of a network of the completed configuration."""
    network, given = config["networks"][name], config["networks"][name].get("input_shape")
    options = config["pycaffe"] if config["engine"] == "pycaffe" else {}
    return Model(
        prototxt=network["prototxt"],
        weights=network["weights"],
        score=network["score"],
        engine=config["engine"],
        surplus=network["surplus_weights"],
        input_shape=tuple(given) if given else None,
        python=options.get("python"),
    )


def _layers(info):
    blobs = {layer: convolution.blob for layer, convolution in info.convolutions.items()}
    return {
        safe_name(layer): {"name": layer, "blob": blobs.get(layer)}
        for layer in info.layers_with_weights
    }


def _image(image):
    shipped = image["path"].startswith(("skimage:", "sklearn:"))
    return {**image, "crop": image.get("crop"), "file": [] if shipped else [image["path"]]}


def _shown(config, network, info):
    """Return {image: {kind: what its page shows}}, empty lists for what only comparisons use."""
    kinds = {
        "convolutions": list(map(safe_name, info.convolutions)),
        "volumes": list(map(safe_name, _chosen_convolutions(config["volumes"], network, info))),
        "slices": _slice_places(config["slices"], network, info),
        "gradients": list(map(safe_name, gradient_layers(config, network, info))),
    }
    nothing = dict.fromkeys([*kinds, "classes"], [])
    return {
        name: {**kinds, "classes": image["classes"]} if image["artefacts"] == "all" else nothing
        for name, image in config["images"].items()
        if network in networks_of(image, [network])
    }


def _chosen_convolutions(entry, network, info):
    return chosen_layers(entry.get("layers"), network) or info.convolutions


def _slice_places(slices, network, info):
    return [
        (safe_name(layer), row)
        for layer in _chosen_convolutions(slices, network, info)
        for row in slices["rows"]
        if row < info.convolutions[layer].shape[1]
    ]


def _orderings(orderings):
    resolved = {}
    for name, ordering in orderings.items():
        ordering = {"method": name, **ordering}
        numbers = {"seed": 0} if ordering["method"] == "kmeans" else {}
        resolved[name] = {**numbers, **ordering}
    return resolved


def _comparisons(config, network, info):
    gradients = gradient_layers(config, network, info)
    return {
        name: {
            "neuron": comparison["neuron"],
            "layers": list(
                map(safe_name, chosen_layers(comparison.get("layers"), network) or gradients)
            ),
            "members": _members(comparison),
        }
        for name, comparison in config["comparisons"].items()
        if network in networks_of(comparison, [network])
    }


def _members(comparison):
    return [
        {"group": group, "cls": comparison[group]["cls"], "image": image, "correct": correct}
        for group in GROUPS
        for correct in (True, False)
        for image in comparison[group]["correct" if correct else "wrong"]
    ]
