"""Whether the run that locked a folder of Snakemake is still there.

Snakemake's lock says which files a run makes, not whose it is, so that after a kill nobody knows
whether it may be removed. Each run therefore notes its process.
"""

import os
from pathlib import Path

from cnnvis.core.errors import UserError
from cnnvis.core.files import HOST, is_running, read_json, write_json

NAME = "cnnvis-run.json"


def note_run(folder):
    """Note this process as the one that has the lock of a ``.snakemake`` folder."""
    write_json(Path(folder) / NAME, {"host": HOST, "process": os.getpid()})


def abandoned_lock(folder):
    """Return a line if the run that locked a ``.snakemake`` folder is gone, else None.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    str or None
        None, too, where the run was on another machine: whether it is there cannot be known.
    """
    folder = Path(folder)
    if not any(folder.glob("locks/*.lock")):
        return None
    try:
        run = read_json(folder / NAME)
        process, here = int(run["process"]), run["host"] == HOST
    except (UserError, KeyError, TypeError, ValueError):
        return None
    if not here or is_running(process):
        return None
    return (
        f"The run that locked this folder (process {process}) is gone: "
        "run snakemake --unlock once, then the same command again."
    )
