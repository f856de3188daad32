"""BVLC Caffe, behind the interface of the embedded engine.

Caffe aborts its process when a check fails, and usually needs an older interpreter than this one.
Each open network therefore has a process of its own (`cnnvis.engines.pycaffe_worker`), even if
this interpreter can import Caffe.
"""

import re
from pathlib import Path

import numpy as np

from cnnvis.caffe.deploy import deploy_text
from cnnvis.caffe.matching import match_weights
from cnnvis.caffe.prototxt import read_prototxt
from cnnvis.core.errors import UserError, suggest
from cnnvis.engines.base import Engine
from cnnvis.engines.pycaffe_process import start_caffe


class Network(Engine):
    """A Caffe network, run by Caffe; see `cnnvis.open_network` for the parameters.

    Parameters
    ----------
    python : str or Path, optional
        An interpreter that imports caffe, or the PREFIX of ``scripts/install_caffe.sh``. By default
        this interpreter if it imports caffe, or that of the active conda environment.

    Raises
    ------
    UserError
        If no Caffe is found, or if it fails, with Caffe's own message.
    """

    def __init__(
        self,
        prototxt,
        weights,
        dtype="float32",
        threads=None,
        surplus="error",
        input_shape=None,
        python=None,
    ):
        if np.dtype(dtype) != np.float32:
            raise UserError(
                f"dtype {dtype}: Caffe's Python interface computes in float32 only; "
                "use engine: numpy for float64"
            )
        self.dtype = np.dtype(np.float32)
        self.source = str(prototxt)
        self._params = None
        text = _with_gradients(_text_of(prototxt, input_shape))
        self._caffe = start_caffe(python, threads)
        try:
            self._open(text)
            self._load(weights, surplus)
        except BaseException:
            self.close()
            raise

    def close(self):
        """End Caffe's process."""
        self._caffe.close()

    def _open(self, text):
        copy = self._caffe.folder / "network.prototxt"
        copy.write_bytes(text)
        self._caffe.names[str(copy)] = self.source
        answer = self._caffe.ask("open", self.source, prototxt=str(copy))
        self._take_inputs({blob: tuple(shape) for blob, shape in answer["inputs"].items()})
        self.blobs = answer["blobs"]
        self.layers = answer["layers"]
        self.weight_shapes = {
            layer: [tuple(shape) for shape in shapes] for layer, shapes in answer["weights"].items()
        }

    def _load(self, weights, surplus):
        """Check the weights as every engine does (Caffe hardly does), and pass them on."""
        matched = self._matched(weights, self.weight_shapes, surplus)
        if isinstance(weights, dict):
            self._send_weights(matched)
        else:
            self._caffe.ask("load", str(weights), caffemodel=str(weights))

    @property
    def params(self):
        """``{layer: [weights, bias, ...]}``, float32, fetched from Caffe on first use."""
        if self._params is None:
            answer = self._caffe.ask("params", self.source, layers=list(self.weight_shapes))
            self._params = self._take(answer)
        return self._params

    def _take(self, paths):
        """Read the arrays that Caffe has stored for each layer."""
        return {layer: list(map(self._caffe.take, files)) for layer, files in paths.items()}

    def set_weights(self, weights):
        """See `Engine.set_weights`."""
        self._check_weights(weights)
        expected = {layer: self.weight_shapes[layer] for layer in weights}
        self._send_weights(match_weights(weights, expected, path="weights"))

    def _send_weights(self, weights):
        self._params = None
        with self._caffe.arrays() as store:
            files = {layer: [store(a) for a in arrays] for layer, arrays in weights.items()}
            self._caffe.ask("set_weights", self.source, files=files)

    def forward(self, batch, blobs=None):
        """See `Engine.forward`."""
        names = list(self.blobs) if blobs is None else list(blobs)
        for blob in names:
            self._check_blob(blob)
        with self._caffe.arrays() as store:
            inputs = {blob: store(array) for blob, array in self.as_inputs(batch).items()}
            answer = self._caffe.ask("forward", self.source, inputs=inputs, blobs=names)
        return {blob: self._caffe.take(path) for blob, path in answer.items()}

    def gradients(self, batch, blob, neuron, layers, data=False):
        """See `Engine.gradients`. Caffe sums those of a batch, so images go one at a time."""
        answer = self._ask_gradient(batch, blob, neuron, layers, data)
        of_data = self._caffe.take(answer["data"]) if data else None
        return self._take(answer["weights"]), of_data

    def value_and_gradient(self, batch, blob, neuron):
        """See `Engine.value_and_gradient`."""
        answer = self._ask_gradient(batch, blob, neuron, [], data=True)
        return np.array(answer["values"], np.float32), self._caffe.take(answer["data"])

    def _ask_gradient(self, batch, blob, neuron, layers, data):
        """Return the files that Caffe has stored gradients in, and the values of the neurons."""
        self._check_blob(blob)
        self._check_weights(layers)
        arrays = self.as_inputs(batch)
        images = len(next(iter(arrays.values())))
        with self._caffe.arrays() as store:
            return self._caffe.ask(
                "gradient",
                self.source,
                inputs={name: store(array) for name, array in arrays.items()},
                blob=blob,
                **self._seed(neuron, images, store),
                layers=list(layers),
                data=data,
            )

    def _seed(self, neuron, images, store):
        """Return the elements of a blob that are differentiated, or the weights of all."""
        if isinstance(neuron, np.ndarray) and neuron.dtype.kind == "f":
            return {"neurons": [None] * images, "seeds": store(neuron.astype(np.float32))}
        return {"neurons": [int(value) for value in np.broadcast_to(neuron, images)]}

    def _check_blob(self, blob):
        if blob not in self.blobs:
            raise UserError(
                f"{self.source}: there is no blob {blob!r}; {suggest(blob, self.blobs)}"
            )


def _text_of(prototxt, input_shape):
    """Return the deploy form of a network as text.

    A file that our reader refuses is passed on unchanged, because a fork of Caffe may accept it.
    """
    try:
        read_prototxt(prototxt)
    except UserError as error:
        try:
            return Path(prototxt).read_bytes()
        except OSError:
            raise error from None
    return deploy_text(prototxt, input_shape)


def _with_gradients(text):
    """Return a prototxt with ``force_backward: true``, on the same lines.

    Without it Caffe skips gradients that training does not need, and leaves zeros.
    """
    setting = re.compile(rb"\bforce_backward\s*:\s*\w+")
    kept = setting.sub(lambda match: b"\n" * match.group().count(b"\n"), text)
    return kept + b"\nforce_backward: true\n"
