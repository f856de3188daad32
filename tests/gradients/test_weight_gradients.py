import os

import numpy as np
import pytest
from PIL import Image

from cnnvis.core.arrays import read_array, write_npy
from cnnvis.core.errors import UserError
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.engines.numpy.network import Network
from cnnvis.gradients import weight_gradients
from cnnvis.gradients.attributions import KINDS
from cnnvis.inputs.images import Preprocessing
from tests.engines.goldens import GOLDENS, difference
from tests.tiny_network import CONV1, IMAGE, PREPROCESSING, SCORES, tiny_model

THIN = GOLDENS / "caffenet_thin.prototxt"
THIN_PREPROCESSING = Preprocessing((3, 227, 227), [104.0, 117.0, 123.0])


@pytest.fixture
def files(tmp_path):
    places = Places(tmp_path / "results", network="tiny", image="cat")
    write_npy(places("input"), IMAGE)
    return places


def run(folder, files, score="fc8", cls=0, layers=("conv1",), kinds=()):
    options = {"cls": cls, "layers": list(layers), "kinds": list(kinds), "title": "title"}
    model = tiny_model(folder, score)
    weight_gradients.make_gradients(model, PREPROCESSING, files, threads=1, **options)
    return files("gradients", cls=cls)


def written(folder):
    """Return the files that were written beside the input, relative to a folder."""
    paths = {path for path in (folder / "results").rglob("*") if path.is_file()}
    return {str(path.relative_to(folder)) for path in paths} - {"results/tiny/cat/input.npy"}


def test_gradients_by_hand(files, tmp_path):
    path = run(tmp_path, files, layers=["conv1", "fc8"])
    # The first neuron sums the first filter's outputs where the ReLU lets them through: 1, 3, 0.5.
    assert read_array(path, "conv1").tolist() == [[[[4.5]]], [[[0.0]]]]
    # By the weights of fc8 it is the layer's input, in the row of this neuron.
    rows = read_array(path, "fc8")
    assert rows.tolist() == [[2, 0, 6, 1, 0, 2, 0, 0], [0] * 8, [0] * 8]


def test_another_neuron(files, tmp_path):
    assert read_array(run(tmp_path, files, cls=1), "conv1").tolist() == [[[[0]]], [[[-2]]]]
    assert not read_array(run(tmp_path, files, cls=2), "conv1").any()


def test_layers_keep_their_names(files, tmp_path):
    path = run(tmp_path, files, score="conv2", layers=["conv/2"])
    assert read_array(path, "conv/2").shape == (1, 2, 2, 2)


def test_attributions_and_saliency_by_hand(files, tmp_path):
    run(tmp_path, files, cls=1, kinds=KINDS)
    # The second neuron sums the second filter's outputs, of which the ReLU lets one through: the
    # pixel -2, times its weight -1.
    assert CONV1[1, 0, 1] == 2
    path = files("attributions", cls=1)
    assert read_array(path, "gradient_x_weight/conv1").tolist() == [[[[0]]], [[[2]]]]
    p = np.exp(SCORES - SCORES.max()) / np.exp(SCORES - SCORES.max()).sum()
    loss = [p[0] * 4.5, (p[1] - 1) * -2]
    np.testing.assert_allclose(read_array(path, "loss/conv1").ravel(), loss, rtol=1e-6)
    assert np.load(files("data gradient", cls=1)).tolist() == [[[0, -1], [0, 0]]]
    assert np.load(files("saliency map", cls=1)).tolist() == [[0, 1], [0, 0]]
    with Image.open(files("saliency picture", cls=1)) as picture:
        assert "Simonyan et al. 2013" in picture.info["Description"]


