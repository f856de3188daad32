"""Class names."""

import re

from cnnvis.core.arrays import first_line
from cnnvis.core.errors import UserError
from cnnvis.core.files import open_regular

# Also those that change the direction of writing: they would turn the rest of a page around.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
SYNSET = re.compile(r"(n\d{8})\s+")


def read_labels(path, classes):
    """Read class names, one per line, without WordNet ids before them and control characters.

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
    names = [CONTROLS.sub(" ", SYNSET.sub("", line, count=1)).strip() for line in _lines(path)]
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
        with open_regular(path) as file:
            return file.read().decode("utf-8").replace("\r\n", "\n").rstrip().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as labels ({first_line(error)})") from error
