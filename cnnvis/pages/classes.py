"""``results/{network}/classes/index.html``: what holds for a class rather than for one image."""

from pathlib import Path

from cnnvis.core.files import read_json
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.render import figure, link, write_page


def classes_page(page, network, artefacts):
    """See `cnnvis.pages.make_classes_page`."""
    files = Artefacts(artefacts, Path(page).parents[2])
    names = files.values("collection", "class importance summary", network=network)
    write_page(
        page,
        "classes.html",
        title=f"Classes in {network}",
        network=network,
        collections=[_collection(name, network, files, page) for name in names],
    )


def _collection(collection, network, files, page):
    parts = {"network": network, "collection": collection}
    kinds = ("class importance", "pruning")
    layers = {
        kind: [_layer(kind, found, files, page) for found in files.find(f"{kind} summary", **parts)]
        for kind in kinds
    }
    first = layers["class importance"][0]["summary"]
    return {
        "name": collection,
        "cls": first["cls"],
        "images": first["images"],
        "skipped": first["skipped"],
        "importance": layers["class importance"],
        "pruning": layers["pruning"],
    }


def _layer(kind, found, files, page):
    linked = {suffix: files.first(f"{kind} {suffix}", **found.parts) for suffix in ("csv", "svg")}
    return {
        "name": found.parts["layer"],
        "summary": read_json(found.path),
        "picture": figure(files.first(f"{kind} picture", **found.parts), page),
        "files": [
            {"suffix": suffix, "href": link(path, page)} for suffix, path in linked.items() if path
        ],
    }
