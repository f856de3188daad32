"""Downloads: from several addresses, resumed, and complete and verified once they have a name.

Python's own ``urllib`` is used, because the scripts of the workflow run in environments without
``requests``, and because no library offers mirrors, resuming and checksums together.
"""

import gzip
import hashlib
import logging
import shutil
import tarfile
import time
import zlib
from pathlib import Path

from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic
from cnnvis.inputs.http import TIMEOUT, PermanentError, TemporaryError, append, writing

ATTEMPTS = 5
CHECKSUMS = ("sha256", "sha1")


def fetch_file(entry, path):
    """Download a file that a ``source.yaml`` or a configuration describes.

    Parameters
    ----------
    entry : dict
        ``urls``, or the address of an ``archive`` that holds a file of this name, and optionally
        ``size``, ``sha1`` and ``sha256`` (see `cnnvis.inputs.sources`).
    path : str or Path

    Raises
    ------
    UserError
        As `fetch`, and if the archive does not hold the file.
    """
    expected = {key: entry[key] for key in ("size", *CHECKSUMS) if key in entry}
    if "archive" in entry:
        _fetch_member(entry["archive"], Path(path), expected)
    else:
        fetch(entry["urls"], path, **expected)


def fetch(
    urls, path, *, size=None, sha1=None, sha256=None, timeout=TIMEOUT, attempts=ATTEMPTS, wait=1.0
):
    """Download a file unless it is there already.

    Data arrives in ``path.part``, which is renamed once its size and checksums are right. Only
    with a checksum is an interrupted download resumed, also by a later run: without one, nothing
    would tell whether the pieces belong together.

    Parameters
    ----------
    urls : sequence of str
        http or https addresses, tried in this order.
    path : str or Path
        A file that is there is never changed, only verified.
    size : int, optional
        Bytes.
    sha1, sha256 : str, optional
        Hexadecimal checksums.
    timeout : float
        Seconds of silence after which a connection is closed.
    attempts : int
        How often an address is tried.
    wait : float
        Seconds before the second attempt, doubled before each further one, at most a minute.

    Raises
    ------
    UserError
        If a file that is there is another one, or no address delivers the file: one line that
        says what to download by hand and where to save it.
    """
    path, expected = Path(path), {"size": size, "sha256": sha256, "sha1": sha1}
    if _is_in_place(path, expected):
        return
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    part, failures = path.with_name(f"{path.name}.part"), []
    for url in urls:
        reason = _try(url, part, expected, timeout, attempts, wait)
        if reason is None:
            part.replace(path)
            return
        failures.append(f"{url}: {reason}")
        logging.warning("%s: %s", path, failures[-1])
    if not (sha1 or sha256):
        part.unlink(missing_ok=True)
    raise UserError(
        f"{path}: cannot be downloaded ({'; '.join(failures)}); "
        f"download {urls[0]} and save it as {path}"
    )


def _try(url, part, expected, timeout, attempts, wait):
    """Download from one address; return None if the part is complete and right, else why not."""
    resumable, reason = any(expected[key] for key in CHECKSUMS), None
    for attempt in range(attempts):
        if attempt:
            logging.info("%s: %s; trying again", url, reason)
            time.sleep(min(wait * 2 ** (attempt - 1), 60))
        if not resumable:
            part.unlink(missing_ok=True)
        resumed = part.exists()
        try:
            # A part may be complete where a run was killed before it could rename it.
            if not (resumed and verify(part, **expected) is None):
                append(url, part, size=expected["size"], timeout=timeout)
        except PermanentError as error:
            return str(error)
        except TemporaryError as error:
            reason = str(error)
            continue
        reason = verify(part, **expected)
        if reason is None:
            return None
        part.unlink()
        if not resumed:
            return reason
    return reason


def verify(path, *, size=None, sha1=None, sha256=None):
    """Return what is wrong with a file as a phrase, or None.

    Parameters
    ----------
    path : str or Path
    size : int, optional
    sha1, sha256 : str, optional
        Hexadecimal, upper or lower case.
    """
    length = Path(path).stat().st_size
    if size is not None and length != size:
        return f"has {length} bytes, expected {size}"
    for method, expected in (("sha256", sha256), ("sha1", sha1)):
        if expected:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, method).hexdigest()
            if digest != expected.lower():
                return f"has {method} {digest}, expected {expected.lower()}"
    return None


def _is_in_place(path, expected):
    problem = verify(path, **expected) if path.exists() else None
    if problem:
        raise UserError(
            f"{path}: {problem}; it was not changed: move it away to have the published file "
            "downloaded, or give your own file another name"
        )
    return path.exists()


def _fetch_member(url, path, expected):
    """Download an archive, take the file of the path's name out of it, and delete it."""
    if _is_in_place(path, expected):
        return
    # Jobs run side by side: each has an archive of its own.
    archive = path.with_name(f"{path.name}.archive")
    keep = archive.exists()
    fetch([url], archive)
    try:
        with atomic(path) as temporary:
            _extract(archive, path.name, temporary)
            problem = verify(temporary, **expected)
            if problem:
                raise UserError(f"{path}: in {url} it {problem}; save the right file as {path}")
    finally:
        if not keep:
            archive.unlink(missing_ok=True)


def _extract(archive, name, target):
    """Write the file called `name`, in whatever folder of a tar archive, to `target`."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and Path(member.name).name == name:
                    with tar.extractfile(member) as file, target.open("wb") as copy:
                        shutil.copyfileobj(file, copy)
                    return
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{archive}: cannot be read as a tar archive ({error})") from error
    raise UserError(f"{archive}: contains no file {name}")
