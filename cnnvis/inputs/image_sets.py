"""Folders of images of one class: listed, and decoded ahead of the computing.

A collection's images are what its path names:

- a folder: every image file in it and in its subfolders (all of one class; `cls` says which);
- a text file: one image per line, relative to the file's own folder; blank lines and those that
  begin with # are skipped. In Caffe's own lists, ``path label``, the lines of `cls` are taken;
- a list of the above, of image files and of patterns (``photos/**/*.jpg``), one after the other.

Image files are known by their suffix (`SUFFIXES`, in any case); names that begin with a dot are
not looked at. Links are followed, and each folder is entered once, so that a link to a folder
above ends nowhere. The order is that of the names, compared character by character, folder by
folder; a file named twice is taken once; `limit` takes the first ones. 100,000 files are listed
in about a second.
"""

import glob
import hashlib
import logging
import os
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import check_finite, first_line
from cnnvis.core.errors import UserError
from cnnvis.inputs.images import preprocess, read_image, read_mean

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".bmp", ".webp", ".jfif", ".jpe")
SUFFIXES += (".pbm", ".pgm", ".ppm", ".pnm")
CAFFE_LINE = re.compile(r"(?P<path>.*\S)\s+(?P<cls>\d+)")
# Chunks that are decoded or waiting to be computed with: they bound the memory.
AHEAD = 2
# ASSUME: more decoders than this only take processors from the network, which needs ten times
# the time of decoding a photograph.
DECODERS = 4


@dataclass(frozen=True)
class Preparation:
    """How an image file becomes a network's input: the same steps as for one image.

    Attributes
    ----------
    shape : tuple of int
        (C, H, W).
    mean : ndarray
        Of `cnnvis.inputs.images.read_mean`.
    input_scale : float
    channel_order : {"BGR", "RGB"}
    """

    shape: tuple
    mean: np.ndarray
    input_scale: float = 1.0
    channel_order: str = "BGR"

    def __call__(self, path):
        """Return the input, float32 (C, H, W), of one image file."""
        image = read_image(path, self.shape[0])
        values = preprocess(image, self.shape, self.mean, self.input_scale, self.channel_order)
        check_finite(values, f"{path}: preprocessed input")
        return values


def prepare_for(network, *, mean, input_scale=1.0, channel_order="BGR"):
    """Return the `Preparation` for an `cnnvis.engines.inspection.NetworkInfo`; `mean` as in `read_mean`."""
    shape = tuple(network.input_shape)
    return Preparation(shape, read_mean(mean, shape), input_scale, channel_order)


def list_images(path, cls=None, limit=None):
    """Return the images of a collection, in their order.

    Parameters
    ----------
    path : str, Path or list of them
        See the module.
    cls : int, optional
        Whose lines of a list in Caffe's format are taken; of all classes where None.
    limit : int, optional
        How many, at most.

    Returns
    -------
    list of str

    Raises
    ------
    UserError
        If something named does not exist, or there is no image.
    """
    entries = path if isinstance(path, list | tuple) else [path]
    found = (image for entry in entries for image in _images_of(str(entry), cls))
    images = list(islice(_once(found), limit))
    if not images:
        of_class = f" of class {cls}" if cls is not None else ""
        raise UserError(
            f"collection {', '.join(map(str, entries))}: holds no image{of_class}; expected files "
            f"such as {', '.join(SUFFIXES[:4])}"
        )
    return images


def _once(names):
    seen = set()
    for name in names:
        if name not in seen:
            seen.add(name)
            yield name


def _images_of(entry, cls):
    if os.path.isdir(entry):
        return _walk(entry, set())
    if os.path.isfile(entry):
        return [entry] if _is_image(entry) else _read_list(entry, cls)
    matches = sorted(glob.glob(entry, recursive=True)) if glob.has_magic(entry) else []
    if not matches:
        raise UserError(
            f"collection {entry}: there is no such folder, file, or file that matches the pattern"
        )
    return (image for match in matches for image in _matched(match))


def _matched(match):
    if os.path.isdir(match):
        return []  # `**` matches folders too; their files are matched themselves.
    return [match] if _is_image(match) else []


