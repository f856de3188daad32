import tracemalloc

import numpy as np
import pytest

from cnnvis.caffe.caffemodel import read_caffemodel, write_caffemodel
from cnnvis.caffe.prototxt import parse_prototxt
from cnnvis.caffe.schema import messages
from cnnvis.core.errors import UserError

# layer { name: "a" blobs { shape { dim: 2 } data: [1, -2] } }, byte by byte.
BLOB = b"\x3a\x03\x0a\x01\x02" + b"\x2a\x08\x00\x00\x80\x3f\x00\x00\x00\xc0"
LAYER = b"\xa2\x06" + bytes([5 + len(BLOB)]) + b"\x0a\x01a" + b"\x3a" + bytes([len(BLOB)]) + BLOB


def by_protobuf(path):
    """Read weights the plain way: the whole message, number by number."""
    net = messages.NetParameter.FromString(path.read_bytes())
    return {
        layer.name: [np.array(blob.double_data or blob.data) for blob in layer.blobs]
        for layer in [*net.layer, *net.layers]
        if layer.blobs
    }


def equal(found, expected):
    assert list(found) == list(expected)
    for layer in found:
        for a, b in zip(found[layer], expected[layer], strict=True):
            np.testing.assert_array_equal(a.ravel(), b.ravel())


def net_bytes(**fields):
    return messages.NetParameter(**fields).SerializeToString()


def test_bytes_written_by_hand(save):
    (array,) = read_caffemodel(save(LAYER))["a"]
    assert (array.dtype, array.tolist()) == (np.float32, [1.0, -2.0])
    assert array.flags.aligned and array.flags.writeable


def test_goldens_and_round_trip(golden, tmp_path):
    weights = read_caffemodel(golden)
    equal(weights, by_protobuf(golden))
    write_caffemodel(tmp_path / "copy.caffemodel", weights)
    again = read_caffemodel(tmp_path / "copy.caffemodel")
    equal(again, weights)
    assert [[a.shape for a in v] for v in again.values()] == [
        [a.shape for a in v] for v in weights.values()
    ]


def test_squeezenet(squeezenet):
    weights = read_caffemodel(squeezenet / "squeezenet.caffemodel")
    assert (len(weights), weights["conv1"][0].shape) == (26, (96, 3, 7, 7))
    equal(weights, by_protobuf(squeezenet / "squeezenet.caffemodel"))


def test_v1_layers_with_legacy_shapes(save):
    blob = {"num": 1, "channels": 1, "height": 2, "width": 3, "data": range(6)}
    content = net_bytes(
        name="old",
        layers=[{"name": "fc", "type": "INNER_PRODUCT", "bottom": ["x"], "blobs": [blob]}],
    )
    (array,) = read_caffemodel(save(content))["fc"]
    assert array.shape == (1, 1, 2, 3)
    assert array.ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_legacy_fields_win_over_shape_as_in_caffe(save):
    blob = {"shape": {"dim": [3, 2]}, "num": 1, "channels": 2, "height": 1, "width": 3}
    content = net_bytes(layer=[{"name": "a", "blobs": [{**blob, "data": range(6)}]}])
    assert read_caffemodel(save(content))["a"][0].shape == (1, 2, 1, 3)


def test_doubles_stay_doubles_and_win(save):
    blob = {"shape": {"dim": [2]}, "data": [9, 9], "double_data": [1e-300, 0.1]}
    (array,) = read_caffemodel(save(net_bytes(layer=[{"name": "a", "blobs": [blob]}])))["a"]
    assert (array.dtype, array.tolist()) == (np.float64, [1e-300, 0.1])


def test_gradients_are_skipped(save):
    blob = {"shape": {"dim": [1]}, "data": [3], "diff": [4, 5], "double_diff": [6]}
    content = net_bytes(layer=[{"name": "a", "blobs": [blob]}])
    assert read_caffemodel(save(content))["a"][0].tolist() == [3]


def test_sizes_of_zero_scalars_and_layers_without_blobs(save):
    content = net_bytes(
        layer=[
            {"name": "relu"},
            {"name": "a", "blobs": [{"shape": {"dim": [0, 3]}}, {"data": [7]}]},
        ]
    )
    weights = read_caffemodel(save(content))
    assert list(weights) == ["a"]
    assert [array.shape for array in weights["a"]] == [(0, 3), ()]


