import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr

from cnnvis.activations import slice_stability
from cnnvis.activations.slice_stability import (
    correlate_rows,
    judge,
    make_stability,
    medians_by_distance,
)
from cnnvis.core.files import read_json
from cnnvis.core.places import Places
from tests.conftest import ROOT

STUDY = ROOT.parent / "shared" / "study"

# Three filters in four rows of two columns: rows 0 and 1 order them 0, 1, 2, row 2 the other way
# round, and in row 3 all are equal.
MAPS = np.array(
    [
        [[0, 1], [0, 2], [6, 9], [5, 5]],
        [[1, 2], [3, 3], [4, 5], [5, 5]],
        [[2, 3], [8, 9], [0, 1], [5, 5]],
    ],
    float,
)


@pytest.mark.skipif(not STUDY.is_dir(), reason="../shared/study is not here")
def test_the_numbers_on_the_published_feature_maps():
    """The claim of the report; the medians were computed for this project with SciPy."""
    maps = np.load(STUDY / "activations" / "conv1_cat_scaled255.npy")
    medians = medians_by_distance(correlate_rows(maps, "study"))
    assert medians[[0, 4, 19, 39]] == pytest.approx([0.955, 0.88, 0.68, 0.38], abs=0.005)
    holds, sentence = judge(medians)
    assert holds
    assert sentence.startswith("Consecutive rows have almost the same order (median Spearman")


@pytest.mark.parametrize("method", ["study", "scikit-learn"])
def test_rows_by_hand(method):
    nan = np.nan
    assert correlate_rows(MAPS, method) == pytest.approx(
        np.array([[1, 1, -1, nan], [1, 1, -1, nan], [-1, -1, 1, nan], [nan] * 4]), nan_ok=True
    )


def test_medians_by_hand():
    correlations = np.array([[1, 0.5, 0.25], [0.5, 1, 0], [0.25, 0, 1]])
    assert medians_by_distance(correlations).tolist() == [0.25, 0.25]
    correlations[0] = correlations[:, 0] = np.nan
    assert medians_by_distance(correlations) == pytest.approx([0, np.nan], nan_ok=True)
    assert medians_by_distance(np.ones((1, 1))).size == 0


def test_correlations_are_those_of_scipy_with_ties_too():
    rng = np.random.default_rng(0)
    maps = rng.uniform(size=(12, 6, 4))
    maps[7:] = 0  # dead filters
    expected = spearmanr(
        [slice_stability.PCA["study"](maps[:, row])[1]["projections"] for row in range(6)], axis=1
    ).statistic
    assert correlate_rows(maps, "study") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("medians", "holds", "words"),
    [
        ([0.95, 0.8, 0.6, -1], True, "rows 3 apart different orders (0.600)"),
        ([0.95, 0.9, 0.9, -1], False, "rows 2 apart similar orders (0.900)"),
        ([0.85, 0.6, 0.7, 1], False, "Consecutive rows have different orders"),
        ([0.95, np.nan, 0.1, 0], True, "rows 3 apart different orders (0.100)"),
        ([np.nan, 0.5, 0.1, 0], None, "Too few rows"),
        ([0.95, np.nan, np.nan, 0], None, "Too few rows"),
        ([0.95], None, "Too few rows"),
        ([], None, "Too few rows"),
    ],
)
def test_the_claim(medians, holds, words):
    """Five rows are compared up to three apart."""
    found, sentence = judge(np.array(medians, float))
    assert found is holds
    assert words in sentence
    assert ("does not hold" in sentence) == (holds is False)


def run(maps, folder):
    files = Places(folder, network="net", image="cat")
    make_stability(files, maps, "study", layer="a/b", blob="b", title="a/b of net on cat")
    with Image.open(files("slice stability picture", layer="a-b")) as picture:
        pixels, caption = np.asarray(picture.convert("RGB")), picture.info["Description"]
    return read_json(files("slice stability", layer="a-b")), pixels.astype(int), caption


def test_files(tmp_path):
    report, pixels, caption = run(MAPS, tmp_path)
    assert report == {
        **{"layer": "a/b", "blob": "b", "method": "study", "rows": 4},
        **{"medians": [0.0, -1.0, None], "holds": False},
        "sentence": "Consecutive rows have different orders (median Spearman correlation 0.000), "
        "rows 2 apart different orders (-1.000): that orders differ between slices, but hardly "
        "between consecutive ones, does not hold here.",
    }
    assert report["sentence"] in caption
    top, left = 52 + 40, 24 + 56
    same, opposite, none = (pixels[top + 12 + 24 * row, left + 12] for row in (1, 2, 3))
    assert same[0] > same[2] and opposite[0] < opposite[2] and none.tolist() == [255] * 3


@pytest.mark.parametrize("height", [1, 2])
def test_layers_of_few_rows_say_so(tmp_path, height):
    report, _, _ = run(MAPS[:, :height], tmp_path)
    assert report["holds"] is None
    assert len(report["medians"]) == height - 1
