"""From an image file to a network's input, as ``caffe.io`` did it in 2016.

The steps, in their order: decode to float32 in [0, 1]; crop; scale to the image's own min..max,
resize bilinearly *without* smoothing first, scale back; HWC to CHW; RGB to BGR; times 255; minus
the mean; times the input scale. Today's scikit-image smooths before it shrinks unless told not to,
which alone moves conv1 by 1e-2; hence this module instead of ``caffe.io``, for every engine.

What of a file is used: the first frame of an animation or stack, the pixels as stored (an EXIF
orientation is not applied), colour under transparency (alpha is dropped, not blended), grey
copied to three channels, 8 bits or (grey) 16 bits: all as ``caffe.io.load_image`` did. Of 16-bit
colours pillow keeps the upper 8 bits.

Only the formats of `FORMATS` are read: pillow knows others that start programs. Images have at most
`MAX_PIXELS`; of a large one few rows at a time are more than bytes, so that the largest takes 1 GB.
"""

import importlib.util
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import check_finite, first_line, read_npy
from cnnvis.core.errors import UserError
from cnnvis.core.files import open_regular

# Photographs by the name of their function in skimage.data, where the file is called otherwise.
SKIMAGE_FILES = {"cat": "chelsea", "immunohistochemistry": "ihc", "motorcycle": "motorcycle_left"}
SKLEARN_FILES = {"temple": "china"}
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".gif")
FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP", "PPM")
MAX_PIXELS = 89_000_000
"""Pillow's own limit, above which it suspects a decompression bomb."""
# Rows are converted to floating point in strips of about so many pixels.
STRIP = 1 << 20


@dataclass(frozen=True)
class Preprocessing:
    """How an image file becomes a network's input, the same for every engine.

    Attributes
    ----------
    shape : tuple of int
        (channels, height, width) of the network's input.
    mean : list of float or dict
        See `read_mean`; in BGR.
    input_scale : float
        Multiplies the result.
    channel_order : {"BGR", "RGB"}
        What the network was trained on.
    """

    shape: tuple
    mean: list | dict
    input_scale: float = 1.0
    channel_order: str = "BGR"

    @cached_property
    def _mean(self):
        return read_mean(self.mean, self.shape)

    def __call__(self, source, crop=None):
        """Return the input of one image.

        Parameters
        ----------
        source : str or Path
            An image file, or ``skimage:NAME`` / ``sklearn:NAME`` for one that those packages ship.
        crop : list of int, optional
            [top, left, height, width] in pixels of the original.

        Returns
        -------
        ndarray of float32, `shape`

        Raises
        ------
        UserError
            If the image, the crop, the mean or the shape is not usable.
        """
        check_channels(source, self.shape[0])
        pixels = _decode(find_image(source), source)
        if crop is not None:
            pixels = crop_image(pixels, crop, source)
        values = self.apply(_UnitRange(pixels, self.shape[0], source))
        check_finite(values, f"{source}: preprocessed input")
        return values

    def apply(self, image):
        """Return the input that an image is, float32 of the network's shape.

        Parameters
        ----------
        image : ndarray of float32, (height, width, channels)
            In [0, 1], RGB or grey.

        Raises
        ------
        UserError
            If the channel order is neither BGR nor RGB.
        """
        if self.channel_order not in ("BGR", "RGB"):
            raise UserError(
                f"channel_order: '{self.channel_order}' is unknown, expected BGR or RGB"
            )
        values = resize(image, self.shape[1:]).transpose(2, 0, 1)[::-1]
        # The mean stays in double precision until it is subtracted, as in caffe.io.Transformer:
        # real Caffe's inputs are met to the last bit.
        values = (values * np.float32(255) - self._mean).astype(np.float32)
        values *= np.float32(self.input_scale)
        return np.ascontiguousarray(values if self.channel_order == "BGR" else values[::-1])

    def undo(self, values):
        """Return the picture that an input was, with scale and mean undone.

        Parameters
        ----------
        values : ndarray, (channels, height, width)

        Returns
        -------
        ndarray of uint8
            RGB, (height, width, 3), or (height, width) for one channel.
        """
        values = np.asarray(values, np.float64)
        if self.channel_order == "RGB":
            values = values[::-1]
        pixels = np.rint(values / self.input_scale + self._mean)
        pixels = np.clip(pixels, 0, 255).astype(np.uint8)[::-1].transpose(1, 2, 0)
        return pixels[..., 0] if pixels.shape[2] == 1 else pixels

    def files(self):
        """Return the files it reads besides images: the mean's, if it has one."""
        return [self.mean["file"]] if isinstance(self.mean, dict) else []


