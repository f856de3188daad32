"""Everything that is made of one layer's feature maps for one image."""

from dataclasses import dataclass

import numpy as np

from cnnvis.activations.arrangements import certificate
from cnnvis.activations.distances import MapSums
from cnnvis.activations.grids import draw_grid
from cnnvis.activations.orderings import describe_order, provenance
from cnnvis.activations.slice_stability import make_stability
from cnnvis.activations.slices import make_slice
from cnnvis.activations.volumes import to_binary
from cnnvis.core.arrays import cluster_numbers, read_array
from cnnvis.core.errors import UserError
from cnnvis.core.files import safe_name, write_json
from cnnvis.core.volume_files import to_bytes, write_volume


@dataclass(frozen=True)
class Layer:
    """One layer's feature maps for one image.

    Attributes
    ----------
    name : str
    feature_maps : ndarray of float32, (filters, height, width)
    voxels : ndarray of uint8, (filters, height, width)
        The same as bytes, see `cnnvis.core.volume_files.to_bytes`.
    orders : dict of str to dict
        For each ordering, what `cnnvis.activations.orderings.describe_order` says of it.
    """

    name: str
    feature_maps: np.ndarray
    voxels: np.ndarray
    orders: dict


def make_layer(files, *, layer, blob, orderings, volumes, slices, title, orders=None):
    """Order, draw and write the feature maps of one layer for one image.

    Parameters
    ----------
    files : Places
        Of the image. Read is ``blobs``; written are, for each ordering, ``ordering`` (but for those
        of `orders`), ``grid``, ``volume`` and ``binary volume``, and for each row ``slice
        clusters``, ``slice pca`` and ``slice numbers``; ``slice stability`` and its picture.
    layer, blob : str
        The convolution, and the blob of its feature maps.
    orderings : dict of str to dict
        For each ordering, its ``method`` and the method's parameters.
    volumes : dict or None
        ``rule`` and ``percentile`` of `to_binary`; None for no volumes.
    slices : dict
        ``rows``, which rows are cut; ``stability``, whether the orders of all rows are compared;
        and what `cnnvis.activations.slices.order_slice` reads.
    title : str
        What the titles of pictures begin with.
    orders : dict of str to dict, optional
        Further orders, which were not made of these feature maps.

    Returns
    -------
    Layer

    Raises
    ------
    UserError
        If the blob or a parameter is not usable.
    """
    maps = read_array(files("blobs"), blob)
    _check_sizes(maps.shape, f"{files('blobs')}: blob '{blob}'", orderings, slices)
    matrix = maps.reshape(len(maps), -1).astype(np.float64)
    name = safe_name(layer)
    sums, own = MapSums(len(matrix)).add(matrix), {}
    for ordering, how in orderings.items():
        own[ordering] = describe_order(matrix, {"blob": blob}, sums=sums, **how)
        write_json(files("ordering", ordering=ordering, layer=name), own[ordering])
    orders = own | (orders or {})
    voxels = to_bytes(matrix).reshape(maps.shape)
    binary = to_binary(maps, **volumes) if volumes else None
    for ordering, order in orders.items():
        permutation = order["permutation"]
        where = {"ordering": ordering, "layer": name}
        draw_grid(
            files("grid", **where),
            maps,
            permutation,
            layer=layer,
            method=order["method"],
            title=f"{title}, {ordering} order",
            note=" ".join(filter(None, [provenance(order), certificate(order)])),
        )
        if volumes:
            write_volume(files("volume", volume="vox", **where), voxels[permutation])
            write_volume(files("binary volume", volume="vox", **where), binary[permutation])
    names = {"layer": layer, "blob": blob, "title": title}
    for row in slices["rows"]:
        make_slice(files, maps, row, slices, **names)
    if slices["stability"]:
        make_stability(files, maps, slices["method"], **names)
    return Layer(layer, maps, voxels, orders)


def _check_sizes(shape, what, orderings, slices):
    """Raise a `UserError` where a layer has too few filters or rows for what is asked of it."""
    filters, height, _ = shape
    clusters = [ordering["k"] for ordering in orderings.values() if "k" in ordering]
    # A layer that is not cut has no clusters of slices.
    cut = [cluster_numbers(k)[0] for k in slices["k"]] if slices["rows"] else []
    for k in (*clusters, *cut):
        if k > filters:
            raise UserError(f"{what}: {filters} filters are too few for k = {k} clusters")
    for row in slices["rows"]:
        if row >= height:
            raise UserError(f"{what}: has rows 0 to {height - 1}, so no slice of row {row}")
