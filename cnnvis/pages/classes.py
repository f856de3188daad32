"""``results/{network}/classes/index.html``: what holds for a class rather than for one image."""

from pathlib import Path

from cnnvis.core.files import read_json
from cnnvis.importance.study_results import beside_study
from cnnvis.inputs.labels import read_synset
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.render import write_page


def classes_page(page, *, network, artefacts, labels=None):
    """Write the page on the importance of filters to each class, and on pruning them.

    Parameters
    ----------
    page : str or Path
    network : str
    artefacts : iterable of path
        See `cnnvis.config.page_files.class_files`. Everything is shown in this order.
    labels : str or Path, optional
        The network's file of labels, by whose WordNet ids the study's classes are recognised.

    Raises
    ------
    UserError
        If a summary or the labels cannot be read.
    """
    files = Artefacts(artefacts, Path(page).parents[2], page)
    names = files.values("collection", "class importance summary", network=network)
    image_sets = [_image_set(files, network=network, collection=name) for name in names]
    for image_set in image_sets:
        synset = read_synset(labels, image_set["cls"]) if labels else None
        for layer in image_set["pruning"]:
            layer["study"] = beside_study(synset, layer["summary"])
    write_page(
        page,
        "classes.html",
        title=f"Classes in {network}",
        network=network,
        image_sets=image_sets,
    )


def _image_set(files, **parts):
    importance, neurons, pruning = (
        [_layer(files, kind, **summary.parts) for summary in files.find(f"{kind} summary", **parts)]
        for kind in ("class importance", "neuron importance", "pruning")
    )
    first = importance[0]["summary"]
    return {
        "name": parts["collection"],
        **{key: first[key] for key in ("cls", "images", "skipped")},
        "importance": importance,
        "neurons": neurons,
        "pruning": pruning,
    }


def _layer(files, kind, **parts):
    links = {suffix: files.link(f"{kind} {suffix}", **parts) for suffix in ("csv", "svg")}
    return {
        "name": parts["layer"],
        "summary": read_json(files.first(f"{kind} summary", **parts)),
        "picture": files.figure(f"{kind} picture", **parts),
        "responses": files.link("response page", layer=parts["layer"]),
        "files": [{"suffix": suffix, "href": href} for suffix, href in links.items() if href],
    }
