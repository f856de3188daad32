"""The completed configuration, arranged for the workflow to look things up in.

Layers stand here by the names they have in paths; their own names and blobs are in ``layers``.
"""

import math
from dataclasses import asdict

from cnnvis.config.checks import (
    GROUPS,
    chosen_layers,
    cut_rows,
    gradient_layers,
    networks_of,
    runs,
)
from cnnvis.config.files import image_file, preprocessing_of
from cnnvis.config.orderings import ordered_layers, resolve_orderings
from cnnvis.config.page_files import image_files
from cnnvis.core.files import safe_name
from cnnvis.engines.model import Model

# Threads share a network of more weights than this well; jobs side by side suit a smaller one.
LARGE = 5_000_000
# In bytes, asked for on a cluster. Gradient checks in float64 need most: 829 MB were
# measured for CaffeNet and 3021 for VGG-16, for which 2463 and 4320 are asked for.
MEMORY_PER_WEIGHT = 24
# A kernel has an orientation and a frequency from 3 x 3, and enough weights to fit a Gabor function
# from 5 x 5: the tuning of smaller ones is made where it is asked for.
LEAST_KERNEL, SHOWN_KERNEL = 3, 5


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
        - ``engine``: as configured
        - ``networks``: {network: ``prototxt``, ``weights``; ``runs``, whether it has weights, so
          that there is more of it than published gradients; ``classes``, how many neurons it has;
          ``labels`` and ``mean_file`` as lists; ``threads``; ``memory``, what a job that
          runs it asks for on a cluster, in MB; ``model`` and ``preprocessing``, what `Model` and
          `Preprocessing` are made of}
        - ``layers``: {network: {layer: {``name``, ``blob`` (None for layers without feature maps:
          other layers than convolutions, and all of a network that cannot be run), ``volumes``
          (None for a layer without), ``slices``, and which orderings it has: see
          `cnnvis.config.orderings.ordered_layers`}}}
        - ``tuned``: {network: ``layer``, the first convolution, if it is over three colours and
          its kernel is large enough; ``shown``, whether pages ask for its tuning}
        - ``differentiated``: {network: [layer's own name, ...]}, where gradients are taken
        - ``images``: {image: ``path``, ``crop``, ``classes``; ``file`` as a list}
        - ``orderings``: see `cnnvis.config.orderings.resolve_orderings`
        - ``clusters``: [number of clusters of a slice, ...]
        - ``attributions``: {network: [kind, ...]}
        - ``check``: {``mode`` and its numbers}
        - ``comparisons``: {network: {comparison: {``neuron``, ``ordering`` or None,
          ``layers``, ``members``}}}
    """
    check = config["gradients"]["check"]
    return {
        "engine": config["engine"],
        "networks": {name: _network(config, name, info) for name, info in infos.items()},
        "layers": {name: _layers(config, name, info) for name, info in infos.items()},
        "tuned": {
            name: tuned
            for name, info in infos.items()
            if runs(config, name) and (tuned := _tuned(info))
        },
        "differentiated": {
            name: gradient_layers(config, name, info) for name, info in infos.items()
        },
        "images": {name: _image(image) for name, image in config["images"].items()},
        "orderings": resolve_orderings(config),
        "clusters": config["slices"]["k"],
        "attributions": {
            name: config["attributions"] if runs(config, name) else [] for name in infos
        },
        "check": {"mode": check} if isinstance(check, str) else check,
        "comparisons": {name: _comparisons(config, name, info) for name, info in infos.items()},
    }


def resolve_pages(config, tables):
    """Return what the pages of images show, from all other tables.

    Returns
    -------
    dict
        - ``pages``: {network: {image: {``shown`` and ``made``, see `image_files`}}}
        - ``shown``: {network: [image, ...]}
    """
    pages = {name: _pages(config, name, tables) for name in tables["networks"]}
    return {"pages": pages, "shown": {name: list(images) for name, images in pages.items()}}


def _network(config, name, info):
    network = config["networks"][name]
    preprocessing = preprocessing_of(network, info.input_shape)
    weights = sum(map(math.prod, info.layers_with_weights.values()))
    return {
        "prototxt": network["prototxt"],
        "weights": network["weights"],
        "runs": runs(config, name),
        "classes": info.blobs[network["score"]][0],
        "labels": [network["labels"]] if "labels" in network else [],
        "mean_file": preprocessing.files(),
        "threads": 4 if weights > LARGE else 1,
        "memory": 1000 + MEMORY_PER_WEIGHT * weights // 10**6,
        "model": asdict(model_of(config, name)),
        "preprocessing": asdict(preprocessing),
    }


def model_of(config, name):
    """Return the `Model` of a network of the completed configuration."""
    network, engine = config["networks"][name], config["engine"]
    shape = network.get("input_shape")
    return Model(
        prototxt=network["prototxt"],
        weights=network["weights"],
        score=network["score"],
        engine=engine,
        surplus=network["surplus_weights"],
        input_shape=tuple(shape) if shape else None,
        python=config["pycaffe"].get("python") if engine == "pycaffe" else None,
    )


def _layers(config, network, info):
    shown = {
        key: chosen_layers(config[key].get("layers"), network) or info.convolutions
        for key in ("volumes", "slices")
    }
    volumes = {"rule": config["volumes"]["binarise"], "percentile": config["volumes"]["percentile"]}
    slices = {key: value for key, value in config["slices"].items() if key != "layers"}
    ordered = ordered_layers(config, network, info)
    layers = {}
    for layer in info.layers_with_weights:
        convolution = info.convolutions.get(layer) if runs(config, network) else None
        height = convolution.shape[1] if convolution and layer in shown["slices"] else 0
        rows = cut_rows(config["slices"], height)
        layers[safe_name(layer)] = {
            "name": layer,
            "blob": convolution.blob if convolution else None,
            "volumes": volumes if convolution and layer in shown["volumes"] else None,
            "slices": {**slices, "rows": rows, "stability": bool(rows) and slices["stability"]},
            **ordered[layer],
        }
    return layers


def _tuned(info):
    layer, convolution = next(iter(info.convolutions.items()), (None, None))
    if layer is None or info.input_shape[0] != 3 or convolution.weight_shape[1] != 3:
        return None
    smallest = min(convolution.weight_shape[2:])
    if smallest < LEAST_KERNEL:
        return None
    return {"layer": safe_name(layer), "name": layer, "shown": smallest >= SHOWN_KERNEL}


def _pages(config, network, tables):
    return {
        name: image_files(tables, network, name)
        if image["artefacts"] == "all"
        else {"shown": [], "made": []}
        for name, image in config["images"].items()
        if networks_of(image, [network])
    }


def _image(image):
    keys = {key: image.get(key) for key in ("path", "crop", "classes")}
    return {**keys, "file": image_file(image["path"])}


def _comparisons(config, network, info):
    gradients = gradient_layers(config, network, info)
    return {
        name: {
            "neuron": comparison["neuron"],
            "ordering": comparison.get("ordering"),
            "layers": [
                safe_name(layer)
                for layer in chosen_layers(comparison.get("layers"), network) or gradients
            ],
            "members": [
                {"group": group, "cls": comparison[group]["cls"], "image": image, "correct": right}
                for group in GROUPS
                for right, verdict in ((True, "correct"), (False, "wrong"))
                for image in comparison[group][verdict]
            ],
        }
        for name, comparison in config["comparisons"].items()
        if networks_of(comparison, [network])
    }