def resize(image, size):
    """Resize as ``caffe.io.resize_image`` did in 2016.

    Parameters
    ----------
    image : ndarray of float32, (height, width, channels)
    size : tuple of int
        (height, width).

    Returns
    -------
    ndarray of float32, (*size, channels)

    Notes
    -----
    Enlarged images fade at their border towards their darkest value: scikit-image's default
    was then ``mode="constant"`` with 0, in the image scaled to 0..1. It shows where the image is
    smaller than the network's input, and real Caffe's inputs have it.
    """
    from skimage.transform import resize as interpolate

    extremes = [(part.min(), part.max()) for part in map(image.__getitem__, _strips(image.shape))]
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    if low == high:
        return np.full((*size, image.shape[2]), low, np.float32)
    # Zeros that are never written or read take no memory: rows that no sample needs.
    scaled = np.zeros(image.shape, np.float32)
    rows = _rows_read(image.shape[0], size[0])
    for place in range(0, len(rows), size[0]):
        part = rows[place : place + size[0]]
        scaled[part] = (image[part] - low) / (high - low)
    # What skimage would clip to, which are the extremes of all rows.
    scaled = interpolate(scaled, size, order=1, mode="constant", anti_aliasing=False, clip=False)
    return (scaled.clip(0, 1) * (high - low) + low).astype(np.float32)


