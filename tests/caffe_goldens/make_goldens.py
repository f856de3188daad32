"""Compute the goldens of this folder with real Caffe.

    PREFIX/bin/python tests/caffe_goldens/make_goldens.py [NAME...]

For each ``NAME.prototxt`` this writes ``NAME.caffemodel`` (random weights, seeded by the name) and
``NAME.npz`` with the keys ``data`` (the input batch), ``blob/B`` (every blob after one forward pass
of the batch), and for image i of the batch alone ``class/i`` (the neuron), ``grad/i/L/j`` (the
gradient of ``score[neuron]`` with respect to parameter j of layer L) and ``grad/i/data``.
Runs under the Python that imports caffe, which may be as old as 3.6.
"""

import os
import sys
import tempfile
import zlib

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # sums in one order, whatever the machine

import caffe  # noqa: E402
import numpy as np  # noqa: E402
from caffe.proto import caffe_pb2  # noqa: E402
from google.protobuf import text_format  # noqa: E402

FOLDER = os.path.dirname(os.path.abspath(__file__))


def main(names):
    """Make the goldens named, or all."""
    found = sorted(f[: -len(".prototxt")] for f in os.listdir(FOLDER) if f.endswith(".prototxt"))
    for name in names or found:
        make_golden(name)


def make_golden(name):
    """Write NAME.caffemodel and NAME.npz."""
    base = os.path.join(FOLDER, name)
    random = np.random.RandomState(zlib.crc32(name.encode()) % 2**32)
    net = open_forced(base + ".prototxt")
    fill(net, random)
    save(net, base)
    net = open_forced(base + ".prototxt")
    net.copy_from(base + ".caffemodel")
    np.savez_compressed(base + ".npz", **run(net, random))
    print(f"{name}: {os.path.getsize(base + '.npz')} bytes")


def open_forced(prototxt):
    """Open a network so that gradients reach its input."""
    definition = caffe_pb2.NetParameter()
    with open(prototxt) as stream:
        text_format.Merge(stream.read(), definition)
    definition.force_backward = True
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as temporary:
        temporary.write(text_format.MessageToString(definition))
        temporary.flush()
        return caffe.Net(temporary.name, caffe.TEST)


def fill(net, random):
    """Give every parameter random values of a size that keeps the blobs near one."""
    kinds = {name: layer.type for name, layer in zip(net._layer_names, net.layers)}  # noqa: B905
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            blob.data[...] = parameter(kinds[name], index, blob.data.shape, random)


def parameter(kind, index, shape, random):
    """Draw the values of one parameter."""
    if kind == "BatchNorm":
        # Sums over several batches, as training leaves them, and how many those were.
        drawn = (2.5 * random.normal(size=shape), 2.5 * random.uniform(0.3, 2, shape), 2.5)
        return drawn[index]
    if kind == "PReLU":
        return random.uniform(-0.2, 0.5, shape)
    if kind in ("Scale", "Bias"):
        return random.normal(1 if (kind, index) == ("Scale", 0) else 0, 0.4, shape)
    if index == 1:
        return random.normal(0, 0.3, shape)
    return random.normal(0, 1.3 / np.sqrt(np.prod(shape[1:])), shape)


def save(net, base):
    """Write the caffemodel, for a prototxt of the V1 format in the V1 format."""
    net.save(base + ".caffemodel")
    definition = caffe_pb2.NetParameter()
    with open(base + ".prototxt") as stream:
        text_format.Merge(stream.read(), definition)
    if definition.layers:
        for layer in definition.layers:
            for blob in net.params.get(layer.name, []):
                add_legacy_blob(layer, blob.data)
        with open(base + ".caffemodel", "wb") as stream:
            stream.write(definition.SerializeToString())


def add_legacy_blob(layer, array):
    """Add a blob as it was stored before shapes: four numbers, padded with ones in front."""
    shape = (1,) * (4 - array.ndim) + array.shape
    blob = layer.blobs.add()
    blob.num, blob.channels, blob.height, blob.width = shape
    blob.data.extend(float(value) for value in array.ravel())


def run(net, random):
    """Run the batch forward, then each image forward and backward."""
    image_blob = net.inputs[0]
    batch = random.normal(size=net.blobs[image_blob].data.shape).astype(np.float32)
    arrays = {"data": batch, "score_blob": np.array("score")}
    forward(net, image_blob, batch)
    arrays.update({"blob/" + b: v.data.copy() for b, v in net.blobs.items() if b != image_blob})
    for i, image in enumerate(batch):
        forward(net, image_blob, image[None])
        neuron = random.randint(net.blobs["score"].data[0].size)
        backward(net, "score", neuron)
        for layer, blobs in net.params.items():
            for j, blob in enumerate(blobs):
                arrays[f"grad/{i}/{layer}/{j}"] = blob.diff.copy()
        arrays[f"grad/{i}/data"] = net.blobs[image_blob].diff.copy()
        arrays[f"class/{i}"] = np.array(neuron)
    return arrays


def forward(net, image_blob, batch):
    """Forward a batch of any size."""
    net.blobs[image_blob].reshape(*batch.shape)
    net.reshape()
    net.blobs[image_blob].data[...] = batch
    net.forward()


def backward(net, blob, neuron):
    """Put the gradient of one neuron of the one image into every diff."""
    for other in net.blobs.values():
        other.diff[...] = 0
    net.clear_param_diffs()
    net.blobs[blob].diff.reshape(-1)[neuron] = 1
    producers = [layer for layer, tops in net.top_names.items() if blob in tops]
    net.backward(start=producers[-1])


if __name__ == "__main__":
    main(sys.argv[1:])
