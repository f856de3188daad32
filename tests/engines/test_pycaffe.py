"""Real Caffe behind the common interface.

What needs Caffe runs where the environment variable CNNVIS_CAFFE_PYTHON names a Python that
imports it (scripts/install_caffe.sh makes one), or where one is found. How the process is talked
to is tested everywhere, with a few lines that play Caffe.
"""

import ast
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import cnnvis
from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.core.errors import UserError
from cnnvis.engines import pycaffe_process
from cnnvis.engines.pycaffe import _with_gradients
from tests.engines.goldens import GOLDENS, difference, golden_networks, gradients_of

ROOT = Path(__file__).parents[2]
THIN = GOLDENS / "caffenet_thin.prototxt"
SQUEEZENET = ROOT.parent / "shared" / "squeezenet"

# float32 sums taken in another order by another BLAS and compiler than the goldens' own.
TOLERANCE = 2e-6


@pytest.fixture(scope="session")
def caffe_python():
    """A Python that imports caffe; one that is named must work."""
    named = os.environ.get("CNNVIS_CAFFE_PYTHON")
    if named:
        pycaffe_process.start_caffe(named).close()
        return named
    try:
        process = pycaffe_process.start_caffe()
    except UserError:
        pytest.skip("no Caffe: set CNNVIS_CAFFE_PYTHON (scripts/install_caffe.sh makes one)")
    process.close()
    return process.python


@pytest.fixture
def open_caffe(caffe_python):
    """Open a network on Caffe, closed after the test."""
    opened = []

    def open_network(prototxt, weights=None, **options):
        weights = prototxt.with_suffix(".caffemodel") if weights is None else weights
        options = {"python": caffe_python, **options}
        opened.append(cnnvis.open_network(prototxt, weights, engine="pycaffe", **options))
        return opened[-1]

    yield open_network
    for network in opened:
        network.close()


@pytest.mark.parametrize("prototxt", golden_networks(), ids=lambda path: path.stem)
def test_goldens(open_caffe, prototxt):
    expected = np.load(prototxt.with_suffix(".npz"))
    network = open_caffe(prototxt)
    blobs = network.forward(expected["data"])
    layers, data = gradients_of(expected)
    neurons = [int(expected[f"class/{image}"]) for image in range(len(expected["data"]))]
    score = str(expected["score_blob"])
    found, found_data = network.gradients(expected["data"], score, neurons, list(layers), data=True)
    wrong = {
        key: difference(blobs[key.removeprefix("blob/")], expected[key])
        for key in expected.files
        if key.startswith("blob/")
    }
    wrong["data"] = difference(found_data, np.concatenate(data))
    for layer, parameters in layers.items():
        for number, arrays in parameters.items():
            wrong[layer, number] = difference(found[layer][number], np.stack(arrays))
    assert {name: value for name, value in wrong.items() if not value <= TOLERANCE} == {}


@pytest.mark.skipif(not SQUEEZENET.exists(), reason="../shared/squeezenet is not here")
def test_squeezenet_is_what_caffe_said(open_caffe):
    network = open_caffe(
        SQUEEZENET / "SqueezeNet_deploy.prototxt", SQUEEZENET / "squeezenet.caffemodel"
    )
    expected = np.load(SQUEEZENET / "cat.npz")
    batch = expected["input"][None]
    score = network.forward(batch, ["pool_final"])["pool_final"]
    assert difference(score.ravel(), expected["score"].ravel()) <= TOLERANCE
    # Not its gradients: where rounding flips one ReLU gate, two builds of Caffe differ by 2e-4.


def test_one_layer_alone_has_the_gradient_it_has_among_all(open_caffe):
    """The backward pass stops at the lowest layer asked for, and nothing is left from the last."""
    expected = np.load(THIN.with_suffix(".npz"))
    network = open_caffe(THIN)
    neuron = int(expected["class/1"])
    for layers in (["fc8"], ["conv1", "conv2"], ["fc8"], ["conv2"]):
        found = network.weight_gradient(expected["data"][1:], "fc8", neuron, layers)
        assert list(found) == layers
        for layer, array in found.items():
            assert array.shape == (1, *network.weight_shapes[layer][0])
            assert difference(array[0], expected[f"grad/1/{layer}/0"]) <= TOLERANCE
    found = network.data_gradient(expected["data"][1:], "fc8", neuron)
    assert difference(found, expected["grad/1/data"]) <= TOLERANCE


