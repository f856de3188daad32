"""What every script of the workflow needs: a log, and errors of one line."""

import contextlib
import logging
import sys
import warnings
from pathlib import Path

from cnnvis.core.errors import UserError


@contextlib.contextmanager
def job(snakemake):
    """Run one Snakemake job: log to its log file, end a user's mistake in one line.

    Parameters
    ----------
    snakemake : object
        The object Snakemake gives a script; its first log file receives what is logged and warned.

    Raises
    ------
    SystemExit
        With status 1 after a `UserError`, whose line goes to the log and to standard error.
    """
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=log, filemode="w", level=logging.INFO, format="%(asctime)s %(message)s", force=True
    )
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    try:
        yield
    except UserError as error:
        logging.error("%s", error)
        print(f"cnnvis: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception:
        logging.exception("This is a defect in cnnvis, please report it:")
        raise
