"""The configuration's key ``verify``: checked, and arranged in a table of what a run can compare.

What `cnnvis.config.checks` and `cnnvis.config.tables` are to the rest.
"""

from pathlib import Path

from cnnvis.checks import published
from cnnvis.config.checks import classes_of, gradient_layers, networks_of
from cnnvis.core.errors import suggest
from cnnvis.core.schema_errors import dotted
from cnnvis.inputs.sources import described

EMPTY = {
    "study": "",
    "network": [],
    "image": [],
    "neuron": 0,
    "blob": "conv1",
    "published": [],
    "downloads": {},
    "natural": [],
    "layers": [],
    "orderings": {},
    "rows": [],
    "images": [],
    "fitted": {},
    "checked": [],
    "reasons": {},
}


def check_verify(config, names, infos):
    """Yield one line per mistake in the key ``verify``.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    names : dict of str to list of str
        All ``networks`` and ``images`` the user named.
    infos : dict of str to NetworkInfo
    """
    verify = config.get("verify")
    if not verify:
        return
    if not Path(verify["study"]).is_dir():
        yield (
            f"{dotted('verify', 'study')}{verify['study']} is no folder; expected one of files "
            "that the study published, or study, into which they are fetched"
        )
    for key in ("network", "image"):
        known = names[f"{key}s"]
        if key in verify and verify[key] not in known:
            near = suggest(verify[key], known)
            yield f"{dotted('verify', key)}{verify[key]!r} is not one of the {key}s; {near}"
    if "network" not in verify and len(names["networks"]) > 1:
        networks = ", ".join(names["networks"])
        yield f"{dotted('verify', 'network')}missing; expected one of {networks}"


def resolve_verify(config, infos, orderings):
    """Arrange what can be compared.

    Parameters
    ----------
    config : dict
        That `check_verify` found nothing wrong with.
    infos : dict of str to NetworkInfo
    orderings : dict
        Resolved: {ordering: {``method`` and its numbers}}.

    Returns
    -------
    dict
        The keys of `EMPTY`. ``published`` are the files that are there or can be fetched, by
        ``downloads``; ``layers`` the convolutions to compare; ``orderings`` {method: ordering};
        ``rows`` the slices of conv1; ``images`` those with gradients; ``fitted`` {image:
        {``layers``, ``files``}}; ``reasons`` {what is missing: why}. Lists instead of single
        values, so that the rules ask for nothing where there is nothing.
    """
    verify = config.get("verify")
    if not verify:
        return EMPTY
    network = verify.get("network", next(iter(infos)))
    info, folder = infos[network], verify["study"]
    outputs = _outputs(config, network, info, orderings)
    gradients = _gradients(config, network, info)
    reasons = {**outputs.pop("reasons"), **gradients.pop("reasons")}
    needed = published.names(outputs.get("layers", []), gradients.get("images", []))
    paths = [published.find(folder, name) for name in needed]
    missing = {str(path): described(path) for path in paths if not path.is_file()}
    downloads = {path: entry for path, entry in missing.items() if entry}
    there = [str(path) for path in paths if path.is_file() or str(path) in downloads]
    layers = gradients.pop("layers", [])
    fitted = {image: _fitted(folder, image, layers, there) for image in gradients.get("images", [])}
    return {
        **EMPTY,
        "study": folder,
        "network": [network],
        "image": [verify["image"]],
        "neuron": verify["neuron"],
        "published": there,
        "downloads": downloads,
        "fitted": fitted,
        **outputs,
        **gradients,
        "reasons": reasons,
    }


def _fitted(folder, image, layers, there):
    """Return the layers by which the study's gradient of an image is there, and its files."""
    files = {
        layer: str(published.find(folder, published.gradient_name(image, layer)))
        for layer in layers
    }
    found = {layer: path for layer, path in files.items() if path in there}
    return {"layers": list(found), "files": list(found.values())}


def _outputs(config, network, info, orderings):
    """Return what can be compared of the outputs of cat.jpg."""
    methods = {}
    for name, ordering in orderings.items():
        methods.setdefault(ordering["method"], name)
    layers = [layer for layer in published.LAYERS if layer in info.convolutions]
    reasons = {
        layer: f"network {network} has no convolution of that name"
        for layer in published.LAYERS
        if layer not in layers
    }
    if "natural" not in methods:
        reasons |= dict.fromkeys(layers, "the configuration has no ordering by method natural")
        layers = []
    if "conv1" not in info.convolutions:
        return {"reasons": reasons}
    reasons["orderings"] = "the configuration has no ordering by this method"
    conv1 = info.convolutions["conv1"]
    return {
        "blob": conv1.blob,
        "natural": [methods["natural"]] if layers else [],
        "layers": layers,
        "orderings": {method: methods[method] for method in ("pca", "kmeans") if method in methods},
        "rows": [row for row in config["slices"]["rows"] if row < conv1.shape[1]],
        "reasons": reasons,
    }


def _gradients(config, network, info):
    """Return what can be compared of the gradients of the six images."""
    verify, entry = config["verify"], config["networks"][network]
    known = gradient_layers(config, network, info)
    layers = [layer for layer in published.GRADIENT_LAYERS if layer in known]
    reasons = {
        f"gradient of {layer}": f"gradients.layers of {network} does not name {layer}"
        for layer in published.GRADIENT_LAYERS
        if layer not in layers
    }
    neurons = classes_of(entry, info)
    if verify["neuron"] >= neurons:
        lacks = f"network {network} has no neuron {verify['neuron']}"
        reasons["gradients"] = f"{lacks}: {entry['score']} has {neurons}"
        return {"reasons": reasons}
    images = []
    for image in published.IMAGES:
        if network in networks_of(config["images"].get(image, {"networks": []}), [network]):
            images.append(image)
        else:
            reasons[image] = f"the configuration has no image {image} for {network}"
    reasons["checks"] = "the run has no gradient of these images"
    return {"images": images, "layers": layers, "checked": images[:1], "reasons": reasons}
