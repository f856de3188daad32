import pytest
from google.protobuf import text_format

from cnnvis.caffe.prototxt import parse_prototxt
from cnnvis.caffe.schema import messages
from cnnvis.caffe.upgrades import TYPES
from cnnvis.core.errors import UserError


def upgraded(text):
    """Return the layers after upgrading, as text."""
    return [text_format.MessageToString(layer) for layer in parse_prototxt(text, "net").layer]


def layers(*texts):
    """Return current layers as text, written the way `upgraded` has them."""
    return [
        text_format.MessageToString(text_format.Parse(text, messages.LayerParameter()))
        for text in texts
    ]


def test_v1_layer_with_everything():
    old = """layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
      blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 param: "w" param: "b"
      blob_share_mode: PERMISSIVE loss_weight: 0.5 include { phase: TEST not_stage: "x" }
      convolution_param { num_output: 96 kernel_size: 11 stride: 4 }
      blobs { num: 1 channels: 1 height: 1 width: 1 data: 3 } }"""
    new = """name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
      param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 1 }
      param { name: "b" lr_mult: 2 decay_mult: 0 }
      loss_weight: 0.5 include { phase: TEST not_stage: "x" }
      convolution_param { num_output: 96 kernel_size: 11 stride: 4 }
      blobs { num: 1 channels: 1 height: 1 width: 1 data: 3 }"""
    assert upgraded(old) == layers(new)


def test_v1_rates_of_different_number():
    old = 'layers { name: "a" type: EXP blobs_lr: 1 weight_decay: [3, 4] }'
    new = 'name: "a" type: "Exp" param { lr_mult: 1 decay_mult: 3 } param { decay_mult: 4 }'
    assert upgraded(old) == layers(new)


def test_v1_types():
    """All types of the enum are known; those whose name is not just another case are checked."""
    assert set(TYPES) == set(messages.V1LayerParameter.LayerType.keys())
    for old, new in (
        ("RELU", "ReLU"),
        ("LRN", "LRN"),
        ("TANH", "TanH"),
        ("SOFTMAX_LOSS", "SoftmaxWithLoss"),
        ("IM2COL", "Im2col"),
        ("HDF5_DATA", "HDF5Data"),
        ("INNER_PRODUCT", "InnerProduct"),
        ("SIGMOID_CROSS_ENTROPY_LOSS", "SigmoidCrossEntropyLoss"),
        ("NONE", ""),
    ):
        assert parse_prototxt(f"layers {{ type: {old} }}").layer[0].type == new


def test_v1_parameters_of_all_kinds_have_a_place():
    """Whatever a V1 layer can hold, the current layer holds under the same name."""
    current = messages.LayerParameter.DESCRIPTOR.fields_by_name
    for field in messages.V1LayerParameter.DESCRIPTOR.fields:
        if field.name.endswith("_param"):
            assert current[field.name].message_type is field.message_type


@pytest.mark.parametrize("kind", ["DATA", "IMAGE_DATA", "WINDOW_DATA"])
def test_v1_transformation_fields_move(kind):
    parameter = f"{kind.lower()}_param"
    fields = 'scale: 0.5 mean_file: "m" crop_size: 227 mirror: true'
    old = f'layers {{ type: {kind} {parameter} {{ source: "s" {fields} }} }}'
    new = f'type: "{TYPES[kind]}" {parameter} {{ source: "s" }} transform_param {{ {fields} }}'
    assert upgraded(old) == layers(new)


def test_v1_transformation_fields_only_move_in_layers_of_their_type():
    old = "layers { type: DATA image_data_param { crop_size: 3 } }"
    assert upgraded(old) == layers('type: "Data" image_data_param { crop_size: 3 }')


def test_current_data_layers_keep_fields_that_caffe_ignores():
    text = 'layer { type: "Data" data_param { crop_size: 3 } }'
    assert upgraded(text) == layers('type: "Data" data_param { crop_size: 3 }')


def test_input_dims_become_one_layer_in_front():
    old = """input: "data" input: "rois"
      input_dim: [10, 3, 227, 227, 10, 5, 1, 1]
      layer { name: "a" bottom: "data" }"""
    new = """name: "input" type: "Input" top: "data" top: "rois"
      input_param { shape { dim: [10, 3, 227, 227] } shape { dim: [10, 5, 1, 1] } }"""
    assert upgraded(old) == layers(new, 'name: "a" bottom: "data"')


def test_input_shapes_win_over_dims():
    old = 'input: "d" input_shape { dim: [2, 5] } input_dim: [1, 1, 1, 1] layer { name: "a" }'
    new = 'name: "input" type: "Input" top: "d" input_param { shape { dim: [2, 5] } }'
    assert upgraded(old) == layers(new, 'name: "a"')


def test_inputs_before_v1_layers():
    net = parse_prototxt('input: "d" input_dim: [1, 3, 4, 5] layers { name: "r" type: RELU }')
    assert [layer.type for layer in net.layer] == ["Input", "ReLU"]
    assert not (net.layers or net.input or net.input_dim or net.input_shape)


def test_current_network_stays_as_it_is():
    text = """layer { name: "in" type: "Input" top: "d" input_param { shape { dim: [1, 8] } } }
      layer { name: "n" type: "BatchNorm" bottom: "d" top: "d" param { lr_mult: 0 } }"""
    net = text_format.Parse(text, messages.NetParameter())
    assert upgraded(text) == [text_format.MessageToString(layer) for layer in net.layer]


def test_batch_norm_with_three_params_is_kept_from_learning():
    rest = 'type: "BatchNorm" batch_norm_param { eps: 1e-4 }'
    old = f'layer {{ {rest} param {{ name: "x" lr_mult: 1 }} param {{}} param {{}} }}'
    zero = "lr_mult: 0 decay_mult: 0"
    new = f'{rest} param {{ name: "x" {zero} }} param {{ {zero} }} param {{ {zero} }}'
    assert upgraded(old) == layers(new)


def test_ceil_mode_of_forks_becomes_round_mode():
    for old, new in (("true", "CEIL"), ("false", "FLOOR")):
        assert upgraded(f"layer {{ pooling_param {{ ceil_mode: {old} }} }}") == layers(
            f"pooling_param {{ round_mode: {new} }}"
        )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('layer { name: "a" } layers { name: "b" }', "both 'layer' and 'layers'"),
        ('layers { layer { name: "a" type: "conv" } }', "V0.*upgrade_net_proto_text"),
        ('input: "d" layer {}', "input 'd' has no shape"),
        ('input: "d" input_dim: [1, 3] layer {}', "input 'd'.*expected 4 input_dim.*found 2"),
        (
            'input: "d" input: "e" input_shape { dim: 1 } layer {}',
            "input 'e'.*expected 2 input_shape.*found 1",
        ),
        (
            'layer { name: "p" pooling_param { ceil_mode: false round_mode: CEIL } }',
            "layer 'p': ceil_mode contradicts",
        ),
    ],
)
def test_refusals(text, reason):
    with pytest.raises(UserError, match=f"^net: .*{reason}"):
        parse_prototxt(text, "net")
