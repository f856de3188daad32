"""``results/index.html``, which links all other pages, and ``results/methods.html``."""

import platform
from importlib.metadata import version
from pathlib import Path

from cnnvis.activations.forward import read_prediction
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.render import write_page

# What stands at the top, as far as there is any of it: the first of each of the first three kinds,
# the page that shows it, and what it tells.
TELLING = {
    "grid": ("page", "What the filters of {layer} see in {image}"),
    "pruning picture": ("class page", "What {collection} loses without filters of {layer}"),
    "comparison picture": ("comparison page", "On which weights of {layer} a score depends"),
    "lesion picture": ("lesion page", "Which classes need which filters of {layer}"),
    "gradient picture": ("page", "How the score of neuron {cls} for {image} depends on {layer}"),
    "importance picture": ("page", "Which filters of {layer} matter to neuron {cls} for {image}"),
    "filters": ("network page", "The filters of {layer}"),
}
OF_LAYERS = {
    "response page": "What filters respond to",
    "lesion page": "Which classes need which filters",
    "tuning page": "Orientation, frequency and colour of filters",
}
# Pages that are made on request: their targets, and what they tell.
REQUESTED = {
    "parity page": ("parity", "Does the embedded engine compute what Caffe computes?"),
    "verification page": ("verify", "Does this run reproduce what the study published?"),
    "recovery page": ("recover", "Filters recovered from what the study published"),
}
PACKAGES = ("numpy", "scipy", "scikit-image", "scikit-learn", "matplotlib", "pillow", "snakemake")


def index_page(page, shown, run):
    """Write the overview of all networks, their images and comparisons, and of file formats.

    Parameters
    ----------
    page : path
    shown : iterable of path
        The files to show and to link, see `cnnvis.config.page_files.index_files`. Networks and
        images keep the order in which they first appear.
    run : dict
        See `cnnvis.config.page_files.run_facts`.

    Raises
    ------
    UserError
        If a prediction or labels cannot be read.
    """
    files = Artefacts(shown, Path(page).parent, page)
    networks = [
        _network(files, network, run["networks"][network]["labels"])
        for network in files.values("network")
    ]
    write_page(
        page,
        "index.html",
        title="Overview of results",
        networks=networks,
        run=run,
        telling=_telling(files),
        requested=[
            {"target": target, "says": says, "href": files.link(kind)}
            for kind, (target, says) in REQUESTED.items()
        ],
        methods="methods.html",
    )


def methods_page(page, run):
    """Write what each number of the run means, and by what it was computed.

    Parameters
    ----------
    page : path
    run : dict
        See `cnnvis.config.page_files.run_facts`.
    """
    versions = {"Python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    write_page(page, "methods.html", title="What the numbers mean", run=run, versions=versions)


def _telling(files):
    """Return up to three pictures, each with its page and what it tells."""
    firsts = {kind: next(iter(files.find(kind)), None) for kind in TELLING}
    found = [(artefact, *TELLING[kind]) for kind, artefact in firsts.items() if artefact][:3]
    return [
        {
            "picture": files.figure(artefact.kind, **artefact.parts),
            "href": files.link(kind, **_known(files, kind, artefact.parts)),
            "says": says.format(**artefact.parts),
        }
        for artefact, kind, says in found
    ]


def _known(files, kind, parts):
    """Return those of the parts of a picture that its page has, too."""
    words = {word for artefact in files.find(kind) for word in artefact.parts}
    return {word: name for word, name in parts.items() if word in words}


def _network(files, network, labels):
    images = [a.parts for a in files.find("page", network=network)]
    comparisons = [a.parts for a in files.find("comparison page", network=network)]
    filters = [a.parts for a in files.find("filters", network=network)]
    sheets = [a.parts for a in files.find("maximisation sheet", network=network)]
    collections = files.values("collection", "class page", network=network)
    return {
        "name": network,
        "href": files.link("network page", network=network),
        "images": [_image(files, labels, **parts) for parts in images],
        "orderings": files.link("orderings page", network=network),
        "comparisons": [_comparison(files, **parts) for parts in comparisons],
        "classes": [_class(files, network=network, collection=name) for name in collections],
        "of_layers": {
            says: {a.parts["layer"]: files.link(kind, **a.parts) for a in found}
            for kind, says in OF_LAYERS.items()
            if (found := files.find(kind, network=network))
        },
        "filters": [
            {
                "layer": parts["layer"],
                "picture": files.figure("filters", **parts),
                "responses": files.link("response page", **parts),
                "tuning": files.link("tuning page", **parts),
            }
            for parts in filters
        ],
        "maxima": [
            {**parts, "picture": files.figure("maximisation sheet", **parts)} for parts in sheets
        ],
    }


def _image(files, labels, **parts):
    prediction = files.first("prediction", **parts)
    return {
        "name": parts["image"],
        "href": files.link("page", **parts),
        "picture": files.figure("picture", **parts),
        "best": read_prediction(prediction, labels)["top"][0] if prediction else None,
    }


def _comparison(files, **parts):
    return {
        "name": parts["comparison"],
        "href": files.link("comparison page", **parts),
        "picture": files.figure("comparison picture", **parts),
        "layers": files.values("layer", "comparison picture", **parts),
    }


def _class(files, network, collection):
    parts = {"network": network, "collection": collection}
    return {
        "name": collection,
        "href": files.link("class page", **parts),
        "picture": files.figure("class importance picture", **parts),
    }
