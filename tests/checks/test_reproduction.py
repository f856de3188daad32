import json
import shutil

import numpy as np
import pytest

from cnnvis.activations.forward import make_forward
from cnnvis.activations.layers import make_layer
from cnnvis.activations.orderings import order
from cnnvis.checks.agreement import (
    compare_bytes,
    compare_clusters,
    compare_numbers,
    compare_numerical,
    compare_orders,
    compare_pca,
    compare_published_order,
    identify,
)
from cnnvis.checks.filter_recovery import Geometry, make_recovery
from cnnvis.checks.reproduction import Run, make_verification, require_agreement
from cnnvis.core.errors import UserError
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.inputs import published
from cnnvis.inputs.images import Preprocessing
from cnnvis.pages.recovery import recovery_page
from cnnvis.pages.verification import verification_page
from tests.conftest import ROOT

STUDY = ROOT.parent / "shared" / "study"
MEAN = [104.00698793, 116.66876762, 122.67891434]

needs_study = pytest.mark.skipif(
    not STUDY.is_dir(), reason="../shared/study (the study's published files) is not here"
)


def report_of(run, folder):
    make_verification(folder / "verify.json", run)
    report = json.loads((folder / "verify.json").read_text())
    return report, {check["name"]: check for check in report["checks"]}


def test_bytes_are_counted():
    found = np.uint8([[[0, 255, 7, 9]]])
    expected = np.uint8([[[255, 255, 8, 7]]])
    status, sentence, numbers = compare_bytes(found, expected, "voxels")
    assert (status, numbers["identical"], numbers["off_by_one"]) == ("differs", 1, 1)
    assert (numbers["worse"], numbers["largest"]) == (2, 255)  # no wrapping around
    assert sentence == "1 of 4 voxels identical, 1 off by one, 2 worse (by up to 255)."


def test_a_few_bytes_off_by_one_are_rounding_and_many_are_not():
    expected = np.full((10, 10, 10), 100, np.uint8)
    found = expected.copy()
    found.flat[:5] += 1
    assert compare_bytes(found, expected, "voxels")[0] == "agrees"
    found.flat[5] += 1
    assert compare_bytes(found, expected, "voxels")[0] == "differs"


def test_bytes_of_another_size():
    with pytest.raises(UserError, match=r"2 x 1 x 1 voxels, the study's are 1 x 1 x 1"):
        compare_bytes(np.zeros((2, 1, 1), np.uint8), np.zeros((1, 1, 1), np.uint8), "voxels")


def test_numbers():
    expected = np.array([3.0, 4.0])
    assert compare_numbers(expected * (1 + 2e-7), expected)[0] == "agrees"
    status, _, numbers = compare_numbers(expected + [0, 0.5], expected)
    assert (status, numbers["relative_error"], numbers["largest"]) == ("differs", 0.1, 0.125)


def test_orders_agree_up_to_sign_and_ties():
    projections = np.array([0.0, 1.0, 1.0 + 1e-9, 5.0])
    natural = np.arange(4)
    assert compare_orders([0, 1, 2, 3], natural, projections)[2]["moved"] == 0
    status, _, numbers = compare_orders([3, 1, 2, 0], natural, projections)
    assert (status, numbers) == ("agrees", {"filters": 4, "moved": 2, "wrong": 0, "reversed": True})
    assert compare_orders([1, 0, 2, 3], natural, projections)[0] == "differs"
    with pytest.raises(UserError, match="an order of 3 filters, the study has 4"):
        compare_orders([0, 1, 2], natural, projections)


def test_slices_of_a_volume_are_found_again():
    rng = np.random.default_rng(0)
    natural = rng.integers(0, 256, (6, 3, 4), dtype=np.uint8)
    natural[4] = natural[1]  # dead filters look the same
    assert identify(natural[[5, 4, 0, 1, 3, 2]], natural).tolist() == [5, 1, 0, 4, 3, 2]
    with pytest.raises(UserError, match="slice 2 of the published volume is no filter's output"):
        identify(natural[[0, 1, 1, 1]] + np.uint8([0, 0, 1, 0])[:, None, None], natural)


def test_published_order():
    outputs = np.random.default_rng(0).uniform(0, 255, (8, 5, 5)) * np.arange(8)[:, None, None] / 7
    permutation = order(outputs.reshape(8, -1), "pca")[0]
    volume = np.rint(outputs).astype(np.uint8)
    found = {"permutation": permutation.tolist()}
    assert compare_published_order(found, volume[permutation[::-1]], outputs)[2]["reversed"]
    assert compare_published_order(found, volume, outputs)[0] == "differs"
    assert compare_pca(found, outputs.reshape(8, -1))[0] == "agrees"


def test_clusters_agree_whatever_they_are_called():
    matrix = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
    found = {"labels": [2, 2, 0, 0, 1], "parameters": {"k": 3, "seed": 0}}
    assert compare_clusters(found, matrix)[0] == "agrees"
    status, sentence, _ = compare_clusters({**found, "labels": [2, 2, 0, 1, 1]}, matrix)
    assert (status, sentence) == ("differs", "3 of 5 filters are in a different cluster.")


