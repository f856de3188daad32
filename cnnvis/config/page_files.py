"""Which files the pages show, from the tables of the configuration.

A page waits for one file of each job whose files it shows: naming all of them would cost the
workflow more than making them, where there are hundreds of images.
"""

import os
from pathlib import Path

from cnnvis.core.files import safe_name
from cnnvis.core.places import HEADERS_FIRST, Places

# Of each job one kind of file, if possible one that earlier versions did not make, and one for
# whatever makes it write more: Snakemake takes a job for done when the files that others wait for
# are there, and knows nothing of the params of a job that has a file it did not have before.
MADE = {
    *("filters", "ordered filters", "tuning page", "grid", "saliency map", "gradient check"),
    *("maps", "viewer", "slice clusters", "slice stability", "attribution picture"),
    *("gradient channels viewer", "gradient ordering", "gradient ordered volume"),
    *("page", "comparison channels viewer", "class page"),
    *("what-if page", "what-if network"),
    *("network page", "orderings page", "response page", "maximisation sheet", "lesion page"),
}
REQUESTED = ("parity page", "verification page", "recovery page")
PRUNED = ("report", "network", "weights")


def image_files(tables, network, image):
    """Return the files of the page of one image.

    Parameters
    ----------
    tables : dict
        Of `cnnvis.config.tables.resolve`.
    network, image : str

    Returns
    -------
    dict
        ``shown``, all that the page shows, and ``made``, those of them that it waits for: lists
        of str.
    """
    kinds = _of_layers(tables, network)
    for layer, facts in _convolutions(tables, network).items():
        kinds += _layer_kinds(layer, facts)
    if not tables["what_if"][network]:
        kinds += [("what-if page", {}), ("what-if network", {})]
    for cls in tables["images"][image]["classes"]:
        kinds += _neuron_kinds(cls, tables, network)
    return _paths(Places("results", network=network, image=image), kinds)


def _convolutions(tables, network):
    return {layer: facts for layer, facts in tables["layers"][network].items() if facts["blob"]}


def _paths(files, kinds):
    paths = [(kind, parts, str(files(kind, **parts))) for kind, parts in kinds]
    return {
        "shown": [path for _, _, path in paths],
        # Of a volume and its headers, one is enough.
        "made": [
            path
            for kind, parts, path in paths
            if kind in MADE and parts.get("volume", "vox") == "vox"
        ],
    }


def _layer_kinds(layer, facts):
    kinds = [("maps", {"layer": layer})]
    for ordering in facts["orderings"]:
        where = {"layer": layer, "ordering": ordering}
        if ordering in facts["shared"]:
            kinds += [("shared ordering", where), ("ordered filters", where), ("grid", where)]
        else:
            kinds += [("ordering", where), ("grid", where)]
        if facts["volumes"]:
            kinds += _volumes("volume", where) + _volumes("binary volume", where)
    if facts["volumes"]:
        kinds.append(("viewer", {"layer": layer}))
    for row in facts["slices"]["rows"]:
        where = {"layer": layer, "row": row}
        kinds += [("slice clusters", {"k": k, **where}) for k in facts["slices"]["k"]]
        kinds += [("slice pca", where), ("slice numbers", where)]
    if facts["slices"]["stability"]:
        where = {"layer": layer}
        kinds += [("slice stability", where), ("slice stability picture", where)]
    return kinds


def _neuron_kinds(cls, tables, network):
    names, runs = [], tables["networks"][network]["runs"]
    if runs:
        names += ["saliency picture", "saliency map", "data gradient"]
    if runs and tables["check"]["mode"] != "none":
        names += ["gradient check", "gradient check picture"]
    kinds = [(name, {"cls": cls}) for name in names]
    for layer in map(safe_name, tables["differentiated"][network]):
        where, facts = {"cls": cls, "layer": layer}, tables["layers"][network][layer]
        names = ("gradient picture", "importance table", "importance picture")
        kinds += [(name, where) for name in names]
        for layout in ("gradient", "gradient channels"):
            kinds += [(f"{layout} viewer", where), *_volumes(f"{layout} volume", where)]
        for ordering in facts["gradient_orderings"]:
            part = {"ordering": ordering, **where}
            if tables["orderings"][ordering]["by"] == "shown":
                kinds.append(("gradient ordering", part))
            kinds += _volumes("gradient ordered volume", part)
        for attribution in tables["attributions"][network]:
            part = {"attribution": attribution, **where}
            kinds += [("attribution picture", part), *_volumes("attribution volume", part)]
    return kinds


def _volumes(kind, where):
    return [(kind, {"volume": suffix, **where}) for suffix in HEADERS_FIRST]


def class_files(tables):
    """Return ``{network: files that its pages on classes show}``; see `image_files`."""
    return {
        network: [
            str(Places("results", network=network, collection=collection)(kind, **parts))
            for collection, facts in collections.items()
            for kind, parts in _class_kinds(facts, tables["pruned"])
            + _responses(tables, network)
            + _lesions(tables, network)
        ]
        for network, collections in tables["classes"].items()
    }


