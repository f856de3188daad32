"""Orders of filters that are not those of the feature maps or the gradient shown.

A *shared* ordering is computed over several images, or over a collection, once for each network
and layer; then the filters of every picture and volume stand in it, and can be compared place by
place. Its distances are those between the feature maps, or the gradients, of all images, one behind
the other; images are added one by one, and only sums are kept.
"""

import numpy as np

from cnnvis.activations.distances import MapSums
from cnnvis.activations.orderings import describe_order
from cnnvis.core.arrays import check_finite, read_array
from cnnvis.core.files import read_json, safe_name, write_json


def make_ordering_over_images(files, name, ordering, layers):
    """Order the filters of layers over named images.

    Parameters
    ----------
    files : Places
        Of the network. Read are each image's ``blobs``, or its ``gradients``; written is, for each
        layer, the ``shared ordering``.
    name : str
    ordering : dict
        Of `cnnvis.config.orderings.resolve_orderings`.
    layers : dict of str to str
        ``{layer: blob of its feature maps}``.

    Raises
    ------
    UserError
        If a file has no such layer.
    """
    images, neuron, sums = ordering["images"], ordering["neuron"], {}
    for image in images:
        for layer, blob in layers.items():
            rows = _rows(files, layer, blob, neuron, image=image)
            sums.setdefault(layer, MapSums(len(rows))).add(rows)
    for layer, blob in layers.items():
        subject = {"blob": blob} if neuron is None else {"neuron": neuron}
        _write(files, name, ordering, layer, sums[layer], {**subject, "over": images})


def make_ordering_over_collection(streams, files, name, ordering, layers, image_set):
    """Run the network over an image set once; order the filters of layers by the feature maps.

    Parameters
    ----------
    streams : cnnvis.inputs.streaming.Streams
    files, name, ordering, layers
        See `make_ordering_over_images`.
    image_set : cnnvis.inputs.image_sets.ImageSet

    Raises
    ------
    UserError
        If a layer, the image set or a file is not usable.
    """
    convolutions = streams.model.info.convolutions
    filters = {layer: convolutions[layer].shape[0] for layer in layers}
    with streams.model.open(streams.threads) as network:
        maps = CollectionMaps(network, layers, filters)
        skipped = streams.sum(maps, image_set, layers)
    if streams.hand_over():
        return
    over = {"over": image_set.name, "images": len(image_set.images) - len(skipped)}
    over |= {"skipped": [entry["image"] for entry in skipped]} if skipped else {}
    for layer, blob in layers.items():
        _write(files, name, ordering, layer, maps.layers[layer], {"blob": blob, **over})
    streams.forget()


class CollectionMaps:
    """Sums of the feature maps of layers, see `cnnvis.inputs.streaming.stream`.

    Parameters
    ----------
    network : cnnvis.engines.base.Engine
    blobs : dict of str to str
        ``{layer: blob of its feature maps}``.
    filters : dict of str to int
        ``{layer: how many it has}``.
    """

    def __init__(self, network, blobs, filters):
        self.network, self.blobs = network, blobs
        self.layers = {layer: MapSums(count) for layer, count in filters.items()}
        self.sums = {
            f"{layer}/{name}": array
            for layer, sums in self.layers.items()
            for name, array in vars(sums).items()
        }

    def add(self, chunk):
        """Add the feature maps of a `cnnvis.inputs.image_sets.Chunk` of images.

        Raises
        ------
        UserError
            If they are not finite.
        """
        blobs = self.network.forward(chunk.inputs, list(self.blobs.values()))
        for layer, blob in self.blobs.items():
            check_finite(blobs[blob], f"blob '{blob}'")
            for maps in blobs[blob]:
                self.layers[layer].add(maps.reshape(len(maps), -1).astype(np.float64))


def orders_of_maps(files, layer, names, orderings):
    """Return the orders of feature maps that are not by these feature maps.

    Shared ones are read; those by the gradients of the image are computed, and written.

    Parameters
    ----------
    files : Places
        Of the image.
    layer : str
    names : list of str
        The orderings of this layer.
    orderings : dict
        Of `cnnvis.config.orderings.resolve_orderings`.

    Returns
    -------
    dict of str to dict
        See `cnnvis.activations.orderings.describe_order`.
    """
    orders = read_orders(files, layer, [x for x in names if orderings[x]["shared"]])
    for name in names:
        ordering, neuron = orderings[name], orderings[name]["neuron"]
        if ordering["by"] == "gradients" and name not in orders:
            rows = _rows(files, layer, None, neuron)
            orders[name] = describe_order(rows, {"neuron": neuron}, **ordering["how"])
            path = files("ordering", ordering=name, layer=safe_name(layer))
            write_json(path, orders[name])
    return orders


def read_orders(files, layer, names, kind="shared ordering"):
    """Return the orders of a layer that another job wrote; see `orders_of_maps`.

    Parameters
    ----------
    files : Places
    layer : str
    names : list of str
        Of orderings.
    kind : {"shared ordering", "ordering"}
        Whether they are over several images, or the image's own.
    """
    layer = safe_name(layer)
    return {name: read_json(files(kind, ordering=name, layer=layer)) for name in names}


def _rows(files, layer, blob, neuron, **image):
    """Return an image's feature maps, or its gradients, one row per filter, as float64."""
    if neuron is None:
        tensor = read_array(files("blobs", **image), blob)
    else:
        tensor = read_array(files("gradients", cls=neuron, **image), layer, "gradient of layer")
    return tensor.reshape(len(tensor), -1).astype(np.float64)


def _write(files, name, ordering, layer, sums, subject):
    order = describe_order(sums.points, subject, sums=sums, **ordering["how"])
    write_json(files("shared ordering", ordering=name, layer=safe_name(layer)), order)
