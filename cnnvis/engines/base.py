"""What every engine offers."""

from abc import ABC, abstractmethod

import numpy as np

from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.caffe.matching import match_weights
from cnnvis.core.errors import UserError, suggest


class Engine(ABC):
    """An open network, to be used as a context manager; see `cnnvis.open_network`.

    Attributes
    ----------
    source : str
        The prototxt, for error messages.
    inputs : dict
        ``{blob: shape}`` of the network's inputs, the images' axis included.
    dtype : dtype
        Of the arithmetic and of all results.
    params : dict
        ``{layer: [weights, bias, ...]}``; change them by `set_weights` only.
    layers : list of str
        The names of all layers.
    weight_shapes : dict
        ``{layer: [shape, ...]}`` of the layers with weights.
    """

    source: str
    inputs: dict
    dtype: np.dtype
    params: dict
    layers: list
    weight_shapes: dict

    @property
    def input_shape(self):
        """(C, H, W) of the first input."""
        return tuple(next(iter(self.inputs.values()))[1:])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    @abstractmethod
    def close(self):
        """Release the network's threads or process."""

    @abstractmethod
    def set_weights(self, weights):
        """Replace the weights of some layers.

        Parameters
        ----------
        weights : dict
            ``{layer: [weights, bias, ...]}``.

        Raises
        ------
        UserError
            If a layer has no weights, or theirs have other shapes.
        """

    @abstractmethod
    def forward(self, batch, blobs=None):
        """Return blobs after one forward pass of a batch.

        Parameters
        ----------
        batch : ndarray, shape (N, C, H, W), or dict of them
            The input; ``{blob: array}`` for a network with several.
        blobs : list of str, optional
            By default all of them; fewer need less memory and time.

        Returns
        -------
        dict
            ``{blob: array (N, ...)}``. A blob changed in place is as Caffe leaves it.

        Raises
        ------
        UserError
            If a blob does not exist, or the batch does not fit the network.
        """

    @abstractmethod
    def gradients(self, batch, blob, neuron, layers, data=False):
        """Return the gradients of one element of a blob, per image.

        Parameters
        ----------
        batch, blob, neuron, layers
            As in `weight_gradient`.
        data : bool
            Whether the gradient with respect to the first input is wanted too.

        Returns
        -------
        of_weights : dict
            ``{layer: [array (N, ...) with respect to weights, to bias, ...]}``.
        of_data : ndarray of shape (N, C, H, W), or None
            None unless `data`.
        """

    def weight_gradient(self, batch, blob, neuron, layers):
        """Return the gradient of one element of a blob with respect to weights, per image.

        Parameters
        ----------
        batch : ndarray, shape (N, C, H, W)
        blob : str
            The score, for a neuron of the last layer.
        neuron : int, sequence of N int, or ndarray
            The element, counted over the blob of one image in C order. A floating-point array
            of the blob's shape (N, ...) asks for the gradient of the sum of the blob weighted
            with it instead, as for a loss.
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

    @abstractmethod
    def value_and_gradient(self, batch, blob, neuron):
        """Return one element of a blob and its gradient with respect to the input, per image.

        One pass forward and one back, where `forward` and `data_gradient` take two forward.

        Parameters
        ----------
        batch : ndarray, shape (N, C, H, W)
        blob : str
        neuron : int or sequence of N int
            The element, counted over the blob of one image in C order.

        Returns
        -------
        values : ndarray, (N,)
        gradient : ndarray, (N, C, H, W)
            Of the first input.
        """

    def scores_without(self, batch, layer, sets, blob, keep_bias=False):
        """Return a blob's values with sets of filters ablated, one set at a time.

        Parameters
        ----------
        batch : ndarray, shape (N, C, H, W)
        layer : str
            A layer whose first axis of weights counts its filters.
        sets : sequence of sequences of int
            The filters whose weights are set to zero together; a set may be empty.
        blob : str
            The score.
        keep_bias : bool
            Whether ablated filters keep their bias, which is otherwise set to zero too.

        Returns
        -------
        ndarray, shape (len(sets), N, elements of the blob)
        """
        kept, scores = self.params[layer], []
        try:
            for filters in sets:
                ablated = [array.copy() for array in kept]
                for array in ablated[:1] if keep_bias else ablated:
                    array[list(filters)] = 0
                self.set_weights({layer: ablated})
                scores.append(self.forward(batch, [blob])[blob])
        finally:
            self.set_weights({layer: kept})
        return np.stack([array.reshape(len(array), -1) for array in scores])

    def _take_inputs(self, inputs):
        """Set the inputs' shapes, of which a network needs one at least."""
        if not inputs:
            raise UserError(
                f"{self.source}: has no input: expected an Input layer or `input:` field"
            )
        self.inputs = inputs

    @staticmethod
    def _matched(weights, expected, surplus):
        """Return the weights of a file or a dict, by layer, as they are `expected`."""
        if isinstance(weights, dict):
            return match_weights(weights, expected, path="weights", surplus=surplus)
        return match_weights(read_caffemodel(weights), expected, path=weights, surplus=surplus)

    def _check_weights(self, layers):
        """Raise a `UserError` unless every layer exists and has weights."""
        for layer in layers:
            if layer not in self.weight_shapes:
                known = layer in self.layers
                wrong = f"layer {layer} has no weights" if known else f"there is no layer {layer!r}"
                raise UserError(f"{self.source}: {wrong}; {suggest(layer, self.weight_shapes)}")

    def as_inputs(self, batch):
        """Return ``{blob: array}`` of a batch, contiguous and of this engine's dtype.

        Raises
        ------
        UserError
            If an input is missing, or a shape is not (images, channels, height, width).
        """
        arrays = batch if isinstance(batch, dict) else {next(iter(self.inputs)): batch}
        inputs = {}
        for blob, shape in self.inputs.items():
            if blob not in arrays:
                raise UserError(f"{self.source}: input {blob!r} is missing from the batch")
            array = np.ascontiguousarray(arrays[blob], self.dtype)
            if array.ndim != len(shape) or array.shape[1:2] != tuple(shape[1:2]) or not array.size:
                expected = ", ".join(map(str, ["images", *shape[1:]]))
                raise UserError(
                    f"{self.source}: batch of shape {array.shape} for input {blob!r}, "
                    f"expected ({expected})"
                )
            inputs[blob] = array
        return inputs
