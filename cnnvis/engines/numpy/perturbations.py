"""One element of a blob, again and again, as the weights of one layer are perturbed.

A numerical derivative needs a pass from the layer on for each perturbation, and whether two of
them lie in the same linear region (see `linear_regions`).
"""

import numpy as np

from cnnvis.core.errors import UserError
from cnnvis.engines.numpy.change_propagation import Base, Change, writes_channels
from cnnvis.engines.numpy.linear_regions import Fingerprints
from cnnvis.engines.numpy.sharing import partners

# How many bytes the changed outputs of one batch of perturbations may take.
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
        With the weights as they are.
    weights : ndarray
        The layer's own, not to be changed.
    learned : bool
        False for stored statistics, whose gradient is zero by definition, as it is in Caffe.
    direct : bool
        Whether one weight changes just one channel of the layer's output, linearly.
    """

    def __init__(self, network, inputs, target, neuron, layer):
        graph = network.graph
        self.network, self.target, self.neuron = network, target, neuron
        self.node = graph.node(layer)
        self.weights = network.params[layer][0]
        self.learned = self.node.layer.param.type != "BatchNorm"
        shared = bool(partners(network.shared, [layer]))
        simple = len(self.node.tops) == 1 and not shared
        self.direct = simple and writes_channels(self.node.layer)
        # A weight shared with another layer acts at both: only a pass from the input sees that.
        begin = list(inputs) if shared else self.node.bottoms
        self._before = sorted({*begin, *graph.beside(target, begin)})
        # Behind an inner product, whole layers for all perturbations at once are as fast.
        follow = self.direct and self.node.layer.param.type == "Convolution"
        keep = [target, *self._before]
        self.base = Base(network, inputs, self.node.tops[0], target, keep, follow)
        self.score = float(self._pick(self.base.values[target])[0])

    def _pick(self, array):
        flat = array.reshape(len(array), -1)
        if not 0 <= self.neuron < flat.shape[1]:
            raise UserError(f"neuron {self.neuron}: the blob has 0 to {flat.shape[1] - 1}")
        return flat[:, self.neuron]

    def of_weights(self, arrays):
        """Return the score for each of several arrays of weights.

        Parameters
        ----------
        arrays : iterable of ndarray
            Each of the shape of the layer's weights.

        Returns
        -------
        scores : ndarray, (count,)
        regions : list of bytes
            Equal for arrays of weights in the same linear region.
        """
        before = {value: self.base.values[value] for value in self._before}
        return _joined(self._resume(before, self._params_with(weights)) for weights in arrays)

    def _params_with(self, weights):
        """Return the network's parameters with other weights of the layer, wherever shared."""
        layer, params = self.node.layer.name, dict(self.network.params)
        groups = [group for group in self.network.shared if (layer, 0) in group]
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
        regions : list of bytes
            As of `of_weights`.
        """
        if not self.direct:
            return self.of_weights(map(self._stepped, indices, steps))
        batches = (slice(at, at + self.batch) for at in range(0, len(indices), self.batch))
        return _joined(self._of_batch(indices[batch], steps[batch]) for batch in batches)

    def _stepped(self, index, step):
        weights = self.weights.copy()
        weights.reshape(-1)[index] += step
        return weights

    @property
    def batch(self):
        """How many perturbations are computed together."""
        ends = {value: self.base.values[value] for value in self.base.route.ends}
        if self.network.plan(self.base.resume_from(ends), [self.target]).mixes_images:
            return 1
        size = sum(array.nbytes for array in ends.values())
        return max(self.network.workers.count, min(128, MEMORY // size))

    def _of_batch(self, indices, steps):
        """Return scores and linear regions of a batch of single weights changed."""
        places = list(zip(*np.unravel_index(indices, self.weights.shape), strict=True))
        channels = [self._channel(place) for place in places]
        changes = {c: Change(self.base, self.base.reached([c])) for c in set(channels)}
        ends = {
            value: np.empty((len(places), *self.base.values[value].shape[1:]), self.weights.dtype)
            for value in self.base.route.ends
        }
        regions = [Fingerprints(1) for _ in places]

        def run(work, number):
            part = self._perturbed(work, places[number], channels[number], steps[number])
            rows = {value: array[number : number + 1] for value, array in ends.items()}
            change, watch = changes[channels[number]], regions[number].watch
            one = slice(0, 1)
            change.add_products([change.propagate(work, one, part, rows, watch)], rows)

        with self.network.workers.single_threaded_blas():
            self.network.workers.over_images(run, len(places))
        scores, later = self._resume(self.base.resume_from(ends), self.network.params)
        return scores, [a.list()[0] + b for a, b in zip(regions, later, strict=True)]

    def _channel(self, place):
        """Return the channel of the layer's output that a weight contributes to."""
        layer = self.node.layer
        transposed = layer.param.type == "InnerProduct" and layer.inner.transpose
        return int(place[-1] if transposed else place[0])

    def _perturbed(self, work, place, channel, step):
        """Return what a channel of the layer's output becomes, (1, 1, ...)."""
        layer = self.node.layer
        top, bottom = self.base.values[self.node.tops[0]], self.base.values[self.node.bottoms[0]]
        if layer.param.type == "Convolution":
            factor = self._shifted(work, bottom[0], top.shape[2:], place)
        else:
            factor = bottom.reshape(-1)[place[0] if layer.inner.transpose else place[1]]
        return top[:, channel : channel + 1] + step * factor

    def _shifted(self, work, image, size, place):
        """Return the input that one weight of a convolution is multiplied with, (oh, ow)."""
        window, group = self.node.layer.window, self.node.layer.group
        output, channel, i, j = place
        channel += output // (len(self.weights) // group) * (len(image) // group)
        framed = window.framed(work, self.node.layer.name, image[channel : channel + 1])
        return window.patches(framed, size)[0, i, j]

    def _resume(self, values, params):
        """Run from some values to the target; return its element and the linear regions."""
        plan = self.network.plan(values, [self.target])
        images = len(next(iter(values.values())))
        regions = Fingerprints(1 if plan.mixes_images else images)
        results = self.network.run(values, [self.target], params, regions.watch)
        return self._pick(results.whole(self.target)).copy(), regions.list()


def _joined(batches):
    """Return the scores and the linear regions of several batches as those of one."""
    scores, regions = zip(*batches, strict=True)
    return np.concatenate(scores), [region for of_batch in regions for region in of_batch]
