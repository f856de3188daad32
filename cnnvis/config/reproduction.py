"""The key ``verify``: checked, and turned into what a run can compare with published files."""

from pathlib import Path

from cnnvis.config.checks import chosen_layers, gradient_layers, networks_of, runs, unknown
from cnnvis.config.orderings import METHODS
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
        # A run may have nothing of the study's cat: that is not checked, then, and no mistake.
        name = [verify[key]] if verify.get(key, published.IMAGE) != published.IMAGE else []
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
        Of `cnnvis.config.orderings.resolve_orderings`.

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
    methods = {
        name: ordering["how"]["method"]
        for name, ordering in orderings.items()
        if ordering["by"] != "gradients" and not ordering["shared"]
    }
    lacks = _lacks(config, network, infos[network], methods)
    conv1 = infos[network].convolutions.get("conv1")
    files, reasons = {}, {}
    for name, path, *needs in _results(config, network, methods, lacks):
        missing = [lacks[need] for need in needs if need in lacks]
        if missing:
            reasons[name] = missing[0]
        else:
            files[name] = path
    present, downloads = _published_files(folder, files)
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
            "shapes": [list(each.shape) for each in infos[network].convolutions.values()],
            "files": files,
            "reasons": reasons,
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


def _lacks(config, network, info, methods):
    """Return {layer, method, image, ...: why the run has nothing of it}."""
    lacks = {
        layer: f"network {network} has no convolution {layer}"
        for layer in published.LAYERS
        if layer not in info.convolutions
    }
    for method in {*METHODS} - {*methods.values()}:
        lacks[method] = f"the configuration has no ordering by method {method}"
    volumes = chosen_layers(config["volumes"].get("layers"), network) or info.convolutions
    gradients = gradient_layers(config, network, info)
    for what, layers in (("volume", volumes), ("gradient", gradients)):
        for layer in {*published.LAYERS} - {*layers}:
            lacks[f"{what} of {layer}"] = f"{what}s.layers of {network} does not name {layer}"
    lacks |= _lacking_slices(config["slices"], network)
    if not runs(config, network):
        lacks["forward"] = f"network {network} has published gradients but no weights"
        lacks["own gradients"] = f"network {network} takes its gradients from the published arrays"
    for image in (published.IMAGE, *published.IMAGES):
        name = config["verify"]["image"] if image == published.IMAGE else image
        if network not in networks_of(config["images"].get(name, {"networks": []}), [network]):
            lacks[image] = f"the configuration has no image {name} for {network}"
    neuron, score = config["verify"]["neuron"], config["networks"][network]["score"]
    neurons = info.blobs[score][0]
    if neuron >= neurons:
        lacks["neuron"] = (
            f"network {network} has no neuron {neuron}: its score {score} has {neurons}"
        )
    for result, image in _tabby_images(config, network).items():
        if image is None:
            lacks[result] = f"the configuration has no such image with neuron {published.TABBY}"
    if _comparison(config, network) is None:
        lacks["comparison"] = (
            f"the configuration has no comparison of neuron {neuron} at both layers"
        )
    return lacks


def _lacking_slices(slices, network):
    """Return why a run has no slices as the study cut them."""
    chosen, row = chosen_layers(slices.get("layers"), network), published.ROW
    if chosen and "conv1" not in chosen:
        return {"slices": f"slices.layers of {network} does not name conv1"}
    for key, value in published.SLICES.items():
        # Of the numbers of starts the default is the study's.
        if slices.get(key, value) != value:
            return {"slices": f"slices.{key} is {slices[key]}, not {value}"}
    for k in published.CLUSTERS:
        if k not in map(str, slices["k"]):
            return {"slices": f"slices.k does not name {k}"}
    if slices["rows"] != "all" and row not in slices["rows"]:
        return {"slices": f"slices.rows does not name {row}"}
    return {} if slices["stability"] else {"stability": "slices.stability is not true"}


