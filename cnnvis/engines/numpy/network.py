"""The embedded engine: a network opened, asked for blobs and for gradients."""

import numpy as np

from cnnvis.caffe import match_weights, read_caffemodel
from cnnvis.engines.numpy.graph import read_graph, suggestion
from cnnvis.engines.numpy.passes import backward, forward
from cnnvis.engines.numpy.plans import Plan
from cnnvis.engines.numpy.sharing import add_partners, partners, share, shared_groups
from cnnvis.engines.numpy.workers import Workers
from cnnvis.errors import UserError

PLANS_KEPT = 16


class Network:
    """A Caffe network, run by NumPy; see `cnnvis.open_network` for the parameters.

    Attributes
    ----------
    params : dict
        ``{layer: [weights, bias, ...]}``, arrays of this network's dtype.
    input_shape : tuple of int
        (C, H, W) of the first input.
    """

    def __init__(self, prototxt, weights, dtype="float32", threads=None, surplus="error"):
        if dtype not in ("float32", "float64"):
            raise UserError(f"dtype: {dtype!r} is not known, expected float32 or float64")
        self.dtype = np.dtype(dtype)
        self.graph = read_graph(prototxt)
        if not self.graph.inputs:
            raise UserError(f"{prototxt}: has no input: expected an Input layer or `input:` field")
        self.input_shape = tuple(next(iter(self.graph.inputs.values()))[1:])
        self.weights_source = "weights" if isinstance(weights, dict) else str(weights)
        _, self.weight_shapes = self.graph.shapes(self.graph.inputs)
        source = weights if isinstance(weights, dict) else read_caffemodel(weights)
        matched = match_weights(
            source, self.weight_shapes, path=self.weights_source, surplus=surplus
        )
        self.params = {layer: self._cast(arrays) for layer, arrays in matched.items()}
        self._shared = shared_groups(self.graph, self.weight_shapes)
        share(self._shared, self.params)
        self.workers = Workers(threads)
        self._plans = {}

    def _cast(self, arrays):
        return [np.asarray(array, self.dtype, order="C") for array in arrays]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        """End the network's threads."""
        self.workers.close()

    def set_weights(self, weights):
        """Replace the weights of some layers: ``{layer: [weights, bias, ...]}``."""
        for layer, arrays in weights.items():
            self._layers_with_weights([layer])
            expected = {layer: self.weight_shapes[layer]}
            matched = match_weights({layer: arrays}, expected, path="weights")
            self.params[layer] = self._cast(matched[layer])
        share(self._shared, self.params, changed=weights)

    def forward(self, batch, blobs=None):
        """Return blobs after one forward pass of a batch.

        Parameters
        ----------
        batch : ndarray, shape (N, C, H, W), or dict of them
            The input; ``{blob: array}`` for a network of several.
        blobs : list of str, optional
            Which; all of them where None. Fewer need less memory and time.

        Returns
        -------
        dict
            ``{blob: array (N, ...)}``. A blob changed in place is as Caffe leaves it.
        """
        inputs = self._inputs(batch)
        names = list(self.graph.blobs) if blobs is None else list(blobs)
        asked = [self.graph.value(blob) for blob in names]
        left = [self.graph.remaining(value) for value in asked]
        plan = self._plan(inputs, left)
        with self.workers.single_threaded_blas():
            values = forward(plan, self.params, inputs, self.workers, self.dtype)
        shapes = [plan.shapes[value] for value in asked]
        return {
            blob: values.whole(value).reshape(shape)
            for blob, value, shape in zip(names, left, shapes, strict=True)
        }

    def weight_gradient(self, batch, blob, neuron, layers):
        """Return the gradient of one element of a blob with respect to weights, per image.

        Parameters
        ----------
        batch : ndarray, shape (N, C, H, W)
        blob : str
            A blob; the score for a neuron of the last layer.
        neuron : int or sequence of N int
            Its element, counted over the blob of one image in C order.
        layers : list of str
            The layers; each must lie below the blob.

        Returns
        -------
        dict
            ``{layer: array (N, *shape of its weights)}``.
        """
        gradients, _ = self.gradients(batch, blob, neuron, layers)
        return {layer: arrays[0] for layer, arrays in gradients.items()}

    def data_gradient(self, batch, blob, neuron):
        """Return the gradient of one element of a blob with respect to the input (N, C, H, W)."""
        return self.gradients(batch, blob, neuron, [], data=True)[1]

    def gradients(self, batch, blob, neuron, layers, data=False):
        """Return ``{layer: [gradient of weights, of bias, ...]}``, and that of the input.

        Each array has a leading axis of N. The second is None unless `data`.
        """
        inputs = self._inputs(batch)
        self._layers_with_weights(layers)
        target = self.graph.value(blob)
        below = self.graph.ancestors([target])
        for layer in layers:
            if self.graph.node(layer) not in below:
                raise UserError(f"layer {layer} does not lie below blob {blob}: it has no effect")
        partner = [n for n in partners(self._shared, layers) if self.graph.node(n) in below]
        nodes = [self.graph.node(layer) for layer in (*layers, *partner)]
        plan = self._plan(inputs, [target], nodes, data)
        images = len(next(iter(inputs.values())))
        if plan.mixes_images and images > 1:
            return self._one_by_one(inputs, blob, neuron, layers, data)
        neurons = self._neurons(neuron, images, plan.shapes[target], blob)
        with self.workers.single_threaded_blas():
            values = forward(plan, self.params, inputs, self.workers, self.dtype)
            found, of_data = backward(plan, self.params, values, neurons, self.workers)
        add_partners(self._shared, found)
        return {layer: found[layer] for layer in layers}, of_data

    def _one_by_one(self, inputs, blob, neuron, layers, data):
        images = len(next(iter(inputs.values())))
        neurons = np.broadcast_to(neuron, images)
        parts = []
        for image in range(images):
            one = {name: array[image : image + 1] for name, array in inputs.items()}
            parts.append(self.gradients(one, blob, int(neurons[image]), layers, data))
        gradients = {
            layer: [np.concatenate(arrays) for arrays in zip(*(p[0][layer] for p in parts))]  # noqa: B905
            for layer in layers
        }
        return gradients, np.concatenate([part[1] for part in parts]) if data else None

    def _inputs(self, batch):
        given = batch if isinstance(batch, dict) else {next(iter(self.graph.inputs)): batch}
        inputs = {}
        for blob, shape in self.graph.inputs.items():
            if blob not in given:
                raise UserError(f"{self.graph.source}: input {blob!r} is missing from the batch")
            array = np.ascontiguousarray(given[blob], self.dtype)
            if array.ndim != len(shape) or array.shape[1:2] != tuple(shape[1:2]) or not array.size:
                wanted = ", ".join(map(str, ["images", *shape[1:]]))
                raise UserError(
                    f"{self.graph.source}: batch of shape {array.shape} for input {blob!r}, "
                    f"expected ({wanted})"
                )
            inputs[blob] = array
        return inputs

    def _layers_with_weights(self, layers):
        for layer in layers:
            if layer not in self.params:
                self.graph.node(layer)
                raise UserError(
                    f"{self.graph.source}: layer {layer} has no weights"
                    f"{suggestion(layer, self.params)}"
                )

    @staticmethod
    def _neurons(neuron, images, shape, blob):
        neurons = np.broadcast_to(np.asarray(neuron, dtype=np.int64), images)
        size = int(np.prod(shape[1:]))
        for value in neurons:
            if not 0 <= value < size:
                raise UserError(f"neuron {value}: blob {blob} has {size}, 0 to {size - 1}")
        return neurons

    def _plan(self, inputs, targets, nodes=(), data=False):
        sizes = {blob: array.shape for blob, array in inputs.items()}
        key = (tuple(sizes.items()), tuple(targets), tuple(nodes), data)
        if key not in self._plans:
            shapes, weights = self.graph.shapes(sizes)
            if weights != self.weight_shapes:
                self._refuse_size(weights, sizes)
            while len(self._plans) >= PLANS_KEPT:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = Plan(self.graph, shapes, targets, nodes, data)
        return self._plans[key]

    def _refuse_size(self, weights, sizes):
        for layer, shapes in weights.items():
            if shapes != self.weight_shapes[layer]:
                raise UserError(
                    f"{self.graph.source}: a batch of shape {next(iter(sizes.values()))} needs "
                    f"weights of shape {shapes[0]} in layer {layer}, which has "
                    f"{self.weight_shapes[layer][0]}"
                )
