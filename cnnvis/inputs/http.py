"""One request over HTTP: the bytes that a file lacks are requested and appended to it."""

import contextlib
import http.client
import logging
import socket
import time
import urllib.error
import urllib.request

from cnnvis.core.errors import UserError
from cnnvis.core.progress import Progress

CHUNK = 1 << 18
TIMEOUT = 30.0
"""Seconds of silence after which a connection is closed."""
SLOWEST = 1000
"""Bytes a second: a server that sends fewer over such a time is given up."""
UNANNOUNCED = 1 << 32
"""Bytes that a server may send without saying how many there are."""
_TEMPORARY = {408, 416, 425, 429, 500, 502, 503, 504}
"""HTTP status codes after which a retry may help."""


class PermanentError(Exception):
    """A failure of an address; retrying does not help."""


class TemporaryError(Exception):
    """A failure of an address; retrying may help."""


def append(url, path, *, size=None, timeout=TIMEOUT):
    """Request the bytes of a file that are missing, and append them.

    A server that ignores the requested range sends the whole file, which then replaces what was
    there. Whether the pieces belong together only a checksum can tell.

    Parameters
    ----------
    url : str
    path : Path
        The file, possibly not there yet.
    size : int, optional
        Bytes of the complete file.
    timeout : float
        Seconds of silence after which the connection is closed.

    Raises
    ------
    PermanentError, TemporaryError
        If the address does not deliver the complete file.
    UserError
        If the file cannot be written.
    """
    done = path.stat().st_size if path.exists() else 0
    headers = {"User-Agent": "cnnvis"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            _check(answer, done)
            _copy(answer, path, done if answer.status == 206 else 0, size, timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            path.unlink(missing_ok=True)
        kind = TemporaryError if error.code in _TEMPORARY else PermanentError
        raise kind(" ".join(f"HTTP {error.code} {error.reason}".split())[:160]) from error
    except (OSError, http.client.HTTPException) as error:
        raise _explained(error) from error


def _check(answer, done):
    """Refuse answers that are no file: none, another part of it, or an encoded one."""
    encoding = answer.headers.get("Content-Encoding", "identity")
    part = answer.headers.get("Content-Range", f"bytes {done}-")
    if answer.status not in (200, 206):
        raise PermanentError(f"HTTP {answer.status}, which is no file")
    if answer.status == 206 and not (done and part.startswith(f"bytes {done}-")):
        raise PermanentError("the server sends a part that was not asked for")
    if encoding != "identity":
        raise PermanentError(f"the server sends the file encoded as {encoding[:20]}")


def _copy(answer, path, done, size, timeout):
    length = answer.headers.get("Content-Length", "")
    total = done + int(length) if length.isdigit() else None
    if None not in (size, total) and total != size:
        raise PermanentError(f"the server offers {total} bytes, expected {size}")
    if done:
        logging.info("%s: resuming at %.1f MB", path.stem, done / 1e6)
    with writing(path):
        file = path.open("ab" if done else "wb", buffering=0)
    with file, Progress(path.stem, total or size, unit="bytes", done=done) as progress:
        since, start = time.monotonic(), done
        # Not read, which would wait for a whole chunk, however slowly it comes.
        while chunk := answer.read1(CHUNK):
            progress.add(len(chunk))
            if size is not None and progress.done > size:
                raise PermanentError(f"the server sends more than the expected {size} bytes")
            if size is None and total is None and progress.done > UNANNOUNCED:
                raise PermanentError(f"the server sends more than {UNANNOUNCED} bytes, without end")
            if time.monotonic() - since > timeout:
                if progress.done - start < SLOWEST * timeout:
                    raise TemporaryError(f"less than {SLOWEST} bytes a second")
                since, start = time.monotonic(), progress.done
            with writing(path):
                while chunk:  # A file without a buffer may take a part only.
                    chunk = chunk[file.write(chunk) :]
        if total is not None and progress.done < total:
            raise TemporaryError(f"the connection broke after {progress.done} of {total} bytes")


@contextlib.contextmanager
def writing(path):
    """Turn an error of the system into a `UserError`: no other address would help."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _explained(error):
    """Return a network error as one of the two kinds of failures, in a few words."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, TimeoutError):
        return TemporaryError("no answer in time")
    if isinstance(error, socket.gaierror):
        return PermanentError("host name cannot be resolved (offline?)")
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    kind = PermanentError if isinstance(error, ConnectionRefusedError) else TemporaryError
    return kind(" ".join(text.split())[:120])
