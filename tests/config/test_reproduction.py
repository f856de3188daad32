import pytest
import yaml

from cnnvis.config.load import load_config
from cnnvis.config.reproduction import check_verify, resolve_verify
from cnnvis.inputs import published
from tests.conftest import ROOT


@pytest.fixture
def tables(monkeypatch):
    """Return the table of the key verify for one of the ready configurations, changed."""
    monkeypatch.chdir(ROOT)

    def resolve(name, **changes):
        config = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
        return load_config({**config, **changes})["verify"]

    return resolve


def test_everything_published_is_compared_with_caffenet(tables):
    verify = tables("caffenet")
    run, neuron = verify["run"], 263
    assert run["reasons"] == {}
    results = {name for entry in published.entries() for name in entry.results}
    assert results <= set(run["files"])
    assert set(run["files"].values()) <= set(verify["inputs"])
    assert run["shapes"] == [list(shape) for shape in published.SHAPES]
    assert run["files"]["volume conv2"] == "results/caffenet/cat/volumes/natural/conv2.vox"
    gradients = f"results/caffenet/chihuahua/gradients/{neuron}.npz"
    assert run["files"]["chihuahua conv2"] == gradients
    comparison = "results/caffenet/comparisons/pembroke"
    assert run["files"]["comparison conv2"] == f"{comparison}/conv2.json"
    assert run["files"]["importance"] == "results/caffenet/cat/importance/281/conv1.csv"
    assert "/cat/" not in run["files"]["importance elsewhere"]
    assert verify["fitted"]["pembroke"] == {
        "conv1": "study/pembroke.npy",
        "conv2": "study/pembroke_conv2.npy",
    }
    assert verify["recovered"] == []


def test_what_the_configuration_leaves_out_has_a_reason(tables):
    verify = tables(
        "caffenet",
        orderings={"plain": {"method": "natural"}, "kmeans": {"k": 10}},
        volumes={"layers": ["conv1"]},
        slices={"rows": [15], "k": [7], "layers": ["conv2"]},
        gradients={"layers": ["conv2"]},
        images={"cat": {"path": "study/cat.jpg"}, "Persian_1": {"path": "study/Persian_1.jpg"}},
        comparisons={},
    )
    run, reasons = verify["run"], verify["run"]["reasons"]
    assert run["files"]["volume conv1"].endswith("volumes/plain/conv1.vox")
    assert reasons["volume conv2"] == "volumes.layers of caffenet does not name conv2"
    assert reasons["ordered cat"] == "the configuration has no ordering by method pca"
    assert reasons["Persian_1 conv1"] == "gradients.layers of caffenet does not name conv1"
    assert reasons["fit pembroke"] == "the configuration has no image pembroke for caffenet"
    assert reasons["slice"] == "slices.layers of caffenet does not name conv1"
    assert (
        reasons["comparison conv1"]
        == "the configuration has no comparison of neuron 263 at both layers"
    )
    assert reasons["importance"] == "the configuration has no such image with neuron 281"
    assert run["files"]["scheme"].startswith("results/caffenet/Persian_1/")
    assert "Persian_1 conv2" in run["files"]
    assert verify["fitted"]["Persian_1"] == {"conv2": "study/Persian_1_conv2.npy"}
    # Not downloaded, because nothing is compared with them.
    assert not {"study/pembroke_conv2.npy", "study/vis_pca.vox"} & set(verify["inputs"])


@pytest.mark.parametrize(
    ("slices", "reason"),
    [
        ({"rows": [14]}, "slices.rows does not name 15"),
        ({"seed": 5}, "slices.seed is 5, not 123"),
        ({"k": [3, 7]}, "slices.k does not name 10"),
        ({"method": "scikit-learn", "k": [3]}, "slices.method is scikit-learn, not study"),
    ],
)
def test_slices_that_are_not_the_studys(tables, slices, reason):
    run = tables("recovered", slices=slices)["run"]
    assert run["reasons"]["slice"] == run["reasons"]["stability"] == reason
    assert tables("recovered", slices={"stability": False})["run"]["reasons"]["stability"] == (
        "slices.stability is not true"
    )


def test_recovered_filters_are_named(tables):
    verify = tables("recovered")
    assert verify["recovered"] == ["results/recovered/caffenet/report.json"]
    assert verify["run"]["reasons"]["volume conv2"].endswith("has no convolution conv2")
    assert "has no neuron 263: its score mean1 has 96" in verify["run"]["reasons"]["scheme"]


def test_without_the_key_there_is_nothing():
    assert resolve_verify({}, {}, {})["inputs"] == []
    assert list(check_verify({}, {})) == []


def test_mistakes(tmp_path):
    names = {"networks": ["caffenet", "alexnet"], "images": ["cat"]}
    verify = {"study": str(tmp_path / "nowhere"), "image": "dog", "network": "cafenet"}
    lines = list(check_verify({"verify": verify}, names))
    assert lines == [
        f"verify.study: folder not found: {tmp_path}/nowhere; expected one with files that the "
        "study published, or study, into which they are downloaded",
        "verify.network: 'cafenet' is not one of the networks; did you mean caffenet? "
        "Expected one of caffenet, alexnet",
        "verify.image: 'dog' is not one of the images; expected one of cat",
    ]
    lines = list(check_verify({"verify": {"study": str(tmp_path), "image": "cat"}}, names))
    assert lines == ["verify.network: missing; expected one of caffenet, alexnet"]