def test_the_gradient_of_a_weighted_sum_of_a_blob(open_caffe):
    """As for a loss: the sum of the neurons' gradients, each times its weight."""
    data = np.load(THIN.with_suffix(".npz"))["data"]
    network = open_caffe(THIN)
    scores = network.forward(data, ["fc8"])["fc8"]
    seed = np.zeros_like(scores)
    seed[0, :2], seed[1, 2] = (0.5, -2), 1
    found, of_data = network.gradients(data, "fc8", seed, ["conv1"], data=True)
    single = [network.gradients(data, "fc8", cls, ["conv1"], data=True) for cls in (0, 1, 2)]
    for image, weights in enumerate(((0.5, -2, 0), (0, 0, 1))):
        pairs = [(g["conv1"][0][image], d[image]) for g, d in single]
        parts = [sum(w * p for w, p in zip(weights, p, strict=True)) for p in zip(*pairs)]  # noqa: B905
        assert difference(found["conv1"][0][image], parts[0]) <= TOLERANCE
        assert difference(of_data[image], parts[1]) <= TOLERANCE
    for wrong in (seed[:1], seed[:, :-1]):
        with pytest.raises(UserError, match=r"blob fc8: weights of shape .*, expected"):
            network.data_gradient(data, "fc8", wrong)


def test_the_value_that_a_gradient_is_of(open_caffe):
    data = np.load(THIN.with_suffix(".npz"))["data"]
    network, numbers = open_caffe(THIN), [1, 5][: len(data)]
    values, gradient = network.value_and_gradient(data, "fc8", numbers)
    scores = network.forward(data, ["fc8"])["fc8"]
    assert values.tolist() == scores[np.arange(len(data)), numbers].tolist()
    assert np.array_equal(gradient, network.data_gradient(data, "fc8", numbers))


def test_a_branch_without_gradient_beside_the_path_is_left_alone(open_caffe, tmp_path):
    """Caffe aborts in the backward pass of ArgMax, which is not on the way to the score."""
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(
        'input: "data" input_shape { dim: 1 dim: 2 dim: 3 dim: 3 }'
        'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"'
        "  convolution_param { num_output: 3 kernel_size: 2 bias_term: false } }"
        'layer { name: "top" type: "ArgMax" bottom: "conv" top: "top" }'
        'layer { name: "sum" type: "Reduction" bottom: "conv" top: "sum"'
        "  reduction_param { axis: 1 } }"
    )
    network = open_caffe(prototxt, {"conv": [np.ones((3, 2, 2, 2))]})
    batch = np.arange(18.0).reshape(1, 2, 3, 3)
    found = network.weight_gradient(batch, "sum", 0, ["conv"])["conv"][0]
    window = [
        [batch[0, c, y : y + 2, x : x + 2].sum() for y in (0, 1) for x in (0, 1)] for c in (0, 1)
    ]
    np.testing.assert_allclose(found.reshape(3, 2, 4), np.broadcast_to(window, (3, 2, 4)))


def test_filters_set_to_zero_and_back(open_caffe):
    data = np.load(THIN.with_suffix(".npz"))["data"]
    network = open_caffe(THIN)
    before = network.forward(data, ["conv1", "fc8"])
    weights, bias = (array.copy() for array in network.params["conv1"])
    pruned = weights.copy(), bias.copy()
    for array in pruned:
        array[3] = 0
    network.set_weights({"conv1": list(pruned)})
    blob = network.forward(data, ["conv1"])["conv1"]
    assert not blob[:, 3].any()
    np.testing.assert_array_equal(np.delete(blob, 3, 1), np.delete(before["conv1"], 3, 1))
    assert not network.params["conv1"][0][3].any()
    network.set_weights({"conv1": [weights, bias]})
    np.testing.assert_array_equal(network.forward(data, ["fc8"])["fc8"], before["fc8"])


