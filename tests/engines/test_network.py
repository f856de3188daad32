"""What a user of the engine asks, and what she is told where she asks for nonsense."""

import numpy as np
import pytest

import cnnvis
from cnnvis.core.errors import UserError
from cnnvis.engines.base import Engine
from cnnvis.engines.inspection import inspect
from tests.engines.goldens import GOLDENS, difference, output_of

THIN = GOLDENS / "caffenet_thin.prototxt"
DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }\n'


def network_of(tmp_path, text, weights=None, size=(1, 1, 4, 4), **options):
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(DATA % " ".join(f"dim: {n}" for n in size) + text)
    return cnnvis.open_network(prototxt, weights or {}, **options)


@pytest.fixture
def thin():
    with cnnvis.open_network(THIN, THIN.with_suffix(".caffemodel")) as network:
        yield network


@pytest.fixture
def batch():
    return np.load(THIN.with_suffix(".npz"))["data"]


def test_convolution_by_hand(tmp_path):
    text = """layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 1 kernel_size: 2 stride: 2 } }"""
    weights = {"c": [np.array([[[[1, 2], [3, 4]]]]), np.array([10])]}
    network = network_of(tmp_path, text, weights)
    found = network.forward(np.arange(16.0).reshape(1, 1, 4, 4))["c"]
    # The first window is 0 1 / 4 5: 0*1 + 1*2 + 4*3 + 5*4 + 10.
    assert found.tolist() == [[[[44, 64], [124, 144]]]]


def test_maximum_pooling_counts_windows_upwards_and_gives_ties_to_the_first(tmp_path):
    text = """layer { name: "p" type: "Pooling" bottom: "data" top: "p"
        pooling_param { kernel_size: 3 stride: 2 } }"""
    network = network_of(tmp_path, text)
    image = np.array([[1, 5, 5, 2], [0, 5, 1, 2], [9, 3, 4, 4], [9, 0, 4, 7.0]])[None, None]
    assert network.forward(image)["p"].tolist() == [[[[9, 5], [9, 7]]]]
    gradient = network.data_gradient(image, "p", 1)[0, 0]
    assert np.argwhere(gradient).tolist() == [[0, 2]]


def test_average_pooling_divides_by_the_window_in_the_padded_image(tmp_path):
    text = """layer { name: "p" type: "Pooling" bottom: "data" top: "p"
        pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }"""
    found = network_of(tmp_path, text).forward(np.ones((1, 1, 4, 4)))["p"][0, 0]
    # The last windows reach one pixel past the padding, which is not counted.
    expected = [[4 / 9, 6 / 9, 2 / 6], [6 / 9, 1, 3 / 6], [2 / 6, 3 / 6, 1 / 4]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("pad", "windows"), [(0, 3), (1, 2)])
def test_padding_of_one_axis_drops_empty_windows_of_the_other(tmp_path, pad, windows):
    """Caffe asks whether there is padding at all, not whether this axis has some."""
    text = f"""layer {{ name: "p" type: "Pooling" bottom: "data" top: "p"
        pooling_param {{ kernel_h: 2 kernel_w: 1 stride_h: 1 stride_w: 3 pad_h: {pad} pad_w: 0 }}
        }}"""
    found = network_of(tmp_path, text, size=(1, 1, 5, 5)).forward(np.ones((1, 1, 5, 5)))["p"]
    assert found.shape[3] == windows


def test_blob_in_place_is_what_the_last_layer_left(thin, batch):
    blobs = thin.forward(batch, ["conv1", "fc6"])
    assert set(blobs) == {"conv1", "fc6"}
    assert blobs["conv1"].min() == 0


def test_asking_for_few_blobs_changes_none(thin, batch):
    everything = thin.forward(batch)
    for blob in ("conv1", "norm2", "pool5", "prob"):
        np.testing.assert_array_equal(thin.forward(batch, [blob])[blob], everything[blob])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_results(batch, threads):
    many = np.concatenate([batch] * 3)
    weights = THIN.with_suffix(".caffemodel")
    with cnnvis.open_network(THIN, weights, threads=threads) as network:
        scores = network.forward(many, ["fc8"])["fc8"]
        gradient = network.weight_gradient(many, "fc8", 3, ["conv1"])["conv1"]
    assert difference(scores[:2], scores[4:]) <= 1e-5
    assert difference(gradient[:2], gradient[4:]) <= 1e-5


