"""The 3D pages: volumes embedded in a page, with the description that its viewer reads."""

import numpy as np

from cnnvis.core.arrays import factor, packed
from cnnvis.core.colours import encoded_tables
from cnnvis.core.files import safe_name
from cnnvis.core.projections import spacing_of
from cnnvis.core.volume_files import largest_magnitude
from cnnvis.gradients.volumes import LAYOUTS, SUMMED
from cnnvis.pages.render import json_in_script, link, write_page

SCRIPTS = (
    *("data", "transfer", "state", "camera", "shaders", "render", "pick", "labels"),
    *("controls", "curve", "card", "pointers", "keys", "save", "main"),
)
# A page opens with the first.
COLOURS = ("inferno", "viridis", "gray", "cividis", "turbo")
DIVERGING_COLOURS = ("ice and fire", "RdBu_r", "PuOr", "coolwarm")
# What a page starts from, by whether its values are signed.
STARTS = {
    False: {"threshold": 0.04, "opacity": 1.6},
    True: {"threshold": 0.1, "shading": 0.5, "opacity": 1.4},
}
# Beyond so many values a page of halves would be larger than 1.5 MB: bytes are embedded instead.
MOST_HALVES = 500_000
# Pictures of a comparison, for who cannot see it in 3D.
SHEETS = (("norms of all images", "comparison picture"), ("all frames", "comparison animation"))
NATURAL = "the network's order"


def volume_viewer(files, layer, *, network, image, responses=False):
    """Write the 3D page of one layer's feature maps, one panel per ordering.

    The voxels are embedded once, as the bytes of the ``.vox`` file; the page puts them in each
    order.

    Parameters
    ----------
    files : Places
        Of the image. ``viewer`` is written; each ``volume`` and its headers are linked.
    layer : cnnvis.activations.layers.Layer
        Its orders are the panels.
    network, image : str
    responses : bool
        Whether there is a page on what the layer's filters respond to.
    """
    maps, name = layer.feature_maps, safe_name(layer.name)
    count, height, width = maps.shape
    panels = _panels(layer.orders)
    volumes = {order: files.volumes("volume", ordering=order, layer=name) for order in layer.orders}
    page = files("viewer", layer=name)
    _write_viewer(
        page,
        layer.voxels[np.newaxis],
        viewer_spec(panels, [float(maps.min()), float(maps.max())], layer.voxels.shape),
        kind="volume",
        title=f"{layer.name}: feature maps of its {count} filters for {image}",
        network=network,
        image=image,
        layer=layer.name,
        quantity="activation",
        shape={"filters": count, "height": height, "width": width},
        black=float((maps == 0).mean()),
        rectified=bool(maps.min() >= 0),
        responses=_responses(files, name, page) if responses else None,
        sheets=[
            (order, link(files("grid", ordering=order, layer=name), page)) for order in layer.orders
        ],
        files=_files(volumes, page),
    )


def gradient_viewer(files, layer, *, network, image, responses=False):
    """Write the 3D pages of one neuron's gradient at one layer, in diverging colours.

    There is one for each of `cnnvis.gradients.volumes.LAYOUTS`, and they link one another. One
    panel shows the network's order, and one each of the orders by the gradients.

    Parameters
    ----------
    files : Places
        Of the image. ``gradient viewer`` and ``gradient channels viewer`` are written; the volumes
        and their headers are linked.
    layer : cnnvis.gradients.layers.GradientLayer
    network, image : str
    responses : bool
        Whether there is a page on what the layer's filters respond to.
    """
    where = {"cls": layer.cls, "layer": safe_name(layer.name)}
    ordered = {
        order: files.volumes("gradient ordered volume", ordering=order, **where)
        for order in layer.orders
    }
    for layout, page, views in _views(files, "gradient", **where):
        volumes = {NATURAL: files.volumes(f"gradient {layout.prefix}volume", **where)}
        if layout is SUMMED:
            volumes |= ordered
        volume, spec, facts = _gradient_spec(layout, [layer.gradient], layer.cls, layer.orders)
        _write_viewer(
            page,
            volume,
            spec,
            kind="gradient",
            title=f"{layer.name}: gradient of neuron {layer.cls} for {image}, {layout.title}",
            network=network,
            image=image,
            layer=layer.name,
            views=views,
            responses=_responses(files, where["layer"], page) if responses else None,
            sheets=[("channel by channel", link(files("gradient picture", **where), page))],
            files=_files(volumes, page),
            **facts,
        )


def comparison_viewer(files, comparison, *, responses=False):
    """Write the 3D pages of a comparison at one layer: one frame per image, on one colour scale.

    Parameters
    ----------
    files : Places
        Of the comparison; ``comparison viewer`` and ``comparison channels viewer`` are written.
    comparison : cnnvis.gradients.comparisons.Comparison
    responses : bool
        Whether there is a page on what the layer's filters respond to.
    """
    layer, neuron, name = comparison.layer, comparison.neuron, comparison.name
    frames = [f"{m.group} · {m.image} ({m.verdict})" for m in comparison.members]
    for layout, page, views in _views(files, "comparison", layer=safe_name(layer)):
        gradients, orders = comparison.gradients, comparison.orders
        volume, spec, facts = _gradient_spec(layout, gradients, neuron, orders)
        _write_viewer(
            page,
            volume,
            spec | {"frames": frames},
            kind="comparison",
            title=f"{layer}: gradient of neuron {neuron} for the images of {name}, {layout.title}",
            network=comparison.network,
            image=name,
            layer=layer,
            views=views,
            responses=_responses(files, safe_name(layer), page) if responses else None,
            sheets=[
                (title, link(files(kind, layer=safe_name(layer)), page)) for title, kind in SHEETS
            ],
            files=[],
            **facts,
        )


