"""Checks of a configuration against its own names, the files it names and the networks in them."""

from pathlib import Path

from cnnvis.config.files import is_there
from cnnvis.core.errors import UserError, suggest
from cnnvis.core.files import safe_name
from cnnvis.core.schema_errors import dotted
from cnnvis.engines.inspection import inspect
from cnnvis.inputs.images import find_image

GROUPS = ("reference", "similar", "dissimilar")
METHODS = ("natural", "kmeans", "pca")
# Clusters of a k-means ordering where none are asked for.
CLUSTERS = 10
_FOLDERS = ("classes", "comparisons", "filters")
_NETWORK_FOLDERS = ("downloads", "recovered")


def check(config, names, made):
    """Find everything wrong with a configuration that the schema accepts.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    names : dict of str to list of str
        All ``networks`` and ``images`` the user named, with those that are wrong themselves, and
        the keys of ``slices`` that were ``given``.
    made : dict
        Files that are not there but will be (see `cnnvis.config.files.place_files`).

    Returns
    -------
    infos : dict of str to NetworkInfo
        Of the networks that could be read.
    lines : list of str
        One per mistake.
    """
    infos, lines = {}, []
    for name, network in config.get("networks", {}).items():
        infos[name] = _info(name, network, lines, made)
    infos = {name: info for name, info in infos.items() if info}
    _fit_defaults(config, names["given"], infos)
    lines += _images(config, names, infos, made)
    lines += _orderings(config, infos)
    lines += _layers(config, names, infos)
    lines += _slices(config, infos)
    lines += _comparisons(config, names, infos)
    return infos, lines


