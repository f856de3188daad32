"""Whether the runs that locked a folder of Snakemake are still there.

Snakemake's lock says which files a run makes, not whose it is: after a kill it stays. Each run
therefore also holds a lock of the system's, which ends with its process however that ends.
"""

import fcntl
from pathlib import Path

from cnnvis.core.files import HOST

NAME = "cnnvis-runs.lock"
_held = []


def join_runs(folder):
    """Take part in the runs of a ``.snakemake`` folder; remove the lock that killed ones left.

    Called before Snakemake looks at its lock. The part that a process takes ends with it.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    bool
        Whether a lock was removed: only one of this machine, and only while no other process
        takes part. Whether those of other machines are there cannot be known everywhere.

    Raises
    ------
    OSError
        If the folder cannot be written, or its file system has no locks.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Kept open: the lock would end with the file. Processes that a run starts do not inherit it.
    file = (folder / NAME).open("a+")
    _held.append(file)
    removed = False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        removed = _remove_locks(folder, file)
    fcntl.flock(file, fcntl.LOCK_SH)
    return removed


def _remove_locks(folder, file):
    """Remove Snakemake's locks if the last run was on this machine; note this machine."""
    file.seek(0)
    locks = list(folder.glob("locks/*.lock"))
    if locks and file.read() != HOST:
        return False
    for lock in locks:
        lock.unlink()
    file.truncate(0)
    file.write(HOST)
    file.flush()
    return bool(locks)
