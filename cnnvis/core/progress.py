"""Progress of a long computation: in the log, and on the terminal where there is one."""

import logging
import sys
import time

EVERY = 10.0
"""Seconds between two lines in the log."""


class Progress:
    """Report how much is done, the rate and the time left, at most every ten seconds.

    It is a context manager. The last line is logged when the block ends without an error.

    Parameters
    ----------
    name : str
        What is computed, the first word of every line.
    total : int or None
        How many there are, None where nobody knows.
    unit : str
        What is counted. ``"bytes"`` are reported in megabytes.
    done : int
        How many an earlier run has done.
    """

    def __init__(self, name, total, unit="images", done=0):
        self.name, self.total, self.unit, self.done = name, total, unit, done
        self.skipped, self._first, self._logged = 0, done, None
        self._start = self._last = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if sys.stderr.isatty():
            print(file=sys.stderr)
        if kind is None and self.done != self._logged:
            self._log()

    def add(self, count=1, more=0, skipped=0):
        """Count as done.

        Parameters
        ----------
        count : int
            How many were done since the last call, with those that were skipped.
        more : int
            By how many the total turned out to be larger.
        skipped : int
            How many could not be used.
        """
        self.done += count
        self.total = self.total + more if more else self.total
        self.skipped += skipped
        if sys.stderr.isatty():
            print(f"\r{self.line():<78}", end="", file=sys.stderr, flush=True)
        if time.monotonic() - self._last >= EVERY:
            self._log()

    def resume(self, count):
        """Count what an earlier run has done, which says nothing about the rate."""
        self.done += count
        self._first += count

    def _log(self):
        self._last, self._logged = time.monotonic(), self.done
        logging.info("%s", self.line())

    def line(self):
        """Return for example ``cats: 64 of 200 images, 32.1 images/s, 4 s left, 1 skipped``."""
        scale, unit, digits = (1e6, "MB", 1) if self.unit == "bytes" else (1, self.unit, 0)
        done = f"{self.done / scale:.{digits}f}"
        total = "" if self.total is None else f" of {self.total / scale:.{digits}f}"
        parts = [f"{self.name}: {done}{total} {unit}"]
        seconds = max(time.monotonic() - self._start, 1e-9)
        rate = (self.done - self._first) / seconds
        if rate:
            parts.append(f"{rate / scale:.1f} {unit}/s")
            left = ((self.total or self.done) - self.done) / rate
            parts.append(f"{_duration(left)} left" if left > 0 else f"in {_duration(seconds)}")
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
