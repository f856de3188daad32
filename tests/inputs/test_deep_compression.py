import struct
from pathlib import Path

import numpy as np
import pytest

from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.core.errors import UserError
from cnnvis.engines.inspection import inspect
from cnnvis.inputs.deep_compression import decode, decode_network

SHARED = Path(__file__).parents[3] / "shared" / "squeezenet"
NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 8, 8] } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
        convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "b" type: "Convolution" bottom: "a" top: "b"
        convolution_param { num_output: 5 kernel_size: 1 } }
"""
SHAPES = {"a": (4, 3, 3, 3), "b": (5, 4, 1, 1)}


def encode(layers):
    """Write layers (codebook, biases, {place: code}) as the format's authors did."""
    counts, bodies = [], []
    for codebook, biases, codes in layers:
        steps, before = [], -1
        for place, code in sorted(codes.items()):
            while place - before > 16:  # 0 of the codebook is the value 0
                steps.append((15, 0))
                before += 16
            steps.append((place - before - 1, code))
            before = place
        gaps = [gap for gap, _ in steps] + [0]
        halves = [low | high << 4 for low, high in zip(gaps[::2], gaps[1::2], strict=False)]
        counts.append(len(steps))
        bodies.append(
            struct.pack("<256f", *codebook)
            + struct.pack(f"<{len(biases)}f", *biases)
            + bytes(code for _, code in steps)
            + bytes(halves)
        )
    return struct.pack(f"<{len(counts)}I", *counts) + b"".join(bodies)


@pytest.fixture
def layers():
    """A layer with long gaps and a dense one, and what they mean."""
    rng = np.random.default_rng(5)
    made, meant = [], {}
    for (name, shape), places in zip(
        SHAPES.items(), ([3, 19, 20, 36, 80, 107], range(20)), strict=True
    ):
        codebook = rng.normal(size=256).astype(np.float32)
        codebook[0] = 0
        biases = rng.normal(size=shape[0]).astype(np.float32)
        codes = {place: int(rng.integers(1, 256)) for place in places}
        weights = np.zeros(int(np.prod(shape)), np.float32)
        for place, code in codes.items():
            weights[place] = codebook[code]
        made.append((codebook, biases, codes))
        meant[name] = [weights.reshape(shape), biases]
    return made, meant


def test_decoded(layers):
    made, meant = layers
    found = decode(encode(made), SHAPES)
    assert list(found) == ["a", "b"]
    for layer, arrays in meant.items():
        for array, expected in zip(found[layer], arrays, strict=True):
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, expected)


def test_by_hand():
    """Two weights of eight: a gap of 2 and one of 3, in one byte, low half first."""
    codebook = np.arange(256, dtype="<f4")
    content = struct.pack("<I", 2) + codebook.tobytes() + struct.pack("<2f", 0.5, -1)
    content += bytes([7, 200, 0x32])
    weights, biases = decode(content, {"conv": (2, 1, 2, 2)})["conv"]
    assert weights.tolist() == [[[[0, 0], [7, 0]]], [[[0, 0], [200, 0]]]]
    assert biases.tolist() == [0.5, -1]


def test_layer_without_weights():
    content = struct.pack("<I", 0) + bytes(4 * 257)
    weights, _ = decode(content, {"conv": (1, 1, 2, 2)})["conv"]
    assert not weights.any()


def test_every_truncation_is_an_error(layers):
    content = encode(layers[0])
    for length in [*range(12), len(content) // 2, len(content) - 1]:
        with pytest.raises(UserError, match=r"x\.net: (ends at|has) .*") as caught:
            decode(content[:length], SHAPES, "x.net")
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="but its header announces"):
        decode(content + b"\0", SHAPES)


def test_garbage_is_an_error(layers):
    content = bytearray(encode(layers[0]))
    with pytest.raises(UserError, match="not a Deep Compression file of this network"):
        decode(bytes(np.random.default_rng(0).integers(0, 256, 3000, np.uint8)), SHAPES)
    damaged = content.copy()
    damaged[8:12] = struct.pack("<f", np.nan)
    with pytest.raises(UserError, match="layer a: has values that are not finite"):
        decode(bytes(damaged), SHAPES)
    damaged = content.copy()
    damaged[-10:] = b"\xff" * 10  # the gaps of b, 20 of 15
    with pytest.raises(UserError, match="layer b: the gaps lead to weight 319 of 20"):
        decode(bytes(damaged), SHAPES)


def test_other_network_is_an_error(layers):
    with pytest.raises(UserError, match="not a Deep Compression file of this network"):
        decode(encode(layers[0]), {**SHAPES, "b": (6, 4, 1, 1)})


def test_files(layers, tmp_path):
    prototxt, compressed = tmp_path / "deploy.prototxt", tmp_path / "x.net"
    prototxt.write_text(NET)
    compressed.write_bytes(encode(layers[0]))
    decode_network(compressed, prototxt, inspect(prototxt), tmp_path / "x.caffemodel")
    found = read_caffemodel(tmp_path / "x.caffemodel")
    for layer, arrays in layers[1].items():
        np.testing.assert_array_equal(found[layer][0], arrays[0])
    with pytest.raises(UserError, match=r"gone\.net: cannot be read"):
        decode_network(tmp_path / "gone.net", prototxt, inspect(prototxt), tmp_path / "y")
    prototxt.write_text(
        NET + 'layer { name: "fc" type: "InnerProduct" bottom: "b" top: "fc" '
        "inner_product_param { num_output: 2 } }"
    )
    with pytest.raises(UserError, match="layer fc has weights and is not a convolution"):
        decode_network(compressed, prototxt, inspect(prototxt), tmp_path / "y")
    assert not (tmp_path / "y").exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the project's ../shared/squeezenet is absent")
def test_squeezenet_to_the_bit(tmp_path):
    prototxt = SHARED / "SqueezeNet_deploy.prototxt"
    decode_network(
        SHARED / "compressed_SqueezeNet.net",
        prototxt,
        inspect(prototxt),
        tmp_path / "squeezenet.caffemodel",
    )
    found = read_caffemodel(tmp_path / "squeezenet.caffemodel")
    expected = read_caffemodel(SHARED / "squeezenet.caffemodel")
    assert list(found) == list(expected)
    for layer, arrays in expected.items():
        for array, other in zip(found[layer], arrays, strict=True):
            assert array.shape == other.shape
            assert array.tobytes() == other.tobytes()
