"""Pages on what holds for a class rather than for one image: one for each, and their overview."""

from pathlib import Path

from cnnvis.core.files import read_json
from cnnvis.core.places import Places
from cnnvis.importance.filter_criteria import NAMES_OF_CRITERIA
from cnnvis.importance.study_results import beside_study
from cnnvis.inputs.labels import read_synset
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.pruned_networks import pruned_reports
from cnnvis.pages.render import link, write_page


def class_pages(page, *, network, artefacts, labels=None):
    """Write the page of each image set, and the one that leads to them.

    Parameters
    ----------
    page : str or Path
        The latter, ``results/{network}/classes/index.html``.
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
    root = Path(page).parents[2]
    names = Artefacts(artefacts, root, page).values("collection", "class importance summary")
    entries = []
    for name in names:
        place = Places(root, network=network)("class page", collection=name)
        files = Artefacts(artefacts, root, place)
        image_set = _image_set(files, labels, network=network, collection=name)
        write_page(
            place,
            "class.html",
            title=f"{name} in {network}",
            network=network,
            image_set=image_set,
            titles=NAMES_OF_CRITERIA,
        )
        entries.append({**image_set, "page": link(place, page)})
    title = f"Classes in {network}"
    write_page(page, "classes.html", title=title, network=network, image_sets=entries)


def _image_set(files, labels, **parts):
    importance, neurons, pruning = (
        [_layer(files, kind, **summary.parts) for summary in files.find(f"{kind} summary", **parts)]
        for kind in ("class importance", "neuron importance", "pruning")
    )
    first = importance[0]["summary"]
    one = labels and first["cls"] is not None
    synset = read_synset(labels, first["cls"]) if one else None
    for layer in pruning:
        layer["study"] = beside_study(synset, layer["summary"])
        layer["pruned"] = pruned_reports(files, layer=layer["name"], **parts)
    return {
        "name": parts["collection"],
        **{key: first[key] for key in ("cls", "images", "skipped")},
        "importance": importance,
        "neurons": neurons,
        "pruning": pruning,
    }


def _layer(files, kind, **parts):
    trial = files.first("criteria summary", **parts) if kind == "pruning" else None
    return {
        "name": parts["layer"],
        "summary": read_json(files.first(f"{kind} summary", **parts)),
        "picture": files.figure(f"{kind} picture", **parts),
        "responses": files.link("response page", layer=parts["layer"]),
        "lesions": files.link("lesion page", layer=parts["layer"]),
        "files": _files(files, kind, ("csv", "svg"), **parts),
        "criteria": read_json(trial) if trial else None,
        "trial": files.figure("criteria picture", **parts) if trial else None,
        "trial_files": _files(files, "criteria", ("csv",), **parts) if trial else [],
    }


def _files(files, kind, suffixes, **parts):
    links = {suffix: files.link(f"{kind} {suffix}", **parts) for suffix in suffixes}
    return [{"suffix": suffix, "href": href} for suffix, href in links.items() if href]
