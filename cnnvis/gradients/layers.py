"""Everything that is made of one neuron's gradient at one layer for one image."""

from dataclasses import dataclass

import numpy as np

from cnnvis.activations.orderings import describe_order
from cnnvis.core.arrays import read_array
from cnnvis.core.files import safe_name, write_json
from cnnvis.core.sheets import draw_tensor
from cnnvis.core.volume_files import write_volume
from cnnvis.gradients.attributions import KINDS
from cnnvis.gradients.volumes import CHANNELS, LAYOUTS, SUMMED


@dataclass(frozen=True)
class GradientLayer:
    """One neuron's gradient at one layer for one image.

    Attributes
    ----------
    name : str
        The layer.
    cls : int
        The neuron.
    gradient : ndarray, (filters, channels, kh, kw) or (filters, channels)
    orders : dict of str to dict
        For each ordering, what `cnnvis.activations.orderings.describe_order` says of it.
    """

    name: str
    cls: int
    gradient: np.ndarray
    orders: dict


def make_gradient_layer(files, *, layer, cls, orderings, kinds=(), title, orders=None):
    """Write one neuron's gradient at one layer, and its attributions, as volumes and pictures.

    Parameters
    ----------
    files : Places
        Of the image. Read are ``gradients`` and, where there are `kinds`, ``attributions``. Written
        are ``gradient volume`` and ``gradient channels volume`` (see `cnnvis.gradients.volumes`),
        ``gradient picture``; for each ordering ``gradient ordering`` (but for those of `orders`),
        and ``gradient ordered volume``, the channels summed; for each kind ``attribution volume``,
        channel by channel, and ``attribution picture``.
    layer : str
    cls : int
    orderings : dict of str to dict
        For each ordering of the filters by their gradients, its ``method`` and the method's
        parameters.
    kinds : list of str
        Of `cnnvis.gradients.attributions.KINDS`.
    title : str
        What the titles of pictures end with.
    orders : dict of str to dict, optional
        Further orders, which were not made of this gradient.

    Returns
    -------
    GradientLayer

    Raises
    ------
    UserError
        If a file has no such layer.
    """
    where = {"cls": cls, "layer": safe_name(layer)}
    gradient = read_array(files("gradients", cls=cls), layer, "gradient of layer")
    for layout in LAYOUTS:
        path = files(f"gradient {layout.prefix}volume", volume="vox", **where)
        write_volume(path, layout.voxels(gradient))
    what = f"The gradient at each filter of layer {layer}"
    options = {"title": f"Gradient {title}", "what": what, "label": "gradient"}
    draw_tensor(files("gradient picture", **where), gradient, **options)
    for kind in kinds:
        _write_attribution(files, kind, layer, where, title)
    orders = _write_orders(files, gradient, orderings, where) | (orders or {})
    voxels = SUMMED.voxels(gradient)
    for name, order in orders.items():
        path = files("gradient ordered volume", ordering=name, volume="vox", **where)
        write_volume(path, voxels[order["permutation"]])
    return GradientLayer(layer, cls, gradient, orders)


def _write_orders(files, gradient, orderings, where):
    matrix, orders = gradient.reshape(len(gradient), -1).astype(np.float64), {}
    for name, how in orderings.items():
        orders[name] = describe_order(matrix, {"neuron": where["cls"]}, **how)
        write_json(files("gradient ordering", ordering=name, **where), orders[name])
    return orders


def _write_attribution(files, name, layer, where, title):
    kind, part = KINDS[name], {"attribution": name, **where}
    path = files("attributions", cls=where["cls"])
    tensor = read_array(path, f"{name}/{layer}", "attribution")
    write_volume(files("attribution volume", volume="vox", **part), CHANNELS.voxels(tensor))
    draw_tensor(
        files("attribution picture", **part),
        tensor,
        title=f"{kind.title} {title}",
        what=f"{kind.title} at each filter of layer {layer}. {kind.meaning} One tile per filter",
        label=kind.title[0].lower() + kind.title[1:],
    )