def test_a_neuron_for_each_image(thin, batch):
    both = thin.weight_gradient(batch, "fc8", [2, 7], ["conv2"])["conv2"]
    for image, neuron in enumerate((2, 7)):
        alone = thin.weight_gradient(batch[image : image + 1], "fc8", neuron, ["conv2"])
        assert difference(both[image], alone["conv2"][0]) <= 1e-5


def test_weights_can_be_replaced(thin, batch):
    before = thin.forward(batch, ["fc8"])["fc8"]
    weights, bias = (array.copy() for array in thin.params["conv1"])
    weights[3], bias[3] = 0, 0
    thin.set_weights({"conv1": [weights, bias]})
    blobs = thin.forward(batch, ["conv1", "fc8"])
    assert not blobs["conv1"][:, 3].any()
    assert np.abs(blobs["fc8"] - before).max() > 0


WIDE = """layer { name: "c" type: "Convolution" bottom: "data" top: "c"
    convolution_param { num_output: 64 kernel_size: 3 pad: 1 } }"""


@pytest.fixture
def wide(tmp_path):
    """Return a network whose convolution is Winograd's, its weights, and a batch."""
    random = np.random.default_rng(0)
    weights, bias = random.normal(size=(64, 64, 3, 3)).astype("f4"), np.zeros(64, "f4")
    network = network_of(tmp_path, WIDE, {"c": [weights, bias]}, (1, 64, 8, 8), threads=2)
    method = network.graph.node("c").layer.method
    batch = random.normal(size=(5, 64, 8, 8)).astype("f4")
    assert type(method(network.params["c"][0], batch, batch)).__name__ == "Winograd"
    return network, weights, bias, batch


def test_replaced_weights_are_used_whatever_is_kept_of_the_old_ones(wide):
    network, weights, bias, batch = wide
    before, gradient = network.forward(batch)["c"], network.data_gradient(batch, "c", 7)
    weights *= 2  # in place, so that it is the same array
    network.set_weights({"c": [weights, bias]})
    np.testing.assert_array_equal(network.forward(batch)["c"], 2 * before)
    np.testing.assert_array_equal(network.data_gradient(batch, "c", 7), 2 * gradient)
    passed = network.run(
        network.input_values(batch), [network.graph.value("c")], {"c": [weights / 2, bias]}
    )
    assert difference(passed.whole(network.graph.value("c")), before) <= 2e-6
    with pytest.raises(ValueError, match="read-only"):
        network.params["c"][0][...] = 0


def test_an_image_is_the_same_to_the_bit_in_any_batch(wide):
    network, _, _, batch = wide
    together = network.forward(batch)["c"]
    alone = np.concatenate([network.forward(image[None])["c"] for image in batch])
    np.testing.assert_array_equal(together, alone)


