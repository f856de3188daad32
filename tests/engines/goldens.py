"""Reading real Caffe's results, and comparing with them."""

from pathlib import Path

import numpy as np

GOLDENS = Path(__file__).parents[1] / "goldens"
MORE_GOLDENS = Path(__file__).parents[1] / "caffe_goldens"


def golden_networks():
    """Return the prototxt of every golden."""
    return sorted(GOLDENS.glob("*.prototxt")) + sorted(MORE_GOLDENS.glob("*.prototxt"))


def output_of(graph, layer):
    """Return the value that a layer writes, before anything in place follows."""
    return graph.node(layer).tops[0]


def difference(found, expected):
    """Return the largest difference relative to the largest magnitude expected."""
    assert found.shape == expected.shape
    largest = np.abs(expected).max(initial=0) or 1.0
    return float(np.abs(found.astype(float) - expected).max(initial=0) / largest)


def gradients_of(golden):
    """Return ``{layer: {parameter number: [array per image]}}`` and the input's ``[array]``."""
    layers, data = {}, []
    for image in range(len(golden["data"])):
        prefix = f"grad/{image}/"
        for key in golden.files:
            if key == prefix + "data":
                data.append(golden[key])
            elif key.startswith(prefix):
                layer, number = key.removeprefix(prefix).rsplit("/", 1)
                layers.setdefault(layer, {}).setdefault(int(number), []).append(golden[key])
    return layers, data
