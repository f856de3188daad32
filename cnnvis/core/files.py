"""Files that are either whole or absent, and names that are safe in paths."""

import contextlib
import csv
import errno
import functools
import hashlib
import json
import os
import re
import secrets
import stat
import zlib
from pathlib import Path

from cnnvis.core.errors import UserError

HASHED = 1 << 24
"""Bytes of the largest files whose content is their fingerprint: 10 ms of reading."""
HOST = f"{zlib.crc32(os.uname().nodename.encode()):08x}"
"""This machine, in the names of temporary files: other machines may share a folder."""


@contextlib.contextmanager
def atomic(path):
    """Give a temporary path beside `path` that takes its name when the block ends well.

    Parameters
    ----------
    path : str or Path
        The final name. Its folder is made where it is missing.

    Yields
    ------
    Path
        A free name in the same folder, with the same suffix (writers choose formats by it). Its
        file is removed when the block raises, so that nothing half-written ever has the name. If
        the process is killed, the next that writes the same file on this machine removes it.

    Raises
    ------
    UserError
        If the system refuses to write (disk full, no permission).
    """
    path = Path(path)
    start = f".{path.stem}-{HOST}-"
    unique = f"{os.getpid()}-{secrets.token_hex(2)}"
    temporary = path.with_name(f"{start}{unique}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent, start, path.suffix)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        # NumPy says only how many values of an array were written.
        reason = error.strerror or f"the disk may be full: {error}"
        raise UserError(f"{path}: cannot be written ({reason})") from error


def _remove_abandoned(folder, start, suffix):
    """Remove temporary files of a name whose processes, on this machine, are gone."""
    pattern = re.compile(re.escape(start) + r"(\d+)-[0-9a-f]{4}" + re.escape(suffix))
    for name in _abandoned(folder):
        if pattern.fullmatch(name):
            (folder / name).unlink(missing_ok=True)


@functools.cache  # Listed for every file, a folder of thousands would take seconds.
def _abandoned(folder):
    """Return the names of all temporary files in a folder whose processes are gone."""
    pattern = re.compile(rf"\..*-{HOST}-(\d+)-[0-9a-f]{{4}}.*")
    matches = map(pattern.fullmatch, os.listdir(folder))
    return [match[0] for match in matches if match and not is_running(int(match[1]))]


def is_running(process):
    """Return whether a process of this machine exists."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def open_regular(path):
    """Open a regular file for reading bytes; a FIFO or device, which may never end, is an OSError.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    BufferedReader
    """
    # Opened so, a FIFO does not wait for somebody to write to it.
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return file


def fingerprint(path):
    """Return what tells a file from others that may take its place, or None if it is not there.

    Parameters
    ----------
    path : str

    Returns
    -------
    str or None
        A digest of the content, so that a file that was copied or touched is the same one. Of
        files above `HASHED`, which take long to read, the size and the time of change.
    """
    try:
        status = os.stat(path)
        if status.st_size > HASHED:
            return f"{status.st_size} bytes, {status.st_mtime_ns} ns"
        return _digest(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return None


@functools.cache  # Many jobs read the same file.
def _digest(path, size, changed):
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def safe_name(layer):
    """Return the layer's name as it stands in paths: ``/`` becomes ``-``.

    >>> safe_name("fire2/squeeze1x1")
    'fire2-squeeze1x1'
    """
    return layer.replace("/", "-")


def write_json(path, value):
    """Write `value` as indented JSON, atomically.

    Raises
    ------
    UserError
        If a number is NaN or infinite, which JSON does not have and browsers refuse.
    """
    try:
        text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise UserError(
            f"{path}: a number is NaN or infinite; are the network's values so large that their "
            "squares exceed float32 (1e19)?"
        ) from error
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path):
    """Read a JSON file.

    Raises
    ------
    UserError
        If the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from error


def write_csv(path, columns, rows):
    """Write a table as CSV, atomically; None is an empty cell.

    Parameters
    ----------
    path : str or Path
    columns : sequence of str
    rows : iterable of sequence
        Numbers are written as they are: give text where digits are to be limited.
    """
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
