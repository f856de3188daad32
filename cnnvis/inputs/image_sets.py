"""Sets of images, of one class as a rule: list them, and decode them in background threads.

The images of a set are what its path names:

- a folder: every image file in it and in its subfolders (all of one class; `cls` says which);
- a text file: one image per line, relative to the folder of the file; blank lines and those that
  begin with # are skipped. Of Caffe's own lists, ``path label``, the lines of `cls` are taken;
- a list of the above, of image files and of patterns (``photos/**/*.jpg``), in this order.

Image files are recognised by their suffix (`SUFFIXES`, in any case); names that begin with a dot
are skipped. Links are followed, and each folder is entered once, so that a link to a parent folder
does no harm. Images are sorted by name, character by character, folder by folder; a file that is
named twice is taken once; `limit` takes the first ones. 100,000 files are listed in about a second.
"""

import glob
import hashlib
import logging
import os
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import first_line
from cnnvis.core.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".bmp", ".webp", ".jfif", ".jpe")
SUFFIXES += (".pbm", ".pgm", ".ppm", ".pnm")
CAFFE_LINE = re.compile(r"(?P<path>.*\S)\s+(?P<cls>\d+)")
# Chunks that are decoded or wait while the network computes: they bound the memory.
AHEAD = 2
# ASSUME: more decoders than this only take processors from the network, which needs ten times
# the time of decoding a photograph.
DECODERS = 4


@dataclass(frozen=True)
class ImageSet:
    """Images that are streamed: of one class, or of those that a list says.

    Attributes
    ----------
    name : str
        The key of the configuration's ``collections``.
    path : str, Path or list of them
        Where the images are, see the module.
    cls : int or None
        The class of all of them. Of a list in Caffe's format, its lines are taken. None for images
        of any class.
    limit : int or None
        How many images, at most.
    """

    name: str
    path: str | list
    cls: int | None
    limit: int | None = None

    @cached_property
    def images(self):
        """The paths of the images, a list of str; raises what `classes` does."""
        return list(self.classes)

    @cached_property
    def classes(self):
        """The images and their classes, ``{path: int, or None where no list says it}``.

        Raises
        ------
        UserError
            If the path does not exist or holds no image.
        """
        several = isinstance(self.path, list | tuple)
        entries = [str(entry) for entry in (self.path if several else [self.path])]
        classes = {}
        for entry in entries:
            for image, cls in _images_of(entry, self.cls):
                classes.setdefault(image, cls)
        if not classes:
            kind = "image" if self.cls is None else f"image of class {self.cls}"
            raise UserError(
                f"collection {', '.join(entries)}: holds no {kind}; expected "
                f"files such as {', '.join(SUFFIXES[:4])}"
            )
        return dict(islice(classes.items(), self.limit))

    @cached_property
    def fingerprint(self):
        """A digest of the images' names, classes, sizes and times of change, some maybe missing."""
        total = hashlib.sha256()
        for image, cls in self.classes.items():
            try:
                status = os.stat(image)
                state = f"{status.st_size}\0{status.st_mtime_ns}"
            except OSError:
                state = "missing"
            total.update(f"{image}\0{cls}\0{state}\0".encode())
        return total.hexdigest()[:16]

    def parts(self, size):
        """Return image sets of `size` consecutive images of this one, of the last maybe fewer."""
        items, parts = list(self.classes.items()), []
        for start in range(0, len(items), size):
            parts.append(replace(self))
            # What a cached property has found: nothing is listed again.
            vars(parts[-1])["classes"] = dict(items[start : start + size])
        return parts

    def chunks(self, preprocessing, size, threads=None, start=0):
        """Yield the images as inputs, chunk by chunk, while the next chunks are being decoded.

        Parameters
        ----------
        preprocessing : callable
            From a path to an input, float32 (C, H, W): a `cnnvis.inputs.images.Preprocessing`.
            An image for which it raises a `UserError` is skipped.
        size : int
            Images per chunk.
        threads : int, optional
            How many decode; by default one per processor, at most `DECODERS`.
        start : int
            Where to begin in `images`.

        Yields
        ------
        Chunk
        """
        threads = min(threads or len(os.sched_getaffinity(0)), DECODERS)
        waiting = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
            try:
                for place in range(start, len(self.images), size):
                    part = self.images[place : place + size]
                    waiting.append((part, [pool.submit(preprocessing, image) for image in part]))
                    if len(waiting) > AHEAD:
                        yield _gather(*waiting.popleft())
                while waiting:
                    yield _gather(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)


@dataclass
class Chunk:
    """Some consecutive images of a set.

    Attributes
    ----------
    images : list of str
        Those that could be read.
    inputs : ndarray of float32, (images, C, H, W)
        None where there are none.
    skipped : list of dict
        ``image`` and ``reason`` of the others.
    """

    images: list
    inputs: np.ndarray
    skipped: list

    @property
    def size(self):
        """How many images of the set it covers."""
        return len(self.images) + len(self.skipped)


def _gather(part, futures):
    images, inputs, skipped = [], [], []
    for image, future in zip(part, futures, strict=True):
        try:
            inputs.append(future.result())
            images.append(image)
        except UserError as error:
            skipped.append({"image": image, "reason": first_line(error)})
            logging.warning("skipped: %s", error)
    futures.clear()  # They hold the inputs, which are copied below.
    return Chunk(images, np.stack(inputs) if inputs else None, skipped)


def _images_of(entry, cls):
    """Return ``(path, class)`` of the images that an entry of `ImageSet.path` names."""
    if os.path.isfile(entry) and not _is_image(entry):
        return _read_list(entry, cls)
    return [(image, cls) for image in _image_files(entry)]


def _image_files(entry):
    # The folder that is searched with all that is in it: before the first sign of a pattern.
    start = os.path.dirname(re.split(r"[*?[]", entry)[0]) if "**" in entry else entry
    if os.path.isabs(start) and os.path.realpath(start) == os.sep:
        raise UserError(
            f"collection {entry}: would search the whole file system; expected a folder in it"
        )
    if os.path.isdir(entry):
        return _walk(entry)
    if os.path.isfile(entry):
        return [entry]
    matches = sorted(glob.glob(entry, recursive=True)) if glob.has_magic(entry) else []
    if not matches:
        raise UserError(
            f"collection {entry}: there is no such folder, file, or file that matches the pattern"
        )
    # `**` matches folders too; their files are matched themselves.
    return [match for match in matches if _is_image(match) and not os.path.isdir(match)]


def _is_image(path):
    return os.path.splitext(path)[1].lower() in SUFFIXES


def _walk(folder):
    """Return the image files of a folder and of those in it."""
    entered, images = set(), []
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if name[0] != ".")
        visible = (name for name in files if name[0] != ".")
        images += [os.path.join(place, name) for name in visible if _is_image(name)]
    return sorted(images, key=lambda image: image.split(os.sep))


def _refuse(error):
    raise UserError(f"collection {error.filename}: cannot be read ({error.strerror})") from error


def _read_list(path, cls):
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a list of images ({error})") from error
    for line in map(str.strip, lines):
        if not line or line.startswith("#"):
            continue
        labelled, label = CAFFE_LINE.fullmatch(line), cls
        if labelled and _is_image(labelled["path"]):
            line, label = labelled["path"], int(labelled["cls"])
            if cls not in (None, label):
                continue
        yield os.path.join(os.path.dirname(path), line), label
