"""Files from the network: resumed, verified, and never in the way of a file that is there.

Python's own ``urllib`` does it, because the scripts of the workflow run in environments that have
no ``requests`` (Snakemake brings it, they do not have Snakemake), and because what is needed here
(ranges, several addresses, checksums before a file gets its name) no library brings either.
"""

import contextlib
import errno
import fcntl
import hashlib
import http.client
import logging
import os
import shutil
import tarfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic
from cnnvis.inputs.http import TIMEOUT, Lasting, Meter, Transfer, may_pass, reason_of

LOG = logging.getLogger(__name__)
ATTEMPTS = 5
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}


def fetch(
    urls,
    path,
    *,
    size=None,
    sha1=None,
    sha256=None,
    progress=True,
    timeout=TIMEOUT,
    attempts=ATTEMPTS,
    wait=1.0,
):
    """Fetch a file unless it is there already.

    Data arrives in ``path.part`` and goes on from there after an interruption, also in a later
    run where a checksum tells whether the parts belong together. The file gets its name when its
    size and checksums are right. Of two runs that want the same file, one waits for the other.

    Parameters
    ----------
    urls : str or sequence of str
        http or https addresses, tried in this order.
    path : str or Path
        Where the file goes. A file of that name is never changed, only verified.
    size : int, optional
        Bytes.
    sha1, sha256 : str, optional
        Hexadecimal checksums.
    progress : bool
        Whether to say on standard error how far it is; the log always has it.
    timeout : float
        Seconds of silence after which a connection is given up.
    attempts : int
        How often an address is asked again after a passing failure.
    wait : float
        Seconds before the second attempt; twice as many before each further one.

    Returns
    -------
    Path

    Raises
    ------
    UserError
        If a file that is there is not the one meant, or no address gave it: one line that says
        what to fetch by hand, from where, and where to put it.
    """
    wanted = Wanted(Path(path), size, sha1, sha256)
    urls = [urls] if isinstance(urls, str) else list(urls)
    _check_addresses(urls, path)
    if wanted.is_there():
        return wanted.path
    _make_folder(wanted)
    meter = Meter(wanted.path.name, size, progress)
    with _part(wanted) as part:
        if wanted.is_there():  # another run fetched it while this one waited
            return wanted.path
        failures = []
        for url in urls:
            transfer = Transfer(url, wanted, part, meter, timeout)
            reason = _try(transfer, attempts, wait)
            if reason is None:
                return _name(part, wanted, meter)
            failures.append(f"{url}: {reason}")
            LOG.warning("%s: %s", wanted.path, failures[-1])
    raise UserError(
        f"{path}: could not be fetched ({'; '.join(failures)}); "
        f"fetch {urls[0]} by hand and put it at {path}"
    )


def fetch_file(entry, path, **options):
    """Fetch a file that a ``source.yaml`` or a configuration describes.

    Parameters
    ----------
    entry : dict
        ``urls``, or the address of an ``archive`` that holds a file of this name, and what is
        known of ``size``, ``sha1`` and ``sha256`` (see `cnnvis.inputs.sources`).
    path : str or Path
    **options
        As for `fetch`.

    Raises
    ------
    UserError
        As `fetch`, and if the archive does not hold the file.
    """
    known = {key: entry[key] for key in ("size", "sha1", "sha256") if key in entry}
    if "archive" in entry:
        return _fetch_member(entry["archive"], Path(path), known, options)
    return fetch(entry["urls"], path, **known, **options)


def _fetch_member(url, path, known, options):
    """Fetch an archive, take the file of the path's name out of it, and remove it."""
    wanted = Wanted(path, *(known.get(key) for key in ("size", "sha1", "sha256")))
    if wanted.is_there():
        return path
    archive = path.with_name(Path(urlsplit(url).path).name)
    kept = archive.exists()
    fetch(url, archive, **options)
    try:
        with atomic(path) as temporary:
            _extract(archive, path.name, temporary)
            problem = wanted.problem_of(temporary)
            if problem:
                raise UserError(f"{path}: in {url} it {problem}; put the right one at {path}")
    finally:
        if not kept:
            archive.unlink(missing_ok=True)
    return path


