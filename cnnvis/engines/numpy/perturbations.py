"""One element of a blob, again and again, as the weights of one layer vary.

What a numerical derivative needs: a pass from the layer on for each variant, and whether two
variants lie on the same smooth piece of the function (see `linear_regions`).
"""

import math

import numpy as np

from cnnvis.core.errors import UserError
from cnnvis.engines.numpy.linear_regions import Fingerprints
from cnnvis.engines.numpy.narrow import Narrow
from cnnvis.engines.numpy.passes import forward
from cnnvis.engines.numpy.sharing import partners

# How many bytes the changed outputs of one batch of variants may take.
MEMORY = 48 * 2**20


class Perturbations:
    """The score of one image as the weights of one layer vary; see `Network.perturbations`.

    Parameters
    ----------
    network : Network
    inputs : dict
        ``{value: array (1, ...)}``.
    target, neuron : int
        A value, and which of its elements.
    layer : str

    Attributes
    ----------
    score : float
        As the weights are.
    weights : ndarray
        The layer's own, not to be changed.
    learned : bool
        False for stored statistics, whose gradient is zero by definition, as it is in Caffe.
    """

    def __init__(self, network, inputs, target, neuron, layer):
        graph = network.graph
        self.network, self.target, self.neuron = network, target, neuron
        self.node = graph.nodes[graph.node(layer)]
        self.weights = network.params[layer][0]
        self.learned = self.node.layer.param.type != "BatchNorm"
        nodes = graph.ancestors([target])
        self.shared = bool(partners(network._shared, [layer]))
        follow = self.direct and self.node.layer.param.type == "Convolution"
        self.narrow = Narrow(graph, self.node.tops[0], target, nodes if follow else [])
        # A weight shared with another layer acts at both: only a pass from the input sees that.
        begin = list(inputs) if self.shared else self.node.bottoms
        self._before = sorted({*begin, *_beside(graph, target, begin)})
        self._beside = _beside(graph, target, [self.narrow.end])
        self.base = self._run_base(inputs)
        self.score = float(self._pick(self.base[target])[0])

    def _run_base(self, inputs):
        wanted = {self.target, *self.node.tops, *self.narrow.values, *self._before, *self._beside}
        values = self.network._run(inputs, sorted(wanted))
        return {value: values.whole(value) for value in wanted}

    def _pick(self, array):
        flat = array.reshape(len(array), -1)
        if not 0 <= self.neuron < flat.shape[1]:
            raise UserError(f"neuron {self.neuron}: the blob has 0 to {flat.shape[1] - 1}")
        return flat[:, self.neuron]

    @property
    def direct(self):
        """Whether one weight changes just one channel of the layer's output, linearly."""
        layer = self.node.layer
        simple = len(self.node.tops) == 1 and not self.shared
        return simple and (
            layer.param.type == "Convolution"
            or (layer.param.type == "InnerProduct" and layer.scope == "batch")
        )

    def of_weights(self, variants):
        """Return the score for each of several arrays of weights.

        Parameters
        ----------
        variants : iterable of ndarray
            Each of the shape of the layer's weights.

        Returns
        -------
        scores : ndarray, (count,)
        switches : list of bytes
            Alike for variants for which every switch stood alike.
        """
        scores, switches = [], []
        given = {value: self.base[value] for value in self._before}
        for weights in variants:
            score, print_ = self._resume(given, self._altered(weights))
            scores.append(score)
            switches += print_
        return np.concatenate(scores), switches

    def _altered(self, weights):
        """Return the network's parameters with other weights of the layer, wherever shared."""
        layer, params = self.node.layer.name, dict(self.network.params)
        groups = [group for group in self.network._shared if (layer, 0) in group]
        for name, number in groups[0] if groups else [(layer, 0)]:
            params[name] = [*params[name][:number], weights, *params[name][number + 1 :]]
        return params

    def of_steps(self, indices, steps):
        """Return the score with one weight changed, for several such changes.

        Parameters
        ----------
        indices : ndarray of int, (count,)
            Which weight, counted over the layer's weights in C order.
        steps : ndarray, (count,)
            What is added to it.

        Returns
        -------
        scores : ndarray, (count,)
        switches : list of bytes
        """
        if not self.direct:
            return self.of_weights(map(self._stepped, indices, steps))
        scores, switches = [], []
        for first in range(0, len(indices), self.batch):
            part = slice(first, first + self.batch)
            found = self._of_changes(indices[part], steps[part])
            scores.append(found[0])
            switches += found[1]
        return np.concatenate(scores), switches

    def _stepped(self, index, step):
        weights = self.weights.copy()
        weights.reshape(-1)[index] += step
        return weights

    @property
    def batch(self):
        """How many variants are computed together."""
        size = self.base[self.narrow.end].nbytes
        given = {self.narrow.end: self.base[self.narrow.end]} | self._given_beside(1)
        mixed = self.network._plan(given, [self.target]).mixes_images
        return 1 if mixed else max(self.network.workers.count, min(128, MEMORY // size))

    def _of_changes(self, indices, steps):
        """Return scores and switches of a batch of single weights changed."""
        end, count = self.base[self.narrow.end], len(indices)
        outputs = np.empty((count, *end.shape[1:]), end.dtype)
        prints = [Fingerprints(1) for _ in range(count)]

        def run(work, number):
            out, watch = outputs[number : number + 1], prints[number].watch
            self._change(work, indices[number], steps[number], out, watch)

        with self.network.workers.single_threaded_blas():
            self.network.workers.over_images(run, count)
        given = {self.narrow.end: outputs} | self._given_beside(count)
        scores, later = self._resume(given, self.network.params)
        return scores, [a.list()[0] + b for a, b in zip(prints, later, strict=True)]

    def _given_beside(self, count):
        return {
            value: np.broadcast_to(self.base[value], (count, *self.base[value].shape[1:]))
            for value in self._beside
        }

    def _change(self, work, index, step, out, watch):
        """Write to `out` what the last narrow value becomes when one weight is changed."""
        layer = self.node.layer
        place = np.unravel_index(index, self.weights.shape)
        top, bottom = self.base[self.node.tops[0]], self.base[self.node.bottoms[0]]
        if layer.param.type == "Convolution":
            seen = _shifted(layer, bottom[0], top.shape[2:], place, len(self.weights))
            change = place[0], top[0, place[0]] + step * seen
            self.narrow.run(work, self.network.params, self.base, change, out, watch)
        else:
            output, position = place[::-1] if layer.inner.transpose else place
            np.copyto(out, top)
            vectors = bottom.reshape(math.prod(top.shape[:-1]), -1)
            out.reshape(len(vectors), -1)[:, output] += step * vectors[:, position]

    def _resume(self, given, params):
        """Run from what is given to the target; return its element, and the switches."""
        network = self.network
        plan = network._plan(given, [self.target])
        images = len(next(iter(given.values())))
        prints = Fingerprints(1 if plan.mixes_images else images)
        with network.workers.single_threaded_blas():
            values = forward(plan, params, given, network.workers, network.dtype, prints.watch)
        return self._pick(values.whole(self.target)).copy(), prints.list()


def _beside(graph, target, changed):
    """Return the values that are read with what depends on `changed`, but do not depend on it."""
    depends, beside = set(changed), set()
    for number in graph.ancestors([target], changed):
        node = graph.nodes[number]
        if depends.intersection(node.bottoms):
            depends.update(node.tops)
            beside.update(set(node.bottoms) - depends)
    return sorted(beside)


def _shifted(layer, image, size, place, outputs):
    """Return the input that one weight of a convolution is multiplied with, (oh, ow)."""
    output, channel, *offset = (int(number) for number in place)
    channel += output // (outputs // layer.group) * (len(image) // layer.group)
    window, seen = layer.window, np.zeros(size, image.dtype)
    target, source = [], []
    for length, count, at, stride, pad, dilation in zip(
        image.shape[1:], size, offset, window.stride, window.pad, window.dilation, strict=True
    ):
        start = at * dilation - pad
        first = max(0, -(start // stride))
        stop = min(count, (length - 1 - start) // stride + 1)
        target.append(slice(first, max(first, stop)))
        source.append(slice(start + first * stride, start + max(first, stop) * stride, stride))
    seen[tuple(target)] = image[channel][tuple(source)]
    return seen
