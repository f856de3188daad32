"""``results/{network}/orderings/index.html``: how good the orders of filters are.

The page sums up all images of a network; feature maps are read of the first one only, for the
distances that it draws.
"""

import numpy as np

from cnnvis.activations import order_comparisons
from cnnvis.activations.distances import MapSums
from cnnvis.activations.order_comparisons import MEASURES, Order, spread, summarise
from cnnvis.activations.orderings import judge_order
from cnnvis.activations.orderings_figure import Panel, draw_distances
from cnnvis.activations.rank_correlations import CORRELATIONS
from cnnvis.core.arrays import read_array
from cnnvis.core.files import read_json
from cnnvis.pages.artefacts import Artefacts, figure_of
from cnnvis.pages.render import link, write_page

# Correlations between the orders of so few images are shown one by one.
FEW_IMAGES = 8
# What says best whether an order is right at large, too.
FAR = "anti_robinson_events_to_random"
MEAN_OUTPUT = tuple(f"mean_output_{kind}" for kind in CORRELATIONS)


def orderings_page(files, layers, *, network, image, shown):
    """Judge and draw the orders of each layer; write tables, pictures and the page.

    Parameters
    ----------
    files : Places
        Of the network. Written are ``orderings page``, and for each layer ``orderings table`` and
        ``orderings picture``; read is ``blobs`` of `image`.
    layers : dict of str to dict
        By the name in paths, ``name`` and ``blob`` of each convolution.
    network : str
    image : str
        The image whose distances are drawn.
    shown : iterable of path
        See `cnnvis.config.page_files.ordering_files`: the orders to judge, in this network and in
        others, and whether the orders of a layer's rows agree.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    page = files("orderings page")
    artefacts = Artefacts(shown, page.parents[2], page)
    described = [
        _layer(files, artefacts, layer, facts, network, image) for layer, facts in layers.items()
    ]
    rows = [row for layer in described for row in layer.pop("rows")]
    overall = summarise(rows, (*MEASURES, *MEAN_OUTPUT))
    write_page(
        page,
        "orderings.html",
        title=f"Orders of filters in {network}",
        network=network,
        image=image,
        image_href=link(files("page", image=image), page),
        images=len({row["image"] for row in rows} - {""}),
        layers=described,
        overall=overall,
        advice=_advice(described, overall),
    )


def _advice(layers, overall):
    """Return what the text says of the orderings of all layers, by what they are good for."""
    own = [entry for entry in overall if entry["images"]]
    ordered = [entry for entry in own if entry["method"] != "natural"]
    by_method = {entry["method"]: entry for entry in reversed(ordered)}
    between = {entry["ordering"]: [] for entry in ordered}
    for entry in (entry for layer in layers for entry in layer["images"]):
        if entry["ordering"] in between and entry["spearman"]:
            between[entry["ordering"]].append(entry["spearman"]["median"])
    far = [entry for entry in ordered if entry[FAR]]
    return {
        "by_method": by_method,
        "far": min(far, key=lambda entry: entry[FAR]["median"], default=None),
        "between": {name: spread(medians) for name, medians in between.items() if medians},
        "shared": list(dict.fromkeys(name for layer in layers for name in layer["shared"])),
    }


def read_orders(artefacts, network, layer):
    """Return every `Order` of a layer, in the order in which their files are shown."""
    found = artefacts.find("ordering", "shared ordering", network=network, layer=layer)
    return [Order(a.parts["ordering"], a.parts.get("image"), read_json(a.path)) for a in found]


def _layer(files, artefacts, layer, facts, network, image):
    page, orders = files("orderings page"), read_orders(artefacts, network, layer)
    sums = _sums(files("blobs", image=image), facts["blob"])
    shared = list(dict.fromkeys(order.ordering for order in orders if order.image is None))
    orders = _judge_here(orders, image, sums)
    images = list(dict.fromkeys(order.image for order in orders if order.image))
    names, correlations = order_comparisons.compare_orderings(orders, images)
    rows = order_comparisons.tabulate(orders, names, images, correlations)
    table, picture = (files(f"orderings {kind}", layer=layer) for kind in ("table", "picture"))
    order_comparisons.write_table(table, rows)
    _draw(picture, facts["name"], network, image, orders, sums)
    stable = artefacts.find("slice stability", network=network, layer=layer)
    return {
        "name": facts["name"],
        "id": f"layer-{layer}",
        "filters": len(sums.means),
        "rows": rows,
        "orderings": summarise(rows, (*MEASURES, *MEAN_OUTPUT)),
        "names": names,
        "shared": shared,
        "between": {kind: _medians(tables) for kind, tables in correlations.items()},
        "images": [_between_images(orders, name) for name in names],
        "networks": _between_networks(artefacts, orders, network, layer),
        "rows_agree": spread(value for a in stable for value in read_json(a.path)["medians"][:1]),
        "rows_picture": artefacts.link("slice stability picture", network=network, layer=layer),
        "picture": figure_of(picture, page.parents[2], page),
        "table": link(table, page),
    }


def _sums(blobs, blob):
    maps = read_array(blobs, blob)
    return MapSums(len(maps)).add(maps.reshape(len(maps), -1).astype(np.float64))


def _judge_here(orders, image, sums):
    """Judge orders that were not made of an image's feature maps by them, as if they were."""
    foreign = {
        order.ordering: order.numbers
        for order in orders
        if order.image is None or (order.image == image and "criteria" not in order.numbers)
    }
    judged = [Order(name, image, _judged(numbers, sums)) for name, numbers in foreign.items()]
    kept = [order for order in orders if order.image != image or order.ordering not in foreign]
    return kept + judged


