"""The 3D pages: volumes embedded in a page, with the description that its viewer reads."""

import base64
import gzip
import json
from pathlib import Path

import numpy as np
from markupsafe import Markup

from cnnvis.core.arrays import factor
from cnnvis.core.colours import encoded_tables
from cnnvis.core.files import safe_name
from cnnvis.core.volume_files import tile_channels
from cnnvis.pages.render import link, write_page

SCRIPTS = (
    *("data", "state", "camera", "shaders", "render"),
    *("pick", "labels", "controls", "save", "main"),
)
# A page opens with the first.
COLOURS = ("inferno", "viridis", "gray", "cividis", "turbo")
DIVERGING_COLOURS = ("ice and fire", "RdBu_r", "PuOr", "coolwarm")
# With cubic voxels, 13 x 13 x 384 of them would be too thin to read: a box is at most this many
# times longer than it is wide. The reader can change it.
LONGEST = 2.2


def volume_viewer(files, layer, *, network, image):
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
    """
    maps, name = layer.feature_maps, safe_name(layer.name)
    page = files("viewer", layer=name)
    volumes = [
        path
        for ordering in layer.orders
        for path in files.volumes("volume", ordering=ordering, layer=name)
    ]
    count, height, width = maps.shape
    spec = {
        "panels": [
            {"title": name, "order": order["permutation"]} for name, order in layer.orders.items()
        ],
        "signed": False,
        "values": [float(maps.min()), float(maps.max())],
        "axes": _axes("pixels", "in this order"),
        "frames": None,
        "state": _volume_start(layer.voxels),
    }
    _write_viewer(
        page,
        layer.voxels[np.newaxis],
        spec,
        kind="volume",
        title=f"{layer.name}: feature maps of its {count} filters for {image}",
        trail=_trail(network, image, "../index.html", "../../../index.html"),
        network=network,
        image=image,
        layer=layer.name,
        quantity="activation",
        shape={"filters": count, "height": height, "width": width},
        black=float((maps == 0).mean()),
        rectified=bool(maps.min() >= 0),
        files=_files(volumes, page),
    )


def gradient_viewer(files, gradient, *, layer, cls, network, image):
    """Write the 3D page of one neuron's gradient at one layer, in diverging colours.

    The volume is laid out as in `cnnvis.gradients.weight_gradients`.

    Parameters
    ----------
    files : Places
        Of the image. ``gradient viewer`` is written; ``gradient volume`` and its headers are
        linked.
    gradient : ndarray, (filters, channels, kh, kw)
    layer, network, image : str
    cls : int
        The neuron.
    """
    where = {"cls": cls, "layer": safe_name(layer)}
    page = files("gradient viewer", **where)
    volume, spec, facts = _gradient_spec([gradient], [{"title": f"neuron {cls}", "order": None}])
    _write_viewer(
        page,
        volume,
        spec,
        kind="gradient",
        title=f"{layer}: gradient of neuron {cls} for {image}",
        trail=_trail(network, image, "../index.html", "../../../index.html"),
        network=network,
        image=image,
        layer=layer,
        neuron=cls,
        files=_files(files.volumes("gradient volume", **where), page),
        **facts,
    )


def comparison_viewer(files, comparison):
    """Write the 3D page of a comparison at one layer: one frame per image, on one colour scale.

    Parameters
    ----------
    files : Places
        Of the comparison; ``comparison viewer`` is written.
    comparison : cnnvis.gradients.comparisons.Comparison
    """
    layer, neuron, name = comparison.layer, comparison.neuron, comparison.name
    page = files("comparison viewer", layer=safe_name(layer))
    panels = [{"title": f"neuron {neuron}", "order": None}]
    volume, spec, facts = _gradient_spec(comparison.gradients, panels)
    spec["frames"] = [f"{m.group} · {m.image} ({m.verdict})" for m in comparison.members]
    _write_viewer(
        page,
        volume,
        spec,
        kind="comparison",
        title=f"{layer}: gradient of neuron {neuron} for the images of {name}",
        trail=_trail(comparison.network, name, "index.html", "../../../index.html"),
        network=comparison.network,
        image=name,
        layer=layer,
        neuron=neuron,
        files=[],
        **facts,
    )


def _gradient_spec(gradients, panels):
    """Return the frames as half floats on one scale, their spec, and values for the text."""
    filters, channels, height, width = (*gradients[0].shape, 1, 1)[:4]
    rows, columns = factor(channels)
    volume = np.stack([tile_channels(gradient) for gradient in gradients])
    largest = float(np.abs(volume).max()) or 1.0
    spec = {
        "panels": panels,
        "signed": True,
        # Stored are shares of the largest magnitude: small gradients would underflow in half
        # precision.
        "values": [0.0, largest],
        "axes": _axes("weights", "in the network's order"),
        "frames": None,
        "state": _gradient_start(volume / largest),
    }
    facts = {
        "quantity": "gradient",
        "shape": {"filters": filters, "height": rows * height, "width": columns * width},
        "kernel": {
            "channels": channels,
            "rows": rows,
            "columns": columns,
            "sides": (height, width),
        },
        "largest": largest,
    }
    return (volume / largest).astype("<f2"), spec, facts


def _volume_start(voxels):
    # On a scale up to the maximum, a few very strong pixels would leave everything else dark.
    lit = voxels[voxels > 0]
    high = np.percentile(lit, 99) / 255 if lit.size else 1.0
    return {
        "high": round(float(high), 3),
        "threshold": 0.04,
        "opacity": 1.6,
        "stretch": _stretch(voxels.shape),
    }


def _gradient_start(shares):
    reach = max(float(np.percentile(np.abs(shares), 99)), 0.02)
    reach = round(min(reach, 1.0), 3)
    stretch = _stretch(shares.shape[1:])
    return {
        "low": -reach,
        "high": reach,
        "threshold": 0.1,
        "stretch": stretch,
        "shading": 0.5,
        "opacity": 1.4,
    }


def _stretch(shape):
    return round(min(1.0, LONGEST * max(shape[1:]) / shape[0]), 3)


def _axes(plane_unit, depth_unit):
    return [
        {"name": "x", "unit": plane_unit},
        {"name": "y", "unit": plane_unit},
        {"name": "filter", "unit": depth_unit},
    ]


def _trail(network, item, item_page, index_page):
    return [("Overview", index_page), (f"{network} · {item}", item_page)]


def _files(files, page):
    """Return ``[(folder, its files)]``, both in the order of `files`."""
    folders = {}
    for path in map(Path, files):
        entry = {"name": path.name, "suffix": path.suffix.lstrip("."), "href": link(path, page)}
        folders.setdefault(path.parent.name, []).append(entry)
    return list(folders.items())


def _write_viewer(page, volume, spec, *, kind, title, **values):
    names = DIVERGING_COLOURS if spec["signed"] else COLOURS
    spec |= {
        "shape": list(volume.shape),
        "dtype": "u8" if volume.dtype == np.uint8 else "f16",
        "name": f"{values['network']}-{values['image']}-{safe_name(values['layer'])}",
        "colours": {name: encoded_tables()[name] for name in names},
    }
    packed = gzip.compress(volume.tobytes(), 9, mtime=0)
    write_page(
        page,
        "viewer.html",
        kind=kind,
        title=title,
        spec=_json_in_script(spec),
        voxels=base64.b64encode(packed).decode(),
        scripts=[f"viewer/{name}.js" for name in SCRIPTS],
        frames=spec["frames"],
        signed=spec["signed"],
        panels=spec["panels"],
        **values,
    )


def _json_in_script(value):
    """Return JSON that cannot end the ``<script>`` element around it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))
