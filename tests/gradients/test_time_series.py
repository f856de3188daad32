import json
import xml.etree.ElementTree as ElementTree

import nibabel
import numpy as np
import pytest
from PIL import Image

from cnnvis.core.errors import UserError
from cnnvis.core.places import Places
from cnnvis.core.volume_files import tile_channels
from cnnvis.gradients import animation, time_series
from cnnvis.gradients.comparisons import Comparison, Member
from cnnvis.gradients.norms import filter_norms

IMAGES = [
    ("reference", "grass", True),
    ("reference", "lawn", False),
    ("similar", "gravel", True),
    ("dissimilar", "moon", True),
]


def compare(gradients):
    """Return a comparison of gradients, as if read from files."""
    members = [
        Member(image, group, 3, correct, correct, 3 if correct else 4, "a class", 0.75, "")
        for group, image, correct in IMAGES[: len(gradients)]
    ]
    norms = np.stack([filter_norms(gradient) for gradient in gradients])
    return Comparison("rocks", "net", 3, "conv1", members, gradients, norms)


@pytest.fixture
def comparison():
    draw = np.random.default_rng(0)
    return compare([draw.normal(size=(6, 4, 3, 2)).astype(np.float32) for _ in IMAGES])


def run(comparison, folder):
    files = Places(folder, network="net", comparison="rocks")
    time_series.make_time_series(files, comparison)
    kinds = ("comparison nifti", "comparison vtk", "comparison animation", "comparison still")
    nii, pvd, webp, still = (files(kind, layer="conv1") for kind in kinds)
    return nii, pvd, pvd.with_suffix(""), webp, still


def volumes(comparison):
    return [gradient.sum(axis=1) for gradient in comparison.gradients]


def test_nifti_as_its_own_reader_has_it(comparison, tmp_path):
    image = nibabel.load(run(comparison, tmp_path)[0])
    expected = volumes(comparison)
    values = image.get_fdata(dtype=np.float32)
    # 2 columns, 3 rows; 6 filters; 4 images.
    assert values.shape == (2, 3, 6, 4)
    for time, volume in enumerate(expected):
        assert np.array_equal(values[..., time], volume.T)
    assert image.get_data_dtype() == np.float32
    assert image.header.get_zooms() == (1, 1, 1, 1)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert float(image.header["cal_max"]) == np.abs(expected).max()
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert np.array_equal(image.get_qform(), image.get_sform())


def test_nifti_says_what_its_frames_are(comparison, tmp_path):
    header = nibabel.load(run(comparison, tmp_path)[0]).header
    comment = json.loads(header.extensions[0].get_content())
    assert [frame["image"] for frame in comment["frames"]] == ["grass", "lawn", "gravel", "moon"]
    assert comment["frames"][1]["verdict"] == "wrong"
    assert comment["quantity"] == "d neuron 3 / d weights of conv1"
    assert comment["layout"] == "channels summed"


def test_the_same_series_is_there_channel_by_channel(comparison, tmp_path):
    pvd = run(comparison, tmp_path)[1].with_name("conv1.channels.pvd")
    image = nibabel.load(pvd.with_name("conv1.channels.nii.gz"))
    # 4 channels of 3 x 2 are 2 x 2 tiles: 4 columns, 6 rows.
    assert image.shape == (4, 6, 6, 4)
    entries = ElementTree.parse(pvd).findall("Collection/DataSet")
    for time, (entry, gradient) in enumerate(zip(entries, comparison.gradients, strict=True)):
        values, _ = read_vti(pvd.parent / entry.get("file"))
        assert np.array_equal(values, tile_channels(gradient))
        assert np.array_equal(image.get_fdata(dtype=np.float32)[..., time], values.T)


def test_one_image_is_still_a_series(comparison, tmp_path):
    nii, _, frames, webp, _ = run(compare(comparison.gradients[:1]), tmp_path)
    assert nibabel.load(nii).shape == (2, 3, 6, 1)
    assert sorted(path.name for path in frames.iterdir()) == [
        "frame-000.channels.vti",
        "frame-000.vti",
    ]
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