def _judged(numbers, sums):
    # What else there is, bounds above all, is by other distances.
    keys = ("method", "parameters", "permutation", "tree")
    numbers = {key: numbers[key] for key in keys if key in numbers}
    return numbers | judge_order(numbers["permutation"], sums)


def _draw(picture, name, network, image, orders, sums):
    here = {order.ordering: order.numbers for order in orders if order.image == image}
    panels = [Panel("the network's order", range(len(sums.means)))]
    for ordering, numbers in here.items():
        if numbers["method"] != "natural":
            panels.append(Panel(ordering, numbers["permutation"], numbers.get("tree")))
    caption = (
        "The Euclidean distance between the feature maps of every two filters, with rows and "
        "columns in the order named above each panel; one colour scale. In a good order, distances "
        "are small along the diagonal and grow away from it."
    )
    if any(panel.tree for panel in panels):
        caption += " The tree is that of the clusters, each merge as high as their mean distance."
    title = f"Distances between the filters of {name} in {network} on {image}"
    draw_distances(picture, sums.distances("euclidean"), panels, title, caption)


def _medians(tables):
    """Return the median over images of correlations, as nested lists; None where there is none."""
    spreads = [
        [spread(tables[:, a, b]) for b in range(tables.shape[2])] for a in range(tables.shape[1])
    ]
    return [[cell and cell["median"] for cell in row] for row in spreads]


def _between_images(orders, ordering):
    images, correlations = order_comparisons.compare_images(orders, ordering)
    upper = np.triu_indices(len(images), 1)
    pairs = {kind: table[upper] for kind, table in correlations.items()}
    return {
        "ordering": ordering,
        "images": images,
        "pairs": len(upper[0]),
        "table": correlations["spearman"].tolist() if len(images) <= FEW_IMAGES else None,
        **{kind: spread(values) for kind, values in pairs.items()},
        "magnitude": spread(np.abs(pairs["spearman"])),
    }


def _between_networks(artefacts, orders, network, layer):
    """Return how orders agree with those of other networks that have such a layer."""
    filters, found = len(orders[0].numbers["permutation"]), []
    for other in artefacts.values("network", "ordering", layer=layer):
        others = read_orders(artefacts, other, layer) if other != network else []
        if others and len(others[0].numbers["permutation"]) == filters:
            for ordering, kinds in order_comparisons.compare_networks(orders, others).items():
                found.append(
                    {
                        "network": other,
                        "ordering": ordering,
                        "images": len(kinds["spearman"]),
                        **{kind: spread(values) for kind, values in kinds.items()},
                    }
                )
    return found
