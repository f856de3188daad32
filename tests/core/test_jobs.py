import logging
import warnings
from types import SimpleNamespace

import pytest

from cnnvis.core.errors import UserError
from cnnvis.core.jobs import job


@pytest.fixture
def snakemake(tmp_path):
    """Return what a script gets, and put logging back as it was."""
    root, filters = logging.getLogger(), warnings.filters[:]
    handlers, level = root.handlers[:], root.level
    logging.captureWarnings(False)  # Another test may have run a job in this process.
    yield SimpleNamespace(log=[str(tmp_path / "logs" / "job.log")])
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        if handler not in handlers:
            handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)
    warnings.filters[:] = filters


def log_of(snakemake):
    with open(snakemake.log[0], encoding="utf-8") as file:
        return file.read()


def test_a_job_logs_what_is_said_and_warned(snakemake):
    with job(snakemake):
        logging.info("half done")
        warnings.warn("strange number", stacklevel=1)
    assert "half done" in log_of(snakemake)
    assert "strange number" in log_of(snakemake)


def test_a_users_mistake_is_one_line_and_status_1(snakemake, capsys):
    with pytest.raises(SystemExit) as caught, job(snakemake):
        raise UserError("cat.png: cannot be read as an image")
    assert caught.value.code == 1
    assert capsys.readouterr().err == "cnnvis: cat.png: cannot be read as an image\n"
    assert "cat.png: cannot be read as an image" in log_of(snakemake)
    assert "Traceback" not in log_of(snakemake)


def test_a_defect_keeps_its_traceback(snakemake):
    with pytest.raises(ZeroDivisionError), job(snakemake):
        _ = 1 / 0
    assert "Traceback" in log_of(snakemake)
    assert "defect in cnnvis" in log_of(snakemake)
