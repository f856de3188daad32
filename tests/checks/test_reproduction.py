import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cnnvis.activations.forward import make_forward
from cnnvis.activations.layers import make_layer
from cnnvis.checks.agreement import (
    compare_bytes,
    compare_cells,
    compare_numbers,
    compare_numerical,
    compare_ordered,
)
from cnnvis.checks.filter_recovery import Geometry, make_recovery
from cnnvis.checks.reproduction import Run, make_verification, require_agreement
from cnnvis.core.errors import UserError
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.inputs import published
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.sources import read_source
from cnnvis.pages.recovery import recovery_page
from cnnvis.pages.verification import verification_page
from tests.conftest import ROOT

STUDY = ROOT.parent / "shared" / "study"
MEAN = [104.00698793, 116.66876762, 122.67891434]

needs_study = pytest.mark.skipif(
    not STUDY.is_dir(), reason="../shared/study (the study's published files) is not here"
)


def report_of(run, folder):
    make_verification(folder / "verify.json", folder / "verify", run)
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
    assert compare_bytes(found, expected, "voxels")[0] == "reproduced"
    found.flat[5] += 1
    assert compare_bytes(found, expected, "voxels")[0] == "differs"


def test_bytes_of_another_size():
    with pytest.raises(UserError, match=r"2 x 1 x 1 voxels, the study's are 1 x 1 x 1"):
        compare_bytes(np.zeros((2, 1, 1), np.uint8), np.zeros((1, 1, 1), np.uint8), "voxels")


def test_numbers():
    expected = np.array([3.0, 4.0])
    assert compare_numbers(expected * (1 + 2e-7), expected)[0] == "reproduced"
    status, _, numbers = compare_numbers(expected + [0, 0.5], expected)
    assert (status, numbers["relative_error"], numbers["largest"]) == ("differs", 0.1, 0.125)


def ordered_volume():
    """Return 96 feature maps in the order of their means, all different."""
    maps = np.random.default_rng(0).integers(20, 80, (96, 3, 4))
    return (maps + np.arange(96)[:, None, None]).astype(np.uint8)


def test_an_order_may_run_the_other_way():
    volume = ordered_volume()
    status, sentence, numbers = compare_ordered(volume[::-1], volume)
    assert status == "reproduced" and numbers["reversed"] and numbers["in_place"] == 96
    assert sentence == (
        "96 of 96 feature maps have no byte off by more than one, 100 % of their bytes are "
        "identical, and 96 stand in the same place, counted from the other end."
    )


def test_an_order_may_swap_neighbours_but_no_others():
    volume = ordered_volume()
    swapped = volume.copy()
    swapped[[7, 8]] = volume[[8, 7]]
    status, sentence, numbers = compare_ordered(swapped, volume)
    assert status == "reproduced" and numbers["in_place"] == 94
    assert sentence.endswith("and 94 stand in the same place; the others are off by 1.")
    swapped[[7, 9]] = volume[[9, 7]]
    assert compare_ordered(swapped, volume)[0] == "differs"


def test_four_feature_maps_may_be_wrong_and_a_thousandth_of_the_bytes_off_by_one():
    volume = ordered_volume()
    wrong = volume.copy()
    wrong[:4, 0, 0] += 2
    assert compare_ordered(wrong, volume)[:1] == ("reproduced",)
    wrong[4, 0, 0] += 2
    status, _, numbers = compare_ordered(wrong, volume)
    assert (status, numbers["predicted"]) == ("differs", 91)
    wrong = volume.copy()
    wrong[0, 0, :2] += 1  # 2 of 1152 bytes
    assert compare_ordered(wrong, volume)[0] == "differs"
    with pytest.raises(UserError, match="95 x 3 x 4 voxels, the study's are 96 x 3 x 4"):
        compare_ordered(volume[1:], volume)


def test_cells_of_a_picture_are_compared_row_by_row():
    values = np.array([[0.0, 0.5], [0.25, 1.0], [0.0, 0.0]])
    cells = np.array([[0, 127], [64, 255], [3, 0]])
    status, sentence, numbers = compare_cells(values, cells, "rows", least=3)
    assert (status, numbers) == ("differs", {"rows": 3, "same": 2})
    assert sentence == "2 of 3 rows agree: every cell is within 2 of 255 grey levels."
    assert compare_cells(values, cells, "rows", least=2)[0] == "reproduced"


