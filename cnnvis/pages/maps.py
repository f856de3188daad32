"""The feature maps of a layer as a script, from which the page of an image draws its sheet."""

import json

import numpy as np

from cnnvis.activations.grids import grey_scale
from cnnvis.core.arrays import packed, significant
from cnnvis.core.files import atomic, safe_name


def write_maps(files, layer):
    """Write the feature maps of a layer for the page of their image.

    A page that is opened from a disk may load scripts, but read no other files.

    Parameters
    ----------
    files : Places
        Of the image. ``maps`` is written: a call of ``cnnvisMaps`` with the layer's ``orders``;
        its grey scale, ``black``, ``white`` and ``gamma``; and of each filter the least and the
        largest value, ``low`` and ``high``, and its map between them in 256 steps, ``voxels``,
        base64 of gzip of (filters, height, width). A step is of the share to the power `gamma`.
    layer : cnnvis.activations.layers.Layer
    """
    maps, colours = layer.feature_maps, grey_scale(layer.feature_maps)
    low, high = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
    shares = (maps - low[:, None, None]) / np.where(high > low, high - low, 1)[:, None, None]
    voxels = np.rint(255 * shares**colours.gamma).astype(np.uint8)
    values = {
        "layer": layer.name,
        "shape": maps.shape,
        "black": significant(colours.low),
        "white": significant(colours.high),
        "gamma": colours.gamma,
        "low": list(map(significant, low)),
        "high": list(map(significant, high)),
        "orders": {name: order["permutation"] for name, order in layer.orders.items()},
        "voxels": packed(voxels),
    }
    with atomic(files("maps", layer=safe_name(layer.name))) as temporary:
        text = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
        temporary.write_text(f"cnnvisMaps({text});\n", encoding="ascii")