def test_paraview_s_series_by_its_list(comparison, tmp_path):
    pvd = run(comparison, tmp_path)[1]
    entries = ElementTree.parse(pvd).findall("Collection/DataSet")
    assert [float(entry.get("timestep")) for entry in entries] == [0, 1, 2, 3]
    for entry, volume, (group, image, _) in zip(entries, volumes(comparison), IMAGES, strict=True):
        values, texts = read_vti(pvd.parent / entry.get("file"))
        assert np.array_equal(values, volume)
        assert (texts["image"], texts["group"]) == (image, group)


def test_vtk_reads_the_frames(comparison, tmp_path):
    vtk = pytest.importorskip("vtk", reason="vtk is not installed")
    from vtk.util.numpy_support import vtk_to_numpy

    frames = run(comparison, tmp_path)[2]
    for path, volume in zip(sorted(frames.glob("frame-???.vti")), volumes(comparison), strict=True):
        reader = vtk.vtkXMLImageDataReader()
        reader.SetFileName(str(path))
        reader.Update()
        image = reader.GetOutput()
        assert image.GetDimensions() == volume.shape[::-1]
        assert np.array_equal(vtk_to_numpy(image.GetPointData().GetScalars()), volume.ravel())


def test_itk_reads_the_series(comparison, tmp_path):
    itk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    image = itk.ReadImage(str(run(comparison, tmp_path)[0]))
    assert np.array_equal(itk.GetArrayFromImage(image), volumes(comparison))
    # The same place and direction as an .mhd without any: they lie on one another.
    assert image.GetDirection() == tuple(np.eye(4).ravel())
    assert image.GetOrigin() == (0, 0, 0, 0)


def test_the_animation_shows_every_image_for_as_long_and_begins_with_the_still(
    comparison, tmp_path
):
    *_, webp, still = run(comparison, tmp_path)
    frames = []
    with Image.open(webp) as moving:
        assert (moving.n_frames, moving.info["loop"]) == (4, 0)
        for index in range(4):
            moving.seek(index)
            frames.append(np.asarray(moving.convert("RGB")))
            assert moving.info["duration"] == 1500
    assert np.array_equal(frames[0], np.asarray(Image.open(still)))
    assert all((a != b).any() for a, b in zip(frames, frames[1:], strict=False))
    assert (frames[0][0] == 255).all()


def test_same_gradients_same_bytes(comparison, tmp_path):
    first = [path.read_bytes() for path in run(comparison, tmp_path) if path.is_file()]
    second = [path.read_bytes() for path in run(comparison, tmp_path / "again") if path.is_file()]
    assert first == second


def test_all_gradients_zero(tmp_path):
    nii, *_, webp, still = run(compare([np.zeros((2, 3, 1, 1), np.float32)] * 4), tmp_path)
    assert not nibabel.load(nii).get_fdata().any()
    assert webp.exists() and still.exists()


def test_full_colour_ignores_a_single_strong_weight():
    values = np.concatenate([np.linspace(-1, 1, 2000), [1e6], np.zeros(9000)])
    assert animation.full_colour([values]) == pytest.approx(1, abs=0.01)


def test_every_filter_that_fits_is_shown_and_otherwise_the_strongest():
    shown, scale, columns = animation.fit_tiles(compare([np.ones((96, 3, 11, 11))]))
    assert len(shown) == 96
    # Five pixels a value: 12 x 8 tiles of 55 x 55.
    assert (scale, columns) == (5, 12)
    shown, scale, columns = animation.fit_tiles(compare([np.ones((17, 128))]))
    assert (len(shown), scale, columns) == (17, 40, 17)
    strength = np.arange(64, dtype=np.float32).reshape(64, 1, 1, 1) % 7
    shown, scale, columns = animation.fit_tiles(compare([strength * np.ones((1, 2, 400, 400))]))
    assert shown.tolist() == [6, 13]
    assert (scale, columns) == (1, 2)


def test_an_axis_that_nifti_cannot_hold(tmp_path):
    with pytest.raises(UserError, match="an axis has 40000 values, but NIfTI holds at most 32767"):
        time_series.write_nifti(tmp_path / "s.nii.gz", [np.zeros((40000, 1, 1), "f4")], "", {})
