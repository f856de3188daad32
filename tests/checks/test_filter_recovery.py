import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnnvis
from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.checks.filter_recovery import Geometry, equations, make_recovery, read_volume, recover
from cnnvis.core.errors import UserError
from cnnvis.core.volume_files import to_bytes, write_volume
from cnnvis.inputs.images import Preprocessing

STUDY = Path(__file__).parents[3] / "shared" / "study"
MODELS = Path(__file__).parents[2] / "models"
MEAN = [104.00698793, 116.66876762, 122.67891434]
GEOMETRY = Geometry(kernel=5, stride=2, pad=2)


def convolve(blob, filters, biases, geometry):
    """Convolve by the definition, window by window."""
    padded = np.pad(blob, ((0, 0), (geometry.pad,) * 2, (geometry.pad,) * 2))
    height, width = geometry.output(blob.shape[1:])
    result = np.empty((len(filters), height, width))
    for y in range(height):
        for x in range(width):
            top, left = y * geometry.stride, x * geometry.stride
            window = padded[:, top : top + geometry.kernel, left : left + geometry.kernel]
            result[:, y, x] = (filters * window).sum(axis=(1, 2, 3)) + biases
    return result


@pytest.fixture(scope="module")
def layer():
    """An input of noise, eight filters, and their outputs after ReLU. The last is rarely active."""
    rng = np.random.default_rng(7)
    blob = rng.normal(size=(3, 64, 64)) * 60
    filters = rng.normal(size=(8, 3, 5, 5)) * 0.01
    biases = rng.normal(size=8) * 0.1
    outputs = convolve(blob, filters, biases, GEOMETRY)
    biases[7] -= np.sort(outputs[7].ravel())[-40]  # 39 of 1024 positions stay active
    outputs = np.maximum(convolve(blob, filters, biases, GEOMETRY), 0)
    return blob, filters, biases, outputs


def relative(found, expected):
    difference = (found - expected).reshape(len(expected), -1)
    return np.linalg.norm(difference, axis=1) / np.linalg.norm(
        expected.reshape(len(expected), -1), axis=1
    )


def test_known_filters_are_recovered(layer):
    blob, filters, biases, outputs = layer
    found = recover(outputs, blob, GEOMETRY)
    assert relative(found.filters, filters)[:7].max() < 1e-10
    np.testing.assert_allclose(found.biases[:7], biases[:7], atol=1e-10)
    assert found.residual.max() < 1e-10
    assert found.determined.tolist() == [True] * 7 + [False]
    assert found.active[7] == 39
    assert found.contradictions.sum() == 0


def test_one_factor_is_common(layer):
    blob, filters, _, outputs = layer
    factor = 255 / outputs.max()
    found = recover((outputs * factor).astype(np.float32), blob, GEOMETRY)
    ratio = found.filters[:7] / filters[:7]
    np.testing.assert_allclose(ratio, factor, rtol=1e-2)
    assert relative(found.filters[:7], filters[:7] * factor).max() < 1e-6
    assert 1e-8 < found.residual[:7].max() < 1e-6  # what single precision leaves
    # The standard error is what it says.
    ratio = relative(found.filters[:7], filters[:7] * factor) / found.error[:7]
    assert 0.5 < np.median(ratio) < 2


def test_undetermined_filter_explains_what_is_published(layer):
    blob, filters, _, outputs = layer
    found = recover(outputs, blob, GEOMETRY)
    again = np.maximum(convolve(blob, found.filters[7:], found.biases[7:], GEOMETRY), 0)
    np.testing.assert_allclose(again, outputs[7:], atol=1e-8)
    assert np.linalg.norm(found.filters[7]) < np.linalg.norm(filters[7])
    assert np.isinf(found.error[7])


def test_undetermined_filter_ignores_no_inactive_position(layer):
    """The smallest solution of the active positions alone would be active elsewhere."""
    blob, _, _, outputs = layer
    system, _ = equations(blob, GEOMETRY)
    active = outputs[7].ravel() > 0
    alone = np.linalg.lstsq(system[active], outputs[7].ravel()[active], rcond=None)[0]
    assert (system[~active] @ alone > 1e-3).sum() > 10


def test_filter_that_is_never_active(layer):
    blob, _, _, outputs = layer
    dead = np.concatenate([outputs, np.zeros_like(outputs[:1])])
    found = recover(dead, blob, GEOMETRY)
    assert found.active[8] == 0
    assert not found.determined[8]
    assert not convolve(blob, found.filters[8:], found.biases[8:], GEOMETRY).max() > 0


