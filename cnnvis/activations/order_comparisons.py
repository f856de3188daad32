"""The orders of one layer's filters, compared: with each other, and from image to image.

The direction of an order is arbitrary: where the workflow makes one, it runs from weak to strong,
but two orders may be the same path walked in opposite directions all the same. So rank correlations
are summed up twice, as they are and by their magnitude.
"""

from dataclasses import dataclass

import numpy as np

from cnnvis.activations.rank_correlations import CORRELATIONS, places
from cnnvis.core.arrays import significant
from cnnvis.core.files import write_csv

# ASSUME: correlations between all pairs of images would grow with the square of their number. The
# median of 2016 pairs is enough, so of more images as many are taken, evenly spaced.
MOST_IMAGES = 64
CRITERIA = (
    *("path_length", "banded", "linear_seriation"),
    *("anti_robinson_events", "anti_robinson_deviations"),
)
MEASURES = ("to_natural", "above_bound", *(f"{name}_to_random" for name in CRITERIA))


@dataclass(frozen=True)
class Order:
    """One order of a layer's filters.

    Attributes
    ----------
    ordering : str
        Its name in the configuration.
    image : str or None
        The image whose feature maps are ordered, or None for an order over many.
    numbers : dict
        Of `cnnvis.activations.orderings.describe_order`.
    """

    ordering: str
    image: str | None
    numbers: dict


def tabulate(orders, names, images, correlations):
    """Return what is measured of each order, one row for each that has been judged.

    Parameters
    ----------
    orders : list of Order
        Of one layer.
    names, images : list of str
        Of the orderings, and of the images.
    correlations : dict of str to ndarray, (images, orderings, orderings)
        Of `compare_orderings`.

    Returns
    -------
    list of dict
        ``ordering``, ``image`` (empty for an order over many), ``method``, ``metric``, ``filters``;
        the criteria; ``bound``, below which no order of these feature maps has its path length,
        where one is known; of `MEASURES` the path length as a part of that of the network's order
        and by how much it is above the bound, and each criterion as a part of its mean over random
        orders, all None where there is nothing to divide by; and the rank correlations with the
        mean output and with the orders of the other orderings of the image.
    """
    rows, bounds = [], _bounds(orders)
    for order in orders:
        if "criteria" in order.numbers:
            row = _row(order, bounds.get(order.image))
            for kind, tables in correlations.items() if order.image else ():
                values = tables[images.index(order.image), names.index(order.ordering)]
                row |= {f"{kind}_{name}": value for name, value in zip(names, values, strict=True)}
            rows.append(row)
    return rows