def _comparison(config, network):
    """Return the first comparison of the published gradients' neuron at both layers, or None."""
    both = published.GRADIENT_LAYERS
    names = (
        name
        for name, comparison in config["comparisons"].items()
        if comparison["neuron"] == config["verify"]["neuron"]
        and networks_of(comparison, [network])
        and {*both} <= {*(chosen_layers(comparison.get("layers"), network) or both)}
    )
    return next(names, None)


def _results(config, network, methods, lacks):
    """Yield a result's name, its path, and what the run must have for it."""
    verify, root = config["verify"], f"results/{network}"
    folder, neuron = f"{root}/{verify['image']}", verify["neuron"]
    names = {method: name for name, method in reversed(methods.items())}
    natural, pca = names.get("natural"), names.get("pca")
    slices = f"{folder}/slices/conv1"
    yield "prototxt", config["networks"][network]["prototxt"], *published.LAYERS
    cut = "forward", "cat", "conv1", "slices"
    yield "blobs", f"{folder}/blobs.npz", "forward", "cat", "conv1"
    yield "slice", f"{slices}/row-{published.ROW}/slice.json", *cut
    yield "stability", f"{slices}/stability.json", *cut, "stability"
    yield "viewer", f"{folder}/viewer/conv1.html", "forward", "cat", "conv1", "volume of conv1"
    for layer in published.LAYERS:
        path = f"{folder}/volumes/{natural}/{layer}.vox"
        needs = "forward", "cat", layer, f"volume of {layer}", "natural"
        yield f"volume {layer}", path, *needs
    for image in published.ORDERED:
        name = verify["image"] if image == published.IMAGE else image
        path = f"{root}/{name}/volumes/{pca}/conv1.vox"
        needs = "forward", image, "conv1", "volume of conv1", "pca"
        yield f"ordered {image}", path, *needs
    for image in published.IMAGES:
        gradients = f"{root}/{image}/gradients"
        for layer in published.GRADIENT_LAYERS:
            needs = image, "neuron", f"gradient of {layer}"
            yield f"{image} {layer}", f"{gradients}/{neuron}.npz", *needs
        page = f"{root}/{image}/viewer/gradient-{neuron}-conv1.html"
        yield f"viewer {image}", page, image, "neuron", "gradient of conv1"
        yield f"fit {image}", f"{gradients}/fit.json", "own gradients", image, "neuron"
        yield f"picture {image}", f"{root}/{image}/input.png", image
    yield "picture cat", f"{folder}/input.png", "cat"
    checked = next((image for image in published.IMAGES if image not in lacks), "pembroke")
    yield "scheme", f"{root}/{checked}/gradients/{neuron}.study.json", "forward", checked, "neuron"
    comparison = f"{root}/comparisons/{_comparison(config, network)}"
    yield "viewer comparison", f"{comparison}/conv1.html", "comparison", "gradient of conv1"
    for layer in published.GRADIENT_LAYERS:
        needs = "comparison", f"gradient of {layer}"
        yield f"comparison {layer}", f"{comparison}/{layer}.json", *needs
    for result, image in _tabby_images(config, network).items():
        path = f"{root}/{image}/importance/{published.TABBY}/conv1.csv"
        yield result, path, result, "gradient of conv1"


def _tabby_images(config, network):
    """Return the first images with the tabby's neuron: the cat itself, and another; or None."""
    cat = config["verify"]["image"]
    shown = [
        name
        for name, image in config["images"].items()
        if published.TABBY in image["classes"] and networks_of(image, [network])
    ]
    return {
        "importance": next((name for name in shown if name == cat), None),
        "importance elsewhere": next((name for name in shown if name != cat), None),
    }


def _published_files(folder, files):
    """Return the published files to read: those that are there, and {path: entry} of the others."""
    entries = [each for each in published.entries() if files.keys() >= set(each.results)]
    names = dict.fromkeys(name for entry in entries for name in entry.needed)
    paths = [published.find(folder, name) for name in names]
    sources = {str(path): described(path) for path in paths if not path.is_file()}
    downloads = {path: source for path, source in sources.items() if source}
    present = [str(path) for path in paths if path.is_file() or str(path) in downloads]
    return present, downloads
