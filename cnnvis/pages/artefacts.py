"""Recognise result files by their paths, and link and show them on a page."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from cnnvis.core.places import PARTS, PLACES
from cnnvis.pages.provenance import made_by
from cnnvis.pages.render import figure, link


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
    parts: dict


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
    page : path
        The page that shows them.
    """

    def __init__(self, paths, root, page):
        self._all = [recognise(path, root) for path in dict.fromkeys(map(str, paths))]
        self._root, self._page = root, page

    def find(self, *kinds, **parts):
        """Return the artefacts of kinds (by default all) with these parts, in their order."""
        of_kinds = [a for a in self._all if not kinds or a.kind in kinds]
        return [a for a in of_kinds if parts.items() <= a.parts.items()]

    def first(self, kind, **parts):
        """Return the path of the first such artefact, or None."""
        return next((a.path for a in self.find(kind, **parts)), None)

    def values(self, part, *kinds, **parts):
        """Return the distinct values of a part of such artefacts, in order of appearance."""
        artefacts = self.find(*kinds, **parts)
        return list(dict.fromkeys(a.parts[part] for a in artefacts if part in a.parts))

    def link(self, kind, **parts):
        """Return the URL of the first such artefact for the page, or None."""
        return link(self.first(kind, **parts), self._page)

    def figure(self, kind, **parts):
        """Return URL and size of the first such picture, and how it was made; None for none."""
        path = self.first(kind, **parts)
        return figure_of(path, self._root, self._page) if path else None


def figure_of(picture, root, page):
    """Return the URL and the size of a picture for a page, and how it was made."""
    return figure(picture, page) | {"made": made_by(recognise(picture, root), root, page)}


@functools.cache
def _patterns():
    def pattern(place):
        pieces = re.split(r"\{(\w+)\}", place)
        words = [f"(?P<{word}>{PARTS.get(word, '[^/]+')})" for word in pieces[1::2]]
        texts = [re.escape(text) for text in pieces[::2]]
        return re.compile("".join(a + b for a, b in zip(texts, [*words, ""], strict=True)))

    return {kind: pattern(place) for kind, place in PLACES.items()}
