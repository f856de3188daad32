"""Recognise result files by their paths."""

import functools
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

from cnnvis.core.places import PARTS, PLACES


@dataclass(frozen=True)
class Artefact:
    """One file of the results.

    Attributes
    ----------
    path : Path
    kind : str
        A key of `cnnvis.core.places.PLACES`.
    parts : dict of str to str
        The values of the words in braces: network, image, layer (as in paths), cls….
    """

    path: Path
    kind: str
    parts: dict = field(default_factory=dict)


def recognise(path, root):
    """Return what a file is, from its path under the results folder `root`.

    Raises
    ------
    ValueError
        If no pattern of `cnnvis.core.places.PLACES` fits.
    """
    path = Path(path)
    try:
        place = path.relative_to(root).as_posix()
    except ValueError:
        raise ValueError(f"{path} is not under {root}") from None
    for kind, pattern in _patterns().items():
        match = pattern.fullmatch(place)
        if match:
            return Artefact(path, kind, match.groupdict())
    raise ValueError(f"{path}: no kind of result file has such a path")


class Artefacts:
    """The files that a page shows, to be looked up by kind and parts.

    Parameters
    ----------
    paths : iterable of path
    root : path
        The results folder.
    """

    def __init__(self, paths, root):
        self._all = [recognise(path, root) for path in dict.fromkeys(map(str, paths))]

    def find(self, kind, **parts):
        """Return the artefacts of a kind with these parts, in the order of the paths."""
        return [a for a in self._all if a.kind == kind and parts.items() <= a.parts.items()]

    def first(self, kind, **parts):
        """Return the path of the first such artefact, or None."""
        return next((a.path for a in self.find(kind, **parts)), None)

    def values(self, part, *kinds, **parts):
        """Return the distinct values of a part, in order of appearance.

        Only artefacts of these `kinds` (all, if none is named) with these parts count.
        """
        artefacts = [a for a in self._all if part in a.parts and (not kinds or a.kind in kinds)]
        return list(
            dict.fromkeys(a.parts[part] for a in artefacts if parts.items() <= a.parts.items())
        )


@functools.cache
def _patterns():
    def pattern(place):
        pieces = re.split(r"\{(\w+)\}", place)
        words = [f"(?P<{word}>{PARTS.get(word, '[^/]+')})" for word in pieces[1::2]]
        texts = [re.escape(text) for text in pieces[::2]]
        return re.compile("".join(a + b for a, b in zip(texts, [*words, ""], strict=True)))

    return {kind: pattern(place) for kind, place in PLACES.items()}


def png_size(path):
    """Return (width, height) of a PNG.

    Raises
    ------
    ValueError
        If the file is not a PNG.
    """
    with open(path, "rb") as stream:
        head = stream.read(24)
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"{path} is not a PNG")
    return struct.unpack(">II", head[16:24])
