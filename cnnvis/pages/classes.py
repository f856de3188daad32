"""``results/{network}/classes/index.html``: what holds for a class rather than for one image."""

from pathlib import Path

from cnnvis.core.files import read_json
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.render import figure, link, write_page


def classes_page(page, *, network, artefacts):
    """Write the page on the importance of filters to each class, and on pruning them.

    Parameters
    ----------
    page : str or Path
    network : str
    artefacts : iterable of path
        See `cnnvis.config.page_files.class_files`. Everything is shown in this order.

    Raises
    ------
    UserError
        If a summary cannot be read.
    """
    files = Artefacts(artefacts, Path(page).parents[2])
    names = files.values("collection", "class importance summary", network=network)
    write_page(
        page,
        "classes.html",
        title=f"Classes in {network}",
        network=network,
        image_sets=[_image_set(name, network, files, page) for name in names],
    )


def _image_set(name, network, files, page):
    parts = {"network": network, "collection": name}
    layers = {
        kind: [
            _layer(kind, summary, files, page) for summary in files.find(f"{kind} summary", **parts)
        ]
        for kind in ("class importance", "pruning")
    }
    first = layers["class importance"][0]["summary"]
    return {
        "name": name,
        **{key: first[key] for key in ("cls", "images", "skipped")},
        "importance": layers["class importance"],
        "pruning": layers["pruning"],
    }


def _layer(kind, summary, files, page):
    parts = summary.parts
    paths = {suffix: files.first(f"{kind} {suffix}", **parts) for suffix in ("csv", "svg")}
    return {
        "name": parts["layer"],
        "summary": read_json(summary.path),
        "picture": figure(files.first(f"{kind} picture", **parts), page),
        "files": [{"suffix": s, "href": link(path, page)} for s, path in paths.items() if path],
    }