def _class_kinds(facts, shares):
    layers = [{"layer": layer} for layer in facts["layers"]]
    of_neurons = [{"cls": cls, **layer} for cls in facts["neurons"] for layer in layers]
    wheres = {
        "class importance": layers,
        "neuron importance": of_neurons,
        "pruning": [{"layer": layer} for layer in facts["pruned"]],
    }
    wheres["criteria"] = wheres["pruning"]
    kinds = [
        (f"{kind} {suffix}", where)
        for kind, each in wheres.items()
        for where in each
        for suffix in ("summary", "csv", "picture")
    ]
    pruned = [{"share": share, **where} for where in wheres["pruning"] for share in shares]
    kinds += [(f"pruned {what}", where) for where in pruned for what in PRUNED]
    return kinds + [("pruning svg", where) for where in wheres["pruning"]]


def ordering_files(tables):
    """Return what the pages that judge orders are made of, by network.

    Parameters
    ----------
    tables : dict
        Of `cnnvis.config.tables.resolve`.

    Returns
    -------
    dict of str to dict
        For each network with orders of feature maps: ``image``, the first one, and ``blobs``, its
        file; ``layers``, {layer: ``name`` and ``blob``}; ``shown``, the orders of all images, those
        over images, those of the same images in other networks with such a layer, and whether rows
        agree; and ``made``, a file of each job that makes them.
    """
    images = {network: _ordered_images(tables, network) for network in tables["networks"]}
    return {network: _judged(tables, network, images) for network, names in images.items() if names}


def _ordered_images(tables, network):
    """Return the images of which a network has orders of feature maps to show."""
    ordered = any(facts["orderings"] for facts in _convolutions(tables, network).values())
    pages = tables["pages"][network]
    return [image for image, page in pages.items() if page["shown"]] if ordered else []


def _judged(tables, network, images):
    layers, own, files = _convolutions(tables, network), images[network], Places("results")
    seen = [(other, image) for other, names in images.items() for image in names if image in own]
    kinds, made, shared = [], [], _shared_orders(layers, network)
    for other, image in seen:
        where = {"network": other, "image": image}
        alike = {
            layer: facts for layer, facts in _convolutions(tables, other).items() if layer in layers
        }
        orders = [(layer, name) for layer, facts in alike.items() for name in facts["orderings"]]
        for layer, ordering in orders:
            if ordering not in alike[layer]["shared"]:
                kinds.append(("ordering", {"layer": layer, "ordering": ordering, **where}))
        # Every job of an image's layers draws grids, even where all orders are shared.
        made += [
            ("grid", {"layer": layer, "ordering": name, **where}) for layer, name in orders[:1]
        ]
        if other == network:
            compared = [layer for layer, facts in layers.items() if facts["slices"]["stability"]]
            for kind in ("slice stability", "slice stability picture"):
                kinds += [(kind, {"layer": layer, **where}) for layer in compared]
    return {
        "image": own[0],
        "blobs": str(files("blobs", network=network, image=own[0])),
        "layers": {
            layer: {key: facts[key] for key in ("name", "blob")} for layer, facts in layers.items()
        },
        "shown": [str(files(kind, **parts)) for kind, parts in kinds + shared],
        "made": [str(files(kind, **parts)) for kind, parts in made + shared],
    }


def _shared_orders(layers, network):
    return [
        ("shared ordering", {"network": network, "layer": layer, "ordering": ordering})
        for layer, facts in layers.items()
        for ordering in facts["orderings"]
        if ordering in facts["shared"]
    ]


def response_files(tables, network):
    """Return the files of others that the pages on a network's filters show."""
    files = Places("results", network=network)
    layers = tables["responses"][network]["layers"]
    paths = [files(kind, **parts) for kind, parts in _tuning(tables, network)]
    paths += [
        files(kind, collection=collection, layer=layer)
        for collection, facts in tables["classes"].get(network, {}).items()
        for kind, key in (("class importance csv", "layers"), ("pruning csv", "pruned"))
        for layer in facts[key]
        if layer in layers
    ]
    maximised = tables["maximisation"]["networks"].get(network, {})
    paths += [
        files(kind, layer=layer)
        for layer in layers
        if layer in maximised
        for kind in ("maximisation", "maximisation pictures")
    ]
    lesions = _lesions(tables, network, "lesions")
    paths += [files(kind, **parts) for kind, parts in lesions if parts["layer"] in layers]
    return list(map(str, paths))


def lesion_links(tables, network):
    """Return the files that pages on a network's lesions link; they wait for none of them."""
    kinds = _responses(tables, network) + _lesions(tables, network)
    return _paths(Places("results", network=network), kinds)["shown"]


def network_files(tables):
    """Return ``{network: files that its page links}``; it waits for none of them."""
    return {
        network: _paths(
            Places("results", network=network),
            _of_layers(tables, network) + _lesions(tables, network),
        )["shown"]
        for network in tables["networks"]
    }


