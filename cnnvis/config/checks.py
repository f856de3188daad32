"""Checks of a configuration against its own names, the files it names and its networks.

Every check yields one line per mistake, which begins with the place of the mistake.
"""

from cnnvis.config.files import missing
from cnnvis.core.arrays import cluster_numbers
from cnnvis.core.errors import UserError, suggest
from cnnvis.core.schema_errors import dotted
from cnnvis.inputs.images import find_image

GROUPS = ("reference", "similar", "dissimilar")
FOLDERS = (
    *("classes", "comparisons", "filters", "index.html"),
    *("lesions", "maximisation", "orderings", "parity.json", "responses", "tuning"),
    "what-if.js",
)
"""What is in a network's results beside the folders of the images."""
LAYERS = {
    "slices": ("convolution", "convolutions"),
    "volumes": ("convolution", "convolutions"),
    "responses": ("convolution", "convolutions"),
    "gradients": ("layer with weights", "layers_with_weights"),
    "class_importance": ("layer with weights", "layers_with_weights"),
    "pruning": ("layer that can be pruned", "filters"),
    "lesions": ("layer that can be pruned", "filters"),
}
"""Which layers each key is about: what they are called, and the attribute of `NetworkInfo`."""


def check(config, names, planned, models):
    """Find everything wrong with a configuration that the schema accepts.

    Parameters
    ----------
    config : dict
        Completed with all defaults.
    names : dict of str to list of str
        All ``networks`` and ``images`` that the user named, with those that are wrong themselves.
    planned : dict
        Missing files that a rule will make (see `cnnvis.config.files.place_files`).
    models : dict of str to Model
        The networks that could be read.

    Yields
    ------
    str
    """
    infos = {name: model.info for name, model in models.items()}
    yield from reserved("images", config["images"], FOLDERS)
    for name, image in config["images"].items():
        yield from _image(("images", name), image, names, planned, models)
    for key in LAYERS:
        yield from _layers(key, config.get(key, {}).get("layers"), names, infos)
    for network, info in infos.items():
        if runs(config, network):
            yield from _slices(config["slices"], network, info)
    for name, comparison in config["comparisons"].items():
        yield from _comparison(("comparisons", name), comparison, config, names, models)


def reserved(key, names, folders):
    """Yield a line for each name that a folder of the results has."""
    for name in names:
        if name in folders:
            yield f"{key}: {name!r} is reserved for the results; choose another name"


def unknown(place, names, options, what):
    """Yield a line for each name that is not one of the options, `what` in the plural."""
    for name in names:
        if name not in options:
            yield f"{place}{name!r} is not one of the {what}; {suggest(name, options)}"


def unknown_networks(place, entry, names):
    """Yield a line for each network that an entry names and that does not exist."""
    networks = entry.get("networks", [])
    yield from unknown(dotted(*place, "networks"), networks, names["networks"], "networks")


def mistakes(place, check, *values):
    """Yield the line of the `UserError` that a check raises, if it raises one."""
    try:
        check(*values)
    except UserError as error:
        yield f"{place}{error}"


def check_neuron(place, cls, model):
    """Yield a line if a network has no such neuron; a wrong score blob is the network's mistake."""
    if not list(mistakes("", lambda: model.classes)):
        yield from mistakes(place, model.check_neuron, cls)


def chosen_layers(layers, network):
    """Return the layers that a ``layers`` key names for one network, or None for the default."""
    return layers.get(network) if isinstance(layers, dict) else layers


def cut_rows(slices, height):
    """Return the rows of a layer that is `height` rows high at which slices are cut."""
    rows = range(height) if slices["rows"] == "all" else slices["rows"]
    return [row for row in rows if row < height]


def runs(config, network):
    """Return whether a network can be run: it has weights, not only published gradients."""
    return not config["networks"][network]["gradients"]


def gradient_layers(config, network, info):
    """Return the layers with gradients: by default all published, or the first two convolutions."""
    chosen = chosen_layers(config["gradients"].get("layers"), network)
    published = config["networks"][network]["gradients"]
    return list(chosen or published or list(info.convolutions)[:2])