def _is_image(path):
    return os.path.splitext(path)[1].lower() in SUFFIXES


def _walk(folder, entered):
    """Yield the image files of a folder and of those in it, each entered once."""
    try:
        place = os.stat(folder)
        if (place.st_dev, place.st_ino) in entered:
            return
        entered.add((place.st_dev, place.st_ino))
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"collection {folder}: cannot be read ({error.strerror})") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry.path):  # Unlike entry.is_dir(), quiet about a link to itself.
            yield from _walk(entry.path, entered)
        elif _is_image(entry.name):
            yield entry.path


def _read_list(path, cls):
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a list of images ({error})") from error
    folder = os.path.dirname(path)
    for line in map(str.strip, lines):
        if not line or line.startswith("#"):
            continue
        labelled = CAFFE_LINE.fullmatch(line)
        if labelled and _is_image(labelled["path"]):
            if cls is not None and int(labelled["cls"]) != cls:
                continue
            line = labelled["path"]
        yield os.path.join(folder, line)


def fingerprint(images):
    """Return a digest of the images' names, sizes and times of change: the params of a job.

    Files that are missing count as such.
    """
    total = hashlib.sha256()
    for image in images:
        try:
            status = os.stat(image)
            total.update(f"{image}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        except OSError:
            total.update(f"{image}\0missing\0".encode())
    return total.hexdigest()[:16]


@dataclass
class Chunk:
    """Some images of a collection.

    Attributes
    ----------
    images : list of str
        Those that could be read.
    inputs : ndarray of float32, (images, C, H, W)
        None where there are none.
    skipped : list of dict
        ``image`` and ``reason`` of the others.
    stop : int
        How many of the collection's images are behind its end.
    """

    images: list
    inputs: np.ndarray
    skipped: list
    stop: int


def read_chunks(images, prepare, size, threads=None, start=0):
    """Yield the chunks of a collection while the next ones are being decoded.

    Parameters
    ----------
    images : list of str
    prepare : callable
        From a path to an input; a `UserError` means that the image is skipped.
    size : int
        Images per chunk.
    threads : int, optional
        How many decode; by default one per processor, at most `DECODERS`.
    start : int
        The first image.

    Yields
    ------
    Chunk
    """
    threads = min(threads or len(os.sched_getaffinity(0)), DECODERS)
    places = iter(range(start, len(images), size))
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        waiting = deque()

        def submit(place):
            part = images[place : place + size]
            waiting.append((part, [pool.submit(prepare, image) for image in part], place))

        try:
            for place in islice(places, AHEAD):
                submit(place)
            while waiting:
                part, futures, place = waiting.popleft()
                chunk = _gather(part, futures, place + len(part))
                for following in islice(places, 1):
                    submit(following)
                yield chunk
        finally:
            for _, futures, _ in waiting:
                for future in futures:
                    future.cancel()


def _gather(part, futures, stop):
    images, inputs, skipped = [], [], []
    for image, future in zip(part, futures, strict=True):
        try:
            inputs.append(future.result())
            images.append(image)
        except UserError as error:
            skipped.append({"image": image, "reason": first_line(error)})
            logging.warning("skipped: %s", error)
    futures.clear()
    return Chunk(images, np.stack(inputs) if inputs else None, skipped, stop)


def write_crops(photograph, crops, folder):
    """Write crops of a photograph as PNG files that decode to the same numbers.

    Parameters
    ----------
    photograph : ndarray of float, (height, width, 3)
        In [0, 1], from 8-bit pixels.
    crops : list of [top, left, height, width]
    folder : str or Path
        Becomes a folder of ``crop-0000.png`` and so on, whole or not at all.
    """
    import shutil
    import tempfile

    from PIL import Image

    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.rint(np.asarray(photograph, np.float64) * 255).astype(np.uint8)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        made = Path(temporary) / "crops"
        made.mkdir()
        for number, (top, left, height, width) in enumerate(crops):
            part = pixels[top : top + height, left : left + width]
            Image.fromarray(part).save(made / f"crop-{number:04d}.png")
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
