"""What every engine offers, in terms of the few things each does in its own way."""

import numpy as np

from cnnvis.core.errors import UserError


class Engine:
    """An opened network; `cnnvis.open_network` says what it can be asked.

    An engine has ``source`` (the prototxt), ``inputs`` ``{blob: shape}``, ``dtype``, and the
    methods ``forward``, ``gradients``, ``set_weights`` and ``close``.
    """

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def weight_gradient(self, batch, blob, neuron, layers):
        """Return the gradient of one element of a blob with respect to weights, per image.

        Parameters
        ----------
        batch : ndarray, shape (N, C, H, W)
        blob : str
            A blob; the score for a neuron of the last layer.
        neuron : int, sequence of N int, or ndarray
            Its element, counted over the blob of one image in C order. A floating-point array
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

    def given_inputs(self, batch):
        """Return ``{blob: array}`` of a batch, as this engine's dtype.

        Raises
        ------
        UserError
            If an input is missing, or a shape is not (images, channels, height, width).
        """
        given = batch if isinstance(batch, dict) else {next(iter(self.inputs)): batch}
        found = {}
        for blob, shape in self.inputs.items():
            if blob not in given:
                raise UserError(f"{self.source}: input {blob!r} is missing from the batch")
            array = np.ascontiguousarray(given[blob], self.dtype)
            if array.ndim != len(shape) or array.shape[1:2] != tuple(shape[1:2]) or not array.size:
                wanted = ", ".join(map(str, ["images", *shape[1:]]))
                raise UserError(
                    f"{self.source}: batch of shape {array.shape} for input {blob!r}, "
                    f"expected ({wanted})"
                )
            found[blob] = array
        return found