def _strips(shape):
    """Yield slices of consecutive rows, of about `STRIP` pixels each."""
    step = max(1, STRIP // shape[1])
    return [slice(first, first + step) for first in range(0, shape[0], step)]


def _rows_read(rows, size):
    """Return the rows that are read where `rows` are resized to `size`: two a sample, or all."""
    above = np.floor((np.arange(size) + 0.5) * (rows / size) - 0.5).astype(int)
    # One more on either side, so that it does not matter how the place of a sample is rounded.
    return np.unique(np.clip(above[:, np.newaxis] + np.arange(-1, 3), 0, rows - 1))


def crop_image(image, crop, source):
    """Cut [top, left, height, width] out of an image.

    Raises
    ------
    UserError
        If the rectangle is empty or not inside the image.
    """
    top, left, height, width = crop
    rows, columns = image.shape[:2]
    inside = 0 <= top < top + height <= rows and 0 <= left < left + width <= columns
    if not inside:
        raise UserError(
            f"{source}: crop {list(crop)} (top, left, height, width) is not inside the image, "
            f"which has {rows} rows and {columns} columns"
        )
    return image[top : top + height, left : left + width]


def read_image(source, channels=3):
    """Read an image as float32 in [0, 1].

    Parameters
    ----------
    source : str or Path
        A file, or ``skimage:NAME`` / ``sklearn:NAME``.
    channels : {3, 1}
        RGB, or luminance as scikit-image weights it.

    Returns
    -------
    ndarray of float32, (height, width, channels)

    Raises
    ------
    UserError
        If there is no such image, it cannot be decoded, or it is too large to be a photograph.
    """
    check_channels(source, channels)
    converted = _UnitRange(_decode(find_image(source), source), channels, source)
    image = np.empty(converted.shape, np.float32)
    for strip in _strips(image.shape):
        image[strip] = converted[strip]
    return image


def check_channels(source, channels):
    """Raise a `UserError` for a network that takes neither colours nor grey."""
    if channels not in (1, 3):
        raise UserError(f"{source}: a network with {channels} input channels cannot take an image")


class _UnitRange:
    """Decoded pixels as an array of float32 in [0, 1], converted where it is indexed."""

    def __init__(self, pixels, channels, source):
        self.pixels, self.channels = pixels, channels
        self.shape = (*pixels.shape[:2], channels)
        self.largest = _largest(pixels, source)

    def __getitem__(self, rows):
        # Through float64, as img_as_float does: its rounding is part of the published arrays.
        image = self.pixels[rows] / self.largest
        if image.ndim == 2:
            image = image[:, :, np.newaxis].repeat(self.channels, axis=2)
        elif self.channels == 1:
            image = image @ np.array([[0.2125], [0.7154], [0.0721]])
        return image.astype(np.float32)


def _largest(pixels, source):
    """Return the value of white, float64."""
    known = {"uint8": 255.0, "uint16": 65535.0}.get(pixels.dtype.name)
    if known:
        return np.float64(known)
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype == np.int32 and 0 <= low <= high <= 65535:
        return np.float64(65535)  # 16-bit grey, which some decoders of pillow give as 32-bit.
    if 0 <= low <= high <= 1:
        return np.float64(1)
    raise UserError(
        f"{source}: {pixels.dtype} pixels from {low:g} to {high:g}; expected 8 or 16 bits per "
        "channel, or numbers between 0 and 1"
    )


def _decode(path, source):
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
                # Other threads change the same filters: the warning alone is not certain.
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                return np.asarray(_colours(image))
    except FileNotFoundError as error:
        raise UserError(f"{source}: there is no such image") from error
    except Image.UnidentifiedImageError as error:
        expected = f"expected {', '.join(FORMATS)}"
        raise UserError(f"{source}: cannot be read as an image ({expected})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"{MAX_PIXELS / 1e6:.0f} million pixels"
        raise UserError(f"{source}: larger than {limit}; shrink it first") from error
    # Of damaged files pillow's parsers raise whatever they meet.
    except Exception as error:
        raise UserError(f"{source}: cannot be read as an image ({first_line(error)})") from error


def _colours(file):
    """Return a frame as grey ("L", "I;16", "I", "F") or "RGB"."""
    if file.mode in ("L", "I", "F", "RGB") or file.mode.startswith("I;16"):
        return file
    if file.mode in ("1", "LA"):
        return file.convert("L")
    if file.mode == "P" and "transparency" in file.info:
        return file.convert("RGBA").convert("RGB")
    return file.convert("RGB")


def find_image(source):
    """Return the path of an image: `source` itself, or the file that a package ships.

    Nothing is ever downloaded.

    Parameters
    ----------
    source : str or Path
        ``skimage:NAME`` and ``sklearn:NAME`` are files in these packages' folders.

    Raises
    ------
    UserError
        If the package ships no image of that name.
    """
    package, _, name = str(source).partition(":")
    if package not in ("skimage", "sklearn") or not name:
        return Path(source)
    images = shipped_images(package)
    if name not in images:
        raise UserError(f"{source}: {package} ships no image '{name}'; it has {', '.join(images)}")
    return images[name]


def shipped_images(package):
    """Return ``{name: path}`` of the images that ``skimage`` or ``sklearn`` ship."""
    folder, aliases = {
        "skimage": ("data", SKIMAGE_FILES),
        "sklearn": ("datasets/images", SKLEARN_FILES),
    }[package]
    root = importlib.util.find_spec(package)
    if root is None:
        raise UserError(f"images {package}:NAME need the package of {package}, which is missing")
    files = sorted(Path(root.origin).parent.joinpath(folder).iterdir())
    images = {path.stem: path for path in files if path.suffix in SUFFIXES}
    images |= {name: images[stem] for name, stem in aliases.items() if stem in images}
    return dict(sorted(images.items()))


def read_mean(mean, shape):
    """Return the mean to subtract, in BGR.

    Parameters
    ----------
    mean : list of float or dict
        One number per channel, in BGR; or ``{"file": path, "use": "pixel" | "whole"}`` with a
        ``.npy`` or ``.binaryproto`` file of (channels, height, width) in BGR, of which the mean
        over its pixels is used, or the whole.
    shape : tuple of int
        (channels, height, width) of the network's input.

    Returns
    -------
    ndarray of float64
        (channels, 1, 1), or `shape` for a whole mean: one that is larger than the input is
        cropped at its centre, as Caffe's data layer does.

    Raises
    ------
    UserError
        If the file or the shape is not usable.
    """
    if not isinstance(mean, dict):
        return _pixel(np.asarray(mean, np.float64), shape, "mean")
    path, use = mean["file"], mean["use"]
    values = _read_mean_file(path)
    if use == "pixel":
        pixel = values.mean(axis=(1, 2)) if values.ndim == 3 else values
        return _pixel(pixel, shape, path)
    if use == "whole":
        return _centre(values, shape, path)
    raise UserError(f"mean: use '{use}' is unknown, expected pixel or whole")


def _pixel(values, shape, what):
    if values.shape != (shape[0],):
        raise UserError(
            f"{what}: a mean of shape {values.shape}, expected one number for each of the "
            f"{shape[0]} input channels"
        )
    check_finite(values, str(what))
    return values[:, np.newaxis, np.newaxis]


def _centre(values, shape, path):
    fits = values.ndim == 3 and values.shape[0] == shape[0]
    if not fits or values.shape[1] < shape[1] or values.shape[2] < shape[2]:
        raise UserError(
            f"{path}: a mean image of shape {values.shape} does not cover the input "
            f"{tuple(shape)}; use its pixel instead (use: pixel)"
        )
    top, left = (values.shape[1] - shape[1]) // 2, (values.shape[2] - shape[2]) // 2
    return values[:, top : top + shape[1], left : left + shape[2]]


def _read_mean_file(path):
    if Path(path).suffix == ".binaryproto":
        from cnnvis.caffe.binaryproto import read_binaryproto

        values = read_binaryproto(path)
    else:
        values = read_npy(path)
    values = np.asarray(values, np.float64)
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim not in (1, 3):
        raise UserError(f"{path}: a mean of shape {values.shape}, expected (channels, rows, cols)")
    check_finite(values, str(path))
    return values
