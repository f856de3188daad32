"""A change of one channel, followed as long as it stays a change of few channels.

One weight of a convolution changes one channel of its output. ReLU and pooling take each channel
alone, normalisation across channels reaches a few neighbours, and the next convolution is linear:
its output changes by the product of its weights with the change of those few channels.

`changes` does the same for one set of channels in many images; here it is one image, and every
variant has another channel and a note of its switches.
"""

import copy

import numpy as np

from cnnvis.engines.numpy.changes import ALONE


class Narrow:
    """The layers behind a value that pass a change of one channel on as a change of few.

    Parameters
    ----------
    graph : Graph
    value, target : int
        Where the change is made, and what is asked for in the end.
    nodes : list of int
        What is computed for the target.

    Attributes
    ----------
    end : int
        The last value known here; from it a pass can be resumed.
    values : list of int
        Those whose unchanged numbers are needed.
    """

    def __init__(self, graph, value, target, nodes):
        self.start, self.end = value, value
        self.chain, self.join = [], None
        while self.end != target and self.join is None:
            node = _only_reader(graph, self.end, nodes)
            if node is None or not _passes_on(node.layer):
                break
            if node.layer.param.type == "Convolution":
                self.join = node
            else:
                self.chain.append(node)
            self.end = node.tops[0]
        inner = [node.bottoms[0] for node in (*self.chain, self.join) if node]
        self.values = [*inner, self.end]

    def run(self, work, params, base, change, out, watch):
        """Write to `out` (1, C, H, W) what the last value becomes.

        Parameters
        ----------
        base : dict
            ``{value: array (1, C, H, W)}`` without the change.
        change : (int, ndarray)
            The channel, and what is in it now, (H, W).
        watch : callable
            See `passes.forward`; the image is 0.
        """
        first, x = change[0], change[1][None, None]
        for node in self.chain:
            first, x = self._step(work, node, base[node.bottoms[0]], first, x, watch)
        np.copyto(out, base[self.end])
        if self.join is None:
            out[:, first : first + x.shape[1]] = x
        else:
            before = base[self.join.bottoms[0]][:, first : first + x.shape[1]]
            _add_product(work, self.join.layer, params, first, x - before, out)

    def _step(self, work, node, before, first, x, watch):
        layer = node.layer
        if layer.is_view:
            return first, x
        low, high = first, first + x.shape[1]
        start = low
        if layer.param.type == "LRN" and not layer.within:
            start = max(0, low - 2 * layer.reach)
            wide = before[:, start : high + 2 * layer.reach].copy()
            wide[:, low - start : high - start] = x
            low, high = max(0, low - layer.reach), min(before.shape[1], high + layer.reach)
            x = wide
        tops = [np.empty(shape, x.dtype) for shape in layer.shapes([x.shape])]
        layer.forward(work, [], [x], tops)
        watch(node, work, 0, [x], tops)
        return low, tops[0][:, low - start : high - start]


def _only_reader(graph, value, nodes):
    """Return the node that alone reads a value and reads no other, or None."""
    readers = [graph.nodes[number] for number in nodes if value in graph.nodes[number].bottoms]
    if len(readers) != 1 or len(readers[0].bottoms) != 1 or len(readers[0].tops) != 1:
        return None
    return readers[0]


def _passes_on(layer):
    return layer.scope == "image" and layer.param.type in (*ALONE, "Dropout", "LRN", "Convolution")


def _add_product(work, layer, params, first, delta, out):
    """Add to the output of a convolution what a change `delta` of some of its channels adds."""
    weights = params[layer.name][0]
    channels, rows = weights.shape[1], layer.outputs // layer.group
    last = first + delta.shape[1]
    for group in range(first // channels, (last - 1) // channels + 1):
        low, high = max(first, group * channels), min(last, (group + 1) * channels)
        outputs = slice(group * rows, (group + 1) * rows)
        part = _part(layer, rows, f"{layer.name}, {high - low} channels")
        own = weights[outputs, low - group * channels : high - group * channels]
        product = np.empty((1, rows, *out.shape[2:]), out.dtype)
        changed = np.ascontiguousarray(delta[:, low - first : high - first])
        part.forward(work, [np.ascontiguousarray(own)], [changed], [product])
        out[:, outputs] += product


def _part(layer, outputs, name):
    """Return a convolution like `layer` of one group, without bias."""
    part = copy.copy(layer)
    part.name, part.outputs, part.group, part.bias = name, outputs, 1, False
    return part
