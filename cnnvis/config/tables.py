"""The completed configuration, arranged for the workflow to look things up in.

Layers stand here by the names they have in paths; their own names and blobs are in ``layers``.
"""

import math
from dataclasses import asdict

from cnnvis.config.checks import GROUPS, chosen_layers, gradient_layers, networks_of
from cnnvis.config.page_files import image_files
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
        - ``engine``, ``pycaffe``: as configured
        - ``networks``: {network: its keys, ``threads``; ``model`` and ``preprocessing``, what
          `Model` and `Preprocessing` are made of; ``labels`` and ``mean_file`` as lists}
        - ``layers``: {network: {layer: {``name``, ``blob`` (None for other layers than
          convolutions), ``volumes`` (None for a layer without), ``slices``}}}
        - ``differentiated``: {network: [layer's own name, ...]}, where gradients are taken
        - ``images``: {image: its keys; ``file``: a list}
        - ``orderings``: {ordering: {``method`` and its numbers}}
        - ``attributions``: [kind, ...]
        - ``check``: {``mode`` and its numbers}
        - ``comparisons``: {network: {comparison: {``neuron``, ``layers``, ``members``}}}
        - ``pages``: {network: {image: {``shown`` and ``made``, see `image_files`}}}
        - ``shown``: {network: [image, ...]}
    """
    tables = {
        "engine": config["engine"],
        "pycaffe": config["pycaffe"],
        "networks": {name: _network(config, name, info) for name, info in infos.items()},
        "layers": {name: _layers(config, name, info) for name, info in infos.items()},
        "differentiated": {
            name: gradient_layers(config, name, info) for name, info in infos.items()
        },
        "images": {name: _image(image) for name, image in config["images"].items()},
        "orderings": _orderings(config["orderings"]),
        "attributions": config["attributions"],
        "check": _check(config["gradients"]["check"]),
        "comparisons": {name: _comparisons(config, name, info) for name, info in infos.items()},
    }
    pages = {name: _pages(config, name, tables) for name in infos}
    return {
        **tables,
        "pages": pages,
        "shown": {name: list(images) for name, images in pages.items()},
    }


def _weights(info):
    return sum(math.prod(shape) for shape in info.layers_with_weights.values())


def _check(check):
    return {"mode": check} if isinstance(check, str) else check


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


def _layers(config, network, info):
    shown = {
        key: chosen_layers(config[key].get("layers"), network) or info.convolutions
        for key in ("volumes", "slices")
    }
    layers = {}
    for layer in info.layers_with_weights:
        convolution = info.convolutions.get(layer)
        height = convolution.shape[1] if convolution and layer in shown["slices"] else 0
        rows = [row for row in config["slices"]["rows"] if row < height]
        layers[safe_name(layer)] = {
            "name": layer,
            "blob": convolution.blob if convolution else None,
            "volumes": _volumes(config["volumes"]) if layer in shown["volumes"] else None,
            "slices": {"rows": rows, **{key: config["slices"][key] for key in ("k", "seed")}},
        }
    return layers


def _volumes(volumes):
    return {"rule": volumes["binarise"], "percentile": volumes["percentile"]}


def _pages(config, network, tables):
    return {
        name: image_files(tables, network, name)
        if image["artefacts"] == "all"
        else {"shown": [], "made": []}
        for name, image in config["images"].items()
        if network in networks_of(image, [network])
    }


def _image(image):
    shipped = image["path"].startswith(("skimage:", "sklearn:"))
    return {**image, "crop": image.get("crop"), "file": [] if shipped else [image["path"]]}


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
