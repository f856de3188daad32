"""The process in which real Caffe runs: the other half of `cnnvis.engines.pycaffe`.

Runs under the interpreter that imports caffe, often an old one: no import but the standard
library, numpy and caffe, and nothing newer than Python 3.6.

Each line on standard input is a command in JSON, each line on what was standard output its
answer: ``{"ok": ...}`` or ``{"error": "..."}``. Arrays travel as ``.npy`` files in the folder
named on the command line. Caffe's own output goes to standard error.
"""

import json
import os
import re
import sys

# Beside this file lies a package named numpy, which is not the one to import.
_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != _HERE]

import numpy as np  # noqa: E402


class Refusal(Exception):
    """A request that cannot be met; its message is complete."""


class Worker:
    """One network in Caffe, and the commands that it accepts.

    Parameters
    ----------
    caffe : module
    folder : str
        Where arrays are stored for the caller.
    """

    def __init__(self, caffe, folder):
        self.caffe = caffe
        self.folder = folder
        self.net = None
        self.files = 0

    def open(self, prototxt):
        """Open a network and describe it."""
        self._adapt(prototxt)
        self.net = self.caffe.Net(prototxt, self.caffe.TEST)
        blobs = self.net.blobs
        return {
            "inputs": {name: list(blobs[name].data.shape) for name in self.net.inputs},
            "weights": {
                layer: [list(blob.data.shape) for blob in parameters]
                for layer, parameters in self.net.params.items()
            },
            "layers": list(self.net._layer_names),
            "blobs": list(blobs),
        }

    def load(self, caffemodel):
        """Copy the weights of a file into the network."""
        self.net.copy_from(caffemodel)

    def set_weights(self, files):
        """Replace the weights of some layers by arrays in files."""
        for layer, paths in files.items():
            for blob, path in zip(self.net.params[layer], paths):  # noqa: B905
                blob.data[...] = np.load(path)

    def params(self, layers):
        """Store the weights of layers."""
        return {layer: [self._store(b.data) for b in self.net.params[layer]] for layer in layers}

    def forward(self, inputs, blobs):
        """Forward a batch and store blobs."""
        self._forward({name: np.load(path) for name, path in inputs.items()})
        return {blob: self._store(self.net.blobs[blob].data) for blob in blobs}

    def gradient(self, inputs, blob, neurons, layers, data, seeds=None):
        """Store gradients of one element of a blob, computed image by image; answer its values.

        Or, with `seeds` (a file), of the sum of the whole blob weighted with them.
        """
        batch = {name: np.load(path) for name, path in inputs.items()}
        if seeds is not None:
            neurons = np.load(seeds)
            if len(neurons) != len(batch[self.net.inputs[0]]):
                raise Refusal(self._misfit(blob, neurons.shape))
        first = self.net.inputs[0]
        weights, images, values = {layer: [] for layer in layers}, [], []
        for i, neuron in enumerate(neurons):
            self._forward({name: array[i : i + 1] for name, array in batch.items()})
            self._backward(blob, neuron, layers, data)
            if seeds is None:
                values.append(float(self.net.blobs[blob].data.flat[neuron]))
            for layer in layers:
                weights[layer].append([b.diff.copy() for b in self.net.params[layer]])
            if data:
                images.append(self.net.blobs[first].diff.copy())
        paths = {
            layer: [self._store(np.stack(arrays)) for arrays in zip(*each)]  # noqa: B905
            for layer, each in weights.items()
        }
        of_data = self._store(np.concatenate(images)) if data else None
        return {"weights": paths, "data": of_data, "values": values}

    def _adapt(self, prototxt):
        """Rewrite BVLC's `round_mode` for the fork on PyPI, if that is the Caffe at hand."""
        from caffe.proto import caffe_pb2

        if "ceil_mode" in caffe_pb2.PoolingParameter.DESCRIPTOR.fields_by_name:
            with open(prototxt, "rb") as stream:
                text = stream.read()
            text = re.sub(rb"\bround_mode\s*:\s*FLOOR\b", b"ceil_mode: false", text)
            text = re.sub(rb"\bround_mode\s*:\s*CEIL\b", b"ceil_mode: true", text)
            with open(prototxt, "wb") as stream:
                stream.write(text)

    def _forward(self, inputs):
        for name, array in inputs.items():
            self.net.blobs[name].reshape(*array.shape)
        self.net.reshape()
        for name, array in inputs.items():
            self.net.blobs[name].data[...] = array
        self.net.forward()

    def _backward(self, blob, neuron, layers, data):
        """Run the backward pass of the layers between a blob and what is asked for, and no others.

        Other layers may have no backward pass (ArgMax and Threshold abort the process). All diffs
        are cleared, because Split layers sum those of all branches, and Caffe accumulates the
        gradients of parameters.
        """
        for other in self.net.blobs.values():
            other.diff[...] = 0
        for layer in layers:
            for parameter in self.net.params[layer]:
                parameter.diff[...] = 0
        path = self._path(blob, layers, data)
        self._seed(blob, neuron)
        for index in path:
            self.net._backward(index, index)

    def _seed(self, blob, neuron):
        """Set the gradient with respect to a blob: 1 at one element, or the weights of all."""
        diff = self.net.blobs[blob].diff
        if isinstance(neuron, np.ndarray):
            if neuron.shape != diff.shape[1:]:
                raise Refusal(self._misfit(blob, (len(diff),) + neuron.shape))
            diff[0] = neuron
            return
        seed = diff.reshape(-1)
        if not 0 <= neuron < seed.size:
            last = seed.size - 1
            raise Refusal(f"neuron {neuron}: blob {blob} has {seed.size}, 0 to {last}")
        seed[neuron] = 1

    def _misfit(self, blob, shape):
        expected = tuple(self.net.blobs[blob].data.shape)
        return f"blob {blob}: weights of shape {tuple(shape)}, expected {expected}"

    def _path(self, blob, layers, data):
        """Return the numbers of the layers to run, the last first."""
        names = list(self.net._layer_names)
        tops, bottoms = self.net.top_names, self.net.bottom_names
        wanted = [names.index(layer) for layer in self._sharing(layers)]
        lowest = 0 if data or not wanted else min(wanted)
        path, reached = [], {blob}
        for index in range(len(names) - 1, lowest - 1, -1):
            if reached.intersection(tops[names[index]]):
                path.append(index)
                reached.update(bottoms[names[index]])
        for layer in layers:
            if names.index(layer) not in path:
                raise Refusal(f"layer {layer} is not below blob {blob} and has no effect on it")
        return path

    def _sharing(self, layers):
        """Return all layers that share a parameter with one of `layers`, including these.

        Caffe keeps one gradient of a shared parameter, the sum over the layers.
        """
        owned = {
            layer: {parameter.data.ctypes.data for parameter in parameters}
            for layer, parameters in self.net.params.items()
        }
        ours = set().union(*(owned[layer] for layer in layers))
        return [layer for layer, addresses in owned.items() if ours & addresses]

    def _store(self, array):
        self.files += 1
        path = os.path.join(self.folder, f"answer-{self.files}.npy")
        np.save(path, array)
        return path


def main(folder):
    """Answer commands until standard input ends."""
    answers = _keep_stdout()
    try:
        import caffe

        caffe.set_mode_cpu()
        worker = Worker(caffe, folder)
    except Exception as error:
        _answer(answers, {"error": _describe(error)})
        return
    _answer(answers, {"ok": {"caffe": getattr(caffe, "__version__", "of unknown version")}})
    for line in sys.stdin:
        command = json.loads(line)
        try:
            result = getattr(worker, command.pop("command"))(**command)
            _answer(answers, {"ok": result})
        except Exception as error:
            _answer(answers, {"error": _describe(error)})


def _keep_stdout():
    """Reserve standard output for answers, and redirect everything else to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _answer(stream, value):
    stream.write(json.dumps(value) + "\n")
    stream.flush()


def _describe(error):
    text = " ".join(str(error).split())
    if isinstance(error, Refusal):
        return text
    return type(error).__name__ + ": " + text


if __name__ == "__main__":
    main(sys.argv[1])
