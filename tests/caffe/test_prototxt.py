import subprocess
import sys

import pytest

from cnnvis.caffe.prototxt import parse_prototxt, read_prototxt
from cnnvis.core.errors import UserError


def fails(text, *parts, **options):
    """Assert that `text` is refused in one line that has all `parts`."""
    with pytest.raises(UserError) as caught:
        parse_prototxt(text, "net.prototxt", **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("net.prototxt", *parts):
        assert part in message


def names(text, **options):
    return [layer.name for layer in parse_prototxt(text, **options).layer]


def test_goldens(golden):
    net = read_prototxt(golden.with_suffix(".prototxt"))
    assert net.layer[0].type == "Input"
    assert len(net.layer[0].input_param.shape[0].dim) == 4
    assert all(layer.type and layer.name and (layer.top or layer.bottom) for layer in net.layer)


def test_squeezenet(squeezenet):
    net = read_prototxt(squeezenet / "SqueezeNet_deploy.prototxt")
    assert (net.name, len(net.layer)) == ("FireNet", 66)
    assert net.layer[1].convolution_param.kernel_size == [7]


def test_reading_does_not_load_numpy(save):
    path = save('layer { name: "a" }', "net.prototxt")
    code = (
        "import sys\n"
        "from cnnvis.caffe.prototxt import read_prototxt\n"
        f"read_prototxt({str(path)!r})\n"
        "assert 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_train_val_with_all_it_has():
    text = """
    name: "train_val"
    layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
      transform_param { mirror: true crop_size: 227 mean_file: "mean.binaryproto" }
      data_param { source: "train_lmdb" batch_size: 256 backend: LMDB } }
    layer { name: "images" type: "ImageData" top: "data" top: "label" include { phase: TEST }
      transform_param { crop_size: 227 mean_value: 104 mean_value: 117 mean_value: 123 }
      image_data_param { source: "list.txt" batch_size: 50 new_height: 256 root_folder: "x/" } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
      param { lr_mult: 1 decay_mult: 1 } param { name: "b" lr_mult: 2. decay_mult: 0 }
      convolution_param { num_output: 96 kernel_h: 3 kernel_w: 5 pad: [1, 2] stride: 4
        weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" value: 1e-1 }
        engine: CAFFE } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "conv1" bottom: "label" top: "loss"
      loss_weight: 1 propagate_down: [true, false]
      loss_param { ignore_label: 255 normalization: VALID } }
    layer { name: "accuracy" type: "Accuracy" bottom: "conv1" bottom: "label" top: "accuracy"
      include { phase: TEST } accuracy_param { top_k: 5 } }
    """
    assert names(text) == ["images", "conv1", "loss", "accuracy"]
    assert names(text, phase="TRAIN") == ["data", "conv1", "loss"]
    assert parse_prototxt(text).layer[1].convolution_param.pad == [1, 2]


@pytest.mark.parametrize(
    ("rules", "state", "kept"),
    [
        ("", {}, True),
        ("include { phase: TRAIN }", {}, False),
        ("include { phase: TRAIN }", {"phase": "TRAIN"}, True),
        ("exclude { phase: TRAIN }", {}, True),
        ("exclude { phase: TEST }", {}, False),
        ("include { phase: TRAIN } include { phase: TEST }", {}, True),
        ("exclude { phase: TRAIN } exclude { phase: TEST }", {}, False),
        ("include { min_level: 1 }", {}, False),
        ("include { min_level: 1 }", {"level": 1}, True),
        ("include { max_level: 2 }", {"level": 2}, True),
        ("include { max_level: 2 }", {"level": 3}, False),
        ("include { max_level: -1 }", {}, False),
        ("include { stage: 'a' }", {}, False),
        ("include { stage: 'a' stage: 'b' }", {"stages": ["a"]}, False),
        ("include { stage: 'a' stage: 'b' }", {"stages": ["b", "c", "a"]}, True),
        ("include { not_stage: 'a' }", {}, True),
        ("include { not_stage: 'a' not_stage: 'b' }", {"stages": ["b"]}, False),
        ("include { phase: TEST stage: 'a' }", {"phase": "TRAIN", "stages": ["a"]}, False),
        ("include {}", {}, True),
        ("exclude {}", {}, False),
    ],
)
def test_rules_as_caffe_applies_them(rules, state, kept):
    text = f'layer {{ name: "always" }} layer {{ name: "ruled" {rules} }}'
    assert names(text, **state) == ["always"] + ["ruled"] * kept


def test_stages_of_the_file_count_and_its_phase_does_not():
    text = """state { phase: TRAIN level: 3 stage: "deep" }
    layer { name: "a" include { phase: TEST stage: "deep" } }
    layer { name: "b" include { min_level: 1 } }"""
    assert names(text) == ["a"]


def test_include_and_exclude_together_are_refused_as_in_caffe():
    fails('layer { name: "x" include {} exclude {} }', "layer 'x'", "include and exclude")


def test_comments_encodings_and_line_ends():
    assert names("\ufeff# caf\u00e9\r\nlayer { name: 'a' }\r\n".encode()) == ["a"]
    assert names("# caf\u00e9\nlayer { name: 'a' }".encode("latin-1")) == ["a"]


def test_errors_name_line_and_column():
    fails('layer {\n  name: "a"\n  kernel: 3\n}', "net.prototxt:3:3: ", '"kernel"', "fork")
    fails('layer { type: "a" type: "b" }', "net.prototxt:1:", "multiple", "type")
    fails("layer { convolution_param { pad: -1 } }", "net.prototxt:1:34", "-1")
    fails('layer { name: "a"', "net.prototxt:1:")
    fails("layer { pooling_param { pool: MEDIAN } }", "MEDIAN")
    fails('layer { name: "a\n" }', "net.prototxt:1:")


def test_what_is_no_network_is_refused(save, tmp_path):
    fails("", "empty")
    fails(b" \n", "empty")
    fails("# nothing", "no layers")
    fails(b"\x0a\x04name\xa2\x06\x05\x0a\x03abc", "not text", "caffemodel")
    fails('layer { name: "c" clip_param { min: 0 } }', "clip_param.max")
    with pytest.raises(UserError, match=r"absent\.prototxt: cannot be read \(No such file"):
        read_prototxt(tmp_path / "absent.prototxt")
    with pytest.raises(UserError, match="cannot be read"):
        read_prototxt(tmp_path)
    with pytest.raises(UserError, match="not text"):
        read_prototxt(save(bytes(range(256)) * 50, "net.prototxt"))