def test_numerical_gradients():
    rng = np.random.default_rng(0)
    gradient = rng.normal(size=(20, 3, 5, 5))
    right = gradient + rng.normal(size=gradient.shape) * 1e-4
    assert compare_numerical(right, gradient)[0] == "reproduced"
    drift = np.cumsum(rng.normal(size=gradient.size)).astype(np.float32).astype(float)
    status, sentence, numbers = compare_numerical(drift.reshape(gradient.shape), gradient)
    assert status == "explained" and "the one before it" in sentence and "float32" in sentence
    assert numbers["neighbours"] > 0.9
    status, sentence, _ = compare_numerical(rng.normal(size=gradient.shape), gradient)
    assert status == "differs" and "Nothing in the file explains it" in sentence


def test_nothing_to_compare_is_no_success(tmp_path):
    run = Run(tmp_path / "nowhere", "thin", "cat", 7)
    report, checks = report_of(run, tmp_path)
    assert not report["passed"]
    assert {check["status"] for check in checks.values()} == {"not checked", "needs ImageNet"}
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
            **{"rows": [15], "k": [3, 7, 10, "20x5"], "stability": True},
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
    return Run(
        study=study,
        network="recovered",
        image="cat",
        neuron=263,
        files={
            "blobs": files("blobs"),
            "volume conv1": files("volume", volume="vox", layer="conv1", ordering="natural"),
            "ordered cat": files("volume", volume="vox", layer="conv1", ordering="pca"),
            "slice": files("slice numbers", layer="conv1", row=15),
            "stability": files("slice stability", layer="conv1"),
        },
        reasons={"pembroke conv1": "network recovered has no neuron 263"},
    )


def volume(study):
    return study / "activations/L1_conv1.vox"


def change(path, count, by):
    content = np.fromfile(path, np.uint8)
    places = np.flatnonzero(content < 200)[:count]
    content[places] += np.uint8(by)
    content.tofile(path)


# Of what the recovered filters give, the files that are here; the report and the volumes in the
# order of PCA are not among them.
HERE = [
    "conv1_cat_scaled255.npy",
    "L1_conv1.vox",
    "3 means (kmeans3.png)",
    "7 means (kmeans7.png)",
    "Sizes of 3 clusters",
    "PCA (pca_slices.png)",
    "Claim: consecutive slices order almost the same",
]


def digest_of(name):
    """Return the SHA-256 that ``study/source.yaml`` gives for a published file."""
    return read_source(ROOT / "study/source.yaml")["files"][name]["sha256"]


def sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


@needs_study
def test_everything_that_depends_on_conv1_is_reproduced(recovered, study, tmp_path):
    report, checks = report_of(recovered_run(recovered, study), tmp_path)
    assert [name for name in checks if checks[name]["status"] == "reproduced"] == HERE
    assert checks["L1_conv1.vox"]["numbers"]["identical"] == 96 * 55 * 55
    assert checks["conv1_cat_scaled255.npy"]["numbers"]["relative_error"] < 1e-6
    for name in ("3 means (kmeans3.png)", "7 means (kmeans7.png)", "PCA (pca_slices.png)"):
        assert checks[name]["numbers"] == {"rows": 96, "same": 96}
        assert all(Path(path).is_file() for path in checks[name]["pictures"].values())
    assert "106 of 96" in checks["Sizes of 7 clusters"]["sentence"]
    assert report["passed"] and report["counts"]["differs"] == 0
    require_agreement(tmp_path / "verify.json")
    for layer in published.LAYERS[1:]:
        assert checks[published.volume_name(layer)]["status"] == "not checked"
    assert "no neuron 263" in checks["pembroke.npy"]["sentence"]


@needs_study
@pytest.mark.parametrize(("count", "status"), [(100, "reproduced"), (2000, "differs")])
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
    assert checks["L1_conv1.vox"]["status"] == "reproduced"


@needs_study
@pytest.mark.parametrize("name", ["L1_conv1.vox", "L1_conv1.hd"])
def test_missing_is_not_checked_and_not_passed(recovered, study, tmp_path, name):
    (study / "activations" / name).unlink()
    report, checks = report_of(recovered_run(recovered, study), tmp_path)
    assert checks["L1_conv1.vox"]["status"] == "not checked"
    assert f"{name} is missing from {study}" in checks["L1_conv1.vox"]["sentence"]
    assert report["passed"] and report["counts"]["reproduced"] == len(HERE) - 1


