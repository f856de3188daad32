"""What changing some channels of one layer's output does to blobs above it.

Everything below the layer is computed once. Above it only the changed channels are followed while
they stay apart: activations and pooling treat each channel alone, LRN mixes neighbours, so that
the set grows by its reach. The next convolution or inner product is linear in what changed: its
output is that of the base pass plus the weights of the changed channels times their change. From
there on all of the network runs. Layers without a rule here get all of their bottoms and run from
there; so the result is always that of a full pass, but for the rounding of the sum.
"""

import copy
from dataclasses import dataclass, field

import numpy as np

from cnnvis.engines.numpy.layers.base import column

# Layers whose channel c depends on channel c of their one bottom alone.
ALONE = {"AbsVal", "BNLL", "ELU", "Exp", "Log", "Pooling", "Power", "ReLU", "Sigmoid", "TanH"}
ALONE |= {"Threshold"}
VIEWS = {"Dropout", "Split"}
# The same, with weights that have an entry per channel (or one for all).
WEIGHTED = {"BatchNorm", "PReLU", "Scale"}
LINEAR = {"Convolution", "InnerProduct"}
# Above this share of a linear layer's channels, following the change costs more than it saves.
WIDEST = 0.5


@dataclass
class Route:
    """How a change travels from one value to the targets.

    Attributes
    ----------
    steps : list of int
        Nodes that only the changed channels pass, in order.
    linear : list of int
        Nodes that what changed is added behind.
    completed : set of int
        Values whose changed channels are put among the others: nodes without a rule follow.
    aside : set of int
        Values the change does not reach, which the nodes above need.
    """

    steps: list = field(default_factory=list)
    linear: list = field(default_factory=list)
    completed: set = field(default_factory=set)
    aside: set = field(default_factory=set)