def _extract(archive, name, target):
    """Write the file called `name`, in whatever folder of a tar archive, to `target`."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and Path(member.name).name == name:
                    with tar.extractfile(member) as file, target.open("wb") as copy:
                        shutil.copyfileobj(file, copy)
                    return
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(f"{archive}: cannot be read as a tar archive ({error})") from error
    raise UserError(f"{archive}: holds no file {name}")


def _check_addresses(urls, path):
    if not urls:
        raise UserError(f"{path}: has no address to be fetched from")
    for url in urls:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise UserError(f"{path}: {url} is no address; expected http:// or https://")


def _make_folder(wanted):
    try:
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{wanted.path}: cannot be written ({error.strerror})") from error


def verify(path, *, size=None, sha1=None, sha256=None):
    """Return what is wrong with a file as a phrase, or None.

    Parameters
    ----------
    path : str or Path
    size : int, optional
    sha1, sha256 : str, optional
        Hexadecimal, upper or lower case.
    """
    found = os.stat(path).st_size
    if size is not None and found != size:
        return f"has {found} bytes, expected {size}"
    for method, expected in (("sha256", sha256), ("sha1", sha1)):
        if expected:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, method).hexdigest()
            if digest != expected.lower():
                return f"has {method} {digest}, expected {expected.lower()}"
    return None


@dataclass(frozen=True)
class Wanted:
    """A file as it should be."""

    path: Path
    size: int | None
    sha1: str | None
    sha256: str | None

    @property
    def has_checksum(self):
        """Whether the content, and not just its size, is known."""
        return bool(self.sha1 or self.sha256)

    def is_there(self):
        """Return whether the file is in place, and right.

        Raises
        ------
        UserError
            If it is another file: whose it is nobody knows, so it stays.
        """
        if not self.path.exists():
            return False
        problem = self.problem_of(self.path)
        if problem:
            raise UserError(
                f"{self.path}: {problem}; it is left as it is: move it away to have the published "
                "file fetched, or give your own another name"
            )
        return True

    def problem_of(self, path):
        """Return what is wrong with a file, or None."""
        return verify(path, size=self.size, sha1=self.sha1, sha256=self.sha256)


@dataclass
class Part:
    """The file that data arrives in, held by this process alone."""

    path: Path
    file: object

    @property
    def length(self):
        """Bytes that have arrived."""
        return os.fstat(self.file.fileno()).st_size

    def truncate(self, length):
        """Cut the file."""
        os.truncate(self.path, length)

    def discard(self):
        """Leave nothing behind where nothing arrived."""
        with contextlib.suppress(FileNotFoundError):
            if not self.length and _is_same(self.file, self.path):
                self.path.unlink()


@contextlib.contextmanager
def _part(wanted):
    """Open ``path.part`` for this process alone, waiting for another that has it."""
    path = wanted.path.with_name(f"{wanted.path.name}.part")
    try:
        file = _open_alone(path, wanted)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from error
        # Some cluster file systems have no locks: then nothing is shared, and nothing resumed.
        path = wanted.path.with_name(f"{wanted.path.name}.{os.getpid()}.part")
        LOG.warning("%s: no file locks here, so this download cannot be resumed", path)
        file = path.open("ab")
    with file:
        part = Part(path, file)
        try:
            yield part
        finally:
            part.discard()


def _is_same(file, path):
    """Return whether an open file is the one of this name now."""
    return os.path.samestat(os.fstat(file.fileno()), path.stat())


def _open_alone(path, wanted):
    while True:
        file = path.open("ab")
        try:
            _lock(file, wanted)
        except OSError:
            file.close()
            if not path.stat().st_size:
                path.unlink()
            raise
        # Whoever had the lock may have given this very file its name, or removed it.
        with contextlib.suppress(FileNotFoundError):
            if _is_same(file, path):
                return file
        file.close()


def _lock(file, wanted):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        LOG.info("%s: another run is fetching it; waiting", wanted.path)
        fcntl.flock(file, fcntl.LOCK_EX)


def _name(part, wanted, meter):
    """Give the finished file its name; a file that a hand put there meanwhile stays."""
    if wanted.is_there():
        part.path.unlink()
        return wanted.path
    part.path.rename(wanted.path)
    meter.finish()
    return wanted.path


def _try(transfer, attempts, wait):
    """Fetch from one address; return None when the part is right, else why not."""
    reason = None
    for attempt in range(attempts):
        if attempt:
            LOG.info("%s: %s; trying again", transfer.url, reason)
            time.sleep(min(wait * 2 ** (attempt - 1), 60))
        resumed = transfer.part.length
        try:
            transfer.run()
        except Lasting as error:
            return str(error)
        except (OSError, http.client.HTTPException) as error:
            reason = reason_of(error)
            if not may_pass(error):
                return reason
            continue
        reason = transfer.wanted.problem_of(transfer.part.path)
        if reason is None:
            return None
        transfer.part.truncate(0)
        if not resumed:
            return reason
    return reason
