import logging

import numpy as np
import pytest

import cnnvis
from cnnvis.caffe.deploy import _warn, as_deploy, deploy_text, read_deploy, text_up_to
from cnnvis.caffe.prototxt import parse_prototxt
from cnnvis.core.errors import UserError
from cnnvis.engines.inspection import inspect

CROP = "transform_param { mirror: true crop_size: 32 mean_value: 104 }"


def data(phase="", kind="Data", param=CROP, tops=("data", "label")):
    rule = f"include {{ phase: {phase} }}" if phase else ""
    named = " ".join(f'top: "{top}"' for top in tops)
    return f'layer {{ name: "images" type: "{kind}" {named} {rule} {param} }}'


def layer(name, kind, bottoms, top=None, rest=""):
    bottoms = " ".join(f'bottom: "{blob}"' for blob in bottoms.split())
    top = f'top: "{top or name}"'
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} {top} {rest} }}'


SMALL = "convolution_param { num_output: 4 kernel_size: 3 }"
CONV = layer("conv", "Convolution", "data", rest=SMALL)
RELU = layer("relu", "ReLU", "conv", "conv")
FC = layer("fc", "InnerProduct", "conv", rest="inner_product_param { num_output: 5 }")
ACCURACY = layer("accuracy", "Accuracy", "fc label", rest="include { phase: TEST }")
LOSS = layer("loss", "SoftmaxWithLoss", "fc label")
HEAD = [CONV, RELU, FC, ACCURACY, LOSS]


def deployed(*layers, shape=None):
    """Return layers as (name, type, bottoms, tops), the input's shape, and the note."""
    net, note = as_deploy(parse_prototxt("\n".join(layers)), shape, "some/train_val.prototxt")
    found = [(one.name, one.type, [*one.bottom], [*one.top]) for one in net.layer]
    sizes = [tuple(shape.dim) for one in net.layer for shape in one.input_param.shape]
    return found, sizes, note


def names(*layers, shape=None):
    return [name for name, *_ in deployed(*layers, shape=shape)[0]]


def test_train_val_becomes_its_deploy_form():
    found, sizes, note = deployed(data("TRAIN"), data("TEST"), *HEAD)
    assert found == [
        ("data", "Input", [], ["data"]),
        ("conv", "Convolution", ["data"], ["conv"]),
        ("relu", "ReLU", ["conv"], ["conv"]),
        ("fc", "InnerProduct", ["conv"], ["fc"]),
        ("prob", "Softmax", ["fc"], ["prob"]),
    ]
    assert sizes == [(1, 3, 32, 32)]
    assert note == (
        "train_val.prototxt: run as its deploy form: input data 3x32x32 from crop_size; "
        "left out: label, accuracy, loss; added: prob"
    )


def test_deploy_form_is_left_alone():
    shape = "input_param { shape { dim: [10, 3, 32, 32] } }"
    own = [f'layer {{ name: "data" type: "Input" top: "data" {shape} }}', CONV, FC]
    for layers in (own, [*own, layer("prob", "Softmax", "fc")]):
        net = parse_prototxt("\n".join(layers))
        same, note = as_deploy(net, (3, 8, 8))
        assert same is net
        assert note is None


@pytest.mark.parametrize(
    ("kind", "param", "shape", "origin"),
    [
        ("Data", CROP, (3, 32, 32), "crop_size"),
        ("WindowData", CROP, (3, 32, 32), "crop_size"),
        ("Data", "transform_param { crop_size: 9 force_gray: true }", (1, 9, 9), "crop_size"),
        ("ImageData", "image_data_param { new_height: 6 new_width: 7 is_color: false }",
         (1, 6, 7), "new_height and new_width"),
        ("ImageData", CROP + "image_data_param { new_height: 40 new_width: 40 }",
         (3, 32, 32), "crop_size"),
        ("MemoryData", "memory_data_param { batch_size: 9 channels: 2 height: 8 width: 7 }",
         (2, 8, 7), "its dimensions"),
        ("DummyData", "dummy_data_param { shape { dim: [9, 3, 8, 7] } shape { dim: 9 } }",
         (3, 8, 7), "its dimensions"),
        ("DummyData", "dummy_data_param { num: [9, 9] channels: [3, 1] height: [8, 1] width: 7 }",
         (3, 8, 7), "its dimensions"),
    ],
)  # fmt: skip
def test_shape_of_the_input(kind, param, shape, origin):
    _, sizes, note = deployed(data(kind=kind, param=param), *HEAD)
    assert sizes == [(1, *shape)]
    assert f"input data {'x'.join(map(str, shape))} from {origin};" in note


@pytest.mark.parametrize("kind", ["Data", "ImageData", "HDF5Data", "MemoryData", "DummyData"])
def test_unknown_shape(kind):
    layers = [data(kind=kind, param=""), *HEAD]
    with pytest.raises(UserError) as caught:
        deployed(*layers)
    assert str(caught.value) == (
        f"some/train_val.prototxt: layer images: {kind} without crop_size does not specify the "
        "size of its images; set input_shape: [channels, height, width]"
    )
    _, sizes, note = deployed(*layers, shape=[1, 28, 20])
    assert sizes == [(1, 1, 28, 20)]
    assert "input data 1x28x20 from input_shape;" in note