class Base:
    """One forward pass of a batch, kept where changes of one layer's output pass by.

    Parameters
    ----------
    network : cnnvis.engines.numpy.network.Network
    batch : ndarray, (N, C, H, W)
    layer : str
        The layer whose output is going to change.
    blobs : list of str
        What is asked for.

    Attributes
    ----------
    output : ndarray, (N, C, ...)
        What the layer writes, before anything in place follows.
    """

    def __init__(self, network, batch, layer, blobs):
        self.network, self.blobs = network, list(blobs)
        graph = self.graph = network.graph
        self.start = graph.output(layer)
        targets = [graph.remaining(graph.value(blob)) for blob in blobs]
        self.route = find_route(graph, self.start, targets)
        kept = sorted(self._kept())
        values = network._run(network._inputs(batch), kept)
        self.values = {value: values.whole(value) for value in kept}
        self.output = self.values[self.start]

    def _kept(self):
        route, nodes = self.route, self.graph.nodes
        kept = {self.start} | route.completed | route.aside
        for number in route.linear:
            kept |= {nodes[number].bottoms[0], nodes[number].tops[0]}
        return kept | {nodes[n].bottoms[0] for n in route.steps if _reach(nodes[n].layer)}

    def resume(self, channels, values):
        """Return the blobs after a change, every layer above computed in full.

        Parameters
        ----------
        channels : sequence of int
            Which channels of the layer's output change.
        values : float or ndarray
            To what: one number, one for each of `channels`, or an array (N, channels, ...).

        Returns
        -------
        dict
            ``{blob: array (N, ...)}``, bit for bit what a full pass gives that ends in the
            changed output.
        """
        channels = np.asarray(channels, np.intp)
        kept = self.output[:, channels]
        self.output[:, channels] = self._spread(channels, values)
        try:
            found = self._rest({self.start: self.output})
            shared = {k for k, array in found.items() if np.may_share_memory(array, self.output)}
            return {k: array.copy() if k in shared else array for k, array in found.items()}
        finally:
            self.output[:, channels] = kept

    def change(self, channels, values):
        """Return the blobs after a change, following only what changed where that is less work.

        Parameters and result are those of `resume`, to which it is equal but for rounding.
        """
        channels = np.asarray(channels, np.intp)
        order = np.argsort(channels)
        changed = self._spread(channels, values)[:, order]
        reached = self._reached(channels[order])
        if not len(channels) or self._is_wide(reached):
            return self.resume(channels, values)
        with self.network.workers.single_threaded_blas():
            given, deltas = self._follow(changed, reached)
            for number, delta in deltas.items():
                node = self.graph.nodes[number]
                given[node.tops[0]] = self._add(node, delta, reached[node.bottoms[0]])
        return self._rest(given)

    def _rest(self, given):
        """Return the blobs, computed from the values given and those that do not change."""
        aside = {value: self.values[value] for value in self.route.aside}
        return self.network._blobs({**given, **aside}, self.blobs)

    def _spread(self, channels, values):
        """Return `values` as (N, channels, ...)."""
        values = np.asarray(values, self.output.dtype)
        if values.ndim == 1:
            values = column(values, self.output.ndim)
        shape = (len(self.output), len(channels), *self.output.shape[2:])
        return np.broadcast_to(values, shape)

    def _reached(self, channels):
        """Return ``{value: the channels of it that change}`` on the route."""
        reached = {self.start: channels}
        for number in self.route.steps:
            node = self.graph.nodes[number]
            found = reached[node.bottoms[0]]
            if reach := _reach(node.layer):
                near = found[:, None] + np.arange(-reach, reach + 1)
                count = self.values[node.bottoms[0]].shape[1]
                found = np.unique(near[(near >= 0) & (near < count)])
            reached.update(dict.fromkeys(node.tops, found))
        return reached

    def _is_wide(self, reached):
        nodes = [self.graph.nodes[number] for number in self.route.linear]
        shares = [
            len(reached[node.bottoms[0]]) / self.values[node.bottoms[0]].shape[1] for node in nodes
        ]
        return not shares or max(shares) > WIDEST

    def _follow(self, changed, reached):
        """Take the changed channels through the steps.

        Returns
        -------
        given : dict
            ``{value: array (N, ...)}``, the completed values.
        deltas : dict
            ``{linear node: array (N, channels, ...)}``, the change of its bottom.
        """
        nodes = self.graph.nodes
        given = {value: self.values[value].copy() for value in self.route.completed}
        deltas = {n: self.values[nodes[n].bottoms[0]] for n in self.route.linear}
        deltas = {
            n: np.ascontiguousarray(base[:, reached[nodes[n].bottoms[0]]])
            for n, base in deltas.items()
        }

        def follow(work, image):
            parts = {self.start: changed[image : image + 1]}
            for number in self.route.steps:
                node = nodes[number]
                part = self._step(work, node, parts[node.bottoms[0]], image, reached)
                parts.update(dict.fromkeys(node.tops, part))
            for value, whole in given.items():
                whole[image, reached[value]] = parts[value][0]
            for number, delta in deltas.items():
                np.subtract(parts[nodes[number].bottoms[0]][0], delta[image], out=delta[image])

        self.network.workers.over_images(follow, len(changed))
        return given, deltas

    def _step(self, work, node, part, image, reached):
        """Return a node's output on the channels that change, (1, channels, ...)."""
        layer, bottom = node.layer, node.bottoms[0]
        if layer.is_view:
            return part
        if reach := _reach(layer):
            whole = self.values[bottom][image : image + 1].copy()
            whole[:, reached[bottom]] = part
            return _by_runs(work, layer, whole, reached[node.tops[0]], reach)
        weights = self.network.params.get(layer.name, [])
        weights = [w[reached[bottom]] if w.size > 1 else w for w in weights]
        shape = layer.shapes([part.shape])[0]
        out = np.empty(shape, part.dtype)
        layer.forward(work, weights, [np.ascontiguousarray(part)], [out])
        return out

    def _add(self, node, delta, channels):
        """Return the output of a linear node: that of the base pass plus what `delta` adds."""
        weights = self.network.params[node.layer.name][0]
        out = self.values[node.tops[0]].copy()
        if node.layer.param.type == "InnerProduct":
            out += _product(node.layer, weights, delta, channels)
            return out
        rows, depth = len(weights) // node.layer.group, weights.shape[1]
        for group in range(node.layer.group):
            inside = channels // depth == group
            if inside.any():
                part = slice(group * rows, (group + 1) * rows)
                chosen = weights[part][:, channels[inside] - group * depth]
                self._add_convolution(node.layer, chosen, delta[:, inside], out[:, part])
        return out

    def _add_convolution(self, layer, weights, delta, out):
        # A convolution of the changed channels alone, with nothing but the layer's own code.
        thin = copy.copy(layer)
        thin.group, thin.bias, thin.outputs = 1, False, len(weights)
        weights, delta = np.ascontiguousarray(weights), np.ascontiguousarray(delta)

        def add(work, image):
            product = work.buffer("change", (1, *out.shape[1:]), out.dtype)
            thin.forward(work, [weights], [delta[image : image + 1]], [product])
            out[image] += product[0]

        self.network.workers.over_images(add, len(out))