def test_numerical_gradients():
    rng = np.random.default_rng(0)
    gradient = rng.normal(size=(20, 3, 5, 5))
    right = gradient + rng.normal(size=gradient.shape) * 1e-4
    assert compare_numerical(right, gradient)[0] == "agrees"
    drift = np.cumsum(rng.normal(size=gradient.size)).astype(np.float32).astype(float)
    status, sentence, numbers = compare_numerical(drift.reshape(gradient.shape), gradient)
    assert status == "explained" and "not put back" in sentence and "float32" in sentence
    assert numbers["neighbours"] > 0.9
    status, sentence, _ = compare_numerical(rng.normal(size=gradient.shape), gradient)
    assert status == "differs" and "Nothing in the file explains it" in sentence


def test_nothing_to_compare_is_no_success(tmp_path):
    run = Run(tmp_path / "nowhere", "thin", "cat", 7)
    report, checks = report_of(run, tmp_path)
    assert not report["passed"] and {check["status"] for check in checks.values()} == {
        "not checked"
    }
    with pytest.raises(UserError, match="Nothing could be compared"):
        require_agreement(tmp_path / "verify.json")
    verification_page(tmp_path / "verify.html", tmp_path / "verify.json")
    assert "Nothing has been compared yet" in (tmp_path / "verify.html").read_text()


@pytest.fixture(scope="module")
def recovered(tmp_path_factory):
    """Filters recovered from the study's conv1, and all that a run makes of them on cat.jpg."""
    results = tmp_path_factory.mktemp("results")
    files = Places(results, network="recovered", image="cat")
    folder, image = results / "recovered" / "caffenet", STUDY / "images/cat.jpg"
    preprocessing = Preprocessing((3, 227, 227), MEAN)
    names = ("deploy.prototxt", "weights.caffemodel", "filters.png", "report.json")
    make_recovery(
        STUDY / "activations" / published.CONV1,
        image,
        *(folder / name for name in names),
        preprocessing=preprocessing,
        geometry=Geometry(11, 4),
    )
    prototxt = ROOT / "models/caffenet/conv1.prototxt"
    model = Model(str(prototxt), str(folder / "weights.caffemodel"), "mean1")
    make_forward(model, preprocessing, image, files)
    make_layer(
        files,
        layer="conv1",
        blob="conv1",
        orderings={method: {"method": method} for method in ("natural", "pca")}
        | {"kmeans": {"method": "kmeans", "k": 10, "seed": 0}},
        volumes={"rule": "positive", "percentile": 90},
        slices={
            **{"method": "study", "seed": 123, "starts": 1000, "cluster_order": "labels"},
            **{"rows": [15], "k": [7, 10], "stability": False},
        },
        title="conv1 of recovered on cat",
    )
    return files


@pytest.fixture
def study(tmp_path):
    """Return a copy of the study's files that can be altered."""
    folder = tmp_path / "study"
    for name in published.FOLDERS[1:]:
        shutil.copytree(STUDY / name, folder / name, copy_function=shutil.copyfile)
    return folder


def recovered_run(files, study):
    conv1 = {"layer": "conv1", "ordering": "natural"}
    return Run(
        study=study,
        network="recovered",
        image="cat",
        neuron=263,
        files={
            "blobs": files("blobs"),
            "volume conv1": files("volume", volume="vox", **conv1),
            "grid": files("grid", **conv1),
            "pca": files("ordering", layer="conv1", ordering="pca"),
            "kmeans": files("ordering", layer="conv1", ordering="kmeans"),
            "row 15": files("slice numbers", layer="conv1", row=15),
        },
        reasons={"pembroke conv1": "network recovered has no neuron 263"},
        rows=[15],
    )


def volume(study):
    return study / "activations/L1_conv1.vox"


def change(path, count, by):
    content = np.fromfile(path, np.uint8)
    places = np.flatnonzero(content < 200)[:count]
    content[places] += np.uint8(by)
    content.tofile(path)


@needs_study
def test_everything_that_depends_on_conv1_agrees(recovered, study, tmp_path):
    report, checks = report_of(recovered_run(recovered, study), tmp_path)
    agree = [name for name, check in checks.items() if check["status"] == "agrees"]
    assert agree == [
        "L1_conv1.vox",
        "conv1_cat_scaled255.npy",
        "pca, from conv1_cat_scaled255.npy",
        "kmeans, from conv1_cat_scaled255.npy",
        "row 15, from conv1_cat_scaled255.npy",
        "grid, from conv1_cat_scaled255.npy",
    ]
    assert checks["L1_conv1.vox"]["numbers"]["identical"] == 96 * 55 * 55
    assert checks["conv1_cat_scaled255.npy"]["numbers"]["relative_error"] < 1e-6
    assert report["passed"] and report["counts"]["differs"] == 0
    require_agreement(tmp_path / "verify.json")
    for layer in published.LAYERS[1:]:
        assert checks[published.volume_name(layer)]["status"] == "not checked"
    assert "no neuron 263" in checks["pembroke.npy"]["sentence"]


