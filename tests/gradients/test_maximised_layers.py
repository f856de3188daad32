"""Jobs of activation maximisation on small networks with the weights of real Caffe's goldens."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cnnvis.config.presets import PRESETS, Preset
from cnnvis.core.places import Places
from cnnvis.engines.numpy.network import Network
from cnnvis.gradients import maximisation
from cnnvis.gradients.maximised_elements import target_of
from cnnvis.gradients.maximised_layers import Wanted, make_maxima, objective, whole_image
from cnnvis.inputs.images import Preprocessing
from tests.engines.goldens import GOLDENS
from tests.engines.test_pycaffe import caffe_python  # noqa: F401
from tests.gradients.test_maximised_elements import model_of

MODEL = model_of(GOLDENS / "caffenet_thin")
SHAPE = MODEL.info.input_shape
PREPROCESSING = Preprocessing(SHAPE, [104.0, 117.0, 123.0])
BALL = {"ball": Preset("trust", 40, radius=30)}
NEURONS = Wanted(None, "fc8", [1, 4, 7], {"blur": replace(PRESETS["blur"], steps=6)}, 2)


def filters(layer, channels=(0, 3, 5), presets=BALL, seeds=1):
    blob = MODEL.info.convolutions[layer].blob
    return Wanted(layer, blob, list(channels), presets, seeds)


def make(folder, wanted, model=MODEL, preprocessing=PREPROCESSING, code=""):
    """Run a job; return its numbers, its pictures and the places of its files."""
    files = Places(folder, network="thin", layer="x")
    make_maxima(model, preprocessing, wanted, files, title="thin", code=code, threads=1)
    numbers = json.loads(files("maximisation").read_text())
    return numbers, dict(np.load(files("maximisation pictures"))), files


def written(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def cosine(a, b):
    return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize(
    ("order", "scale"), [("BGR", 1.0), ("RGB", 1.0), ("BGR", 0.017), ("BGR", -1.0)]
)
def test_under_a_ball_a_first_layer_s_filter_is_what_drives_it_most(tmp_path, order, scale):
    preprocessing = replace(PREPROCESSING, channel_order=order, input_scale=scale)
    numbers, pictures, _ = make(tmp_path, filters("conv1"), preprocessing=preprocessing)
    weights = MODEL.open(threads=1).params["conv1"][0]
    for number, picture in zip((0, 3, 5), pictures["ball"][:, 0], strict=True):
        change = (picture - np.array([123.0, 117, 104])).transpose(2, 0, 1)
        change = change if order == "RGB" else change[::-1]
        assert cosine(change, np.sign(scale) * weights[number]) > 0.99
    for row in numbers["maxima"]:
        assert row["score"] > max(row["start"], 0)
        assert row["steps"] < 40


def test_scores_are_what_an_image_file_of_the_picture_has(tmp_path):
    for wanted in (filters("conv2"), filters("conv5"), NEURONS):
        numbers, pictures, _ = make(tmp_path / str(wanted.layer), wanted)
        name = next(iter(wanted.presets))
        top, left, height, width = numbers["box"]
        mean = PREPROCESSING.undo(np.zeros(SHAPE))
        found = iter(numbers["maxima"])
        for channel, of_seeds in zip(wanted.channels, pictures[name], strict=True):
            for picture in of_seeds:
                mean[top : top + height, left : left + width] = picture
                Image.fromarray(mean).save(tmp_path / "picture.png")
                batch = PREPROCESSING(tmp_path / "picture.png")[None]
                with MODEL.open(threads=1) as network:
                    values = network.forward(batch, [wanted.blob])[wanted.blob][0, channel]
                row = next(found)
                at = tuple(numbers["element"] or ())
                assert row[wanted.kind] == channel
                assert row["score"] == pytest.approx(float(values[at]), rel=1e-5)
                # Rounding to 8 bits costs little, where pictures have contrast.
                if wanted.layer:
                    assert row["score"] == pytest.approx(row["unrounded"], rel=0.01)


def test_a_filter_that_is_never_active_has_a_picture_that_comes_near(tmp_path):
    """Its value before ReLU goes up, and what everything else reads stays 0."""
    weights = {layer: [*arrays] for layer, arrays in MODEL.open(threads=1).params.items()}
    with MODEL.open(threads=1) as network:
        bias = weights["conv1"][1].copy()
        bias[3] = -1e6
        network.set_weights({"conv1": [weights["conv1"][0], bias]})
        with target_of(MODEL, "conv1") as target:
            start = np.zeros((1, 3, 11, 11))
            with target.model.open(threads=1) as part:
                part.set_weights({"conv1": network.params["conv1"]})
                score, gradient = objective(part, target, [3], 1.0)(start, np.array([0]))
    assert score[0] == pytest.approx(-1e6)
    np.testing.assert_allclose(gradient[0], weights["conv1"][0][3], rtol=1e-5)


@pytest.mark.parametrize("layer", ["conv2", "conv5", None])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_gradient_that_is_climbed_agrees_with_central_differences(layer, scale):
    rng = np.random.default_rng(0)
    with target_of(MODEL, layer) as target, target.model.open(1, "float64") as network:
        score = objective(network, target, [1, 2], scale)
        pictures = rng.normal(0, 30, (2, *target.input_shape))
        both = np.arange(2)
        _, gradient = score(pictures, both)
        for _ in range(4):
            direction = rng.normal(size=pictures.shape)
            step = 1e-5 * direction
            ahead, behind = score(pictures + step, both)[0], score(pictures - step, both)[0]
            expected = (gradient * direction).sum(axis=(1, 2, 3))
            np.testing.assert_allclose((ahead - behind) / 2e-5, expected, rtol=1e-5, atol=1e-9)


def test_the_same_config_gives_the_same_bytes(tmp_path):
    presets = {name: replace(PRESETS[name], steps=5) for name in PRESETS}
    for folder in ("one", "two"):
        make(tmp_path / folder, filters("conv2", [2, 1], presets, 2))
    assert written(tmp_path / "one") == written(tmp_path / "two")
    sheets = {f"thin/maximisation/x/{name}.png" for name in PRESETS}
    others = {"thin/maximisation/x.json", "thin/maximisation/x.npz"}
    assert set(written(tmp_path / "one")) == sheets | others


def interrupt(monkeypatch, calls):
    """Let the engine fail after some calls; return a list of the calls that it gets."""
    plain, done = Network.value_and_gradient, []

    def count(self, *arguments):
        done.append(len(arguments[0]))
        if len(done) > calls:
            raise KeyboardInterrupt
        return plain(self, *arguments)

    monkeypatch.setattr(Network, "value_and_gradient", count)
    return done


@pytest.mark.parametrize("stop", [3, 14, 30])
def test_an_interrupted_job_goes_on_where_it_was(tmp_path, monkeypatch, stop):
    names = ("trust", "fourier", "small_norms")
    presets = {name: replace(PRESETS[name], steps=9) for name in names}
    wanted = filters("conv1", range(10), presets, 2)  # 20 pictures: two batches by each preset
    make(tmp_path / "whole", wanted)
    monkeypatch.setattr(maximisation, "SAVE_EVERY", 0.0)
    with monkeypatch.context() as patch:
        interrupt(patch, stop)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path / "part", wanted)
    assert {path.name[0] for path in (tmp_path / "part/thin/maximisation").iterdir()} == {"."}
    with monkeypatch.context() as patch:
        rest = interrupt(patch, 1000)
        make(tmp_path / "part", wanted)
    assert written(tmp_path / "part") == written(tmp_path / "whole")
    # Each batch takes its steps, once more asks for the scores of what it found.
    assert len(rest) + stop - 1 - (stop > 9) - (stop > 19) - (stop > 29) <= 60
    assert len(rest) < 60


def test_a_checkpoint_of_other_code_or_numbers_is_not_used(tmp_path, monkeypatch):
    presets = {"trust": replace(PRESETS["trust"], steps=6)}
    monkeypatch.setattr(maximisation, "SAVE_EVERY", 0.0)
    for number, (code, other) in enumerate([("new", presets), ("", {"trust": Preset("trust", 6)})]):
        folder = tmp_path / str(number)
        with monkeypatch.context() as patch:
            interrupt(patch, 3)
            with pytest.raises(KeyboardInterrupt):
                make(folder, filters("conv2", presets=presets))
        with monkeypatch.context() as patch:
            done = interrupt(patch, 1000)
            make(folder, filters("conv2", presets=other), code=code)
        assert len(done) == 7


def test_a_mean_image_is_cut_as_the_picture_is(tmp_path):
    mean = np.random.default_rng(0).uniform(90, 150, SHAPE)
    np.save(tmp_path / "mean.npy", mean)
    preprocessing = Preprocessing(SHAPE, {"file": str(tmp_path / "mean.npy"), "use": "whole"})
    presets = {"range": Preset("trust", 40), "fourier": replace(PRESETS["fourier"], steps=30)}
    numbers, pictures, _ = make(tmp_path, filters("conv1", presets=presets), MODEL, preprocessing)
    # Pixels at the ends of their range are black or white, not a little beyond.
    assert np.isin(pictures["range"], (0, 255)).mean() > 0.95
    for row in numbers["maxima"]:
        assert row["score"] == pytest.approx(row["unrounded"], rel=0.01)


def test_a_grey_network(tmp_path):
    from tests.tiny_network import PREPROCESSING as GREY
    from tests.tiny_network import tiny_model

    model, files = tiny_model(tmp_path), Places(tmp_path, network="tiny", layer="fc8")
    presets = {"trust": Preset("trust", 40), "fourier": PRESETS["fourier"]}
    wanted = Wanted(None, "fc8", [0], presets, 1)
    make_maxima(model, GREY, wanted, files, title="tiny", threads=1)
    # Half of 2 times the distance from 10, in four pixels, is most for white.
    for row in json.loads(files("maximisation").read_text())["maxima"]:
        assert row["score"] == pytest.approx(4 * 245, rel=0.03)
    assert (np.load(files("maximisation pictures"))["trust"] == 255).all()


def test_real_caffe_gives_the_pictures_the_same_scores(tmp_path, caffe_python):  # noqa: F811
    presets = {**BALL, "fourier": replace(PRESETS["fourier"], steps=10)}
    wanted = filters("conv2", [1, 2], presets)
    numbers, pictures, _ = make(tmp_path / "numpy", wanted)
    caffe = replace(MODEL, engine="pycaffe", python=str(caffe_python))
    with caffe.open() as network:
        for row in numbers["maxima"]:
            picture = pictures[row["preset"]][wanted.channels.index(row["filter"]), row["seed"]]
            batch = whole_image(PREPROCESSING, picture, numbers["box"])[None]
            values = network.forward(batch, ["conv2"])["conv2"]
            value = values[(0, row["filter"], *numbers["element"])]
            assert row["score"] == pytest.approx(float(value), rel=1e-5)
    again, theirs, _ = make(tmp_path / "caffe", wanted, caffe)
    for ours, others in zip(numbers["maxima"], again["maxima"], strict=True):
        assert ours["score"] == pytest.approx(others["score"], rel=2e-3)
    assert np.abs(theirs["ball"].astype(int) - pictures["ball"]).mean() < 1
