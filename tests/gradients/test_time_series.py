import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from cnnvis.core.arrays import write_arrays
from cnnvis.core.drawing import Colours
from cnnvis.core.errors import UserError
from cnnvis.core.volume_files import tile_channels
from cnnvis.gradients import animation, time_series

IMAGES = [
    ("reference", "grass", True),
    ("reference", "lawn", False),
    ("similar", "gravel", True),
    ("dissimilar", "moon", True),
]


@pytest.fixture
def groups(tmp_path):
    draw = np.random.default_rng(0)
    members = []
    for group, image, correct in IMAGES:
        gradient = draw.normal(size=(6, 4, 3, 2)).astype(np.float32)
        write_arrays(tmp_path / f"{image}.npz", {"conv1": gradient})
        top = [{"index": 3 if correct else 4, "label": "a class", "probability": 0.75}]
        (tmp_path / f"{image}.json").write_text(json.dumps({"top": top}))
        files = {"gradients": tmp_path / f"{image}.npz", "prediction": tmp_path / f"{image}.json"}
        members.append({"group": group, "cls": 3, "image": image, "correct": correct, **files})
    return members


def run(groups, folder, layer="conv1"):
    names = ("s.nii.gz", "s.pvd", "s", "s.webp", "s.gif", "s.still.png")
    paths = [folder / "out" / name for name in names]
    time_series.make_series(groups, *paths, layer=layer, neuron=3, title="title")
    return paths


def volumes(groups):
    return [tile_channels(np.load(member["gradients"])["conv1"]) for member in groups]


def test_nifti_as_its_own_reader_has_it(groups, tmp_path):
    image = nibabel.load(run(groups, tmp_path)[0])
    expected = volumes(groups)
    values = image.get_fdata(dtype=np.float32)
    # 4 channels of 3 x 2 are 2 x 2 tiles: 4 columns, 6 rows; 6 filters; 4 images.
    assert values.shape == (4, 6, 6, 4)
    for time, volume in enumerate(expected):
        assert np.array_equal(values[..., time], volume.T)
    assert image.get_data_dtype() == np.float32
    assert image.header.get_zooms() == (1, 1, 1, 1)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert float(image.header["cal_max"]) == np.abs(expected).max()
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert np.array_equal(image.get_qform(), image.get_sform())


def test_nifti_says_what_its_frames_are(groups, tmp_path):
    header = nibabel.load(run(groups, tmp_path)[0]).header
    found = json.loads(header.extensions[0].get_content())
    assert [frame["image"] for frame in found["frames"]] == ["grass", "lawn", "gravel", "moon"]
    assert found["frames"][1]["verdict"] == "wrong"
    assert found["quantity"] == "d neuron 3 / d weights of conv1"


def test_one_image_is_still_a_series(groups, tmp_path):
    nii, _, frames, webp, *_ = run(groups[:1], tmp_path)
    assert nibabel.load(nii).shape == (4, 6, 6, 1)
    assert len(list(frames.iterdir())) == 1
    assert getattr(Image.open(webp), "n_frames", 1) == 1