@pytest.mark.parametrize("shape", [[28, 28], [3, 0, 28], [3, 28.5, 28], [1, 3, 28, 28]])
def test_input_shape_that_is_none(shape):
    with pytest.raises(UserError, match=r"input_shape \[.*expected \[channels, height, width\]"):
        deployed(data(), *HEAD, shape=shape)


def test_given_shape_wins_over_crop_size():
    assert deployed(data(), *HEAD, shape=(3, 64, 64))[1] == [(1, 3, 64, 64)]


def test_python_layer_as_data():
    source = 'python_param { module: "voc_layers" layer: "VOCData" }'
    assert names(data(kind="Python", param=source), *HEAD, shape=(3, 8, 8))[0] == "data"


def test_own_softmax_is_kept():
    softmax = layer("softmax", "Softmax", "fc", "probabilities")
    top5 = layer("top5", "Accuracy", "probabilities label")
    found, _, note = deployed(data(), CONV, FC, softmax, top5, LOSS)
    assert found[-1] == ("softmax", "Softmax", ["fc"], ["probabilities"])
    assert "added" not in note


def test_loss_that_names_its_probabilities():
    loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: ["fc", "label"] top: ["loss", "p"]'
    found, _, note = deployed(data(), CONV, FC, loss + " softmax_param { axis: -1 } }")
    assert found[-1] == ("p", "Softmax", ["fc"], ["p"])
    assert note.endswith("added: p")


def test_prob_that_is_taken():
    taken = [layer("prob", "InnerProduct", "conv"), layer("loss", "SoftmaxWithLoss", "prob label")]
    assert names(data(), CONV, *taken)[-2:] == ["prob", "prob_prob"]


def test_two_heads_are_both_kept():
    """Two tasks, each with its label: neither is auxiliary, whatever the weights."""
    second = [
        layer("age", "InnerProduct", "conv"),
        layer("age_loss", "SoftmaxWithLoss", "age years", rest="loss_weight: 0.1"),
    ]
    labels = 'slice_param { slice_point: 1 } bottom: "label" top: ["kind", "years"] }'
    cut = f'layer {{ name: "cut" type: "Slice" {labels}'
    kind = layer("loss", "SoftmaxWithLoss", "fc kind")
    found, _, note = deployed(data(), cut, CONV, FC, kind, *second)
    assert found[1:] == [
        ("conv", "Convolution", ["data"], ["conv"]),
        ("fc", "InnerProduct", ["conv"], ["fc"]),
        ("prob", "Softmax", ["fc"], ["prob"]),
        ("age", "InnerProduct", ["conv"], ["age"]),
        ("prob_age", "Softmax", ["age"], ["prob_age"]),
    ]
    assert "left out: label, cut, loss, age_loss; added: prob, prob_age" in note


def test_auxiliary_loss_goes_with_its_branch():
    """As GoogLeNet's: layers in place, dropout, its own accuracies."""
    branch = [
        layer("aux/pool", "Pooling", "conv", rest="pooling_param { kernel_size: 2 }"),
        layer("aux/fc", "InnerProduct", "aux/pool", rest="inner_product_param { num_output: 5 }"),
        layer("aux/relu", "ReLU", "aux/fc", "aux/fc"),
        layer("aux/drop", "Dropout", "aux/fc", "aux/fc"),
        layer("aux/loss", "SoftmaxWithLoss", "aux/fc label", rest="loss_weight: 0.3"),
        layer("aux/top-1", "Accuracy", "aux/fc label"),
    ]
    assert names(data(), CONV, *branch, RELU, FC, LOSS) == ["data", "conv", "relu", "fc", "prob"]


def test_what_the_auxiliary_branch_shares_stays():
    pool = layer("pool", "Pooling", "conv", rest="pooling_param { kernel_size: 2 }")
    aux = layer("aux", "InnerProduct", "pool")
    aux_loss = layer("aux_loss", "SoftmaxWithLoss", "aux label", rest="loss_weight: 0.4")
    fc = layer("fc", "InnerProduct", "pool", rest="inner_product_param { num_output: 5 }")
    assert names(data(), CONV, pool, aux, aux_loss, fc, LOSS) == [
        "data", "conv", "pool", "fc", "prob"
    ]  # fmt: skip


def test_side_output_that_nothing_reads_stays():
    side = layer("side", "InnerProduct", "conv")
    assert names(data(), CONV, side, FC, LOSS) == ["data", "conv", "side", "fc", "prob"]


def test_labels_from_a_data_layer_of_their_own():
    images, labels = data(tops=["data"]), data(tops=["label"])
    found, sizes, note = deployed(labels, images, *HEAD)
    assert [name for name, *_ in found] == ["data", "conv", "relu", "fc", "prob"]
    assert sizes == [(1, 3, 32, 32)]
    assert "left out: label, accuracy, loss" in note