@needs_study
def test_another_header(recovered, study, tmp_path):
    header = volume(study).with_suffix(".hd")
    header.write_text(header.read_text().replace("1.0x1.0x1.0", "1.0x1.0x2.0"))
    checks = report_of(recovered_run(recovered, study), tmp_path)[1]
    assert "1.0x1.0x2.0" in checks["L1_conv1.vox"]["sentence"]
    assert checks["L1_conv1.vox"]["status"] == "differs"


@needs_study
def test_other_outputs_and_another_picture_differ(recovered, study, tmp_path):
    path = study / "activations" / published.CONV1
    np.save(path, np.load(path)[np.random.default_rng(0).permutation(96)])
    shutil.copyfile(study / "figures/kmeans7.png", study / "figures/pca_slices.png")
    (study / "figures/kmeans3.png").write_bytes(b"no picture")
    checks = report_of(recovered_run(recovered, study), tmp_path)[1]
    wrong = [name for name, check in checks.items() if check["status"] == "differs"]
    assert wrong == ["conv1_cat_scaled255.npy", "3 means (kmeans3.png)", "PCA (pca_slices.png)"]
    assert "cannot be read as a picture" in checks["3 means (kmeans3.png)"]["sentence"]
    assert checks["PCA (pca_slices.png)"]["numbers"]["same"] < 20


@needs_study
def test_volumes_in_the_order_of_pca(recovered, study, tmp_path):
    """The study's volume is not among the files here, but its digest is, and its array."""
    outputs = np.load(STUDY / "activations" / published.CONV1).astype(float)
    matrix = outputs.reshape(96, -1)
    direction = np.linalg.svd(matrix - matrix.mean(axis=0), full_matrices=False)[2][0]
    ordered = np.rint(outputs[np.argsort(matrix @ direction)]).astype(np.uint8)
    name = published.ORDERED["cat"]
    assert digest_of(name) in (sha256(ordered), sha256(ordered[::-1]))
    ordered.tofile(study / name)
    check = report_of(recovered_run(recovered, study), tmp_path)[1]["vis_pca.vox"]
    assert check["status"] == "reproduced" and check["numbers"]["in_place"] == 96
    ordered[[3, 40]] = ordered[[40, 3]]
    ordered.tofile(study / name)
    check = report_of(recovered_run(recovered, study), tmp_path)[1]["vis_pca.vox"]
    assert check["status"] == "differs" and check["numbers"]["farthest"] == 37


def test_pictures_of_the_report(tmp_path):
    """A report whose second page has a picture with one red pixel in its corner."""
    from PIL import Image

    pages = [Image.new("RGB", (40, 30), colour) for colour in ("green", "blue")]
    pages[1].putpixel((0, 0), (255, 0, 0))
    pages[0].save(tmp_path / published.REPORT, save_all=True, append_images=pages[1:], quality=100)
    picture = published.read_picture(tmp_path, (2, 0))
    assert picture.size == (40, 30) and picture.getpixel((30, 20))[2] > 250
    with pytest.raises(UserError, match=r"report\.pdf: cannot be read as a picture \(page 2, pic"):
        published.read_picture(tmp_path, (2, 1))
    (tmp_path / published.REPORT).write_bytes(b"%PDF-1.5 truncated")
    with pytest.raises(UserError, match=r"report\.pdf: cannot be read as a picture"):
        published.read_picture(tmp_path, (1, 0))


@needs_study
def test_the_studys_gradients(study, tmp_path):
    """The study's volume is not among the files here, but its digest is, and its array."""
    sums = np.load(study / "gradients/Persian_1.npy").sum(axis=1)
    volume = np.rint((sums - sums.min()) / np.ptp(sums)).astype(np.uint8)
    assert sha256(volume) == digest_of("Persian_1.vox")
    volume.tofile(study / "Persian_1.vox")
    gradients = tmp_path / "263.npz"
    np.savez(gradients, conv1=np.load(study / "gradients/Persian_1.npy"))
    run = Run(study, "published", "cat", 263, files={"Persian_1 conv1": gradients})
    check = report_of(run, tmp_path)[1]["Persian_1.vox"]
    assert check["status"] == "reproduced" and check["numbers"]["identical"] == 11616


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