def _responses(files, layer, page):
    """Return the URL of the page on a layer's responses, and of its picture of weights, if any."""
    kinds = {"page": "response page", "weights": "response filters"}
    return {key: link(files(kind, layer=layer), page) for key, kind in kinds.items()}


def _views(files, subject, **where):
    """Return each layout with its page, and the links between the pages: None for itself."""
    pages = {layout: files(f"{subject} {layout.prefix}viewer", **where) for layout in LAYOUTS}
    return [
        (layout, page, [(o.title, None if o is layout else link(pages[o], page)) for o in LAYOUTS])
        for layout, page in pages.items()
    ]


def _gradient_spec(layout, gradients, neuron, orders):
    """Return the frames on one scale, their spec, and values for the text."""
    shares, largest = to_shares(np.stack([layout.arrange(gradient) for gradient in gradients]))
    if shares.size > MOST_HALVES:
        shares = np.rint(127 * shares.astype(np.float32)).astype(np.int8)
    panels = [{"title": NATURAL, "order": None}, *_panels(orders)]
    spec = viewer_spec(panels, [0.0, largest], shares.shape[1:], signed=True)
    _, channels, *kernel = (*gradients[0].shape, 1, 1)[:4]
    facts = {
        "neuron": neuron,
        "quantity": "gradient",
        "filters": len(gradients[0]),
        "channels": channels,
        "tiles": None if layout is SUMMED else factor(channels),
        "kernel": kernel,
        "largest": largest,
        "rounded": shares.dtype == np.int8,
    }
    return shares, spec, facts


def to_shares(volume):
    """Return values as shares of the largest magnitude, float16, and that magnitude.

    Shares, because small gradients would underflow in half precision.
    """
    largest = largest_magnitude(volume)
    return (volume / largest).astype("<f2"), largest


def viewer_spec(panels, values, shape, signed=False):
    """Return what the viewer reads of volumes, but for the voxels.

    Parameters
    ----------
    panels : list of dict
        Each with a ``title``, an ``order`` (a permutation of the filters, or None), and, where
        there are several volumes, which ``volume``.
    values : list of float
        What the voxels 0 and 1 (of uint8, 255) stand for.
    shape : tuple of int
        (depth, height, width) of a volume.
    signed : bool
        Whether the voxels are from -1 to 1.
    """
    plane = "weights" if signed else "pixels"
    units = {"x": plane, "y": plane, "filter": "in this order"}
    return {
        "panels": panels,
        "signed": signed,
        "values": values,
        "axes": [{"name": name, "unit": unit} for name, unit in units.items()],
        "frames": None,
        # The reader can change it.
        "state": STARTS[signed] | {"stretch": round(spacing_of(shape)[0], 3)},
    }


def _panels(orders):
    return [{"title": title, "order": order["permutation"]} for title, order in orders.items()]


def _files(volumes, page):
    """Return ``[(order, its files)]`` of ``{order: paths of a volume and its headers}``."""
    return [
        (
            order,
            [
                {"name": path.name, "suffix": path.suffix.lstrip("."), "href": link(path, page)}
                for path in paths
            ],
        )
        for order, paths in volumes.items()
    ]


def _write_viewer(page, volume, spec, *, kind, network, image, layer, **values):
    item = "index.html" if kind == "comparison" else "../index.html"
    write_page(
        page,
        "viewer.html",
        kind=kind,
        network=network,
        image=image,
        layer=layer,
        trail=[("Overview", "../../../index.html"), (f"{network} · {image}", item)],
        **viewer_values(volume, spec, f"{network}-{image}-{safe_name(layer)}", **values),
    )


def viewer_values(volume, spec, name, *, views=(), responses=None, sheets=(), **values):
    """Return what the template of the viewer needs of a volume, with `values`.

    Parameters
    ----------
    volume : ndarray, (frames of all volumes, depth, height, width)
        uint8; or float16 or int8 (127 is 1) where values are shares of the largest magnitude.
    spec : dict
        Of `viewer_spec`; may have ``colours``, the colour map the page opens with.
    name : str
        Of pictures that are saved.
    views : list of (str, str or None)
        Titles and URLs of pages beside this one.
    responses : dict, optional
        URLs of the ``page`` on what the filters respond to and of their ``weights``.
    sheets : list of (str, str)
        Titles and URLs of pictures of the same, linked where there is no 3D.
    """
    names = DIVERGING_COLOURS if spec["signed"] else COLOURS
    first = [spec["colours"]] if "colours" in spec else []
    tables = encoded_tables()
    spec = spec | {
        "shape": list(volume.shape),
        "dtype": {"uint8": "u8", "int8": "i8", "float16": "f16"}[volume.dtype.name],
        "name": name,
        "colours": {name: tables[name] for name in dict.fromkeys([*first, *names])},
        "responses": responses,
    }
    return {
        "spec": json_in_script(spec),
        "voxels": packed(volume, 9),
        "scripts": [f"viewer/{name}.js" for name in SCRIPTS],
        "frames": spec["frames"],
        "signed": spec["signed"],
        "panels": spec["panels"],
        "depth": spec["shape"][1],
        "views": views,
        "responses": responses,
        "sheets": sheets,
        **values,
    }
