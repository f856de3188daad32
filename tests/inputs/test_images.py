import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from PIL import Image
from skimage.transform import resize as interpolate
from threadpoolctl import threadpool_limits

from cnnvis.core.errors import UserError
from cnnvis.inputs import images
from cnnvis.inputs.images import Preprocessing
from tests.binaryproto import write_binaryproto

SHARED = Path(__file__).parents[3] / "shared"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the study's published files (../shared) are absent"
)
IMAGENET = {"file": SHARED / "study" / "ilsvrc_2012_mean.npy", "use": "pixel"}
NO_MEAN = [0.0, 0.0, 0.0]


def make(source, shape=(3, 227, 227), mean=NO_MEAN, crop=None, **options):
    return Preprocessing(shape, mean, **options)(source, crop)


@pytest.fixture
def photo(tmp_path):
    """Save pixels (or a PIL image) as a file and return its path."""

    def save(pixels, name="photo.png", **options):
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@needs_shared
def test_conv1_of_the_study_is_a_convolution_of_our_input():
    """Where conv1 is active it is affine in the input: solve for filters, look at what is left."""
    values = make(SHARED / "study/images/cat.jpg", mean=IMAGENET)
    published = np.load(SHARED / "study/activations/conv1_cat_scaled255.npy").astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(values.astype(np.float64), (11, 11), (1, 2))
    patches = windows[:, ::4, ::4].transpose(1, 2, 0, 3, 4).reshape(55 * 55, 363) / 128
    equations = np.hstack([patches, np.ones((55 * 55, 1))])
    for index in (24, 59, 85):
        outputs = published[index].ravel()
        active = outputs > 0
        assert active.sum() > 600  # many more equations than the 364 unknowns
        system, target = equations[active], outputs[active]
        with threadpool_limits(1):  # many threads for one small problem take a hundred times longer
            solution = scipy.linalg.lstsq(system, target, lapack_driver="gelsy")[0]
        residual = np.linalg.norm(system @ solution - target) / np.linalg.norm(target)
        assert residual < 1e-6


@needs_shared
@pytest.mark.parametrize("name", ["cat", "Persian_1", "chihuahua_miss", "pembroke"])
def test_real_caffe_s_inputs_to_the_last_bit(name):
    """Persian_1 is smaller than the input: enlarging shows how the border was filled."""
    values = make(SHARED / f"study/images/{name}.jpg", mean=IMAGENET)
    with np.load(SHARED / f"squeezenet/{name}.npz") as caffe:
        assert np.array_equal(values, caffe["input"])


def test_no_resizing_by_hand(photo):
    pixels = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)
    values = make(photo(pixels), (3, 1, 2), [1.0, 2.0, 3.0], input_scale=0.5)
    assert values.dtype == np.float32
    # B, G, R minus their means, halved
    assert values == pytest.approx(np.array([[[14.5, 29.5]], [[9, 24]], [[3.5, 18.5]]]), abs=1e-4)


def test_rgb_networks_get_everything_reversed(photo):
    path = photo(noise(20, 30, 3))
    options = {"shape": (3, 8, 9), "mean": [1.0, 2.0, 3.0]}
    ours = make(path, **options)
    theirs = make(path, channel_order="RGB", **options)
    assert np.array_equal(theirs, ours[::-1])


def test_halving_without_smoothing_takes_the_mean_of_the_two_in_the_middle():
    image = np.array([0.0, 0.2, 0.4, 1.0], np.float32).reshape(1, 4, 1).repeat(3, axis=2)
    assert images.resize(image, (1, 2))[0, :, 0] == pytest.approx([0.1, 0.7])
    thirds = np.array([0, 0.1, 0.2, 0.6, 0.8, 1], np.float32).reshape(1, 6, 1).repeat(3, axis=2)
    # Smoothing first would mix in the neighbours of the samples 0.1 and 0.8.
    assert images.resize(thirds, (1, 2))[0, :, 0] == pytest.approx([0.1, 0.8])


