"""The key ``verify``: checked, and turned into what a run can compare with published files."""

from pathlib import Path

from cnnvis.config.checks import (
    METHODS,
    chosen_layers,
    cut_rows,
    gradient_layers,
    networks_of,
    unknown,
)
from cnnvis.core.schema_errors import dotted
from cnnvis.inputs import published
from cnnvis.inputs.sources import described

EMPTY = {"run": {}, "inputs": [], "downloads": {}, "fitted": {}, "neuron": 0, "recovered": []}


def check_verify(config, names):
    """Yield one line per mistake in the key ``verify``.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    names : dict of str to list of str
        All ``networks`` and ``images`` the user named.
    """
    verify = config.get("verify")
    if not verify:
        return
    if not Path(verify["study"]).is_dir():
        yield (
            f"{dotted('verify', 'study')}folder not found: {verify['study']}; expected one with "
            "files that the study published, or study, into which they are downloaded"
        )
    for key in ("network", "image"):
        name = [verify[key]] if key in verify else []
        yield from unknown(dotted("verify", key), name, names[f"{key}s"], f"{key}s")
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
        - ``run``: the attributes of `cnnvis.checks.reproduction.Run`
        - ``inputs``: all files that the comparison reads
        - ``downloads``: {path: entry of the study's ``source.yaml``}
        - ``fitted``: {image: {layer: published gradient}}, whose neurons are searched
        - ``neuron``: the one expected
        - ``recovered``: reports of the filter recovery that the network's weights come from

        All empty without the key ``verify``.
    """
    verify = config.get("verify")
    if not verify:
        return EMPTY
    network, folder = verify.get("network", next(iter(infos))), verify["study"]
    lacks = _lacks(config, network, infos[network], orderings)
    conv1 = infos[network].convolutions.get("conv1")
    cut = chosen_layers(config["slices"].get("layers"), network) or ["conv1"]
    height = conv1.shape[1] if conv1 and "conv1" in cut else 0
    rows = cut_rows(config["slices"], height)
    checked = next((image for image in published.IMAGES if image not in lacks), None)
    files, reasons = {}, {}
    for name, path, *needs in _results(verify, network, orderings, rows, checked):
        missing = [lacks[need] for need in needs if need in lacks]
        if missing:
            reasons[name] = missing[0]
        else:
            files[name] = path
    present, downloads = _published_files(folder, files, rows)
    fitted = {
        image: {
            layer: path
            for layer in published.GRADIENT_LAYERS
            for path in [str(published.find(folder, published.gradient_name(image, layer)))]
            if f"{image} {layer}" in files and path in present
        }
        for image in published.IMAGES
    }
    weights = config["networks"][network]["weights"]
    return {
        "run": {
            "study": folder,
            "network": network,
            "image": verify["image"],
            "neuron": verify["neuron"],
            "blob": conv1.blob if conv1 else "conv1",
            "files": files,
            "reasons": reasons,
            "rows": rows,
            "checked": checked,
        },
        "inputs": [*present, *dict.fromkeys(files.values())],
        "downloads": downloads,
        "fitted": fitted,
        "neuron": verify["neuron"],
        "recovered": [
            f"results/recovered/{name}/report.json"
            for name in config["recover"]
            if weights == f"results/recovered/{name}/weights.caffemodel"
        ],
    }


def _lacks(config, network, info, orderings):
    """Return {layer, method, image, ...: why the run has nothing of it}."""
    lacks = {
        layer: f"network {network} has no convolution of that name"
        for layer in published.LAYERS
        if layer not in info.convolutions
    }
    methods = {ordering["method"] for ordering in orderings.values()}
    for method in {*METHODS} - methods:
        lacks[method] = f"the configuration has no ordering by method {method}"
    volumes = chosen_layers(config["volumes"].get("layers"), network) or info.convolutions
    gradients = gradient_layers(config, network, info)
    for what, layers in (("volume", volumes), ("gradient", gradients)):
        for layer in {*published.LAYERS} - {*layers}:
            lacks[f"{what} of {layer}"] = f"{what}s.layers of {network} does not name {layer}"
    neuron, score = config["verify"]["neuron"], config["networks"][network]["score"]
    neurons = info.blobs[score][0]
    if neuron >= neurons:
        lack = f"network {network} has no neuron {neuron}: its score {score} has {neurons}"
        return lacks | dict.fromkeys(published.IMAGES, lack)
    for image in published.IMAGES:
        if network not in networks_of(config["images"].get(image, {"networks": []}), [network]):
            lacks[image] = f"the configuration has no image {image} for {network}"
    return lacks


def _results(verify, network, orderings, rows, checked):
    """Yield a result's name, its path, and what the run must have for it."""
    folder, neuron = f"results/{network}/{verify['image']}", verify["neuron"]
    names = {ordering["method"]: name for name, ordering in reversed(orderings.items())}
    natural = names.get("natural")
    yield "blobs", f"{folder}/blobs.npz", "conv1"
    yield "grid", f"{folder}/grids/{natural}/conv1.png", "conv1", "natural"
    for layer in published.LAYERS:
        path = f"{folder}/volumes/{natural}/{layer}.vox"
        yield f"volume {layer}", path, layer, f"volume of {layer}", "natural"
    for method in ("pca", "kmeans"):
        yield method, f"{folder}/orderings/{names.get(method)}/conv1.json", "conv1", method
    for row in rows:
        yield f"row {row}", f"{folder}/slices/conv1/row-{row}/slice.json"
    for image in published.IMAGES:
        gradients = f"results/{network}/{image}/gradients"
        for layer in published.GRADIENT_LAYERS:
            yield f"{image} {layer}", f"{gradients}/{neuron}.npz", image, f"gradient of {layer}"
        yield f"fit {image}", f"{gradients}/fit.json", image
    scheme = f"results/{network}/{checked}/gradients/{neuron}.study.json"
    yield "scheme", scheme, checked or published.IMAGES[0]


def _published_files(folder, files, rows):
    """Return the published files to read: those that are there, and {path: entry} of the others."""
    entries = [each for each in published.entries(rows) if files.keys() >= set(each.results)]
    names = dict.fromkeys(name for entry in entries for name in entry.files)
    paths = [published.find(folder, name) for name in names]
    sources = {str(path): described(path) for path in paths if not path.is_file()}
    downloads = {path: source for path, source in sources.items() if source}
    present = [str(path) for path in paths if path.is_file() or str(path) in downloads]
    return present, downloads
