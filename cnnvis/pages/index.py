"""``results/index.html``: the overview, which links all other pages."""

from pathlib import Path

from cnnvis.core.files import read_json
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.render import write_page


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
    files = Artefacts(shown, Path(page).parent, page)
    networks = [_network(files, network) for network in files.values("network")]
    write_page(page, "index.html", title="Overview of results", networks=networks)


def _network(files, network):
    images = [a.parts for a in files.find("page", network=network)]
    comparisons = [a.parts for a in files.find("comparison page", network=network)]
    filters = [a.parts for a in files.find("filters", network=network)]
    sheets = [a.parts for a in files.find("maximisation sheet", network=network)]
    collections = files.values("collection", network=network)
    return {
        "name": network,
        "href": files.link("network page", network=network),
        "images": [_image(files, **parts) for parts in images],
        "orderings": files.link("orderings page", network=network),
        "comparisons": [_comparison(files, **parts) for parts in comparisons],
        "classes": [_class(files, network=network, collection=name) for name in collections],
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


def _image(files, **parts):
    prediction = files.first("prediction", **parts)
    return {
        "name": parts["image"],
        "href": files.link("page", **parts),
        "picture": files.figure("picture", **parts),
        "best": read_json(prediction)["top"][0] if prediction else None,
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
