"""Remove filters from a network, so that it becomes smaller and computes what it did without them.

A filter whose weights are zero puts out a plane that is the same for every image: zeros or, where
it keeps its bias, a constant. What follows is traced layer by layer. Layers that treat each channel
alone make another such plane of it; they are run on it, so that whatever they do is done. The next
convolution or inner product adds to each of its outputs what the plane gives with its weights. For
an inner product that is a number, and goes into its bias. For a convolution it is one where it is
the same at every position: at a border of zeros it is not, unless the plane is zero.

Where that is not possible, or a layer has no rule here, the filter stays in the network, with its
weights at zero, and the reason is told. Nothing is approximated.
"""

import copy
from dataclasses import dataclass

import numpy as np

from cnnvis.engines.numpy.change_propagation import is_channelwise, parts_of, reach_of
from cnnvis.engines.numpy.graph import build_graph
from cnnvis.engines.numpy.sharing import partners, share, shared_groups
from cnnvis.engines.numpy.workers import Work

# Planes are computed in double precision; less than this share of the largest number is rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Surgery:
    """A network without some filters.

    Attributes
    ----------
    net : NetParameter
    weights : dict
        ``{layer: [weights, bias, ...]}``.
    removed : list of int
        The filters that are gone, ascending.
    stay : dict
        ``{filter: reason}`` of those that stay with their weights at zero, ascending.
    """

    net: object
    weights: dict
    removed: list
    stay: dict


@dataclass(frozen=True, eq=False)
class Gone:
    """Channels of a value that go, because a filter does.

    Attributes
    ----------
    channels : ndarray of int, (n,)
        Ascending.
    filters : ndarray of int, (n,)
        The filter that each comes from.
    planes : ndarray of float64, (n, ...)
        What each holds while the filter's weights are zero, for every image.
    """

    channels: np.ndarray
    filters: np.ndarray
    planes: np.ndarray

    def some(self, chosen, first=0):
        """Return some of them, a mask or a slice, with channels counted from `first`."""
        return Gone(self.channels[chosen] - first, self.filters[chosen], self.planes[chosen])


def remove_filters(net, weights, layer, filters, *, score, keep_bias=False, source="prototxt"):
    """Remove filters of one layer, and the channels they make from everything that reads them.

    Parameters
    ----------
    net : NetParameter
        In its deploy form; not changed.
    weights : dict
        ``{layer: [weights, bias, ...]}`` of all layers that have any; not changed.
    layer : str
        A layer that has filters (see `cnnvis.engines.numpy.change_propagation.has_filters`).
    filters : sequence of int
        The first ones are removed where not all can be, because groups must stay equal.
    score : str
        The blob that holds the neurons, none of which is removed.
    keep_bias : bool
        Whether a filter without weights puts out its bias rather than zero.
    source : str
        The network's name in messages.

    Returns
    -------
    Surgery
        Its scores are those of the network with the filters' weights (and bias) at zero.
    """
    graph = build_graph(net, source)
    _, shapes = graph.shapes(graph.inputs)
    groups = shared_groups(graph, shapes)
    weights = _zeroed(weights, layer, filters, keep_bias, groups)
    left, stay = [int(each) for each in filters], {}
    while True:
        trace = _Trace(graph, groups, weights, layer, left, score)
        # What has to stay in any case says nothing about which groups lose more than others.
        refused = trace.refused or trace.unbalanced
        if not refused:
            break
        stay |= refused
        left = [each for each in left if each not in stay]
    net = copy.deepcopy(net)
    for edit in trace.edits:
        edit({each.name: each for each in net.layer}, weights)
    return Surgery(net, weights, sorted(left), dict(sorted(stay.items())))


def _zeroed(weights, layer, filters, keep_bias, groups):
    """Return weights in which some filters of a layer, and of those that share it, are zero."""
    weights = {name: list(arrays) for name, arrays in weights.items()}
    for number, array in enumerate(weights[layer]):
        if number == 0 or not keep_bias:
            weights[layer][number] = array.copy()
            weights[layer][number][list(filters)] = 0
    share(groups, weights, changed=[layer])
    return weights


