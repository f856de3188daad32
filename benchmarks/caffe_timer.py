"""Time real Caffe: one line on standard input asks, one on standard output answers in seconds.

    forward N R    R forward passes of N images
    gradient N R   R times forward and backward of N images, one by one: gradients per image

Runs under the interpreter that imports caffe; nothing newer than Python 3.6.
"""

import os
import sys
import time

import numpy as np


def main(prototxt, *caffemodel):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import caffe

    caffe.set_mode_cpu()
    start = time.perf_counter()
    net = caffe.Net(prototxt, *caffemodel, caffe.TEST)
    print(time.perf_counter() - start, file=answers, flush=True)
    for line in sys.stdin:
        task, images, repeats = line.split()
        run = {"forward": forward, "gradient": gradient}[task]
        print(run(net, int(images), int(repeats)), file=answers)
        answers.flush()


def prepare(net, images):
    blob = net.blobs[net.inputs[0]]
    blob.reshape(images, *blob.data.shape[1:])
    net.reshape()
    random = np.random.RandomState(0)
    blob.data[...] = 60 * random.normal(size=blob.data.shape).astype("f4")
    net.forward()  # memory of this size is allocated here, not in what is timed


def forward(net, images, repeats):
    prepare(net, images)
    start = time.perf_counter()
    for _ in range(repeats):
        net.forward()
    return time.perf_counter() - start


def gradient(net, images, repeats):
    prepare(net, 1)
    score = net.blobs["fc8"].diff
    start = time.perf_counter()
    for _ in range(images * repeats):
        net.forward()
        for layer in ("conv1", "conv2"):
            for parameter in net.params[layer]:
                parameter.diff[...] = 0
        score[...] = 0
        score[0, 5] = 1
        net.backward(start="fc8")
        [net.params[layer][0].diff.copy() for layer in ("conv1", "conv2")]
    return time.perf_counter() - start


if __name__ == "__main__":
    main(*sys.argv[1:])
