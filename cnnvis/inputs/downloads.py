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
    if "archive" in entry:
        _fetch_member(entry, Path(path))
    else:
        fetch(entry, path)


def fetch(entry, path, *, timeout=TIMEOUT, attempts=ATTEMPTS, wait=1.0):
    """Download a file unless it is there already.

    Data arrives in ``path.part``, which is renamed once its size and checksums are right. Only
    with a checksum is an interrupted download resumed, also by a later run: without one, nothing
    would tell whether the pieces belong together.

    Parameters
    ----------
    entry : dict
        ``urls``, http or https addresses, tried in this order; optionally ``size`` in bytes and
        hexadecimal ``sha1`` and ``sha256``.
    path : str or Path
        A file that is there is never changed, only verified.
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
    path = Path(path)
    if _is_in_place(path, entry):
        return
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    part, failures = path.with_name(f"{path.name}.part"), []
    if part.is_symlink():  # Nothing of ours: what it leads to would be written.
        part.unlink()
    for url in entry["urls"]:
        reason = _try(url, part, entry, timeout, attempts, wait)
        if reason is None:
            part.replace(path)
            return
        failures.append(f"{url}: {reason}")
        logging.warning("%s: %s", path, failures[-1])
    if not _is_resumable(entry):
        part.unlink(missing_ok=True)
    raise UserError(
        f"{path}: cannot be downloaded ({'; '.join(failures)}); "
        f"download {entry['urls'][0]} and save it as {path}"
    )


def _is_resumable(entry):
    return any(key in entry for key in CHECKSUMS)


def _try(url, part, entry, timeout, attempts, wait):
    """Download from one address; return None if the part is complete and right, else why not."""
    resumable, reason = _is_resumable(entry), None
    for attempt in range(attempts):
        if attempt:
            logging.info("%s: %s; trying again", url, reason)
            time.sleep(min(wait * 2 ** (attempt - 1), 60))
        if not resumable:
            part.unlink(missing_ok=True)
        resumed = part.exists()
        try:
            # A part may be complete where a run was killed before it could rename it.
            if not (resumed and verify(part, entry) is None):
                append(url, part, size=entry.get("size"), timeout=timeout)
        except PermanentError as error:
            return str(error)
        except TemporaryError as error:
            reason = str(error)
            continue
        reason = verify(part, entry)
        if reason is None:
            return None
        part.unlink()
        if not resumed:
            return reason
    return reason


def verify(path, entry):
    """Return what is wrong with a file as a phrase, or None.

    Parameters
    ----------
    path : str or Path
    entry : dict
        Optionally ``size``, ``sha1`` and ``sha256``, in upper or lower case.
    """
    size = Path(path).stat().st_size
    if size != entry.get("size", size):
        return f"has {size} bytes, expected {entry['size']}"
    for method in CHECKSUMS:
        if method in entry:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, method).hexdigest()
            if digest != entry[method].lower():
                return f"has {method} {digest}, expected {entry[method].lower()}"
    return None


def _is_in_place(path, entry):
    problem = verify(path, entry) if path.exists() else None
    if problem:
        raise UserError(
            f"{path}: {problem}; it was not changed: move it away to have the published file "
            "downloaded, or give your own file another name"
        )
    return path.exists()


def _fetch_member(entry, path):
    """Download an archive, take the file of the path's name out of it, and delete it."""
    if _is_in_place(path, entry):
        return
    # Jobs run side by side: each has an archive of its own.
    archive = path.with_name(f"{path.name}.archive")
    keep, url = archive.exists(), entry["archive"]
    fetch({"urls": [url]}, archive)
    try:
        with atomic(path) as temporary:
            _extract(archive, path.name, temporary)
            problem = verify(temporary, entry)
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
