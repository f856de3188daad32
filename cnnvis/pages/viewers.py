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
    count, height, width = maps.shape
    panels = [
        {"title": title, "order": order["permutation"]} for title, order in layer.orders.items()
    ]
    volumes = [
        path
        for ordering in layer.orders
        for path in files.volumes("volume", ordering=ordering, layer=name)
    ]
    page = files("viewer", layer=name)
    _write_viewer(
        page,
        layer.voxels[np.newaxis],
        _spec(panels, [float(maps.min()), float(maps.max())], _volume_start(layer.voxels)),
        kind="volume",
        title=f"{layer.name}: feature maps of its {count} filters for {image}",
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
    volume, spec, facts = _gradient_spec([gradient], cls)
    _write_viewer(
        page,
        volume,
        spec,
        kind="gradient",
        title=f"{layer}: gradient of neuron {cls} for {image}",
        network=network,
        image=image,
        layer=layer,
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
    volume, spec, facts = _gradient_spec(comparison.gradients, neuron)
    spec["frames"] = [f"{m.group} · {m.image} ({m.verdict})" for m in comparison.members]
    _write_viewer(
        page,
        volume,
        spec,
        kind="comparison",
        title=f"{layer}: gradient of neuron {neuron} for the images of {name}",
        network=comparison.network,
        image=name,
        layer=layer,
        files=[],
        **facts,
    )


def _gradient_spec(gradients, neuron):
    """Return the frames as half floats on one scale, their spec, and values for the text."""
    filters, channels, height, width = (*gradients[0].shape, 1, 1)[:4]
    rows, columns = factor(channels)
    volume = np.stack([tile_channels(gradient) for gradient in gradients])
    largest = float(np.abs(volume).max()) or 1.0
    # Stored are shares of the largest magnitude: small gradients would underflow in half precision.
    shares, panels = volume / largest, [{"title": f"neuron {neuron}", "order": None}]
    spec = _spec(panels, [0.0, largest], _gradient_start(shares), signed=True)
    facts = {
        "neuron": neuron,
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
    return shares.astype("<f2"), spec, facts


def _spec(panels, values, state, signed=False):
    """Return what the viewer reads: the panels, the values at both ends of the scale, its start."""
    plane, depth = ("weights", "in the network's order") if signed else ("pixels", "in this order")
    units = {"x": plane, "y": plane, "filter": depth}
    return {
        "panels": panels,
        "signed": signed,
        "values": values,
        "axes": [{"name": name, "unit": unit} for name, unit in units.items()],
        "frames": None,
        "state": state,
    }


def _volume_start(voxels):
    # On a scale up to the maximum, a few very strong pixels would leave everything else dark.
    lit = voxels[voxels > 0]
    high = np.percentile(lit, 99) / 255 if lit.size else 1.0
    start = {"high": round(float(high), 3), "threshold": 0.04, "opacity": 1.6}
    return {**start, "stretch": _stretch(voxels.shape)}


def _gradient_start(shares):
    reach = max(float(np.percentile(np.abs(shares), 99)), 0.02)
    reach, stretch = round(min(reach, 1.0), 3), _stretch(shares.shape[1:])
    start = {"low": -reach, "high": reach, "threshold": 0.1, "stretch": stretch}
    return {**start, "shading": 0.5, "opacity": 1.4}


def _stretch(shape):
    return round(min(1.0, LONGEST * max(shape[1:]) / shape[0]), 3)


def _files(files, page):
    """Return ``[(folder, its files)]``, both in the order of `files`."""
    folders = {}
    for path in map(Path, files):
        entry = {"name": path.name, "suffix": path.suffix.lstrip("."), "href": link(path, page)}
        folders.setdefault(path.parent.name, []).append(entry)
    return list(folders.items())


def _write_viewer(page, volume, spec, *, kind, network, image, layer, **values):
    names = DIVERGING_COLOURS if spec["signed"] else COLOURS
    spec |= {
        "shape": list(volume.shape),
        "dtype": "u8" if volume.dtype == np.uint8 else "f16",
        "name": f"{network}-{image}-{safe_name(layer)}",
        "colours": {name: encoded_tables()[name] for name in names},
    }
    item = "index.html" if kind == "comparison" else "../index.html"
    packed = gzip.compress(volume.tobytes(), 9, mtime=0)
    write_page(
        page,
        "viewer.html",
        kind=kind,
        network=network,
        image=image,
        layer=layer,
        trail=[("Overview", "../../../index.html"), (f"{network} · {image}", item)],
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