def test_bytes(layer):
    blob, filters, _, outputs = layer
    factor = 255 / outputs.max()
    found = recover(to_bytes(outputs).astype(float), blob, GEOMETRY, rounding=0.5)
    off = relative(found.filters[:7], filters[:7] * factor)
    assert off.max() < 0.02  # noise determines filters well, photographs do not
    assert 0.5 < np.median(off / found.error[:7]) < 2
    assert found.residual[:7].max() < 0.02
    assert found.determined.tolist() == [True] * 7 + [False]


def test_layer_without_relu(layer):
    """Outputs whose smallest is not 0: all positions count, the offset goes into the bias."""
    blob, filters, biases, _ = layer
    outputs = convolve(blob, filters, biases, GEOMETRY)
    found = recover(outputs - outputs.min() + 1, blob, GEOMETRY)
    assert relative(found.filters, filters).max() < 1e-10
    np.testing.assert_allclose(found.biases, biases - outputs.min() + 1, rtol=1e-8)


def test_other_input_explains_nothing(layer):
    blob, _, _, outputs = layer
    with pytest.raises(
        UserError, match=r"^volume: no filters explain these outputs: the residual is 0"
    ):
        recover(outputs, blob[:, ::-1], GEOMETRY)


def test_too_few_positions():
    outputs = np.ones((2, 3, 3))
    with pytest.raises(UserError, match="at most . active positions for 76 unknowns"):
        recover(outputs, np.ones((3, 5, 5)), Geometry(kernel=5, pad=1))


def test_wrong_geometry(layer):
    blob, _, _, outputs = layer
    with pytest.raises(UserError) as caught:
        recover(outputs, blob, Geometry(5, 2), name="conv1.npy")
    assert str(caught.value) == (
        "conv1.npy: outputs of 32 x 32 (height x width), but kernel 5, stride 2, pad 0 make "
        "30 x 30 of an input of 64 x 64"
    )


