"""Propagate a change of some channels of one layer's output instead of a whole forward pass.

Everything below the layer is computed once. Above it, activations and pooling treat each channel
alone, and LRN mixes neighbours, so that the set of changed channels grows by its reach. The next
convolution or inner product is linear in the change: its output is that of the base pass plus the
weights of the changed channels times their change. From there on whole layers run. So does a
layer without a rule here, once its bottoms are complete; the result is therefore always that of a
whole pass, but for the rounding of the sum.
"""

import copy
from dataclasses import dataclass

import numpy as np

from cnnvis.engines.numpy.layers.base import column
from cnnvis.engines.numpy.passes import BLOCK_BYTES

# Where more than this share of a linear layer's channels change, a whole pass is faster.
WIDEST = 0.5


@dataclass(frozen=True)
class Route:
    """How a change travels from one value towards the target.

    Attributes
    ----------
    steps : list of Node
        Layers that are computed for the changed channels alone, in order.
    linear : list of Node
        Convolutions and inner products, to whose output the effect of the change is added.
    completed : set of int
        Values whose changed channels are put among the others, because whole layers follow.
    """

    steps: list
    linear: list
    completed: set

    @property
    def ends(self):
        """The values that a pass resumes from."""
        return sorted({*self.completed, *(node.tops[0] for node in self.linear)})

    def without_linear(self):
        """Return the route that ends before the linear layers, for changes of many channels."""
        bottoms = {node.bottoms[0] for node in self.linear}
        return Route(self.steps, [], self.completed | bottoms)


def find_route(graph, start, target):
    """Return the `Route` of a change from the value `start` to the value `target`."""
    route, partial, touched = Route([], [], set()), {start}, {start}
    for node in graph.ancestors([target]):
        if not touched.intersection(node.bottoms):
            continue
        touched.update(node.tops)
        changed = partial.intersection(node.bottoms)
        if changed and is_channelwise(node):
            route.steps.append(node)
            partial.update(node.tops)
        elif changed and len(node.bottoms) == 1 and writes_channels(node.layer):
            route.linear.append(node)
        else:
            route.completed.update(changed)
    route.completed.update(partial.intersection([target]))
    return route


def is_channelwise(node):
    """Whether a layer treats each channel alone, but for an LRN's reach (`reach_of`)."""
    layer, kind = node.layer, node.layer.param.type
    if len(node.bottoms) != 1 or (len(node.tops) != 1 and not layer.is_view):
        return False
    if kind in ("Scale", "Bias"):
        return layer.options.axis == 1 and layer.options.num_axes == 1
    return layer.elementwise or kind in ("LRN", "Pooling")


def writes_channels(layer):
    """Whether a layer is linear, and writes (and bias is added to) one channel per filter."""
    kind = layer.param.type
    return kind == "Convolution" or (kind == "InnerProduct" and layer.inner.axis == 1)


def has_filters(layer):
    """Whether `writes_channels`, with the weights of each filter on the first axis."""
    return writes_channels(layer) and not layer.param.inner_product_param.transpose