def test_five_files_are_written_and_hold_what_is_asked_for(files, tmp_path):
    run(tmp_path, files, cls=1, kinds=["loss"])
    names = ("gradients", "attributions", "data gradient", "saliency map", "saliency picture")
    paths = {str(files(name, cls=1).relative_to(tmp_path)) for name in names}
    assert written(tmp_path) == paths
    with np.load(files("attributions", cls=1)) as attributions:
        assert attributions.files == ["loss/conv1"]
    run(tmp_path, files, cls=1)
    with np.load(files("attributions", cls=1)) as attributions:
        assert attributions.files == []
    assert np.load(files("saliency map", cls=1)).any()


def make_thin(folder, engine="numpy", **options):
    """Differentiate neuron 1 of the thin CaffeNet; return where, and its model and batch."""
    files = Places(folder, network="thin", image="first")
    with np.load(THIN.with_suffix(".npz")) as golden:
        batch = golden["data"][:1]
    write_npy(files("input"), batch[0])
    model = Model(str(THIN), str(THIN.with_suffix(".caffemodel")), "fc8", engine, **options)
    layers = list(model.info.layers_with_weights)
    common = {"cls": 1, "layers": layers, "kinds": list(KINDS), "threads": 1, "title": "title"}
    weight_gradients.make_gradients(model, THIN_PREPROCESSING, files, **common)
    return files, model, batch


def test_one_backward_pass_gives_what_separate_ones_do(tmp_path, monkeypatch):
    passes, gradients = [], Network.gradients

    def counted(self, *arguments, **options):
        passes.append(arguments)
        return gradients(self, *arguments, **options)

    monkeypatch.setattr(Network, "gradients", counted)
    files, model, batch = make_thin(tmp_path)
    assert len(passes) == 2  # of the score, and of the loss
    layers = list(model.info.layers_with_weights)
    assert len(layers) == 8
    with model.open(threads=1) as network:
        data = network.data_gradient(batch, "fc8", 1)
        assert np.array_equal(np.load(files("data gradient", cls=1)), data[0])
        for layer in layers:
            separate = network.weight_gradient(batch, "fc8", 1, [layer])[layer][0]
            together = read_array(files("gradients", cls=1), layer)
            assert together.any()
            assert difference(together, separate) < 1e-6


@pytest.mark.skipif(not os.environ.get("CNNVIS_CAFFE_PYTHON"), reason="no Caffe is named")
def test_caffe_agrees(tmp_path):
    python = os.environ["CNNVIS_CAFFE_PYTHON"]
    caffe, *_ = make_thin(tmp_path / "caffe", "pycaffe", python=python)
    numpy, *_ = make_thin(tmp_path / "numpy")
    for name in ("gradients", "attributions"):
        with np.load(caffe(name, cls=1)) as theirs, np.load(numpy(name, cls=1)) as ours:
            assert theirs.files == ours.files
            for key in ours.files:
                assert difference(ours[key], theirs[key]) < 1e-5
    data = [np.load(places("data gradient", cls=1)) for places in (numpy, caffe)]
    assert difference(*data) < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cls": 3}, "class 3 is outside score blob 'fc8', which has 0 to 2"),
        ({"cls": -1}, "class -1 is outside"),
        ({"score": "fc9"}, "score blob 'fc9' does not exist"),
        ({"layers": ["relu1"]}, "layer 'relu1' has no weights; layers that have: conv1, conv/2"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(files, tmp_path, options, message):
    with pytest.raises(UserError, match=message) as error:
        run(tmp_path, files, **options)
    assert "\n" not in str(error.value)
    assert not written(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((1, 3, 3)), "input.npy: has shape \\(1, 3, 3\\), expected \\(1, 2, 2\\)"),
        (np.full((1, 2, 2), np.inf), "input.npy: gradient of fc8\\[0\\] at 'conv1'.*NaN or infin"),
    ],
)
def test_inputs_that_do_not_fit_leave_nothing(files, tmp_path, values, message):
    write_npy(files("input"), values.astype(np.float32))
    with np.errstate(invalid="ignore"), pytest.raises(UserError, match=message):
        run(tmp_path, files)
    assert not written(tmp_path)