def test_enlarging_fades_to_the_darkest_value_at_the_border():
    image = np.array([0.2, 1.0], np.float32).reshape(1, 2, 1).repeat(3, axis=2)
    grown = images.resize(image, (1, 4))[0, :, 0]
    # Samples at -0.25, 0.25, 0.75, 1.25 between the darkest, 0.2, 1.0 and the darkest.
    assert grown == pytest.approx([0.2, 0.4, 0.8, 0.8])


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_stays_constant(photo, value):
    path = photo(np.full((5, 4, 3), value, np.uint8))
    assert make(path, (3, 7, 7)) == pytest.approx(np.full((3, 7, 7), value))


def test_one_pixel(photo):
    path = photo(np.array([[[1, 1, 3]]], np.uint8))
    values = make(path, (3, 4, 4))
    # Samples at -0.375, -0.125, 0.125, 0.375 of the only pixel; beyond it is the darkest, 1.
    weights = np.array([0.625, 0.875, 0.875, 0.625])
    assert values[0] == pytest.approx(1 + 2 * np.outer(weights, weights))
    assert values[1:] == pytest.approx(np.ones((2, 4, 4)))


def test_grey_becomes_three_equal_channels(photo):
    pixels = noise(4, 5)
    image = images.read_image(photo(pixels))
    assert image.shape == (4, 5, 3)
    assert image == pytest.approx(np.repeat(pixels[:, :, None], 3, 2) / 255)


def test_a_network_of_one_channel_gets_luminance(photo):
    image = images.read_image(photo(np.array([[[255, 0, 0], [0, 255, 255]]], np.uint8)), 1)
    assert image[0, :, 0] == pytest.approx([0.2125, 0.7875])
    grey = images.read_image(photo(noise(2, 2), "grey.png"), 1)
    assert grey.shape == (2, 2, 1)


def test_alpha_is_dropped_not_blended(photo):
    pixels = noise(4, 5, 4)
    pixels[..., 3] = 0
    assert images.read_image(photo(pixels)) == pytest.approx(pixels[..., :3] / 255)
    grey = Image.fromarray(pixels[..., :2], "LA")
    assert images.read_image(photo(grey, "la.png"))[..., 0] == pytest.approx(pixels[..., 0] / 255)