def test_a_network_without_weights_is_no_error(save):
    assert read_caffemodel(save(net_bytes(name="net", layer=[{"name": "relu"}]))) == {}


def test_the_last_layer_of_a_name_counts(save):
    content = net_bytes(
        layer=[
            {"name": "a", "blobs": [{"shape": {"dim": [1]}, "data": [1]}]},
            {"name": "a", "blobs": [{"shape": {"dim": [1]}, "data": [2]}]},
            {"name": "a"},
        ]
    )
    assert read_caffemodel(save(content))["a"][0].tolist() == [2]


def test_numbers_that_are_not_packed_in_pieces_or_amid_unknown_fields(save):
    def layer(blob):
        return b"\xa2\x06" + bytes([len(blob) + 2]) + b"\x3a" + bytes([len(blob)]) + blob

    one, two = b"\x00\x00\x80\x3f", b"\x00\x00\x00\x40"
    shape = b"\x3a\x02\x08\x02"  # dim not packed
    for blob in (
        shape + b"\x2d" + one + b"\x2d" + two,
        b"\x2a\x04" + one + shape + b"\x2a\x04" + two,
        shape + b"\xf8\x07\x01" + b"\x2a\x08" + one + two + b"\xfa\x07\x03abc",
        b"\x3a\x02\x08\x01" + b"\x3a\x02\x08\x02" + b"\x2a\x08" + one + two,
    ):
        assert read_caffemodel(save(layer(blob)))[""][0].ravel().tolist() == [1, 2]


def test_names_in_other_encodings(save):
    content = LAYER.replace(b"\x01a", b"\x01\xe9")
    assert list(read_caffemodel(save(content))) == ["\u00e9"]


def test_written_file_is_a_network_as_caffe_saves_it(tmp_path):
    net = parse_prototxt(
        'name: "net" layer { name: "in" type: "Input" } '
        'layer { name: "fc" type: "InnerProduct" inner_product_param { num_output: 2 } }'
    )
    weights = {"fc": [np.float32([[1, 2], [3, 4]]), np.float64([5, 6])]}
    path = tmp_path / "new" / "w.caffemodel"
    write_caffemodel(path, weights, net)
    found = messages.NetParameter.FromString(path.read_bytes())
    expected = messages.NetParameter(name="net", layer=net.layer)
    expected.layer[1].blobs.add(shape={"dim": [2, 2]}, data=[1, 2, 3, 4])
    expected.layer[1].blobs.add(shape={"dim": [2]}, double_data=[5, 6])
    assert found == expected
    assert [file.name for file in path.parent.iterdir()] == ["w.caffemodel"]


def test_written_arrays_may_be_of_any_layout_and_type(tmp_path):
    a = np.arange(6).reshape(2, 3)
    arrays = [a.T, a[:, ::2].astype(">f4"), np.float16(3), np.zeros((0, 2), np.float32)]
    write_caffemodel(tmp_path / "w.caffemodel", {"a": arrays}, name="n")
    found = read_caffemodel(tmp_path / "w.caffemodel")["a"]
    for before, after in zip(arrays, found, strict=True):
        assert after.dtype == np.float32
        np.testing.assert_array_equal(before, after)


def test_weights_of_a_layer_the_network_lacks_are_refused(tmp_path):
    net = parse_prototxt('layer { name: "a" }')
    with pytest.raises(UserError, match=r"\['b'\], which the network does not have"):
        write_caffemodel(tmp_path / "w.caffemodel", {"b": [np.zeros(1)]}, net)
    assert not list(tmp_path.iterdir())


def test_more_than_caffe_reads_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cnnvis.caffe.caffemodel.LIMIT", 100)
    with pytest.raises(UserError, match="more than 100 bytes"):
        write_caffemodel(tmp_path / "w.caffemodel", {"b": [np.zeros(20)]})
    assert not list(tmp_path.iterdir())


def peak_memory(action):
    """Return the largest number of bytes that Python and NumPy held at a time during `action`."""
    tracemalloc.start()
    action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_that_of_the_weights(tmp_path):
    """Reading takes little more than the arrays, and writing no copy of them."""
    path = tmp_path / "w.caffemodel"
    weights = {"fc": [np.ones((3, 1 << 20), np.float32)], "b": [np.ones((1 << 20), np.float64)]}
    size = 20 << 20
    assert peak_memory(lambda: write_caffemodel(path, weights)) < size * 0.1
    assert size <= peak_memory(lambda: read_caffemodel(path)) < size * 1.1
