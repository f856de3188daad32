"""One transfer over HTTP: what is missing of a file is asked for, checked and appended."""

import logging
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from cnnvis.core.errors import UserError

LOG = logging.getLogger(__name__)
CHUNK = 1 << 18
TIMEOUT = 30.0
"""Seconds of silence after which a connection is given up."""
_PASSING = {408, 425, 429, 500, 502, 503, 504}
"""HTTP's answers after which asking again may help."""


class Lasting(Exception):
    """A failure that asking again does not mend."""


class Passing(OSError):
    """A failure that asking again may mend."""


def cause_of(error):
    """Return what is behind urllib's error."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        return error.reason
    return error


def may_pass(error):
    """Return whether asking again may help: not without network or server."""
    return not isinstance(cause_of(error), socket.gaierror | ConnectionRefusedError)


def reason_of(error):
    """Return a network error in a few words."""
    error = cause_of(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "its name is not known here (no network?)"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())[:120]


@dataclass
class Transfer:
    """One address, and the part it fills."""

    url: str
    wanted: object
    part: object
    meter: object
    timeout: float
    validator: str | None = None
    """What the server called the version that the part is of."""

    def run(self):
        """Ask for what is missing and append it.

        Raises
        ------
        Lasting, OSError, HTTPException
        """
        size = self.wanted.size
        too_long = size is not None and self.part.length > size
        if too_long or not (self.wanted.has_checksum or self.validator):
            self.part.truncate(0)  # nothing would tell whether the two pieces belong together
        if self.part.length and self.part.length == size:
            return
        try:
            answer = _OPENER.open(self._request(), timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error)
            return
        with answer:
            self._append(answer, self._begin(answer))

    def _request(self):
        request = urllib.request.Request(self.url, headers={"User-Agent": "cnnvis"})
        if self.part.length:
            request.add_header("Range", f"bytes={self.part.length}-")
            if self.validator:
                request.add_header("If-Range", self.validator)
        return request

    def _refused(self, error):
        if error.code == 416:
            # The part is all there is, or of something else: the checksum, or the next try, tells.
            if _total(error.headers) != self.part.length:
                self.part.truncate(0)
                raise Passing("the part did not fit")
            return
        reason = " ".join(f"HTTP {error.code} {error.reason}".split())
        if error.code in _PASSING:
            raise Passing(reason)
        raise Lasting(reason[:160])

    def _begin(self, answer):
        """Check what is coming; return the size of the whole file, or None if nothing says it."""
        offset = self.part.length if answer.status == 206 else 0
        sent = (answer.headers.get("Content-Range") or "").removeprefix("bytes ").partition("-")[0]
        if offset and sent != str(offset):
            self.part.truncate(0)
            raise Passing("the server sent another range than was asked for")
        length = answer.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdigit() else None
        size = self.wanted.size
        if size is not None and total is not None and total != size:
            raise Lasting(f"offers {total} bytes, expected {size}")
        self._refuse_page(answer)
        self._check_space(total or size)
        if not offset:
            self.part.truncate(0)
        etag = answer.headers.get("ETag", "")
        weak = etag.startswith("W/")
        self.validator = etag if etag and not weak else answer.headers.get("Last-Modified")
        return total

    def _refuse_page(self, answer):
        """Refuse a web page (a login, an apology) in place of a file that nothing verifies."""
        page = answer.headers.get_content_type() == "text/html"
        if (
            page
            and not self.wanted.has_checksum
            and self.wanted.path.suffix not in (".html", ".htm")
        ):
            raise Lasting("answers with a web page instead of the file")

    def _check_space(self, total):
        missing = (total or 0) - self.part.length
        free = shutil.disk_usage(self.wanted.path.parent).free
        if missing > free:
            raise UserError(
                f"{self.wanted.path}: needs {missing} more bytes, and its disk has {free} left"
            )

    def _append(self, answer, total):
        done = self.part.length
        self.meter.start(done, total)
        while chunk := answer.read(CHUNK):
            done += len(chunk)
            if self.wanted.size is not None and done > self.wanted.size:
                self.part.truncate(0)
                raise Lasting(f"sends more than the expected {self.wanted.size} bytes")
            self._write(chunk)
            self.meter.report(done)
        if total is not None and done < total:
            raise Passing(f"the connection broke after {done} of {total} bytes")

    def _write(self, chunk):
        try:
            self.part.file.write(chunk)
            self.part.file.flush()
        except OSError as error:
            # Not a failure of the address: no other one would help.
            raise UserError(f"{self.wanted.path}: cannot be written ({error.strerror})") from error


def _total(headers):
    """Return the whole size from a Content-Range such as ``bytes */1234``, or None."""
    total = (headers.get("Content-Range") or "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


def _make_opener():
    """Return urllib's opener for http(s) alone: no redirect leads to a local file or to ftp."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


_OPENER = _make_opener()


class Meter:
    """How far a download is: percent, rate and time left."""

    def __init__(self, name, total=None, shown=True, clock=time.monotonic):
        self.name, self.total, self.clock = name, total, clock
        self.terminal = shown and sys.stderr.isatty()
        self.shown = shown
        self.every = 1.0 if self.terminal else 20.0
        self.first = self.done = 0
        self.began = self.said = clock()

    def start(self, done, total):
        """Begin to count at `done` bytes."""
        self.first = self.done = done
        self.total = total or self.total
        self.began = self.said = self.clock()
        self._say(f"{self.name}: {'going on at' if done else 'fetching'} {self._share(done)}")

    def report(self, done):
        """Say how far it is, at intervals."""
        self.done = done
        if self.clock() - self.said >= self.every:
            self.said = self.clock()
            self._say(self.line())

    def line(self):
        """Return how far it is in one line."""
        rate = (self.done - self.first) / max(self.clock() - self.began, 1e-3)
        text = f"{self.name}: {self._share(self.done)}, {rate / 1e6:.1f} MB/s"
        if self.total and rate:
            text += f", {(self.total - self.done) / rate:.0f} s left"
        return text

    def finish(self):
        """Say that it is done."""
        self._say(f"{self.name}: fetched {self.done / 1e6:.1f} MB", end="\n")

    def _share(self, done):
        if self.total:
            return f"{100 * done / self.total:.0f} % of {self.total / 1e6:.1f} MB"
        return f"{done / 1e6:.1f} MB"

    def _say(self, text, end=None):
        LOG.info("%s", text)
        if self.shown:
            start, last = ("\r\033[K", end or "") if self.terminal else ("", "\n")
            print(f"{start}{text}", end=last, file=sys.stderr, flush=True)
