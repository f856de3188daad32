"""``results/index.html``: the overview, which links all other pages."""

from pathlib import Path

from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.images import read_prediction
from cnnvis.pages.render import figure, link, write_page


def index_page(page, shown):
    """Write the overview of all networks, their images and comparisons, and of file formats.

    Parameters
    ----------
    page : path
    shown : iterable of path
        The files to show and to link, see `cnnvis.config.page_files.index_files`. Networks and
        images keep the order in which they first appear.

    Raises
    ------
    UserError
        If a prediction cannot be read.
    """
    files = Artefacts(shown, Path(page).parent)
    networks = [_network(network, files, page) for network in files.values("network")]
    write_page(page, "index.html", title="Overview of results", networks=networks)


def _network(network, files, page):
    parts = {"network": network}
    pages = files.find("page", **parts)
    return {
        "name": network,
        "images": [_image(a.parts["image"], network, files, page) for a in pages],
        "comparisons": [
            _comparison(a.parts["comparison"], network, files, page)
            for a in files.find("comparison page", **parts)
        ],
        "classes": [
            {
                "name": name,
                "href": link(files.first("classes page", **parts), page) + f"#collection-{name}",
                "picture": figure(
                    files.first("class importance picture", collection=name, **parts), page
                ),
            }
            for name in files.values("collection", **parts)
        ],
        "filters": [
            {"layer": a.parts["layer"], "picture": figure(a.path, page)}
            for a in files.find("filters", **parts)
        ],
    }


def _image(image, network, files, page):
    parts = {"network": network, "image": image}
    prediction = files.first("prediction", **parts)
    return {
        "name": image,
        "href": link(files.first("page", **parts), page),
        "picture": figure(files.first("picture", **parts), page),
        "best": read_prediction(prediction)["top"][0] if prediction else None,
    }


def _comparison(comparison, network, files, page):
    parts = {"network": network, "comparison": comparison}
    return {
        "name": comparison,
        "href": link(files.first("comparison page", **parts), page),
        "picture": figure(files.first("comparison picture", **parts), page),
        "layers": [a.parts["layer"] for a in files.find("comparison picture", **parts)],
    }