def write_table(path, rows):
    """Write the rows of `tabulate` as CSV, with their keys as columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = ([_cell(row.get(column)) for column in columns] for row in rows)
    write_csv(path, columns, cells)


def _cell(value):
    if isinstance(value, float):
        return None if np.isnan(value) else f"{value:.6g}"
    return value


def _bounds(orders):
    """Return the largest lower bound for the Euclidean path length by image, where one is known."""
    bounds = {}
    for order in orders:
        # A bound of an order by gradients is none for the feature maps.
        known = {"criteria", "lower_bound"} <= order.numbers.keys()
        if known and order.numbers["parameters"]["metric"] == "euclidean":
            bound = order.numbers["lower_bound"]
            bounds[order.image] = max(bound, bounds.get(order.image, bound))
    return bounds


def _row(order, bound):
    numbers, criteria = order.numbers, order.numbers["criteria"]
    length = criteria["path_length"]["value"]
    above = _ratio(length, bound)
    return {
        "ordering": order.ordering,
        "image": order.image or "",
        "method": numbers["method"],
        "metric": numbers["parameters"].get("metric", ""),
        "filters": len(numbers["permutation"]),
        **{name: criteria[name]["value"] for name in CRITERIA},
        "bound": bound,
        "to_natural": _ratio(length, criteria["path_length"]["natural"]),
        # The bound itself may be written a little too high, with six digits.
        "above_bound": None if above is None else max(significant(above - 1), 0.0),
        **{
            f"{name}_to_random": _ratio(criteria[name]["value"], criteria[name]["random"])
            for name in CRITERIA
        },
        **{f"mean_output_{name}": value for name, value in numbers["mean_output"].items()},
    }


def _ratio(value, whole):
    return significant(value / whole) if whole else None


def summarise(rows, names):
    """Return, for each ordering, the spread of some columns of `tabulate` over its images.

    Returns
    -------
    list of dict
        ``ordering``, ``method``, ``metric``; ``images``, a list, empty for an order over many by
        the distances of all its images; and for each of `names` what `spread` says.
    """
    groups = {}
    for row in rows:
        scopes = groups.setdefault(row["ordering"], {})
        scopes.setdefault(bool(row["image"]), []).append(row)
    return [
        {
            **{key: group[0][key] for key in ("ordering", "method", "metric")},
            "images": list(dict.fromkeys(row["image"] for row in group)) if of_images else [],
            **{name: spread(row[name] for row in group) for name in names},
        }
        for scopes in groups.values()
        for of_images, group in scopes.items()
    ]


def spread(values):
    """Return the ``median``, the ``least`` and the ``largest`` of values that are not None.

    Returns
    -------
    dict or None
        None where there are none.
    """
    known = np.array([value for value in values if value is not None], float)
    known = known[np.isfinite(known)]
    if not known.size:
        return None
    functions = {"median": np.median, "least": np.min, "largest": np.max}
    return {name: float(function(known)) for name, function in functions.items()}


def evenly(items):
    """Return a list of at most `MOST_IMAGES` of the items, evenly spaced."""
    chosen = np.linspace(0, len(items) - 1, min(len(items), MOST_IMAGES)).round().astype(int)
    return [items[place] for place in chosen]


def compare_orderings(orders, images):
    """Correlate the orderings of a layer with each other, image by image.

    Parameters
    ----------
    orders : list of Order
    images : list of str

    Returns
    -------
    names : list of str
        Of the orderings.
    correlations : dict of str to ndarray of float64, (images, orderings, orderings)
        By kind, ``spearman`` and ``kendall``; NaN where an image does not have both orderings.
    """
    names = list(dict.fromkeys(order.ordering for order in orders))
    every = _places(orders, images)
    shape = (len(images), len(names), len(names))
    correlations = {kind: np.full(shape, np.nan) for kind in CORRELATIONS}
    for table, of_image in enumerate(every.values()):
        here = [place for place, name in enumerate(names) if name in of_image]
        ranks = [of_image[names[place]] for place in here]
        for kind, correlate in CORRELATIONS.items():
            if here:
                correlations[kind][np.ix_([table], here, here)] = correlate(ranks)
    return names, correlations


def _places(orders, images):
    """Return {image: {ordering: places of the filters}}, orders over many images included."""
    shared = {
        order.ordering: places(order.numbers["permutation"])
        for order in orders
        if order.image is None
    }
    every = {image: dict(shared) for image in images}
    for order in orders:
        if order.image is not None:
            every[order.image][order.ordering] = places(order.numbers["permutation"])
    return every


def compare_images(orders, ordering):
    """Correlate the orders that an ordering gives for different images.

    Parameters
    ----------
    orders : list of Order
    ordering : str

    Returns
    -------
    images : list of str
        Those compared, at most `MOST_IMAGES`.
    correlations : dict of str to ndarray of float64, (images, images)
        By kind, ``spearman`` and ``kendall``.
    """
    own = [order for order in orders if order.ordering == ordering and order.image is not None]
    own = evenly(own)
    ranks = [places(order.numbers["permutation"]) for order in own]
    correlations = {kind: correlate(ranks) for kind, correlate in CORRELATIONS.items()}
    return [order.image for order in own], correlations


def compare_networks(orders, others):
    """Correlate the orders of a layer with those of another network's layer, image by image.

    Parameters
    ----------
    orders, others : list of Order
        Of layers with equally many filters.

    Returns
    -------
    dict of str to dict
        {ordering: for each kind of correlation its values, one per image that both have}
    """
    pairs = [
        (one, other)
        for one in orders
        for other in others
        if (one.ordering, one.image) == (other.ordering, other.image)
    ]
    found = {}
    for one, other in pairs:
        ranks = [places(order.numbers["permutation"]) for order in (one, other)]
        kinds = found.setdefault(one.ordering, {kind: [] for kind in CORRELATIONS})
        for kind, correlate in CORRELATIONS.items():
            kinds[kind].append(float(correlate(ranks)[0, 1]))
    return found