def test_inspection_names_what_the_study_shows():
    info = inspect(THIN)
    assert info.input_shape == (3, 115, 115)
    assert list(info.convolutions) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    conv2 = info.convolutions["conv2"]
    assert (conv2.blob, conv2.shape, conv2.weight_shape) == ("conv2", (24, 13, 13), (24, 8, 5, 5))
    assert info.blobs["fc8"] == (10,)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda n, b: n.forward(b, ["conv9"]), ["conv9", "did you mean"]),
        (lambda n, b: n.forward(b[:, :1]), ["(2, 1, 115, 115)", "images, 3, 115, 115"]),
        (lambda n, b: n.forward(b[0]), ["(3, 115, 115)", "images, 3, 115, 115"]),
        (lambda n, b: n.forward(b[:0]), ["(0, 3, 115, 115)"]),
        (lambda n, b: n.forward(b[:, :, :99, :99]), ["(2, 3, 99, 99)", "fc6"]),
        (lambda n, b: n.weight_gradient(b, "fc8", 10, ["conv1"]), ["neuron 10", "0 to 9"]),
        (lambda n, b: n.weight_gradient(b, "fc8", -1, ["conv1"]), ["neuron -1", "0 to 9"]),
        (lambda n, b: n.weight_gradient(b, "fc8", 0, ["pool1"]), ["pool1", "no weights"]),
        (lambda n, b: n.weight_gradient(b, "fc8", 0, ["con1"]), ["con1", "conv1"]),
        (lambda n, b: n.weight_gradient(b, "conv1", 0, ["conv2"]), ["conv2", "conv1", "below"]),
        (lambda n, b: n.perturbations(b, "conv1", 0, "conv2"), ["conv2", "conv1", "below"]),
        (lambda n, b: n.set_weights({"conv1": [np.zeros((1, 2))]}), ["conv1"]),
    ],
)
def test_nonsense_is_named(thin, batch, ask, words):
    with pytest.raises(UserError) as error:
        ask(thin, batch)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('layer { name: "x" type: "Warp" bottom: "data" top: "x" }', ["x", "Warp", "pycaffe"]),
        ('layer { name: "x" type: "ReLU" bottom: "dat" top: "x" }', ["x", "dat", "data"]),
        (
            'layer { name: "x" type: "Pooling" bottom: "data" top: "x" pooling_param '
            "{ kernel_size: 2 pad: 2 } }",
            ["x", "pad"],
        ),
        (
            'layer { name: "x" type: "TanH" bottom: "data" top: "x" }'
            'layer { name: "y" type: "TanH" bottom: "data" top: "x" }',
            ["y", "x", "producer"],
        ),
        (
            'layer { name: "c" type: "TanH" bottom: "data" top: "c" }'
            'layer { name: "d" type: "TanH" bottom: "c" top: "d" }'
            'layer { name: "r" type: "ReLU" bottom: "c" top: "c" }',
            ["r", "'c'", "in place", "d"],
        ),
        (
            'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param '
            "{ num_output: 3 kernel_size: 9 } }",
            ["c", "kernel"],
        ),
        ("", ["no layers"]),
    ],
)
def test_a_wrong_network_is_named(tmp_path, text, words):
    with pytest.raises(UserError) as error:
        network_of(tmp_path, text)
    assert "\n" not in str(error.value)
    for word in ["net.prototxt", *words]:
        assert word in str(error.value)


def test_unknown_engine_and_dtype():
    with pytest.raises(UserError, match="tensorflow.*numpy, pycaffe"):
        cnnvis.open_network(THIN, {}, engine="tensorflow")
    with pytest.raises(UserError, match="float16.*float32 or float64"):
        cnnvis.open_network(THIN, {}, dtype="float16")


def test_resuming_from_a_value_is_bit_for_bit_a_whole_pass(thin, batch):
    target, whole = thin.graph.value("fc8"), thin.forward(batch, ["conv1", "fc8"])
    for layer in ("conv1", "conv3"):
        start = output_of(thin.graph, layer)
        output = thin.run(thin.input_values(batch), [start]).whole(start)
        assert output.min() < 0
        resumed = thin.run({start: output}, [target]).whole(target)
        np.testing.assert_array_equal(resumed, whole["fc8"])


def test_resuming_must_be_possible(thin, batch):
    conv1, conv3 = (output_of(thin.graph, layer) for layer in ("conv1", "conv3"))
    output = thin.run(thin.input_values(batch), [conv3]).whole(conv3)
    with pytest.raises(UserError, match="conv1 needs the input"):
        thin.run({conv3: output}, [conv1])
    with pytest.raises(UserError, match="expected"):
        thin.run({conv3: output[:, :3]}, [thin.graph.value("fc8")])


def test_a_weighted_sum_of_neurons(thin, batch):
    weights = np.zeros((2, 10), "f4")
    weights[:, 2], weights[:, 5] = 2, -1
    parts = [thin.weight_gradient(batch, "fc8", neuron, ["conv1"])["conv1"] for neuron in (2, 5)]
    found = thin.weight_gradient(batch, "fc8", weights, ["conv1"])["conv1"]
    assert difference(found, 2 * parts[0] - parts[1]) <= 1e-5


