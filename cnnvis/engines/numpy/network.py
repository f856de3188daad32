"""The embedded engine: an open network, its blobs and its gradients."""

import numpy as np

from cnnvis.caffe.matching import match_weights
from cnnvis.core.errors import UserError
from cnnvis.engines.base import Engine
from cnnvis.engines.numpy.change_propagation import Base, has_filters
from cnnvis.engines.numpy.graph import read_graph
from cnnvis.engines.numpy.passes import backward, forward
from cnnvis.engines.numpy.perturbations import Perturbations
from cnnvis.engines.numpy.plans import Plan
from cnnvis.engines.numpy.sharing import add_partners, partners, share, shared_groups
from cnnvis.engines.numpy.workers import Workers

PLANS_KEPT = 16


class Network(Engine):
    """A Caffe network, run by NumPy; see `cnnvis.open_network` for the parameters.

    Parameters
    ----------
    graph : Graph, optional
        The parsed prototxt, as `read_graph` returns it; by default it is parsed.
    """

    def __init__(
        self,
        prototxt,
        weights,
        dtype="float32",
        threads=None,
        surplus="error",
        input_shape=None,
        graph=None,
    ):
        if dtype not in ("float32", "float64"):
            raise UserError(f"dtype: {dtype!r} is unknown, expected float32 or float64")
        self.dtype = np.dtype(dtype)
        self.graph = graph or read_graph(prototxt, input_shape)
        self.source = self.graph.source
        self._take_inputs(self.graph.inputs)
        self.layers = [node.layer.name for node in self.graph.nodes]
        _, self.weight_shapes = self.graph.shapes(self.inputs)
        expected = dict.fromkeys(self.layers, ()) | self.weight_shapes
        matched = self._matched(weights, expected, surplus)
        self.params = {layer: self._cast(arrays) for layer, arrays in matched.items()}
        self.shared = shared_groups(self.graph, self.weight_shapes)
        share(self.shared, self.params)
        self.workers = Workers(threads)
        self._plans = {}

    def _cast(self, arrays):
        """Return views that cannot be written to: what is derived from weights would go stale."""
        views = [np.asarray(array, self.dtype, order="C").view() for array in arrays]
        for view in views:
            view.flags.writeable = False
        return views

    def close(self):
        """End the network's threads."""
        self.workers.close()

    def set_weights(self, weights):
        """See `Engine.set_weights`."""
        for layer, arrays in weights.items():
            self._check_weights([layer])
            expected = {layer: self.weight_shapes[layer]}
            matched = match_weights({layer: arrays}, expected, path="weights")
            self.params[layer] = self._cast(matched[layer])
        share(self.shared, self.params, changed=weights)

    def forward(self, batch, blobs=None):
        """See `Engine.forward`."""
        names = list(self.graph.blobs) if blobs is None else list(blobs)
        values = [self.graph.value(blob) for blob in names]
        left = [self.graph.remaining(value) for value in values]
        results = self.run(self.input_values(batch), left)
        shapes = results.plan.shapes
        return {
            blob: results.whole(where).reshape(shapes[value])
            for blob, value, where in zip(names, values, left, strict=True)
        }

    def scores_without(self, batch, layer, sets, blob, keep_bias=False):
        """Return a blob's values with sets of filters ablated, one set at a time.

        Parameters and result are those of `Engine.scores_without`. What lies below the layer is
        computed once, and above it only what changes; equal to whole passes but for rounding.
        """
        self._check_weights([layer])
        node = self.graph.node(layer)
        several = partners(self.shared, [layer]) or len(node.tops) > 1
        if several or not has_filters(node.layer):
            return super().scores_without(batch, layer, sets, blob, keep_bias)
        weights, *bias = self.params[layer]
        left = bias[0] if keep_bias and bias else np.zeros(len(weights), self.dtype)
        target = self.graph.remaining(self.graph.value(blob))
        base = Base(self, self.input_values(batch), node.tops[0], target)
        scores = [base.after(sorted(filters), left[sorted(filters)]) for filters in sets]
        return np.stack([array.reshape(len(array), -1) for array in scores])

    def perturbations(self, batch, blob, neuron, layer):
        """Return the `Perturbations` of one element of a blob as the weights of a layer vary.

        Parameters are those of `weight_gradient`, for a batch of one image.
        """
        self._check_weights([layer])
        self._check_below([layer], blob)
        return Perturbations(self, self.input_values(batch), self.graph.value(blob), neuron, layer)

    def gradients(self, batch, blob, neuron, layers, data=False):
        """See `Engine.gradients`."""
        of_weights, of_data, _ = self._passes(batch, blob, neuron, layers, data)
        return of_weights, of_data

    def value_and_gradient(self, batch, blob, neuron):
        """See `Engine.value_and_gradient`."""
        _, gradient, values = self._passes(batch, blob, neuron, [], data=True)
        values = values.reshape(len(values), -1)
        return values[np.arange(len(values)), neuron], gradient

    def _passes(self, batch, blob, neuron, layers, data):
        """Return what `gradients` does, and the blob of all images."""
        inputs = self.input_values(batch)
        self._check_weights(layers)
        target = self.graph.value(blob)
        below = self._check_below(layers, blob)
        sharing = [n for n in partners(self.shared, layers) if self.graph.node(n) in below]
        nodes = [self.graph.node(layer) for layer in (*layers, *sharing)]
        plan = self.plan(inputs, [target], nodes, data)
        seed = self._seed(neuron, plan.shapes[target], blob)
        if plan.mixes_images and len(seed) > 1:
            return self._one_by_one(self.as_inputs(batch), blob, seed, layers, data)
        with self.workers.single_threaded_blas():
            values = forward(plan, self.params, inputs, self.workers, self.dtype)
            of_weights, of_data = backward(plan, self.params, values, seed, self.workers)
        add_partners(self.shared, of_weights)
        return {layer: of_weights[layer] for layer in layers}, of_data, values.whole(target)

    def run(self, values, targets, params=None, watch=None):
        """Run a forward pass from some values to others.

        Parameters
        ----------
        values : dict
            ``{value: array (N, ...)}``; every path to the targets must pass one of them.
        targets : sequence of int
            The values that are asked for.
        params : dict, optional
            Other parameters than the network's own.
        watch : callable, optional
            See `cnnvis.engines.numpy.passes.forward`.

        Returns
        -------
        cnnvis.engines.numpy.passes.Values

        Raises
        ------
        UserError
            If a value has another shape than expected, or a layer on the way lacks its bottom.
        """
        plan = self.plan(values, targets)
        params = self.params if params is None else params
        with self.workers.single_threaded_blas():
            return forward(plan, params, values, self.workers, self.dtype, watch)

    def _one_by_one(self, batch, blob, seed, layers, data):
        parts = []
        for image in range(len(seed)):
            one = slice(image, image + 1)
            inputs = {name: array[one] for name, array in batch.items()}
            parts.append(self._passes(inputs, blob, seed[one], layers, data))
        gradients = {
            layer: [np.concatenate(arrays) for arrays in zip(*(p[0][layer] for p in parts))]  # noqa: B905
            for layer in layers
        }
        of_data = np.concatenate([part[1] for part in parts]) if data else None
        return gradients, of_data, np.concatenate([part[2] for part in parts])

    def input_values(self, batch):
        """Return ``{value: array}`` of the network's inputs."""
        inputs = self.as_inputs(batch)
        values = self.graph.values
        return {value: inputs[values[value].blob] for value in self.graph.input_values}

    def _check_below(self, layers, blob):
        """Return the nodes that a blob is computed by, among which every layer must be."""
        below = self.graph.ancestors([self.graph.value(blob)])
        for layer in layers:
            if self.graph.node(layer) not in below:
                raise UserError(f"layer {layer} is not below blob {blob} and has no effect on it")
        return below

    def _seed(self, neuron, shape, blob):
        """Return the gradient with respect to a blob of `shape` that `neuron` specifies."""
        if isinstance(neuron, np.ndarray) and neuron.dtype.kind == "f":
            if neuron.shape != tuple(shape):
                raise UserError(f"blob {blob}: weights of shape {neuron.shape}, expected {shape}")
            return neuron
        seed = np.zeros(shape, self.dtype)
        flat = seed.reshape(shape[0], -1)
        neurons = np.broadcast_to(np.asarray(neuron, dtype=np.int64), shape[0])
        for value in neurons:
            if not 0 <= value < flat.shape[1]:
                raise UserError(
                    f"neuron {value}: blob {blob} has {flat.shape[1]}, 0 to {flat.shape[1] - 1}"
                )
        flat[np.arange(shape[0]), neurons] = 1
        return seed

    def plan(self, values, targets, nodes=(), data=False):
        """Return the `Plan` of a pass from some values to others.

        Parameters
        ----------
        values, targets
            As in `run`.
        nodes : sequence of Node
            Whose gradients with respect to weights are asked for.
        data : bool
            Whether that of the input is.
        """
        sizes = {value: array.shape for value, array in values.items()}
        key = (tuple(sizes.items()), tuple(targets), tuple(nodes), data)
        if key not in self._plans:
            shapes = self._shapes(sizes)
            self._check_values(sizes, shapes, targets)
            if len(self._plans) >= PLANS_KEPT:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = Plan(self.graph, shapes, targets, nodes, data, sizes)
        return self._plans[key]

    def _shapes(self, sizes):
        """Return the shape of every value, where those of some are `sizes`."""
        images = next(iter(sizes.values()))[0]
        inputs = {blob: (images, *shape[1:]) for blob, shape in self.inputs.items()}
        given = [value for value in self.graph.input_values if value in sizes]
        inputs |= {self.graph.values[value].blob: sizes[value] for value in given}
        shapes, weights = self.graph.shapes(inputs)
        for layer, of_layer in weights.items():
            if of_layer != self.weight_shapes[layer]:
                raise UserError(
                    f"{self.source}: a batch of shape {next(iter(inputs.values()))} needs "
                    f"weights of shape {of_layer[0]} in layer {layer}, which has "
                    f"{self.weight_shapes[layer][0]}"
                )
        return shapes

    def _check_values(self, sizes, shapes, targets):
        for value, shape in sizes.items():
            if tuple(shape) != shapes[value]:
                blob = self.graph.values[value].blob
                raise UserError(f"blob {blob}: has shape {shape}, expected {shapes[value]}")
        missing = set(self.graph.input_values).difference(sizes)
        for node in self.graph.ancestors(targets, sizes):
            if missing.intersection(node.bottoms):
                raise UserError(
                    f"{self.source}: layer {node.layer.name} needs the input, but every path to "
                    "what is asked for must pass a value that is given"
                )