def _fit_defaults(config, given, infos):
    """Write all orderings out as mappings; fit what nobody asked for to a small network."""
    names = config["orderings"]
    config["orderings"] = {
        name: {} if isinstance(names, list) else dict(names[name] or {}) for name in names
    }
    convolutions = [conv for info in infos.values() for conv in info.convolutions.values()]
    if not convolutions:
        return
    filters = min(conv.shape[0] for conv in convolutions)
    height = max(conv.shape[1] for conv in convolutions)
    slices = config.get("slices", {})
    if "k" in slices and "k" not in given:
        slices["k"] = sorted({min(k, filters) for k in slices["k"]})
    if "rows" in slices and "rows" not in given and min(slices["rows"]) >= height:
        slices["rows"] = [height // 2]
    for name, ordering in config["orderings"].items():
        if ordering.get("method", name) == "kmeans":
            ordering.setdefault("k", min(CLUSTERS, filters))


def _info(name, network, lines, made):
    """Return what the network's prototxt says, or None; add its mistakes to `lines`."""
    place = ("networks", name)
    if name in _NETWORK_FOLDERS:
        lines.append(f"networks: key {name!r} is a folder of the results; expected another name")
    files = {key: network.get(key) for key in ("prototxt", "weights", "labels")}
    files["mean"] = network["mean"]["file"] if isinstance(network["mean"], dict) else None
    for key, path in files.items():
        if path is not None and not is_there(path, made):
            lines.append(f"{dotted(*place, key)}{path} is no file; expected the path of one")
    if files["mean"] and Path(files["mean"]).suffix not in (".npy", ".binaryproto"):
        lines.append(f"{dotted(*place, 'mean')}{files['mean']} is neither .npy nor .binaryproto")
    if not Path(files["prototxt"]).is_file():
        return None
    try:
        info = inspect(files["prototxt"], network.get("input_shape"))
    except UserError as error:
        lines.append(f"{dotted(*place, 'prototxt')}{error}")
        return None
    lines += _score(place, network, info)
    return info


def _score(place, network, info):
    if network["score"] not in info.blobs:
        place = dotted(*place, "score")
        # Caffe adds blobs of its own where one is read twice; nobody means those.
        known = [blob for blob in info.blobs if "_split_" not in blob]
        found = suggest(network["score"], known)
        yield f"{place}{network['prototxt']} has no blob {network['score']!r}; {found}"
    elif not info.convolutions:
        yield f"{dotted(*place, 'prototxt')}{network['prototxt']} has no convolution to look at"
    safe = [safe_name(layer) for layer in info.layers_with_weights]
    for layer in info.layers_with_weights:
        if safe.count(safe_name(layer)) > 1:
            yield f"{dotted(*place, 'prototxt')}layer {layer!r} has another's name in paths"


def classes_of(network, info):
    """Return the number of neurons of the network's score."""
    size = 1
    for length in info.blobs.get(network["score"], ()):
        size *= length
    return size


def _images(config, names, infos, made):
    for name, image in config.get("images", {}).items():
        if name in _FOLDERS:
            yield f"images: key {name!r} is a folder of the results; expected another name"
        yield from _path(dotted("images", name, "path"), image["path"], made)
        yield from _known(dotted("images", name, "networks"), image, names["networks"])
        if image.get("crop", [0, 0, 1, 1])[2:].count(0):
            place = dotted("images", name, "crop")
            yield f"{place}{image['crop']} is empty; expected a height and a width of at least 1"
        for network in networks_of(image, infos):
            for cls in image["classes"]:
                yield from _class(dotted("images", name, "classes"), cls, network, config, infos)


def _path(place, path, made):
    try:
        if not is_there(find_image(path), made):
            yield f"{place}{path} is no file; expected an image file, skimage:NAME or sklearn:NAME"
    except UserError as error:
        yield f"{place}{error}"


def _known(place, entry, names):
    for name in entry.get("networks", []):
        if name not in names:
            yield f"{place}{name!r} is not one of the networks; {suggest(name, names)}"


def networks_of(entry, infos):
    """Return the names of the networks an image or a comparison is for."""
    return [name for name in infos if name in entry.get("networks", infos)]


def _class(place, cls, network, config, infos):
    score = config["networks"][network]["score"]
    size = classes_of(config["networks"][network], infos[network])
    if score in infos[network].blobs and cls >= size:
        yield f"{place}{cls} is outside {score} of {network}; expected 0 to {size - 1}"


def _orderings(config, infos):
    for name, ordering in config["orderings"].items():
        method = ordering.get("method", name)
        if method not in METHODS:
            place = dotted("orderings", name, "method")
            yield f"{place}missing, and {name!r} is no method; {suggest(name, list(METHODS))}"
        for key in ("k", "seed"):
            if key in ordering and method in METHODS and method != "kmeans":
                yield f"{dotted('orderings', name, key)}{method} has no {key}; only kmeans has"
        if method == "kmeans":
            yield from _clusters(dotted("orderings", name, "k"), ordering.get("k", CLUSTERS), infos)


def _clusters(place, k, infos, layers=None):
    for network, info in infos.items():
        for layer, convolution in info.convolutions.items():
            if k > convolution.shape[0] and (layers is None or layer in layers[network]):
                filters = convolution.shape[0]
                yield f"{place}{k} is more than the {filters} filters of {layer} in {network}"
                break


def chosen_layers(layers, network):
    """Return the layers a ``layers`` key names for one network, or None for the default."""
    return layers.get(network) if isinstance(layers, dict) else layers


def _layers(config, names, infos):
    """Check that every layer named is one of the kind that its key is about."""
    for key in ("slices", "volumes", "gradients"):
        layers = config.get(key, {}).get("layers")
        if isinstance(layers, dict):
            yield from _known(dotted(key, "layers"), {"networks": layers}, names["networks"])
        for network, info in infos.items():
            known = list(info.layers_with_weights if key == "gradients" else info.convolutions)
            kind = "layer with weights" if key == "gradients" else "convolution"
            for layer in chosen_layers(layers, network) or []:
                if layer not in known:
                    place, near = dotted(key, "layers"), suggest(layer, known)
                    yield f"{place}{layer!r} is no {kind} of {network}; {near}"


def _slices(config, infos):
    slices = config.get("slices", {"rows": [], "k": []})
    cut = {}
    for network, info in infos.items():
        chosen = chosen_layers(slices.get("layers"), network)
        heights = {layer: conv.shape[1] for layer, conv in info.convolutions.items()}
        cut[network] = [layer for layer in chosen or heights if layer in heights]
        for row in slices["rows"]:
            place = f"{dotted('slices', 'rows')}{row}"
            short = [layer for layer in cut[network] if heights[layer] <= row]
            if chosen:
                for layer in short:
                    rows = f"0 to {heights[layer] - 1}"
                    yield f"{place} is outside {layer} of {network}; expected {rows}"
            elif heights and len(short) == len(heights):
                rows = f"0 to {max(heights.values()) - 1}"
                yield f"{place} is outside every convolution of {network}; expected {rows}"
            if not chosen:
                cut[network] = [layer for layer in cut[network] if layer not in short]
    for k in slices["k"]:
        yield from _clusters(dotted("slices", "k"), k, infos, cut)


def _comparisons(config, names, infos):
    for name, comparison in config.get("comparisons", {}).items():
        place = ("comparisons", name)
        yield from _known(dotted(*place, "networks"), comparison, names["networks"])
        yield from _compared_layers(place, comparison, config, infos)
        for network in networks_of(comparison, infos):
            for key, cls in (("neuron", comparison["neuron"]), *_classes(comparison)):
                yield from _class(dotted(*place, key), cls, network, config, infos)
        seen = set()
        for group in GROUPS:
            members = comparison[group]["correct"] + comparison[group]["wrong"]
            if not members:
                yield f"{dotted(*place, group)}has no images; expected some in correct or wrong"
            for image in members:
                yield from _member(dotted(*place, group), image, seen, comparison, config, names)
                seen.add(image)


def _classes(comparison):
    return [(f"{group}.cls", comparison[group]["cls"]) for group in GROUPS]


def _member(place, image, seen, comparison, config, names):
    if image not in names["images"]:
        yield f"{place}{image!r} is not one of the images; {suggest(image, names['images'])}"
    if image in seen:
        yield f"{place}{image!r} is listed twice in this comparison"
    networks = config.get("images", {}).get(image, {}).get("networks")
    for network in comparison.get("networks", names["networks"]):
        if networks is not None and network not in networks:
            yield f"{place}{image!r} is not for {network}, as its key networks says"


def _compared_layers(place, comparison, config, infos):
    for network in networks_of(comparison, infos):
        known = gradient_layers(config, network, infos[network])
        for layer in chosen_layers(comparison.get("layers"), network) or []:
            if layer not in known:
                key, near = dotted(*place, "layers"), suggest(layer, known)
                yield f"{key}{layer!r} is not in gradients.layers of {network}; {near}"


def gradient_layers(config, network, info):
    """Return the layers whose gradients are made: by default the first two convolutions."""
    chosen = chosen_layers(config.get("gradients", {}).get("layers"), network)
    return list(chosen or list(info.convolutions)[:2])