def test_palettes_are_looked_up(photo):
    image = Image.fromarray(np.array([[0, 1, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    expected = np.array([[[1, 0, 0], [0, 0, 1], [0, 0, 1]]])
    assert images.read_image(photo(image, "p.png")) == pytest.approx(expected)
    assert images.read_image(photo(image, "t.png", transparency=1)) == pytest.approx(expected)


def test_one_bit_images(photo):
    image = Image.fromarray(np.array([[True, False]]))
    assert images.read_image(photo(image))[0, :, 0].tolist() == [1, 0]


def test_cmyk(photo):
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = images.read_image(photo(image, "red.jpg", quality=100))
    assert red.shape == (8, 8, 3)
    assert red.mean(axis=(0, 1)) == pytest.approx([1, 0, 0], abs=0.02)


@pytest.mark.parametrize("name", ["grey.png", "grey.tif"])
def test_16_bits_per_channel(photo, name):
    pixels = np.array([[0, 32768, 65535]], np.uint16)
    assert images.read_image(photo(pixels, name))[0, :, 0] == pytest.approx(pixels[0] / 65535)


def test_floating_point_pixels_are_between_0_and_1(photo):
    values = np.array([[0.0, 0.25, 1.0]], np.float32)
    assert images.read_image(photo(values, "a.tif"))[0, :, 0].tolist() == [0, 0.25, 1]
    with pytest.raises(UserError, match="b.tif: float32 pixels from 0 to 500; expected 8 or 16"):
        images.read_image(photo(values * 500, "b.tif"))


def test_nan_pixels_are_an_error(photo):
    with pytest.raises(UserError, match="a.tif: float32 pixels from nan"):
        images.read_image(photo(np.array([[0, np.nan]], np.float32), "a.tif"))


def test_exif_orientation_is_not_applied(photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # a viewer would turn it by 90 degrees
    image = Image.fromarray(noise(4, 8, 3))
    assert images.read_image(photo(image, "turned.png", exif=exif)).shape == (4, 8, 3)


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp"])
def test_the_first_frame_of_several(photo, name):
    first, second = Image.new("RGB", (6, 4), (255, 0, 0)), Image.new("RGB", (6, 4), (0, 0, 255))
    path = photo(first, name, save_all=True, append_images=[second])
    assert images.read_image(path).mean(axis=(0, 1)) == pytest.approx([1, 0, 0], abs=0.02)


def jpeg():
    stream = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"no image at all\n", jpeg()[:700], jpeg()[:20], b"\x89PNG\r\n\x1a\n" + b"\0" * 40],
)
def test_what_is_no_image_is_one_line(tmp_path, content):
    path = tmp_path / "cat.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cat.jpg: cannot be read as an image") as error:
        make(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(UserError, match="nowhere.jpg: there is no such image"):
        images.read_image(tmp_path / "nowhere.jpg")
    with pytest.raises(UserError, match="cannot be read as an image"):
        images.read_image(tmp_path)


@pytest.mark.parametrize("module, name", [(Image, "MAX_IMAGE_PIXELS"), (images, "MAX_PIXELS")])
def test_a_decompression_bomb_is_one_line(photo, monkeypatch, module, name):
    path = photo(np.zeros((50, 50), np.uint8))
    for limit in (2000, 1000):  # pillow warns above the limit, and refuses above twice the limit
        monkeypatch.setattr(module, name, limit)
        with pytest.raises(UserError, match="larger than .* million pixels"):
            images.read_image(path)


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.png", "a.gif", "a.bmp", "a.webp", "a.ppm"])
def test_every_format_that_is_named_is_read(photo, name):
    assert images.read_image(photo(noise(4, 5, 3), name)).shape == (4, 5, 3)


@pytest.mark.parametrize("form", ["EPS", "PCX", "ICO", "PDF"])
def test_other_formats_of_pillow_are_refused_whatever_the_name(tmp_path, form):
    """For some of them pillow starts another program: Ghostscript for EPS."""
    path = tmp_path / "cat.jpg"
    Image.fromarray(noise(16, 16, 3)).save(path, form)
    with pytest.raises(UserError, match="cat.jpg: cannot be read as an image .expected JPEG, PNG"):
        images.read_image(path)


def test_a_fifo_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "cat.png")
    with pytest.raises(UserError, match="cat.png: cannot be read as an image .*no regular file"):
        images.read_image(tmp_path / "cat.png")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_pillow_trips_over_is_one_line(photo):
    """A TIFF whose number of rows is damaged: pillow raises a TypeError."""
    content = bytearray(photo(noise(4, 4), "whole.tif").read_bytes())
    for place in range(len(content)):
        damaged = photo(noise(1, 1), "cat.tif")
        damaged.write_bytes(content[:place] + b"\x02" + content[place + 1 :])
        try:
            images.read_image(damaged)
        except UserError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("rows, columns", [(3, 900), (300, 7), (229, 228), (1000, 800), (50, 60)])
def test_strips_and_rows_left_out_change_no_bit(photo, monkeypatch, dtype, rows, columns):
    """Of a large image few rows are converted; the result is that of the whole."""
    monkeypatch.setattr(images, "STRIP", 1000)
    pixels = noise(rows, columns, seed=rows)
    values = pixels.astype(dtype) * {np.uint8: 1, np.uint16: 200, np.float32: 1 / 255}[dtype]
    path = photo(values.astype(dtype), "a.tif")
    whole = images.read_image(path)
    low, high = whole.min(), whole.max()
    scaled = (whole - low) / (high - low)
    scaled = interpolate(scaled, (37, 41), order=1, mode="constant", anti_aliasing=False)
    expected = (scaled * (high - low) + low).astype(np.float32)
    assert np.array_equal(images.resize(whole, (37, 41)), expected)
    made = make(path, (3, 37, 41))
    assert np.array_equal(made[0], (expected[..., 0] * np.float32(255)).astype(np.float32))


def test_a_large_photograph_takes_the_memory_of_its_bytes(photo):
    image = Image.new("RGB", (4000, 3000), "red")
    image.putpixel((0, 0), (0, 0, 9))
    path = photo(image, "large.png")
    tracemalloc.start()
    make(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Bytes, and zeros of which hardly any are written, which are counted nevertheless; the
    # float64 of all pixels alone would be 8 bytes a number.
    assert peak < 4000 * 3000 * 3 * 8


def test_crop_by_hand(photo):
    pixels = noise(6, 8, 3)
    values = make(photo(pixels), (3, 2, 3), crop=[1, 4, 2, 3])
    assert values == pytest.approx(
        pixels[1:3, 4:7].transpose(2, 0, 1)[::-1].astype(float), abs=1e-4
    )


@pytest.mark.parametrize(
    "crop", [[-1, 0, 2, 2], [0, -1, 2, 2], [5, 0, 2, 2], [0, 7, 2, 2], [0, 0, 0, 2], [0, 0, 2, -1]]
)
def test_a_crop_outside_is_one_line(photo, crop):
    with pytest.raises(UserError, match="photo.png: crop .* has 6 rows and 8 columns"):
        make(photo(noise(6, 8, 3)), crop=crop)


def test_shipped_photographs_by_their_names():
    assert images.read_image("skimage:cat").shape == (300, 451, 3)
    assert images.read_image("sklearn:temple").shape == (427, 640, 3)
    for name in ("astronaut", "immunohistochemistry", "motorcycle", "retina", "hubble_deep_field"):
        assert images.find_image(f"skimage:{name}").is_file()
    flower, china = images.find_image("sklearn:flower"), images.find_image("sklearn:china")
    assert (flower.name, china.name) == ("flower.jpg", "china.jpg")


@pytest.mark.parametrize("name", ["skin", "../__init__", "cat.png", "nonsense"])
def test_what_is_not_shipped_is_never_fetched(monkeypatch, name):
    import socket

    monkeypatch.setattr(socket, "socket", None)
    with pytest.raises(UserError, match="skimage ships no image '.*'; it has astronaut, brick"):
        images.read_image(f"skimage:{name}")


def test_other_colons_are_file_names(tmp_path):
    with pytest.raises(UserError, match="there is no such image"):
        images.read_image(f"{tmp_path}/a:b.png")


@pytest.mark.parametrize("channels", [2, 4])
def test_networks_of_other_channels(channels):
    with pytest.raises(UserError, match=f"{channels} input channels"):
        images.read_image("skimage:cat", channels)


@pytest.fixture
def mean_image(tmp_path):
    values = np.random.default_rng(1).uniform(0, 255, (3, 7, 8)).astype(np.float32)
    np.save(tmp_path / "mean.npy", values)
    np.save(tmp_path / "mean4.npy", values[np.newaxis])
    np.save(tmp_path / "pixel.npy", values.mean(axis=(1, 2)))
    write_binaryproto(tmp_path / "mean.binaryproto", values)
    return tmp_path, values


@pytest.mark.parametrize("name", ["mean.npy", "mean4.npy", "mean.binaryproto"])
def test_mean_files(mean_image, name):
    folder, values = mean_image
    pixel = images.read_mean({"file": folder / name, "use": "pixel"}, (3, 4, 4))
    assert pixel.shape == (3, 1, 1)
    assert pixel[:, 0, 0] == pytest.approx(values.mean(axis=(1, 2)))
    # Caffe's data layer: the crop's offset is (size - crop) / 2, rounded down.
    whole = images.read_mean({"file": folder / name, "use": "whole"}, (3, 4, 4))
    assert np.array_equal(whole, values[:, 1:5, 2:6])
    same = images.read_mean({"file": folder / name, "use": "whole"}, (3, 7, 8))
    assert np.array_equal(same, values)


def test_a_whole_mean_is_subtracted_pixel_by_pixel(mean_image, photo):
    folder, values = mean_image
    pixels = noise(7, 8, 3)
    mean = {"file": folder / "mean.npy", "use": "whole"}
    found = make(photo(pixels), (3, 7, 8), mean)
    assert found == pytest.approx(pixels.transpose(2, 0, 1)[::-1] - values, abs=1e-4)


def test_a_mean_pixel_in_a_file(mean_image):
    folder, values = mean_image
    pixel = images.read_mean({"file": folder / "pixel.npy", "use": "pixel"}, (3, 4, 4))
    assert pixel[:, 0, 0] == pytest.approx(values.mean(axis=(1, 2)))


@pytest.mark.parametrize(
    ("mean", "shape", "message"),
    [
        ([1.0, 2.0], (3, 4, 4), "mean: a mean of shape \\(2,\\), expected one number for each"),
        ([1.0, 2.0, float("nan")], (3, 4, 4), "mean: 1 of 3 values are NaN"),
        ({"file": "mean.npy", "use": "whole"}, (3, 9, 4), "mean.npy: .* does not cover the input"),
        ({"file": "mean.npy", "use": "whole"}, (1, 4, 4), "mean.npy: .* does not cover the input"),
        ({"file": "mean.npy", "use": "pixel"}, (1, 4, 4), "mean.npy: a mean of shape \\(3,\\)"),
        ({"file": "pixel.npy", "use": "whole"}, (3, 4, 4), "pixel.npy: .* does not cover"),
        ({"file": "mean.npy", "use": "half"}, (3, 4, 4), "use 'half' is unknown"),
        ({"file": "none.npy", "use": "pixel"}, (3, 4, 4), "none.npy: cannot be read"),
        ({"file": "none.binaryproto", "use": "pixel"}, (3, 4, 4), "none.binaryproto"),
    ],
)
def test_means_that_do_not_fit_are_one_line(mean_image, mean, shape, message):
    if isinstance(mean, dict):
        mean = {**mean, "file": mean_image[0] / mean["file"]}
    with pytest.raises(UserError, match=message) as error:
        images.read_mean(mean, shape)
    assert "\n" not in str(error.value)


def test_an_unknown_channel_order():
    with pytest.raises(UserError, match="'GBR' is unknown, expected BGR or RGB"):
        Preprocessing((3, 2, 2), NO_MEAN, channel_order="GBR").apply(np.zeros((2, 2, 3), "f4"))


@pytest.mark.parametrize("order", ["BGR", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture_of_an_input_is_the_image_again(photo, channels, order):
    pixels = noise(8, 9, 3)[..., :channels].squeeze()
    options = {"input_scale": 0.017, "channel_order": order}
    preprocessing = Preprocessing((channels, 8, 9), [104.0, 117.0, 123.0][:channels], **options)
    values = preprocessing(photo(pixels))
    picture = preprocessing.undo(values)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, pixels)
    # The network's first channel is blue, the picture's last; of an RGB network its last.
    values[-1 if order == "RGB" else 0] += 20 * 0.017
    expected = pixels.reshape(8, 9, channels).astype(int)
    expected[..., -1] += 20
    assert np.array_equal(
        preprocessing.undo(values).reshape(expected.shape), np.minimum(expected, 255)
    )


def test_a_whole_mean_is_added_again(mean_image, photo):
    folder, _ = mean_image
    pixels = noise(7, 8, 3)
    preprocessing = Preprocessing((3, 7, 8), {"file": folder / "mean.npy", "use": "whole"})
    assert np.array_equal(preprocessing.undo(preprocessing(photo(pixels))), pixels)


def test_pictures_end_at_black_and_white():
    preprocessing = Preprocessing((1, 1, 3), [100.0])
    assert preprocessing.undo([[[-300.0, 0.0, 300.0]]]).tolist() == [[0, 100, 255]]


def test_a_mean_s_file_is_named_and_read_once(mean_image, photo):
    folder, _ = mean_image
    path = photo(noise(7, 8, 3))
    mean = {"file": folder / "mean.npy", "use": "pixel"}
    preprocessing = Preprocessing((3, 7, 8), mean)
    assert preprocessing.files() == [folder / "mean.npy"]
    assert Preprocessing((3, 7, 8), NO_MEAN).files() == []
    values = preprocessing(path)
    mean["file"].unlink()
    assert np.array_equal(preprocessing(path), values)
    assert preprocessing.undo(values).shape == (7, 8, 3)


def test_a_workflow_s_lists_do_as_well_as_tuples(mean_image, photo):
    """JSON and YAML have no tuples."""
    folder, _ = mean_image
    path = photo(noise(20, 30, 3))
    for mean in (NO_MEAN, {"file": folder / "mean.npy", "use": "whole"}):
        values = Preprocessing([3, 5, 6], mean)(path)
        assert np.array_equal(values, Preprocessing((3, 5, 6), mean)(path))


def test_inputs_that_are_not_finite_are_an_error(photo):
    message = "photo.png: preprocessed input: 12 of 12 values are NaN or infinite"
    with np.errstate(over="ignore"), pytest.raises(UserError, match=message):
        make(photo(np.full((2, 2, 3), 9, np.uint8)), (3, 2, 2), input_scale=1e38)
