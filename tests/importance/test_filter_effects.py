"""What the removal of each filter alone does, against whole passes of one image at a time."""

from dataclasses import replace

import numpy as np
import pytest

from cnnvis.activations.forward import log_probabilities, to_probabilities
from cnnvis.core.errors import UserError
from cnnvis.engines.base import Engine
from cnnvis.importance import bootstrap, filter_effects
from cnnvis.importance.filter_effects import EFFECTS, Effects, make_filter_effects
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import CHUNK, Streams
from tests.engines.test_pycaffe import caffe_python  # noqa: F401
from tests.importance.test_class_importance import MODEL, PREPROCESSING, write_images

LAYER = "conv2"


@pytest.fixture(scope="module")
def image_set(tmp_path_factory):
    folder = write_images(tmp_path_factory.mktemp("cats"), 5, 0)
    listing = folder / "images.txt"
    listing.write_text("".join(f"{number}.png {number % 3}\n" for number in range(5)))
    return ImageSet("cats", str(listing), None)


def make(image_set, output, zero="weights_and_bias", model=MODEL, layer=LAYER, chunk=CHUNK):
    streams = Streams(model, PREPROCESSING, output, chunk=chunk)
    make_filter_effects(streams, image_set, layer=layer, zero=zero)
    return Effects.read(output)


def without(image, filters, zero):
    """Return the scores of an image by a whole pass with changed weights."""
    with MODEL.open() as network:
        batch, keep_bias = PREPROCESSING(image)[None], zero == "weights"
        return Engine.scores_without(network, batch, LAYER, [filters], "fc8", keep_bias)[0, 0]


@pytest.mark.parametrize("zero", ["weights_and_bias", "weights"])
def test_effects_are_those_of_whole_passes(image_set, tmp_path, zero):
    found = make(image_set, tmp_path / "e.npz", zero, chunk=2)
    assert (found.images, found.groups[0]) == (5, 5)
    for column, filters in ((0, []), (1, [0]), (8, [7])):
        scores = [without(image, filters, zero) for image in image_set.images]
        rows = []
        for (image, cls), values in zip(image_set.classes.items(), scores, strict=True):
            place = np.argsort(-values, kind="stable").tolist().index(cls)
            before = log_probabilities(without(image, [], zero))[cls]
            log = log_probabilities(values)[cls]
            rows.append([np.exp(log), log, place >= 1, place >= 5, abs(log - before)])
        expected = np.mean(np.array(rows, float), axis=0)
        np.testing.assert_allclose(found.effects[0, :, column], expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.scores[column], np.mean(scores, axis=0), rtol=1e-5)


def test_replicates_are_means_over_images_drawn_anew(image_set, tmp_path):
    found = make(image_set, tmp_path / "e.npz")
    alone = [
        make(ImageSet("one", image, cls), tmp_path / "one.npz").effects[0]
        for image, cls in image_set.classes.items()
    ]
    counts = bootstrap.counts(image_set.images)
    np.testing.assert_array_equal(found.groups, counts.sum(axis=1))
    # Which replicates have no image depends on the images' paths.
    for replicate in np.flatnonzero(counts.sum(axis=1))[[0, 1, 2, -1]]:
        expected = np.average(alone, axis=0, weights=counts[replicate])
        np.testing.assert_allclose(found.effects[replicate], expected, rtol=1e-4, atol=1e-4)


def test_neither_chunks_nor_blocks_matter(image_set, tmp_path, monkeypatch):
    whole = make(image_set, tmp_path / "e.npz")
    monkeypatch.setattr(filter_effects, "SCORE_BYTES", 8 * 10 * 2 * 7)
    parts = make(image_set, tmp_path / "p.npz", chunk=2)
    np.testing.assert_allclose(parts.effects, whole.effects, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-5)


def test_logarithms_of_probabilities_too_small_for_their_type():
    scores = np.array([[900.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(log_probabilities(scores), [[0, -900], [np.log(0.5)] * 2])
    own = np.array([[1.0, 0.0], [0.25, 0.75]])
    assert to_probabilities(own)[1] == "score"
    assert np.isfinite(log_probabilities(own)).all()


def test_the_bootstrap_draws_images_with_replacement():
    images = [f"{number}.png" for number in range(400)]
    counts = bootstrap.counts(images)
    assert (counts[0] == 1).all() and counts.shape == (bootstrap.REPLICATES + 1, 400)
    np.testing.assert_array_equal(bootstrap.counts(images[7:9]), counts[:, 7:9])
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = bootstrap.interval(counts[1:] @ values / counts[1:].sum(axis=1))
    # Nine tenths of normal means lie within 1.645 standard errors.
    error = 1.645 * values.std() / 20
    assert high - low == pytest.approx(2 * error, rel=0.2)
    assert low < values.mean() < high
    assert bootstrap.interval([np.nan]) is None


def test_mistakes(image_set, tmp_path):
    with pytest.raises(UserError, match="layer 'pool1' has no weights"):
        make(image_set, tmp_path / "e.npz", layer="pool1")
    wrong = ImageSet("cats", image_set.images[0], 10)
    with pytest.raises(UserError, match="class 10 is outside score blob"):
        make(wrong, tmp_path / "e.npz")
    assert list(EFFECTS)[3] == "error_top5" and not (tmp_path / "e.npz").exists()


def test_real_caffe_has_the_same_effects(image_set, tmp_path, caffe_python):  # noqa: F811
    own = make(image_set, tmp_path / "n.npz")
    caffe = replace(MODEL, engine="pycaffe", python=str(caffe_python))
    found = make(image_set, tmp_path / "c.npz", model=caffe)
    np.testing.assert_allclose(found.effects, own.effects, rtol=1e-4, atol=3e-4)
    np.testing.assert_allclose(found.scores, own.scores, rtol=1e-5, atol=1e-5)