@needs_study
@pytest.mark.parametrize(("count", "status"), [(100, "agrees"), (2000, "differs")])
def test_off_by_one(recovered, study, tmp_path, count, status):
    change(volume(study), count, 1)
    checks = report_of(recovered_run(recovered, study), tmp_path)[1]
    assert checks["L1_conv1.vox"]["status"] == status
    assert checks["L1_conv1.vox"]["numbers"]["off_by_one"] == count


@needs_study
def test_worse(recovered, study, tmp_path):
    change(volume(study), 1, 2)
    report, checks = report_of(recovered_run(recovered, study), tmp_path)
    assert checks["L1_conv1.vox"]["numbers"]["worse"] == 1
    assert not report["passed"]
    with pytest.raises(UserError, match=r"1 differs.*L1_conv1\.vox: .* 1 worse"):
        require_agreement(tmp_path / "verify.json")


@needs_study
def test_truncated(recovered, study, tmp_path):
    content = volume(study).read_bytes()
    volume(study).write_bytes(content[:-1])
    report, checks = report_of(recovered_run(recovered, study), tmp_path)
    assert checks["L1_conv1.vox"]["status"] == "differs" and not report["passed"]
    assert "has 290399 bytes" in checks["L1_conv1.vox"]["sentence"]


@needs_study
def test_truncated_array(recovered, study, tmp_path):
    path = study / "activations" / published.CONV1
    path.write_bytes(path.read_bytes()[:-100])
    report, checks = report_of(recovered_run(recovered, study), tmp_path)
    assert checks[published.CONV1]["status"] == "differs" and not report["passed"]
    assert checks["L1_conv1.vox"]["status"] == "agrees"


@needs_study
@pytest.mark.parametrize(
    ("name", "what"), [("L1_conv1.vox", "the file"), ("L1_conv1.hd", "L1_conv1.hd")]
)
def test_missing_is_not_checked_and_not_passed(recovered, study, tmp_path, name, what):
    (study / "activations" / name).unlink()
    report, checks = report_of(recovered_run(recovered, study), tmp_path)
    assert checks["L1_conv1.vox"]["status"] == "not checked"
    assert f"{what} is missing from {study}" in checks["L1_conv1.vox"]["sentence"]
    assert report["passed"] and report["counts"]["agrees"] == 5


@needs_study
def test_another_header(recovered, study, tmp_path):
    header = volume(study).with_suffix(".hd")
    header.write_text(header.read_text().replace("1.0x1.0x1.0", "1.0x1.0x2.0"))
    checks = report_of(recovered_run(recovered, study), tmp_path)[1]
    assert "1.0x1.0x2.0" in checks["L1_conv1.vox"]["sentence"]
    assert checks["L1_conv1.vox"]["status"] == "differs"


@needs_study
def test_other_outputs_differ_in_all_that_follows(recovered, study, tmp_path):
    path = study / "activations" / published.CONV1
    outputs = np.load(path)
    np.save(path, outputs[np.random.default_rng(0).permutation(96)])
    checks = report_of(recovered_run(recovered, study), tmp_path)[1]
    wrong = {name for name, check in checks.items() if check["status"] == "differs"}
    assert wrong == {
        "conv1_cat_scaled255.npy",
        "pca, from conv1_cat_scaled255.npy",
        "kmeans, from conv1_cat_scaled255.npy",
        "row 15, from conv1_cat_scaled255.npy",
        "grid, from conv1_cat_scaled255.npy",
    }


@needs_study
def test_the_published_order_is_read_from_its_volume(recovered, study, tmp_path):
    """The study's volume in PCA order is not among the files here: one like it is made."""
    outputs = np.load(STUDY / "activations" / published.CONV1)
    permutation = json.loads(recovered("ordering", layer="conv1", ordering="pca").read_text())[
        "permutation"
    ]
    ordered = np.rint(outputs).astype(np.uint8)[permutation[::-1]]
    ordered.tofile(study / published.ORDERED)
    name = f"pca, as in {published.ORDERED}"
    check = report_of(recovered_run(recovered, study), tmp_path)[1][name]
    assert check["status"] == "agrees" and check["numbers"]["reversed"]
    ordered[[3, 40]] = ordered[[40, 3]]
    ordered.tofile(study / published.ORDERED)
    assert report_of(recovered_run(recovered, study), tmp_path)[1][name]["status"] == "differs"


@needs_study
def test_pages(recovered, study, tmp_path):
    report_of(recovered_run(recovered, study), tmp_path)
    report = recovered("blobs").parents[1] / "caffenet" / "report.json"
    verification_page(tmp_path / "verify.html", tmp_path / "verify.json", [report])
    text = (tmp_path / "verify.html").read_text()
    assert "All 290,400 voxels are identical." in text
    assert "not checked, because network recovered has no neuron 263" in text
    assert "no proof that the filters are CaffeNet" in text
    recovery_page(report.parent / "recovery.html", [report])
    text = (report.parent / "recovery.html").read_text()
    assert "94 of 96 filters of conv1" in text and "filters 57 and 89" in text
    assert 'href="weights.caffemodel"' in text and 'href="deploy.prototxt"' in text
