"""How far a long computation is: in the log, and on a terminal where there is one."""

import logging
import sys
import time

EVERY = 10.0


class Progress:
    """Says how many of a collection's images are done, how fast it goes, and how long it takes.

    Parameters
    ----------
    name : str
        The collection's.
    total : int
    done : int
        Images that an earlier run has done.
    skipped : int
        Of those, how many could not be read.
    """

    def __init__(self, name, total, done=0, skipped=0):
        self.name, self.total, self.done, self.skipped = name, total, done, skipped
        self._first, self._start = done, time.monotonic()
        self._said, self._last = self._start, None
        self._terminal = sys.stderr.isatty()

    def __enter__(self):
        return self

    def __exit__(self, kind, *error):
        if self._terminal:
            print(file=sys.stderr)
        if kind is None and self.done != self._last:
            self._log()

    def update(self, done, skipped):
        """Say so if it is time."""
        self.done, self.skipped = done, skipped
        if self._terminal:
            print(f"\r{self.line():<78}", end="", file=sys.stderr, flush=True)
        if time.monotonic() - self._said >= EVERY:
            self._log()

    def _log(self):
        self._said, self._last = time.monotonic(), self.done
        logging.info("%s", self.line())

    def line(self):
        """Return for example ``cats: 64 of 200 images, 32.1 images/s, 4 s left, 1 skipped``."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        rate = (self.done - self._first) / seconds
        parts = [f"{self.name}: {self.done} of {self.total} images"]
        if rate:
            parts.append(f"{rate:.1f} images/s")
            left = (self.total - self.done) / rate
            parts.append(f"{_duration(left)} left" if left else f"in {_duration(seconds)}")
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        return ", ".join(parts)


def _duration(seconds):
    """Return seconds in words.

    >>> _duration(4.2), _duration(130), _duration(7300)
    ('5 s', '2 min 10 s', '2 h 1 min')
    """
    whole = -int(-seconds // 1)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
