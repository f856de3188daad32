"""Errors that a user can cause: one line each, without a traceback."""


class UserError(Exception):
    """A mistake in a file, key or value that the message names, with what was expected."""


class ConfigError(UserError):
    """Everything that is wrong with a configuration.

    Parameters
    ----------
    lines : list of str
        One line per mistake, each naming the key and the value.
    """

    def __init__(self, lines):
        super().__init__("\n".join(lines))
        self.lines = list(lines)