def has_filters(graph, layer):
    """Whether each filter of a layer, an entry of its weights and bias, is a channel of its top."""
    node = graph.nodes[graph.node(layer)].layer
    return node.param.type == "Convolution" or (
        node.param.type == "InnerProduct" and node.inner.axis == 1 and not node.inner.transpose
    )


def find_route(graph, start, targets):
    """Return the `Route` of a change from the value `start` to the values `targets`."""
    route, apart, touched = Route(), {start}, {start}
    for number in graph.ancestors(targets):
        node = graph.nodes[number]
        if not touched.intersection(node.bottoms):
            continue
        touched.update(node.tops)
        parts = apart.intersection(node.bottoms)
        if parts and _keeps_apart(node):
            route.steps.append(number)
            apart.update(node.tops)
        elif parts and _is_linear(node):
            route.linear.append(number)
        else:
            route.completed |= parts
    route.completed |= apart.intersection(targets)
    route.aside = _aside(graph, route, touched, targets)
    return route


def _aside(graph, route, touched, targets):
    given = route.completed | {graph.nodes[number].tops[0] for number in route.linear}
    read = set(targets)
    for number in graph.ancestors(targets, given):
        if touched.intersection(graph.nodes[number].tops):
            read.update(graph.nodes[number].bottoms)
    return read - touched


def _keeps_apart(node):
    layer, kind = node.layer, node.layer.param.type
    if len(node.bottoms) != 1 or (len(node.tops) != 1 and not layer.is_view):
        return False
    if kind == "Scale":
        return layer.param.scale_param.axis == 1 and layer.param.scale_param.num_axes == 1
    return kind in ALONE | VIEWS | WEIGHTED | {"LRN"}


def _is_linear(node):
    kind = node.layer.param.type
    if kind == "InnerProduct" and node.layer.inner.axis != 1:
        return False
    return kind in LINEAR and len(node.bottoms) == 1


def _reach(layer):
    """Return how many channels to either side a layer's output depends on."""
    return layer.reach if layer.param.type == "LRN" and not layer.within else 0


def _by_runs(work, layer, whole, channels, reach):
    """Return a layer's output on `channels`, each run of neighbours computed with its margin."""
    out = np.empty((1, len(channels), *whole.shape[2:]), whole.dtype)
    edges = np.flatnonzero(np.diff(channels) > 1) + 1
    for first, last in zip([0, *edges], [*edges, len(channels)], strict=True):
        low = max(0, channels[first] - reach)
        high = min(whole.shape[1], channels[last - 1] + 1 + reach)
        part = np.ascontiguousarray(whole[:, low:high])
        result = np.empty_like(part)
        layer.forward(work, [], [part], [result])
        out[:, first:last] = result[:, channels[first] - low : channels[last - 1] + 1 - low]
    return out


def _product(layer, weights, delta, channels):
    """Return what a change (N, channels, ...) of its bottom adds to an inner product."""
    vectors = delta.reshape(len(delta), -1)
    per_channel = delta[0, 0].size
    if layer.inner.transpose:
        matrix = weights.reshape(-1, per_channel, weights.shape[1])[channels]
        return vectors @ matrix.reshape(-1, weights.shape[1])
    matrix = weights.reshape(len(weights), -1, per_channel)[:, channels]
    return vectors @ matrix.reshape(len(weights), -1).T