def read_vti(path):
    """Read image data as the format's description says, not as the code writes it."""
    head, _, rest = path.read_bytes().partition(b'<AppendedData encoding="raw">\n_')
    root = ElementTree.fromstring(head + b"</VTKFile>")
    assert (root.get("type"), root.get("header_type")) == ("ImageData", "UInt64")
    assert root.get("byte_order") == "LittleEndian"
    piece = root.find("ImageData/Piece")
    assert piece.get("Extent") == root.find("ImageData").get("WholeExtent")
    extent = list(map(int, piece.get("Extent").split()))
    shape = [last - first + 1 for first, last in zip(extent[::2], extent[1::2], strict=True)][::-1]
    array = piece.find("PointData/DataArray")
    start = int(array.get("offset"))
    size = int.from_bytes(rest[start : start + 8], "little")
    assert rest[start + 8 + size :].strip() == b"</AppendedData>\n</VTKFile>"
    texts = {
        text.get("Name"): bytes(map(int, text.text.split()))[:-1].decode()
        for text in root.iterfind("ImageData/FieldData/Array")
    }
    return np.frombuffer(rest, "<f4", size // 4, start + 8).reshape(shape), texts


def test_paraview_s_series_by_its_list(groups, tmp_path):
    pvd = run(groups, tmp_path)[1]
    entries = ElementTree.parse(pvd).findall("Collection/DataSet")
    assert [float(entry.get("timestep")) for entry in entries] == [0, 1, 2, 3]
    for entry, volume, (group, image, _) in zip(entries, volumes(groups), IMAGES, strict=True):
        values, texts = read_vti(pvd.parent / entry.get("file"))
        assert np.array_equal(values, volume)
        assert (texts["image"], texts["group"]) == (image, group)


def test_vtk_reads_the_frames(groups, tmp_path):
    vtk = pytest.importorskip("vtk", reason="vtk is not installed")
    from vtk.util.numpy_support import vtk_to_numpy

    frames = run(groups, tmp_path)[2]
    for path, volume in zip(sorted(frames.iterdir()), volumes(groups), strict=True):
        reader = vtk.vtkXMLImageDataReader()
        reader.SetFileName(str(path))
        reader.Update()
        image = reader.GetOutput()
        assert image.GetDimensions() == volume.shape[::-1]
        assert np.array_equal(vtk_to_numpy(image.GetPointData().GetScalars()), volume.ravel())


def test_itk_reads_the_series(groups, tmp_path):
    itk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    image = itk.ReadImage(str(run(groups, tmp_path)[0]))
    assert np.array_equal(itk.GetArrayFromImage(image), volumes(groups))
    # The same place and direction as an .mhd without any: they lie on one another.
    assert image.GetDirection() == tuple(np.eye(4).ravel())
    assert image.GetOrigin() == (0, 0, 0, 0)


@pytest.mark.parametrize("place", [3, 4])
def test_animations(groups, tmp_path, place):
    paths = run(groups, tmp_path)
    animation = Image.open(paths[place])
    still = np.asarray(Image.open(paths[5]))
    assert animation.n_frames == 4
    assert animation.info["loop"] == 0
    frames = []
    for index in range(4):
        animation.seek(index)
        frames.append(np.asarray(animation.convert("RGB")))
        assert animation.info["duration"] == 1500
    assert frames[0].shape == still.shape
    # 191 of the map's colours are left: 1/190 of its steepest channel, and some for smoothed text.
    assert np.percentile(np.abs(frames[0].astype(int) - still), 99) < 8
    assert all((a != b).any() for a, b in zip(frames, frames[1:], strict=False))
    assert (frames[0][0] == 255).all()


def test_same_gradients_same_bytes(groups, tmp_path):
    first = [path.read_bytes() for path in run(groups, tmp_path) if path.is_file()]
    second = [path.read_bytes() for path in run(groups, tmp_path / "again") if path.is_file()]
    assert first == second


def test_all_gradients_zero(groups, tmp_path):
    for member in groups:
        write_arrays(member["gradients"], {"conv1": np.zeros((2, 3, 1, 1), np.float32)})
    nii, *_, gif, still = run(groups, tmp_path)
    assert not nibabel.load(nii).get_fdata().any()
    assert gif.exists() and still.exists()


def test_full_colour_ignores_a_single_strong_weight():
    values = np.concatenate([np.linspace(-1, 1, 2000), [1e6], np.zeros(9000)])
    assert animation.full_colour([values]) == pytest.approx(1, abs=0.01)


def test_every_filter_that_fits_is_shown_and_otherwise_the_strongest():
    small = [np.ones((96, 3, 11, 11))]
    shown, tiles, columns = animation.fit_tiles(small, np.arange(96))
    assert len(shown) == 96 and columns == 8
    assert tiles[0].shape == (96, 33, 99)
    large = [np.ones((64, 256, 25, 25), np.float32)]
    shown, tiles, columns = animation.fit_tiles(large, np.arange(64) % 7)
    assert tiles[0].shape[1:] == (400, 400)
    assert shown.tolist() == [6, 13]
    assert columns == 2


def test_colours_of_an_animation_hold_the_ends_of_the_map_and_white():
    palette = animation._palette(Colours("RdBu_r", -1, 1)).getpalette()
    colours = {tuple(palette[at : at + 3]) for at in range(0, 768, 3)}
    assert palette[-3:] == [255, 255, 255]
    assert {(103, 0, 31), (5, 48, 97), (247, 246, 246)} <= colours


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda groups: groups[0].update(group="like"), "is in group 'like'"),
        (lambda groups: groups.__delitem__(slice(0, 2)), "no image of the reference class"),
        (
            lambda groups: write_arrays(groups[1]["gradients"], {"conv1": np.ones((6, 4, 3, 3))}),
            "has shape (6, 4, 3, 3), that of grass (6, 4, 3, 2)",
        ),
        (
            lambda groups: write_arrays(groups[1]["gradients"], {"conv2": np.ones(3)}),
            "no gradient of layer 'conv1'; it holds conv2",
        ),
    ],
)
def test_mistakes_are_one_line(groups, tmp_path, change, message):
    change(groups)
    with pytest.raises(UserError, match=re.escape(message)):
        run(groups, tmp_path)
    assert not Path(tmp_path / "out").exists()


def test_an_axis_that_nifti_cannot_hold(tmp_path):
    with pytest.raises(UserError, match="40000 filters, but NIfTI holds at most 32767"):
        time_series.write_nifti(tmp_path / "s.nii.gz", [np.zeros((40000, 1, 1), "f4")], "", {})
