"""Which files the pages show, from the tables of the configuration."""

from cnnvis.core.files import safe_name
from cnnvis.core.places import Places


def image_files(tables, network, image):
    """Return the files that the page of one image shows.

    Parameters
    ----------
    tables : dict
        Of `cnnvis.config.tables.resolve`.
    network, image : str

    Returns
    -------
    list of str
    """
    files = Places("results", network=network, image=image)
    convolutions = {
        layer: facts for layer, facts in tables["layers"][network].items() if facts["blob"]
    }
    paths = [files("filters", layer=layer) for layer in convolutions]
    for layer, facts in convolutions.items():
        paths += _layer_files(files, layer, facts, tables["orderings"])
    layers = list(map(safe_name, tables["differentiated"][network]))
    for cls in tables["images"][image]["classes"]:
        paths += _neuron_files(files, cls, layers, tables)
    return list(map(str, paths))


def _layer_files(files, layer, facts, orderings):
    paths = []
    for ordering in orderings:
        where = {"layer": layer, "ordering": ordering}
        paths += [files("ordering", **where), files("grid", **where)]
        if facts["volumes"]:
            paths += files.volumes("volume", **where) + files.volumes("binary volume", **where)
    if facts["volumes"]:
        paths.append(files("viewer", layer=layer))
    for row in facts["slices"]["rows"]:
        where = {"layer": layer, "row": row}
        paths += [files("slice clusters", k=k, **where) for k in facts["slices"]["k"]]
        paths += [files("slice pca", **where), files("slice numbers", **where)]
    return paths


def _neuron_files(files, cls, layers, tables):
    kinds = ["saliency picture", "saliency map", "data gradient"]
    if tables["check"]["mode"] != "none":
        kinds += ["gradient check", "gradient check picture"]
    paths = [files(kind, cls=cls) for kind in kinds]
    for layer in layers:
        where = {"cls": cls, "layer": layer}
        kinds = ("gradient picture", "importance table", "importance picture", "gradient viewer")
        paths += [files(kind, **where) for kind in kinds]
        paths += files.volumes("gradient volume", **where)
        for attribution in tables["attributions"]:
            where["attribution"] = attribution
            paths.append(files("attribution picture", **where))
            paths += files.volumes("attribution volume", **where)
    return paths


def class_files(tables):
    """Return ``{network: files that its page on classes shows}``; see `image_files`."""
    kinds = {
        "layers": ("class importance summary", "class importance csv", "class importance picture"),
        "pruned": ("pruning summary", "pruning csv", "pruning picture", "pruning svg"),
    }
    return {
        network: [
            str(Places("results", network=network)(kind, collection=collection, layer=layer))
            for key in kinds
            for collection, facts in collections.items()
            for layer in facts[key]
            for kind in kinds[key]
        ]
        for network, collections in tables["classes"].items()
    }


def index_files(tables):
    """Return the files that ``results/index.html`` links and shows; see `image_files`."""
    paths = []
    for network in tables["networks"]:
        files = Places("results", network=network)
        for image in tables["pages"][network]:
            paths += [files(kind, image=image) for kind in ("page", "picture", "prediction")]
        for comparison, facts in tables["comparisons"][network].items():
            paths.append(files("comparison page", comparison=comparison))
            paths += [
                files("comparison picture", comparison=comparison, layer=layer)
                for layer in facts["layers"]
            ]
        if tables["classes"][network]:
            paths.append(files("classes page"))
        paths += [
            files("class importance picture", collection=collection, layer=layer)
            for collection, facts in tables["classes"][network].items()
            for layer in facts["layers"]
        ]
        layers = tables["layers"][network]
        paths += [files("filters", layer=layer) for layer, f in layers.items() if f["blob"]]
    return list(map(str, paths))
