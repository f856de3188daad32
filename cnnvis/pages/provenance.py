"""How a figure was made: from which numbers, by which keys of the configuration, by which method.

Every figure whose kind is below says it, from its path alone.
"""

from pathlib import Path

from cnnvis.core.places import PLACES
from cnnvis.pages.render import link

NETWORK = "networks.{network}"
IMAGE = "images.{image}"
NEURON = "images.{image}.classes"
# Of a kind of picture: the section of methods.html, kinds of files with its numbers, and keys.
SOURCES = {
    "filters": ("feature-maps", (), (NETWORK,)),
    "ordered filters": ("orders", ("shared ordering",), (NETWORK, "orderings.{ordering}")),
    "grid": ("orders", ("blobs",), (NETWORK, IMAGE, "orderings.{ordering}")),
    "slice clusters": ("slices", ("slice numbers",), (NETWORK, IMAGE, "slices")),
    "slice pca": ("slices", ("slice numbers",), (NETWORK, IMAGE, "slices")),
    "slice stability picture": ("slices", ("slice stability",), (NETWORK, IMAGE, "slices")),
    "gradient picture": ("gradients", ("gradients",), (NETWORK, NEURON, "gradients")),
    "gradient check picture": ("check", ("gradient check",), (NETWORK, NEURON, "gradients.check")),
    "saliency picture": ("saliency", ("saliency map", "data gradient"), (NETWORK, NEURON)),
    "attribution picture": ("attributions", ("attributions",), (NETWORK, NEURON, "attributions")),
    "importance picture": ("importance", ("importance table",), (NETWORK, NEURON)),
    "orderings picture": ("criteria-of-orders", ("orderings table",), (NETWORK, "orderings")),
    "tuning picture": ("tuning", ("tuning csv", "tuning summary"), (NETWORK,)),
    "maximisation sheet": (
        *("maximisation", ("maximisation", "maximisation pictures")),
        (NETWORK, "maximisation.presets.{preset}"),
    ),
    "lesion picture": (
        "lesions",
        ("lesions", "lesion arrays"),
        (NETWORK, "lesions", "pruning.zero"),
    ),
    "comparison picture": (
        *("comparisons", ("comparison table", "comparison summary")),
        (NETWORK, "comparisons.{comparison}"),
    ),
    "class importance picture": (
        *("class-importance", ("class importance csv", "class importance summary")),
        (NETWORK, "collections.{collection}", "class_importance"),
    ),
    "neuron importance picture": (
        *("class-importance", ("neuron importance csv", "neuron importance summary")),
        (NETWORK, "collections.{collection}.neurons"),
    ),
    "criteria picture": (
        *("criteria", ("criteria csv", "criteria summary")),
        (NETWORK, "collections.{collection}", "pruning"),
    ),
    "pruning picture": (
        *("pruning", ("pruning csv", "pruning summary", "pruning svg")),
        (NETWORK, "collections.{collection}", "pruning"),
    ),
}


def made_by(artefact, root, page):
    """Return how a figure was made, for the template.

    Parameters
    ----------
    artefact : cnnvis.pages.artefacts.Artefact
        The picture.
    root, page : path
        The results folder, and the page that shows it.

    Returns
    -------
    dict or None
        ``target``, the file for Snakemake; ``parts``, the names in its path; ``data``, name and
        URL of each file with its numbers; ``settings``, keys of the configuration; ``method``, the
        URL of what its numbers mean. None for a kind of picture of which nothing is known.
    """
    if artefact.kind not in SOURCES:
        return None
    section, data, keys = SOURCES[artefact.kind]
    paths = [Path(root, PLACES[kind].format(**artefact.parts)) for kind in data]
    return {
        "target": Path("results", artefact.path.relative_to(root)).as_posix(),
        "parts": artefact.parts,
        "data": [{"name": path.name, "href": link(path, page)} for path in paths],
        "settings": [key.format(**artefact.parts) for key in keys],
        "method": f"{link(Path(root, PLACES['methods page']), page)}#{section}",
    }