class _Trace:
    """What the removal of some filters means for each layer behind them.

    Parameters
    ----------
    graph : cnnvis.engines.numpy.graph.Graph
    groups : list
        Of `cnnvis.engines.numpy.sharing.shared_groups`.
    weights, layer, filters, score
        As in `remove_filters`, with the filters' weights (and bias) at zero.

    Attributes
    ----------
    refused : dict
        ``{filter: reason}``.
    unbalanced : dict
        ``{filter: reason}`` of those of the first layer whose groups would differ in size.
    edits : list of callable
        Where nothing is refused: ``edit({layer: LayerParameter}, weights)`` changes both in place.
    """

    def __init__(self, graph, groups, weights, layer, filters, score):
        self.graph, self.groups, self.weights, self.score = graph, groups, weights, score
        self.shapes, _ = graph.shapes(graph.inputs)
        self.filters, self.work = filters, Work()
        self.gone, self.refused, self.unbalanced, self.edits = {}, {}, {}, []
        if filters:
            self._start(graph.node(layer))
        for node in graph.nodes:
            gone = [self.gone.get(value) for value in node.bottoms]
            if any(gone):
                self._follow(node, gone)

    def _start(self, node):
        """Begin with the planes that the filters put out."""
        _, channels, *size = self.shapes[node.tops[0]]
        _, bias = [*self.weights[node.layer.name], np.zeros(channels)][:2]
        filters = np.sort(self.filters)
        planes = np.empty((len(filters), *size))
        planes.T[...] = bias[filters]
        gone = Gone(filters, filters, planes)
        if not self.is_shared(node, gone):
            group = getattr(node.layer, "group", 1)
            self.balance(node, gone, filters // (channels // group), group)
            self.shorten(node, filters, "num_output")
            self.leave(node, gone)

    def _follow(self, node, gone):
        """Apply the rule of a layer, some of whose bottoms have channels that go."""
        rule = RULES.get(node.layer.param.type)
        if rule is None and is_channelwise(node) and not reach_of(node.layer):
            rule = _channelwise
        if rule is _concat:
            rule(self, node, gone)
        elif rule and len(gone) == 1:
            if not self.is_shared(node, gone[0]):
                rule(self, node, gone[0])
        else:
            _refuse_unknown(self, node, gone)

    def refuse(self, filters, reason):
        """Have some filters stay; of several reasons the first one is told."""
        for each in filters:
            self.refused.setdefault(int(each), reason)

    def leave(self, node, gone, tops=None):
        """Pass what goes to the readers of a layer's tops, unless the score is among them."""
        with np.errstate(over="ignore"):
            finite = np.isfinite(gone.planes.astype(np.float32))
        finite = finite.reshape(len(finite), -1).all(axis=1)
        what = f"layer '{node.layer.name}' makes no finite number of it"
        self.refuse(gone.filters[~finite], what)
        for top in node.tops if tops is None else tops:
            if self.graph.values[top].blob == self.score:
                self.refuse(gone.filters, f"its output is a neuron of the score '{self.score}'")
            elif finite.any():
                self.gone[top] = gone.some(finite)

    def is_shared(self, node, gone):
        """Refuse all if other layers use the same weights."""
        others = partners(self.groups, [node.layer.name])
        if others:
            what = f"layer '{node.layer.name}' shares its weights with '{others[0]}'"
            self.refuse(gone.filters, what)
        return bool(others)

    def balance(self, node, gone, numbers, count):
        """Have the last filters of the groups stay that lose more channels than the others do.

        ``numbers`` are the groups, of `count`, that the channels are in.
        """
        room = np.full(count, np.bincount(numbers, minlength=count).min())
        reason = f"the {count} groups of layer '{node.layer.name}' must stay equally large"
        found = {}
        for each in self.filters:
            own = np.bincount(numbers[gone.filters == each], minlength=count)
            if np.all(own <= room):
                room -= own
            else:
                found[each] = reason
        self.unbalanced = self.unbalanced or found

    def shorten(self, node, channels, *counts):
        """Delete the entries of some channels from all weights; lower counts in the prototxt."""
        name = node.layer.name

        def edit(layers, weights):
            # BatchNorm's factor and a shared slope are one number for all channels.
            weights[name] = [
                np.delete(array, channels, axis=0) if array.size > 1 else array
                for array in weights[name]
            ]
            for count in counts:
                param = _parameters(layers[name])
                setattr(param, count, getattr(param, count) - len(channels))

        self.edits.append(edit)

    def narrow(self, node, remaining, constants):
        """Set the weights of a layer that reads fewer channels; add constants to its bias.

        ``remaining`` makes the new weights of the old ones.
        """
        name = node.layer.name

        def edit(layers, weights):
            old, *bias = weights[name]
            weights[name] = [remaining(old), *bias]
            if np.any(constants):
                _parameters(layers[name]).bias_term = True
                bias = bias[0] if bias else np.zeros(len(constants), old.dtype)
                weights[name][1:] = [(bias + constants).astype(old.dtype)]

        self.edits.append(edit)

    def run(self, layer, weights, planes):
        """Return what a layer makes of planes (n, ...), the channels of one image."""
        planes = np.ascontiguousarray(planes[None])
        top = np.empty(layer.shapes([planes.shape])[0])
        layer.forward(self.work, [array.astype(float) for array in weights], [planes], [top])
        return top[0]


def _parameters(param):
    """Return the message of a Convolution's or InnerProduct's own fields."""
    convolves = param.type == "Convolution"
    return param.convolution_param if convolves else param.inner_product_param


def _refuse_unknown(trace, node, bottoms):
    name, kind = node.layer.name, node.layer.param.type
    reasons = {
        "LRN": f"layer '{name}' (LRN) mixes neighbouring channels, whose windows would move",
        "Eltwise": f"layer '{name}' (Eltwise) needs the same channel of its other bottoms",
    }
    reason = reasons.get(kind, f"layer '{name}' ({kind}) has no rule for fewer channels")
    for gone in filter(None, bottoms):
        trace.refuse(gone.filters, reason)


def _channelwise(trace, node, gone):
    """Activations, pooling and the like: each channel is computed from that channel alone."""
    if node.layer.is_view:
        trace.leave(node, gone)
        return
    weights = trace.weights.get(node.layer.name, [])
    own = [array[gone.channels] if array.size > 1 else array for array in weights]
    planes = trace.run(node.layer, own, gone.planes)
    if weights:
        trace.shorten(node, gone.channels)
    trace.leave(node, Gone(gone.channels, gone.filters, planes))


def _convolution(trace, node, gone):
    layer = node.layer
    if layer.group == trace.shapes[node.bottoms[0]][1] > 1:
        _depthwise(trace, node, gone)
        return
    weights = trace.weights[layer.name][0]
    depth = weights.shape[1]
    trace.balance(node, gone, gone.channels // depth, layer.group)
    constants = _constants(trace, node, gone)

    def remaining(old):
        parts = np.split(old, layer.group)
        for number, part in enumerate(parts):
            inside = gone.channels - number * depth
            inside = inside[(inside >= 0) & (inside < depth)]
            parts[number] = np.delete(part, inside, axis=1)
        return np.concatenate(parts)

    trace.narrow(node, remaining, constants)


def _constants(trace, node, gone):
    """Return what planes add to each output of a convolution, (outputs,).

    A filter whose plane does not add the same everywhere is refused.
    """
    weights = {node.layer.name: trace.weights[node.layer.name]}
    constants = np.zeros(node.layer.outputs)
    for channel, filter_, plane in zip(gone.channels, gone.filters, gone.planes, strict=True):
        if not plane.any():
            continue
        ((thin, own, rows, _),) = parts_of(node.layer, weights, np.array([channel]))
        added = trace.run(thin, [own], plane[None]).reshape(thin.outputs, -1)
        lowest, highest = added.min(axis=1), added.max(axis=1)
        if np.any(highest - lowest > ROUNDING * np.abs(added).max()):
            reason = (
                f"it leaves more than zeros, of which layer '{node.layer.name}' makes something "
                "else at its border than inside"
            )
            trace.refuse([filter_], reason)
        constants[rows] += (lowest + highest) / 2
    return constants


def _depthwise(trace, node, gone):
    """A convolution with a group for each channel loses the filters over the channels that go."""
    layer = node.layer
    each = layer.outputs // layer.group
    rows = (gone.channels[:, None] * each + np.arange(each)).ravel()
    thin = copy.copy(layer)
    thin.outputs, thin.group = len(rows), len(gone.channels)
    planes = trace.run(thin, [array[rows] for array in trace.weights[layer.name]], gone.planes)
    trace.shorten(node, rows, "num_output")

    def edit(layers, weights):
        layers[layer.name].convolution_param.group -= len(gone.channels)

    trace.edits.append(edit)
    trace.leave(node, Gone(rows, np.repeat(gone.filters, each), planes))


def _inner_product(trace, node, gone):
    inner, channels = node.layer.inner, trace.shapes[node.bottoms[0]][1]
    if node.layer.axis(inner.axis, trace.shapes[node.bottoms[0]]) != 1:
        _refuse_unknown(trace, node, [gone])
        return

    def by_channel(array):
        """Return the weights as (outputs, channels, positions)."""
        matrix = array.T if inner.transpose else array
        return matrix.reshape(len(matrix), channels, -1)

    def remaining(old):
        kept = np.delete(by_channel(old), gone.channels, axis=1).reshape(inner.num_output, -1)
        return np.ascontiguousarray(kept.T) if inner.transpose else kept

    some = gone.planes.reshape(len(gone.planes), -1).any(axis=1)
    weights = by_channel(trace.weights[node.layer.name][0])[:, gone.channels[some]]
    constants = weights.reshape(len(weights), -1) @ gone.planes[some].ravel()
    trace.narrow(node, remaining, constants)


def _concat(trace, node, bottoms):
    shapes = [trace.shapes[value] for value in node.bottoms]
    if node.layer.along(shapes[0]) != 1:
        _refuse_unknown(trace, node, bottoms)
        return
    firsts = np.cumsum([0] + [shape[1] for shape in shapes[:-1]])
    parts = [(gone, first) for gone, first in zip(bottoms, firsts, strict=True) if gone]
    gone = Gone(
        np.concatenate([gone.channels + first for gone, first in parts]),
        np.concatenate([gone.filters for gone, _ in parts]),
        np.concatenate([gone.planes for gone, _ in parts]),
    )
    trace.leave(node, gone)


def _slice(trace, node, gone):
    layer, shape = node.layer, trace.shapes[node.bottoms[0]]
    if layer.along(shape) != 1:
        _refuse_unknown(trace, node, [gone])
        return
    edges = layer.edges(shape)
    places = np.searchsorted(gone.channels, edges)
    for number, top in enumerate(node.tops):
        part = gone.some(slice(places[number], places[number + 1]), edges[number])
        if len(part.channels) == edges[number + 1] - edges[number]:
            trace.refuse(part.filters[-1:], f"layer '{layer.name}' (Slice) needs a channel")
        if len(part.channels):
            trace.leave(node, part, [top])

    def edit(layers, weights):
        layers[layer.name].slice_param.slice_point[:] = (np.array(edges) - places)[1:-1].tolist()

    trace.edits.append(edit)


def _flatten(trace, node, gone):
    shape, options = trace.shapes[node.bottoms[0]], node.layer.param.flatten_param
    first = node.layer.axis(options.axis, shape)
    if first == 0:
        _refuse_unknown(trace, node, [gone])
        return
    rest = trace.shapes[node.tops[0]][2:]
    # From axis 1 on, every position of a channel becomes a channel.
    each = trace.shapes[node.tops[0]][1] // shape[1]
    channels = (gone.channels[:, None] * each + np.arange(each)).ravel()
    planes = gone.planes.reshape(len(channels), *rest)
    trace.leave(node, Gone(channels, np.repeat(gone.filters, each), planes))


def _silence(trace, node, gone):
    """A Silence layer writes nothing."""


RULES = {
    "Concat": _concat,
    "Convolution": _convolution,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "Silence": _silence,
    "Slice": _slice,
}
"""The rules of layers that are not computed for each channel alone."""