def networks_of(entry, networks):
    """Return those of the networks that an image, a comparison or a collection is for."""
    return [name for name in networks if name in entry.get("networks", networks)]


def _image(place, image, names, planned, models):
    path = dotted(*place, "path")
    line = list(mistakes(path, find_image, image["path"]))
    expected = "an image file, skimage:NAME or sklearn:NAME"
    yield from line or missing(path, find_image(image["path"]), planned, expected)
    yield from unknown_networks(place, image, names)
    if 0 in image.get("crop", [0, 0, 1, 1])[2:]:
        where = dotted(*place, "crop")
        yield f"{where}{image['crop']} is empty; expected a height and a width of at least 1"
    for network in networks_of(image, models):
        for cls in image["classes"]:
            yield from check_neuron(dotted(*place, "classes"), cls, models[network])


def check_clusters(place, k, network, shapes):
    """Yield a line if a layer, of ``{layer: shape}``, has fewer filters than clusters."""
    for layer, (filters, *_) in shapes.items():
        if k > filters:
            yield f"{place}{k} is more than the {filters} filters of {layer} in {network}"
            return


def _layers(key, layers, names, infos):
    """Check that every layer named is one of the kind that its key is about."""
    place, (kind, attribute) = dotted(key, "layers"), LAYERS[key]
    if isinstance(layers, dict):
        yield from unknown(place, layers, names["networks"], "networks")
    for network, info in infos.items():
        options = getattr(info, attribute)
        for layer in chosen_layers(layers, network) or []:
            if layer not in options:
                yield f"{place}{network} has no {kind} named {layer!r}; {suggest(layer, options)}"


def _slices(slices, network, info):
    chosen = chosen_layers(slices.get("layers"), network)
    named = chosen or info.convolutions
    cut = {layer: conv for layer, conv in info.convolutions.items() if layer in named}
    heights = {layer: conv.shape[1] for layer, conv in cut.items()}
    if heights and not chosen:
        # Every layer that is named must have the row; of all convolutions, one is enough.
        heights = {"every convolution": max(heights.values())}
    rows = [0] if slices["rows"] == "all" else slices["rows"]
    for row in rows:
        for layer, height in heights.items():
            if row >= height:
                where = f"{row} is outside {layer} of {network}"
                yield f"{dotted('slices', 'rows')}{where}; expected 0 to {height - 1}"
    first = min(rows, default=0)
    cut = {layer: conv.shape for layer, conv in cut.items() if first < conv.shape[1]}
    for k in slices["k"]:
        place, (clusters, *fewer) = dotted("slices", "k"), cluster_numbers(k)
        yield from check_clusters(place, clusters, network, cut)
        if fewer and fewer[0] >= clusters:
            yield f"{place}{k} makes {fewer[0]} clusters of {clusters}; expected fewer, as in 20x5"


def _comparison(place, comparison, config, names, models):
    yield from unknown_networks(place, comparison, names)
    neurons = {"neuron": comparison["neuron"]}
    neurons |= {f"{group}.cls": comparison[group]["cls"] for group in GROUPS}
    for network in networks_of(comparison, models):
        options = gradient_layers(config, network, models[network].info)
        layers = chosen_layers(comparison.get("layers"), network) or []
        where = dotted(*place, "layers")
        yield from unknown(where, layers, options, f"gradients.layers of {network}")
        for key, cls in neurons.items():
            yield from check_neuron(dotted(*place, key), cls, models[network])
    seen = set()
    for group in GROUPS:
        members, where = comparison[group]["correct"] + comparison[group]["wrong"], (*place, group)
        if not members:
            yield f"{dotted(*where)}has no images; expected some in correct or wrong"
        yield from unknown(dotted(*where), members, names["images"], "images")
        for image in members:
            if image in seen:
                yield f"{dotted(*where)}{image!r} is listed twice in this comparison"
            seen.add(image)
            entry = config["images"].get(image, {})
            for network in networks_of(comparison, names["networks"]):
                if not networks_of(entry, [network]):
                    reason = f"is not shown to network {network} (see images.{image}.networks)"
                    yield f"{dotted(*where)}image {image!r} {reason}"