def test_labels_among_the_inputs():
    shapes = "input_param { shape { dim: [10, 3, 32, 32] } shape { dim: 10 } }"
    given = f'layer {{ name: "in" type: "Input" top: ["data", "label"] {shapes} }}'
    found, sizes, note = deployed(given, *HEAD)
    assert found[0] == ("in", "Input", [], ["data"])
    assert sizes == [(10, 3, 32, 32)]
    assert note == (
        "train_val.prototxt: run as its deploy form; left out: label, accuracy, loss; added: prob"
    )


def test_image_as_its_own_target():
    """An autoencoder's input is what its output is compared with, and is no label."""
    back = layer("back", "InnerProduct", "conv")
    loss = layer("loss", "EuclideanLoss", "back flat")
    layers = [data(tops=["data"]), layer("flat", "Flatten", "data"), CONV, back, loss]
    assert names(*layers) == ["data", "conv", "back"]


def test_two_inputs_are_refused():
    two = data(kind="HDF5Data", tops=["data", "age", "label"])
    joined = layer("all", "Concat", "conv age")
    layers = [two, CONV, joined, layer("loss", "SoftmaxWithLoss", "all label")]
    with pytest.raises(UserError, match=r"has 2 inputs \(data, age\); write its deploy form"):
        deployed(*layers)


def test_v1_format(tmp_path):
    old = """
    layers { name: "d" type: DATA top: "data" top: "label" data_param { crop_size: 11 } }
    layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc"
             inner_product_param { num_output: 2 } }
    layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc" bottom: "label" }
    """
    found, sizes, _ = deployed(old)
    assert [kind for _, kind, *_ in found] == ["Input", "InnerProduct", "Softmax"]
    assert sizes == [(1, 3, 11, 11)]


@pytest.fixture
def train(save):
    """A file with data of the TRAIN phase only."""
    _warn.cache_clear()
    return save("\n".join([data("TRAIN"), *HEAD]), "train.prototxt")


def test_data_of_the_training_phase_only(train, caplog):
    with caplog.at_level(logging.WARNING):
        net = read_deploy(train)
        read_deploy(train)
    assert net.layer[0].type == "Input"
    assert [record.message for record in caplog.records] == [
        "train.prototxt: run as its deploy form: input data 3x32x32 from crop_size; "
        "left out: label, accuracy, loss; added: prob"
    ]


def test_engine_runs_it(train):
    info = inspect(train)
    assert info.input_shape == (3, 32, 32)
    assert info.convolutions["conv"].shape == (4, 30, 30)
    rng = np.random.default_rng(0)
    shapes = {"conv": [(4, 3, 3, 3), (4,)], "fc": [(5, 3600), (5,)]}
    weights = {
        name: [rng.normal(size=shape).astype(np.float32) for shape in each]
        for name, each in shapes.items()
    }
    with cnnvis.open_network(train, weights) as network:
        blobs = network.forward(rng.normal(size=(2, 3, 32, 32)).astype(np.float32))
    assert np.allclose(blobs["prob"].sum(axis=1), 1, atol=1e-6)


def test_text_for_caffe(train, save):
    again = parse_prototxt(deploy_text(train))
    assert [one.type for one in again.layer] == [
        "Input", "Convolution", "ReLU", "InnerProduct", "Softmax"
    ]  # fmt: skip
    own = save(f'input: "data" input_dim: [1, 3, 8, 8]  # a comment\n{CONV}', "deploy.prototxt")
    assert deploy_text(own) == own.read_bytes()


def test_a_network_up_to_a_layer_has_what_it_depends_on(tmp_path):
    """Without what follows in place, and without other branches, such as those before it."""
    prototxt = tmp_path / "net.prototxt"
    image = 'input: "data" input_shape { dim: 1 dim: 3 dim: 9 dim: 9 }'
    side = layer("side", "InnerProduct", "data", rest="inner_product_param { num_output: 2 }")
    last = layer("last", "Convolution", "conv", rest=SMALL)
    in_place = layer("relu2", "ReLU", "last", "last")
    prototxt.write_text("\n".join([image, CONV, RELU, side, last, in_place, FC]))
    cut = tmp_path / "cut.prototxt"
    cut.write_bytes(text_up_to(prototxt, "last"))
    assert [each.name for each in read_deploy(cut).layer] == ["input", "conv", "relu", "last"]
    rng = np.random.default_rng(0)
    weights = {
        "conv": [rng.normal(size=(4, 3, 3, 3)), np.zeros(4)],
        "last": [rng.normal(size=(4, 4, 3, 3)), np.zeros(4)],
    }
    with cnnvis.open_network(cut, weights) as network:
        values = network.forward(rng.normal(size=(1, 3, 7, 8)), ["last"])["last"]
    assert values.shape == (1, 4, 3, 4)
    assert values.min() < 0