class Base:
    """A forward pass of a batch, with the values along the route of a change.

    Parameters
    ----------
    network : cnnvis.engines.numpy.network.Network
    inputs : dict
        ``{value: array (N, ...)}`` of the network's inputs.
    start, target : int
        The value that changes, and the one that is asked for.
    keep : iterable of int
        Further values to keep.
    follow : bool
        If False, whole layers follow directly behind `start`.

    Attributes
    ----------
    values : dict
        ``{value: array (N, ...)}`` without any change.
    """

    def __init__(self, network, inputs, start, target, keep=(), follow=True):
        self.network, self.start, self.target = network, start, target
        self.route = find_route(network.graph, start, target) if follow else Route([], [], {start})
        self.shorter = self.route.without_linear()
        neighbours = {node.bottoms[0] for node in self.route.steps if reach_of(node.layer)}
        kept = {start, *keep, *neighbours}
        for route in (self.route, self.shorter):
            kept.update(route.ends, network.graph.beside(target, route.ends))
        kept = sorted(kept)
        values = network.run(inputs, kept)
        self.values = {value: values.whole(value) for value in kept}

    def resume_from(self, values):
        """Return all values that a pass resumes from: `values` at the ends, and those beside them.

        If the base pass is of one image, the changed values may be of any number.
        """
        images = len(next(iter(values.values()), self.values[self.start]))
        aside = self.network.graph.beside(self.target, values)
        beside = {value: self.values[value] for value in aside}
        return values | {k: np.broadcast_to(v, (images, *v.shape[1:])) for k, v in beside.items()}

    def reached(self, channels):
        """Return ``{value: the channels that change, ascending}`` along the route."""
        reached = {self.start: np.sort(np.asarray(channels, np.intp))}
        for node in self.route.steps:
            channels = reached[node.bottoms[0]]
            if reach := reach_of(node.layer):
                near = channels[:, None] + np.arange(-reach, reach + 1)
                count = self.values[node.bottoms[0]].shape[1]
                channels = np.unique(near[(near >= 0) & (near < count)])
            reached.update(dict.fromkeys(node.tops, channels))
        return reached

    def after(self, channels, numbers):
        """Return the target with some channels of `start` set to constants, in every image.

        Parameters
        ----------
        channels : sequence of int
            In ascending order.
        numbers : ndarray, (channels,)
            The constants.

        Returns
        -------
        ndarray, (N, ...)
        """
        start, reached = self.values[self.start], self.reached(channels)
        route = self.route if self._share(reached) <= WIDEST else self.shorter
        if len(channels):
            part = column(numbers, start.ndim)
            part = np.broadcast_to(part, (1, len(channels), *start.shape[2:]))
            ends = self._propagate(Change(self, reached, route), part)
        else:
            ends = {value: self.values[value] for value in route.ends}
        return self.network.run(self.resume_from(ends), [self.target]).whole(self.target)

    def _share(self, reached):
        """Return the largest share of a linear layer's channels that change, 1 without any."""
        bottoms = [node.bottoms[0] for node in self.route.linear]
        return max((len(reached[b]) / self.values[b].shape[1] for b in bottoms), default=1)

    def _propagate(self, change, part):
        """Return ``{end: array (N, ...)}`` after the same change in every image."""
        workers, differences = self.network.workers, {}
        ends = {value: np.empty_like(self.values[value]) for value in change.route.ends}
        size = int(BLOCK_BYTES // max((array[0].nbytes for array in ends.values()), default=1))

        def propagate(work, images):
            rows = {value: array[images] for value, array in ends.items()}
            differences[images.start] = change.propagate(work, images, part, rows)

        with workers.single_threaded_blas():
            workers.over_blocks(propagate, len(self.values[self.start]), size)
            change.add_products([differences[first] for first in sorted(differences)], ends)
        return ends


class Change:
    """A change of some channels, with the weights that it meets, for any image.

    Parameters
    ----------
    base : Base
    reached : dict
        Of `Base.reached`.
    route : Route, optional
        By default that of the base.
    """

    def __init__(self, base, reached, route=None):
        self.base, self.reached, self.params = base, reached, base.network.params
        self.route = route or base.route
        self.convolutions, self.inner_products = [], []
        for node in self.route.linear:
            if node.layer.param.type == "Convolution":
                parts = parts_of(node.layer, self.params, reached[node.bottoms[0]])
                self.convolutions += [(node, *part) for part in parts]
            else:
                self.inner_products.append(node)
        self.weights = {
            node.layer.name: [
                array[reached[node.bottoms[0]]] if array.size > 1 else array
                for array in self.params.get(node.layer.name, [])
            ]
            for node in self.route.steps
        }

    def propagate(self, work, images, part, ends, watch=None):
        """Propagate the same change in some images to the ends of the route.

        Parameters
        ----------
        work : cnnvis.engines.numpy.workers.Work
        images : slice
            Which of the base pass.
        part : ndarray, (1, channels, ...)
            The changed channels of `start`.
        ends : dict
            ``{value: array (images, ...)}`` for every end, which is overwritten.
        watch : callable, optional
            See `passes.forward`; the image is 0.

        Returns
        -------
        list of ndarray, (images, channels, ...)
            The difference in the bottom of each inner product, for `add_products`.
        """
        base = {value: array[images] for value, array in self.base.values.items()}
        parts = {self.base.start: part}
        for node in self.route.steps:
            top = self._step(work, node, base, parts[node.bottoms[0]], watch)
            parts.update(dict.fromkeys(node.tops, top))
        for value, array in ends.items():
            np.copyto(array, base[value])
        for value in self.route.completed:
            ends[value][:, self.reached[value]] = parts[value]
        differences = {
            value: parts[value] - base[value][:, self.reached[value]]
            for value in {node.bottoms[0] for node in self.route.linear}
        }
        for node, layer, weights, rows, inside in self.convolutions:
            bottom = np.ascontiguousarray(differences[node.bottoms[0]][:, inside])
            top = ends[node.tops[0]][:, rows]
            product = work.buffer("change", top.shape, top.dtype)
            layer.forward(work, [weights], [bottom], [product])
            top += product
        return [differences[node.bottoms[0]] for node in self.inner_products]

    def _step(self, work, node, base, part, watch):
        """Return a layer's output on the channels that change.

        It is (1, channels, ...) as long as it does not depend on other channels, which differ from
        image to image.
        """
        layer, bottom, top = node.layer, node.bottoms[0], node.tops[0]
        if layer.is_view:
            return part
        if reach := reach_of(layer):
            changed, asked = self.reached[bottom], self.reached[top]
            return _normalise(work, layer, base[bottom], changed, part, asked, reach)
        part = np.ascontiguousarray(part)
        out = np.empty(layer.shapes([part.shape])[0], part.dtype)
        layer.forward(work, self.weights[layer.name], [part], [out])
        if watch is not None:
            watch(node, work, 0, [part], [out])
        return out

    def add_products(self, differences, ends):
        """Add the effect of the change to the inner products among the ends.

        Parameters
        ----------
        differences : list of list of ndarray
            What `propagate` returned, for consecutive images.
        ends : dict
            ``{value: array (images, ...)}``; added to.
        """
        for number, node in enumerate(self.inner_products):
            weights, channels = self.params[node.layer.name][0], self.reached[node.bottoms[0]]
            difference = np.concatenate([of_image[number] for of_image in differences])
            ends[node.tops[0]] += _product(node.layer, weights, difference, channels)


def reach_of(layer):
    """Return how many channels to either side a layer's output depends on."""
    return layer.reach if layer.param.type == "LRN" and not layer.within else 0


def _normalise(work, layer, whole, changed, part, asked, reach):
    """Return an LRN's output on the channels `asked`, each run of them computed with its margin."""
    out = np.empty((len(whole), len(asked), *whole.shape[2:]), whole.dtype)
    edges = np.flatnonzero(np.diff(asked) > 1) + 1
    for first, last in zip([0, *edges], [*edges, len(asked)], strict=True):
        low = max(0, asked[first] - reach)
        near = whole[:, low : asked[last - 1] + 1 + reach].copy()
        inside = slice(*np.searchsorted(changed, [low, low + near.shape[1]]))
        near[:, changed[inside] - low] = part[:, inside]
        result = np.empty_like(near)
        layer.forward(work, [], [near], [result])
        out[:, first:last] = result[:, asked[first] - low : asked[last - 1] + 1 - low]
    return out


def parts_of(layer, params, channels):
    """Yield the parts of a convolution that compute the effect of a change, one for each group.

    A part is a convolution of one group without bias, its weights for the changed channels, its
    rows of the output, and which of `channels` it reads.
    """
    weights = params[layer.name][0]
    rows, depth = len(weights) // layer.group, weights.shape[1]
    thin = copy.copy(layer)
    thin.outputs, thin.group, thin.bias = rows, 1, False
    for group in range(layer.group):
        inside = channels // depth == group
        if inside.any():
            part = slice(group * rows, (group + 1) * rows)
            chosen = weights[part][:, channels[inside] - group * depth]
            yield thin, np.ascontiguousarray(chosen), part, inside


def _product(layer, weights, difference, channels):
    """Return the effect of a difference (N, channels, ...) in its bottom on an inner product."""
    vectors = difference.reshape(len(difference), -1)
    per_channel = difference[0, 0].size
    if layer.inner.transpose:
        matrix = weights.reshape(-1, per_channel, weights.shape[1])[channels]
        return vectors @ matrix.reshape(-1, weights.shape[1])
    matrix = weights.reshape(len(weights), -1, per_channel)[:, channels]
    return vectors @ matrix.reshape(len(weights), -1).T