def test_describes_itself_as_the_embedded_engine_does(open_caffe):
    network = open_caffe(THIN)
    with cnnvis.open_network(THIN, THIN.with_suffix(".caffemodel")) as embedded:
        assert network.input_shape == embedded.input_shape
        assert network.weight_shapes == embedded.weight_shapes
        for layer, arrays in embedded.params.items():
            for ours, theirs in zip(network.params[layer], arrays, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_weights_given_as_arrays(open_caffe):
    data = np.load(THIN.with_suffix(".npz"))["data"]
    weights = read_caffemodel(THIN.with_suffix(".caffemodel"))
    from_file, from_arrays = open_caffe(THIN), open_caffe(THIN, weights)
    expected = from_file.forward(data, ["fc8"])["fc8"]
    np.testing.assert_array_equal(from_arrays.forward(data, ["fc8"])["fc8"], expected)


def test_rounding_down_in_pooling_is_written_as_bvlc_does(open_caffe, tmp_path):
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(
        'input: "data" input_shape { dim: 1 dim: 1 dim: 6 dim: 6 }'
        'layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"'
        "  pooling_param { kernel_size: 3 stride: 2 round_mode: FLOOR } }"
    )
    batch = np.arange(36.0).reshape(1, 1, 6, 6)
    found = open_caffe(prototxt, {}).forward(batch)["pool"]
    np.testing.assert_array_equal(found[0, 0], [[14, 16], [26, 28]])


def edited(tmp_path, old, new):
    """A copy of the thin CaffeNet's prototxt with one change."""
    text = THIN.read_text()
    assert old in text
    copy = tmp_path / "mine.prototxt"
    copy.write_text(text.replace(old, new, 1))
    return copy, THIN.with_suffix(".caffemodel")


def refusal(call, *arguments, **options):
    with pytest.raises(UserError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_misspelt_field_is_named_with_its_line(open_caffe, tmp_path):
    prototxt, weights = edited(tmp_path, "kernel_size: 11", "kernel_sise: 11")
    line = next(
        number
        for number, text in enumerate(prototxt.read_text().splitlines(), 1)
        if "kernel_sise" in text
    )
    message = refusal(open_caffe, prototxt, weights)
    assert message.startswith(f"{prototxt}: Caffe says: ")
    assert f" {line}:" in message and "kernel_sise" in message


def test_a_failed_check_is_told_in_caffes_words(open_caffe, tmp_path):
    prototxt, weights = edited(tmp_path, "group: 2", "group: 5")
    message = refusal(open_caffe, prototxt, weights)
    assert message.startswith(f"{prototxt}: Caffe says: Check failed: channels_ % group_ == 0")


def test_a_failed_check_later_leaves_one_line_each_time(open_caffe):
    network = open_caffe(THIN)
    tiny = np.zeros((1, 3, 5, 5), np.float32)
    message = refusal(network.forward, tiny)
    assert message.startswith(f"{THIN}: Caffe says: Check failed: ")
    assert refusal(network.forward, tiny) == message


def test_a_layer_that_caffe_does_not_know(open_caffe, tmp_path):
    prototxt, weights = edited(tmp_path, 'type: "LRN"', 'type: "Swash"')
    message = refusal(open_caffe, prototxt, weights)
    assert str(prototxt) in message and "Unknown layer type: Swash" in message


def test_weights_that_do_not_fit(open_caffe, tmp_path):
    prototxt, weights = edited(tmp_path, "kernel_size: 11", "kernel_size: 9")
    message = refusal(open_caffe, prototxt, weights)
    assert str(weights) in message and "conv1" in message and "11" in message


def test_a_killed_process_is_named(open_caffe):
    network = open_caffe(THIN)
    os.kill(network._caffe._process.pid, signal.SIGKILL)
    message = refusal(network.forward, np.zeros((1, *network.input_shape), np.float32))
    assert str(THIN) in message and "SIGKILL" in message


def test_names_and_numbers_that_are_not_there(open_caffe):
    network = open_caffe(THIN)
    batch = np.zeros((1, *network.input_shape), np.float32)
    assert "conv1" in refusal(network.forward, batch, ["conv11"])
    assert "fc8 has 10, 0 to 9" in refusal(network.weight_gradient, batch, "fc8", 10, ["conv1"])
    assert "did you mean" in refusal(network.weight_gradient, batch, "fc8", 0, ["conv11"])
    assert "no weights" in refusal(network.weight_gradient, batch, "fc8", 0, ["pool1"])
    assert "below blob conv1" in refusal(network.weight_gradient, batch, "conv1", 0, ["fc8"])
    assert "(images, 3, 115, 115)" in refusal(network.forward, batch[0])
    # None of these ended the process.
    assert network.forward(batch, ["fc8"])["fc8"].shape == (1, 10)


def test_the_active_conda_environment_is_found(caffe_python, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(caffe_python)
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path))
    process = pycaffe_process.start_caffe()
    assert process.python == str(tmp_path / "bin" / "python")
    process.close()


# A module that plays Caffe, noisily: what follows runs without Caffe.
STAND_IN = """
import os, signal, sys
import numpy as np
from types import SimpleNamespace as Thing
print("noise of Python")
os.system("echo noise of a program")
TEST = 1

def set_mode_cpu(): pass

class Net:
    def __init__(self, prototxt, phase):
        self.prototxt = prototxt
        self.inputs = ["data"]
        self.blobs = {"data": Thing(data=np.zeros((1, 3, 2, 2), np.float32))}
        self.blobs["data"].reshape = lambda *shape: None
        self.params = {}
        self._layer_names = ["data"]
    def reshape(self): pass
    def forward(self):
        print("more noise")
        ENDING
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Install lines that play Caffe, with an ending of the forward pass."""

    def install(ending="pass", source=STAND_IN):
        package = tmp_path / "caffe"
        (package / "proto").mkdir(parents=True)
        (package / "__init__.py").write_text(source.replace("ENDING", ending))
        (package / "proto" / "__init__.py").write_text("")
        (package / "proto" / "caffe_pb2.py").write_text(
            "from types import SimpleNamespace as Thing\n"
            "PoolingParameter = Thing(DESCRIPTOR=Thing(fields_by_name={}))\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        prototxt = tmp_path / "net.prototxt"
        prototxt.write_text('input: "data"')
        return prototxt

    return install


def run_stand_in(prototxt):
    with cnnvis.open_network(prototxt, {}, engine="pycaffe", python=sys.executable) as network:
        return network.forward(np.ones((1, 3, 2, 2)))


def test_noise_on_standard_output_disturbs_nothing(stand_in, capfd):
    np.testing.assert_array_equal(run_stand_in(stand_in())["data"], np.ones((1, 3, 2, 2)))
    assert capfd.readouterr().out == ""


def test_a_message_over_several_lines_becomes_one(stand_in):
    prototxt = stand_in(
        "os.write(2, b'[libprotobuf ERROR text_format.cc:317] Error parsing: 3:1: odd.\\n'"
        "b'F1124 08:16:02.793591 13286 net.cpp:12] Check failed: a == b (1 vs. 2) in '"
        " + self.prototxt.encode() + b'\\nsecond line\\n*** Check failure stack trace: ***\\n'"
        "b'    @ 0x7f google::LogMessage::Fail()\\n'); os.abort()"
    )
    assert refusal(run_stand_in, prototxt) == (
        f"{prototxt}: Caffe says: Error parsing: 3:1: odd.; "
        f"Check failed: a == b (1 vs. 2) in {prototxt} second line"
    )


def test_an_end_without_words(stand_in):
    assert "SIGSEGV" in refusal(run_stand_in, stand_in("os.kill(os.getpid(), signal.SIGSEGV)"))


def test_an_exception_of_python_is_told(stand_in):
    message = refusal(run_stand_in, stand_in("raise ValueError('odd\\nthing')"))
    assert message.endswith("net.prototxt: ValueError: odd thing")


def test_an_interpreter_without_caffe(stand_in):
    prototxt = stand_in(source="raise ImportError('libboost_python38.so: not found')")
    message = refusal(run_stand_in, prototxt)
    assert message.startswith("pycaffe.python: ") and sys.executable in message
    assert message.endswith("ImportError: libboost_python38.so: not found")


def test_something_that_is_not_caffe(stand_in):
    """A folder named caffe in the working directory imports as an empty package."""
    assert "caffe" in refusal(run_stand_in, stand_in(source=""))


@pytest.mark.parametrize("name", ["absent", "net.prototxt"])
def test_an_interpreter_that_cannot_be_run(stand_in, name):
    prototxt = stand_in()
    path = prototxt.with_name(name)
    message = refusal(cnnvis.open_network, prototxt, {}, engine="pycaffe", python=path)
    assert message.startswith(f"pycaffe.python: {path} cannot be run")


def test_a_program_that_is_no_python(stand_in):
    message = refusal(cnnvis.open_network, stand_in(), {}, engine="pycaffe", python="/bin/false")
    assert "/bin/false" in message and "status 1" in message


def test_without_any_caffe_the_three_ways_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(pycaffe_process, "_candidates", list)
    message = refusal(cnnvis.open_network, THIN, {}, engine="pycaffe")
    for way in ("profiles/pycaffe", "scripts/install_caffe.sh", "pycaffe: {python: PATH}"):
        assert way in message
    assert (ROOT / "profiles/pycaffe/config.yaml").exists()
    assert os.access(ROOT / "scripts/install_caffe.sh", os.X_OK)


def test_double_precision_is_refused():
    message = refusal(cnnvis.open_network, THIN, {}, engine="pycaffe", dtype="float64")
    assert "float32 only" in message


def test_nothing_is_left_behind(stand_in, monkeypatch, tmp_path):
    prototxt = stand_in()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(pycaffe_process.tempfile, "tempdir", str(scratch))
    network = cnnvis.open_network(prototxt, {}, engine="pycaffe", python=sys.executable)
    network.forward(np.ones((1, 3, 2, 2)))
    process = network._caffe._process
    names = {path.name for path in next(scratch.iterdir()).iterdir()}
    assert names == {"log", "network.prototxt"}
    network.close()
    assert process.poll() is not None and not list(scratch.iterdir())
    assert "closed" in refusal(network.forward, np.ones((1, 3, 2, 2)))


@pytest.mark.parametrize(
    "text",
    [
        b'name: "x"\ninput: "data"\n',
        b'name: "x"\nforce_backward: false\ninput: "data"\n',
        b"force_backward :\n  true input: 'data'\n# force_backward: false\n",
        b"input: 'data' # no newline at the end",
    ],
)
def test_gradients_are_forced_whatever_the_prototxt_says(text):
    from google.protobuf import text_format

    from cnnvis.caffe.schema import messages

    forced = _with_gradients(text)
    net = text_format.Parse(forced, messages.NetParameter())
    assert net.force_backward and list(net.input) == ["data"]
    line = next(i for i, part in enumerate(text.split(b"\n")) if b"input" in part)
    assert b"input" in forced.split(b"\n")[line]


def test_the_worker_is_old_pythons_and_imports_nothing_else():
    tree = ast.parse(pycaffe_process.WORKER.read_text(), feature_version=(3, 6))
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported - set(sys.stdlib_module_names) == {"numpy", "caffe"}


def test_the_conda_environment_leaves_scripts_to_snakemakes_python():
    """Snakemake runs a script under its own Python where the environment's is too old for it."""
    from snakemake.common import MIN_PY_VERSION

    environment = yaml.safe_load((ROOT / "envs" / "caffe.yaml").read_text())
    (python,) = [spec for spec in environment["dependencies"] if spec.startswith("python ")]
    version = tuple(map(int, python.split("=")[1].split(".")))
    assert version < MIN_PY_VERSION and version >= (3, 6)