@pytest.mark.parametrize("keep_bias", [False, True])
@pytest.mark.parametrize("layer", ["conv1", "conv5", "fc7", "fc8"])
def test_scores_without_filters_are_those_of_other_weights(thin, batch, layer, keep_bias):
    before = [array.copy() for array in thin.params[layer]]
    sets = [(), (2,), (0, 7, 1), range(len(before[0]))]
    scores = thin.scores_without(batch, layer, sets, "fc8", keep_bias)
    assert scores.shape == (4, 2, 10)
    whole_passes = Engine.scores_without(thin, batch, layer, sets, "fc8", keep_bias)
    for fast, whole in zip(scores, whole_passes, strict=True):
        assert difference(fast, whole) <= 1e-5
    for array, kept in zip(thin.params[layer], before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_whole_passes_restore_weights_even_after_an_error(thin, batch):
    before = thin.params["conv1"][0].copy()
    with pytest.raises(UserError, match="fc9"):
        Engine.scores_without(thin, batch, "conv1", [[0]], "fc9")
    np.testing.assert_array_equal(thin.params["conv1"][0], before)


def test_ablated_filters_by_hand(tmp_path):
    text = """layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 2 kernel_size: 1 } }
    layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
    layer { name: "fc" type: "InnerProduct" bottom: "c" top: "fc"
        inner_product_param { num_output: 1 bias_term: false } }"""
    weights = {
        "c": [np.array([2.0, -1.0]).reshape(2, 1, 1, 1), np.array([1.0, 10.0])],
        "fc": [np.array([[1.0, 100.0]])],
    }
    network = network_of(tmp_path, text, weights, size=(1, 1, 1, 1))
    images = np.array([3.0, 4.0]).reshape(2, 1, 1, 1)
    # Of 3 the filters make 7 and 7, of 4 they make 9 and 6.
    sets = [[], [0], [1], [0, 1]]
    assert network.scores_without(images, "c", sets, "fc")[:, :, 0].tolist() == [
        [707, 609],
        [700, 600],
        [7, 9],
        [0, 0],
    ]
    kept = network.scores_without(images, "c", sets, "fc", keep_bias=True)
    assert kept[:, :, 0].tolist() == [[707, 609], [701, 601], [1007, 1009], [1001, 1001]]


def test_filters_of_several_bottoms_are_ablated_in_all(tmp_path):
    text = """layer { name: "twice" type: "Power" bottom: "data" top: "twice"
        power_param { scale: 2 } }
    layer { name: "c" type: "Convolution" bottom: "data" bottom: "twice" top: "one" top: "two"
        convolution_param { num_output: 2 kernel_size: 1 bias_term: false } }
    layer { name: "sum" type: "Eltwise" bottom: "one" bottom: "two" top: "sum" }"""
    weights = {"c": [np.array([1.0, 10.0]).reshape(2, 1, 1, 1)]}
    network = network_of(tmp_path, text, weights, size=(1, 1, 1, 1))
    scores = network.scores_without(np.full((1, 1, 1, 1), 3.0), "c", [[], [0], [1]], "sum")
    assert scores[:, 0].tolist() == [[9, 90], [0, 90], [9, 0]]


def test_what_is_ablated_lies_on_the_first_axis_of_transposed_weights_too(tmp_path):
    text = """layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
        inner_product_param { num_output: 2 bias_term: false transpose: true } }"""
    weights = {"fc": [np.array([[1.0, 10.0], [2.0, 20.0]])]}
    network = network_of(tmp_path, text, weights, size=(1, 2, 1, 1))
    scores = network.scores_without(np.array([3.0, 4.0]).reshape(1, 2, 1, 1), "fc", [[], [0]], "fc")
    assert scores[:, 0].tolist() == [[11, 110], [8, 80]]


def test_value_and_gradient_are_those_of_two_passes(thin, batch):
    numbers = [1, 5][: len(batch)]
    values, gradient = thin.value_and_gradient(batch, "fc8", numbers)
    scores = thin.forward(batch, ["fc8"])["fc8"]
    assert values.tolist() == scores[np.arange(len(batch)), numbers].tolist()
    assert np.array_equal(gradient, thin.data_gradient(batch, "fc8", numbers))


def test_value_and_gradient_where_images_depend_on_each_other(tmp_path):
    text = """layer { name: "s" type: "Softmax" bottom: "data" top: "s"
        softmax_param { axis: 0 } }"""
    images = np.random.default_rng(0).normal(size=(2, 1, 4, 4))
    # Each alone, as in Caffe with a batch of one: what is 1 whatever the image has no gradient.
    values, gradient = network_of(tmp_path, text).value_and_gradient(images, "s", [3, 4])
    assert values.tolist() == [1, 1]
    assert gradient.shape == images.shape
    assert not gradient.any()
