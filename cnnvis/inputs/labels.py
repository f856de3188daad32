"""Class names."""

import re
from pathlib import Path

from cnnvis.core.arrays import first_line
from cnnvis.core.errors import UserError

SYNSET = re.compile(r"(n\d{8})\s+")


def read_labels(path, classes):
    """Read class names, one per line; a WordNet id before the name is left out.

    Parameters
    ----------
    path : str, Path or None
        Without a file the names are "class 0", "class 1", ….
    classes : int
        How many names there must be.

    Returns
    -------
    list of str

    Raises
    ------
    UserError
        If the file cannot be read, or does not have one line per class.
    """
    if path is None:
        return [f"class {index}" for index in range(classes)]
    names = [SYNSET.sub("", line, count=1).strip() for line in _lines(path)]
    if len(names) != classes:
        raise UserError(f"{path}: {len(names)} labels, but the score blob has {classes} classes")
    return names


def read_synset(path, cls):
    """Return the WordNet id before the name of a class, or None where there is none.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    lines = _lines(path)
    match = SYNSET.match(lines[cls]) if cls < len(lines) else None
    return match[1] if match else None


def _lines(path):
    try:
        return Path(path).read_text(encoding="utf-8").rstrip().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as labels ({first_line(error)})") from error