def _of_layers(tables, network):
    """Return what there is of a network's layers for all images together."""
    kinds = [("filters", {"layer": layer}) for layer in _convolutions(tables, network)]
    return kinds + _tuning(tables, network) + _responses(tables, network)


def _responses(tables, network):
    responses = tables["responses"].get(network, {"layers": []})
    return [("response page", {"layer": layer}) for layer in responses["layers"]]


def _lesions(tables, network, kind="lesion page"):
    lesions = tables["lesions"].get(network, {"layers": []})
    return [(kind, {"layer": layer}) for layer in lesions["layers"]]


def _tuning(tables, network):
    tuned = tables["tuned"].get(network)
    return [("tuning page", {"layer": tuned["layer"]})] if tuned and tuned["shown"] else []


def figure_files(tables):
    """Return the figures for papers, one file of each: of images and of comparisons."""
    paths = []
    for network in tables["networks"]:
        files = Places("results", network=network)
        volumes = [
            layer for layer, facts in _convolutions(tables, network).items() if facts["volumes"]
        ]
        layers = list(map(safe_name, tables["differentiated"][network]))
        for image in [image for image, page in tables["pages"][network].items() if page["shown"]]:
            where = {"image": image, "format": "svg"}
            paths += [files("figure", layer=layer, **where) for layer in volumes]
            paths += [
                files("gradient figure", cls=cls, layer=layer, **where)
                for cls in tables["images"][image]["classes"]
                for layer in layers
            ]
        paths += [
            files("comparison figure", comparison=comparison, layer=layer, format="svg")
            for comparison, facts in tables["comparisons"][network].items()
            for layer in facts["layers"]
        ]
    return list(map(str, paths))


def index_files(tables):
    """Return the files of ``results/index.html``, as `image_files` does for an image.

    Of the pages that are made on request only, it shows those that there are.
    """
    kinds = [
        (kind, {"network": network, **parts})
        for network in tables["networks"]
        for kind, parts in _telling(tables, network) + _network_kinds(tables, network)
    ]
    files = Places("results")
    kinds += [(kind, {}) for kind in REQUESTED if Path(files(kind)).exists()]
    return _paths(files, kinds)


def run_facts(tables, configs):
    """Return what the pages on a run tell of it as a whole.

    Returns
    -------
    dict
        ``engine``; ``configs``, the files of the configuration; ``networks``, {network:
        ``prototxt``, ``weights``, ``score``, ``labels`` or None}.
    """
    keys = ("prototxt", "weights", "score")
    return {
        "engine": tables["engine"],
        "configs": [os.path.relpath(path) for path in configs],
        "networks": {
            name: {key: facts["model"][key] for key in keys}
            | {"labels": next(iter(facts["labels"]), None)}
            for name, facts in tables["networks"].items()
        },
    }


def _telling(tables, network):
    """Return pictures of the first image and of classes, the most telling ones first."""
    kinds, pages = [], tables["pages"][network]
    image = next((name for name, page in pages.items() if page["shown"]), None)
    for layer, facts in _convolutions(tables, network).items():
        # The last order is the one with the most to show: the default's is the shortest.
        wheres = [{"image": image, "layer": layer, "ordering": name} for name in facts["orderings"]]
        kinds += [("grid", where) for where in wheres[-1:] if image]
    for cls in tables["images"][image]["classes"] if image else []:
        for layer in map(safe_name, tables["differentiated"][network]):
            where = {"image": image, "cls": cls, "layer": layer}
            kinds += [("gradient picture", where), ("importance picture", where)]
    for collection, facts in tables["classes"].get(network, {}).items():
        kinds += [
            ("pruning picture", {"collection": collection, "layer": layer})
            for layer in facts["pruned"]
        ]
    return kinds + _lesions(tables, network, "lesion picture")


def _network_kinds(tables, network):
    kinds = [("network page", {})]
    predictions = ["prediction"] if tables["networks"][network]["runs"] else []
    for image in tables["pages"][network]:
        kinds += [(kind, {"image": image}) for kind in ("page", "picture", *predictions)]
    for comparison, facts in tables["comparisons"][network].items():
        kinds.append(("comparison page", {"comparison": comparison}))
        for layer in facts["layers"]:
            where = {"comparison": comparison, "layer": layer}
            kinds += [("comparison picture", where), ("comparison channels viewer", where)]
    kinds += [("orderings page", {})] if _ordered_images(tables, network) else []
    collections = tables["classes"].get(network, {})
    kinds += [("classes page", {})] if collections else []
    for collection, facts in collections.items():
        kinds.append(("class page", {"collection": collection}))
        for layer in facts["layers"]:
            kinds.append(("class importance picture", {"collection": collection, "layer": layer}))
    for layer in tables["maximisation"]["networks"].get(network, {}):
        kinds.append(("maximisation", {"layer": layer}))
        kinds += [
            ("maximisation sheet", {"layer": layer, "preset": preset})
            for preset in tables["maximisation"]["presets"]
        ]
    return kinds + _of_layers(tables, network) + _lesions(tables, network)