def test_read_volume(tmp_path):
    volume = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    write_volume(tmp_path / "a.vox", volume)
    np.save(tmp_path / "a.npy", volume.astype(np.float32) / 7)
    found, rounding = read_volume(tmp_path / "a.vox")
    np.testing.assert_array_equal(found, volume)
    assert rounding == 0.5
    found, rounding = read_volume(tmp_path / "a.npy")
    np.testing.assert_array_equal(found, volume.astype(np.float32) / 7)
    assert rounding == 0
    np.save(tmp_path / "b.npy", volume)
    assert read_volume(tmp_path / "b.npy")[1] == 0.5


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.vox", lambda _: None, "a.hd: cannot be read"),
        ("a.npy", lambda _: None, "a.npy: cannot be read as .npy"),
        ("a.npy", lambda path: np.save(path, np.zeros((3, 3))), "expected 3 dimensions"),
        ("a.npy", lambda path: np.save(path, np.full((1, 2, 3), np.nan)), "NaN"),
        ("a.vox", lambda path: path.with_suffix(".hd").write_text("Size 3x2x4 unsigned byte "),
         "a.vox: cannot be read"),
        ("a.vox", lambda path: [path.write_bytes(b"123"), path.with_suffix(".hd").write_text(
            "Size 3x2x4 unsigned byte ")], "has 3 bytes, but a.hd says 3 x 2 x 4"),
        ("a.vox", lambda path: [path.write_bytes(b"123"), path.with_suffix(".hd").write_text(
            "Size 3x2x4 unsigned short")], "expected a line such as"),
    ],
)  # fmt: skip
def test_volumes_that_are_none(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(UserError, match=message):
        read_volume(tmp_path / name)


def run(folder, volume, image, preprocessing, geometry):
    """Recover; return the network's output on the image, its weights and the report."""
    paths = [folder / f"conv1.{suffix}" for suffix in ("prototxt", "caffemodel", "png", "json")]
    make_recovery(volume, image, *paths, preprocessing=preprocessing, geometry=geometry)
    with cnnvis.open_network(paths[0], paths[1], threads=1) as network:
        outputs = network.forward(preprocessing(image)[np.newaxis], ["conv1"])["conv1"][0]
    assert paths[2].stat().st_size > 1000
    return outputs, read_caffemodel(paths[1])["conv1"], json.loads(paths[3].read_text())


def test_files(tmp_path):
    """A photograph through random filters, published as a scaled array, and back."""
    image, preprocessing = "skimage:coffee", Preprocessing((3, 96, 96), MEAN)
    rng = np.random.default_rng(3)
    filters, biases = rng.normal(size=(6, 3, 5, 5)) * 0.02, rng.normal(size=6)
    filters -= filters.mean(axis=(2, 3), keepdims=True)
    outputs = np.maximum(convolve(preprocessing(image), filters, biases, Geometry(5, 2)), 0)
    scaled = (outputs * (255 / outputs.max())).astype(np.float32)
    np.save(tmp_path / "published.npy", scaled)
    volume = tmp_path / "published.npy"
    again, (found, _), report = run(tmp_path, volume, image, preprocessing, Geometry(5, 2))
    assert relative(found, filters * (255 / outputs.max())).max() < 1e-3
    np.testing.assert_allclose(again, scaled, atol=2e-3)
    np.testing.assert_array_equal(to_bytes(again), to_bytes(scaled))
    assert report["determined"] == 6
    assert report["undetermined"] == []
    assert report["unknowns"] == 76
    assert report["residual"]["largest"] < 1e-6
    assert report["contradictions"] == 0


SNAKEFILE = f"""
import re
from pathlib import Path

def any_of(names):
    return "|".join(map(re.escape, sorted(names)))

def code(script):
    return "digest"

tables = {{"recover": config["recover"]}}

def entry(table, name, key):
    return lambda wildcards: tables[table][name.format(**wildcards)][key]

include: "{Path(__file__).parents[2]}/workflow/recovery.smk"
"""


def test_rule(layer, tmp_path):
    """The rule's files, from a volume of bytes with its header."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    preprocessing = {"shape": [3, 64, 64], "mean": [128, 128, 128]}
    blob = Preprocessing(**preprocessing)(tmp_path / "noise.png")
    outputs = np.maximum(convolve(blob, layer[1], layer[2], GEOMETRY), 0)
    write_volume(tmp_path / "published.vox", to_bytes(outputs))
    entry = {
        "volume": "published.vox",
        "header": ["published.hd"],
        "image": "noise.png",
        "file": ["noise.png"],
        "mean_file": [],
        "crop": None,
        "layer": "conv/1",
        "preprocessing": preprocessing,
        "geometry": asdict(GEOMETRY),
    }
    (tmp_path / "config.json").write_text(json.dumps({"recover": {"noise": entry}}))
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = ["-m", "snakemake", "results/recovery.html", "--cores", "1"]
    command += ["--configfile", "config.json"]
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "results" / "recovered" / "noise"
    report = json.loads((folder / "report.json").read_text())
    assert report["undetermined"] == [7]
    found = read_caffemodel(folder / "weights.caffemodel")["conv/1"][0]
    assert relative(found, layer[1] * (255 / outputs.max()))[:7].max() < 0.01
    with cnnvis.open_network(folder / "deploy.prototxt", folder / "weights.caffemodel") as network:
        assert network.input_shape == (3, 64, 64)


@pytest.mark.skipif(not STUDY.is_dir(), reason="the study's published files (../shared) are absent")
def test_the_study_byte_for_byte(tmp_path):
    """CaffeNet's conv1 from its published output of one photograph, without its weights."""
    again, found, report = run(
        tmp_path,
        STUDY / "activations" / "conv1_cat_scaled255.npy",
        STUDY / "images" / "cat.jpg",
        Preprocessing((3, 227, 227), MEAN),
        Geometry(11, 4),
    )
    assert to_bytes(again).tobytes() == (STUDY / "activations" / "L1_conv1.vox").read_bytes()
    assert report["residual"]["median"] < 3e-7
    assert report["residual"]["largest"] < 2e-6
    assert report["error"]["largest"] < 1e-4
    assert report["undetermined"] == [57, 89]
    assert [report["active"][n] for n in (57, 89)] == [98, 207]
    assert report["contradictions"] == 0  # of 151,000 inactive positions, which were not used
    # What models/caffenet/ has, from which photonet has its first layer, is this and nothing else.
    kept = read_caffemodel(MODELS / "caffenet" / "conv1.caffemodel")["conv1"]
    off = [relative(each, other) for each, other in zip(found, kept, strict=True)]
    assert np.delete(off, [57, 89], axis=1).max() < 1e-5
    assert np.max(off) < 1e-3
