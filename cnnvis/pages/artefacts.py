"""What a file of ``results/`` is, told from its place."""

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
        What stands for each word in braces: network, image, layer (as in paths), cls….
    """

    path: Path
    kind: str
    parts: dict = field(default_factory=dict)


def recognise(path, root):
    """Tell what a file is from its place under the results folder `root`.

    Raises
    ------
    ValueError
        If nothing of this project has such a place.
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
    raise ValueError(f"{path}: no page knows what this file is")


class Artefacts:
    """The files a page was given, to be asked for by kind and parts."""

    def __init__(self, paths, root):
        self._all = [recognise(path, root) for path in dict.fromkeys(map(str, paths))]

    def find(self, kind, **parts):
        """Return the artefacts of a kind whose parts are these, in the order given."""
        wanted = parts.items()
        return [a for a in self._all if a.kind == kind and wanted <= a.parts.items()]

    def first(self, kind, **parts):
        """Return the path of the first such artefact, or None."""
        found = self.find(kind, **parts)
        return found[0].path if found else None

    def values(self, part, *kinds, **parts):
        """Return the different values of a part, in order of appearance."""
        found = [a for a in self._all if part in a.parts and (not kinds or a.kind in kinds)]
        wanted = parts.items()
        return list(dict.fromkeys(a.parts[part] for a in found if wanted <= a.parts.items()))


@functools.cache
def _patterns():
    def pattern(place):
        pieces = re.split(r"\{(\w+)\}", place)
        words = [f"(?P<{word}>{PARTS.get(word, '[^/]+')})" for word in pieces[1::2]]
        texts = [re.escape(text) for text in pieces[::2]]
        return re.compile("".join(a + b for a, b in zip(texts, [*words, ""], strict=True)))

    return {kind: pattern(place) for kind, place in PLACES.items()}


def png_size(path):
    """Return (width, height) of a PNG, which pages state so that nothing jumps as it loads.

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
