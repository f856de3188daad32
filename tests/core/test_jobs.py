import logging
import warnings
from types import SimpleNamespace

import pytest

from cnnvis.core.errors import ConfigError, UserError
from cnnvis.core.files import atomic, read_json, safe_name, write_json
from cnnvis.core.jobs import job


@pytest.fixture
def snakemake(tmp_path):
    """Return what a script gets, and put logging back as it was."""
    root, filters = logging.getLogger(), warnings.filters[:]
    handlers, level = root.handlers[:], root.level
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


def test_a_file_appears_whole_with_the_usual_rights(tmp_path):
    path = tmp_path / "new" / "x.txt"
    with atomic(path) as temporary:
        temporary.write_text("all of it")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "all of it"
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert [file.name for file in path.parent.iterdir()] == ["x.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="half way"), atomic(path) as temporary:
        temporary.write_text("half")
        raise ValueError("half way")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="x.txt: cannot be written"),
        atomic(tmp_path / "file" / "x.txt"),
    ):
        pass


def test_json_comes_back_as_it_was_written(tmp_path):
    value = {"name": "Käfer", "numbers": [1, 2.5], "none": None}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize("text", [None, "", "{", '{"a": 1'])
def test_what_is_no_json_is_one_line(tmp_path, text):
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match="x.json: cannot be read as JSON") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_names_for_paths_have_no_slash():
    assert safe_name("fire2/squeeze1x1") == "fire2-squeeze1x1"
    assert safe_name("conv1") == "conv1"


def test_a_config_error_is_its_lines():
    error = ConfigError(["config: a: wrong", "config: b: wrong"])
    assert str(error) == "config: a: wrong\nconfig: b: wrong"
    assert error.lines == ["config: a: wrong", "config: b: wrong"]
