"""Errors that a user can cause, shown in one line each, without a traceback."""

import difflib

BEGINNING, END = 500, 300
"""How many characters of a longer message are kept: paths and names may have thousands."""


class UserError(Exception):
    """A mistake in a file, key or value, which the message names with what was expected.

    Parameters
    ----------
    message : str
        One line: a name in a damaged file may have line breaks, or codes that a terminal obeys,
        and these become spaces. Of a long message the middle is left out.
    """

    def __init__(self, message=""):
        super().__init__(_one_line(message))


class ConfigError(UserError):
    """All mistakes in a configuration.

    Parameters
    ----------
    lines : list of str
        One line per mistake, each naming the key and the value.
    """

    def __init__(self, lines):
        self.lines = [_one_line(line) for line in lines]
        Exception.__init__(self, "\n".join(self.lines))


def _one_line(message):
    line = "".join(char if char.isprintable() else " " for char in str(message))
    return line if len(line) <= BEGINNING + END else f"{line[:BEGINNING]} ... {line[-END:]}"


def suggest(name, options):
    """Return the names that are possible, first the one that was probably meant.

    >>> suggest("conv11", ["conv1", "fc8"])
    'did you mean conv1? Expected one of conv1, fc8'
    """
    options = list(map(str, options))
    near = difflib.get_close_matches(str(name), options, n=1)
    names = [*options[:12], "..."] if len(options) > 12 else options
    expected = f"one of {', '.join(names)}" if names else "none"
    return f"did you mean {near[0]}? Expected {expected}" if near else f"expected {expected}"
