import doctest
import os
import subprocess
import sys

import pytest

import cnnvis.core.files
from cnnvis.core.errors import UserError
from cnnvis.core.files import HOST, atomic, fingerprint, read_json, write_csv, write_json
from tests.conftest import ROOT


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


def test_an_array_that_has_no_room_is_one_line(tmp_path):
    run = """
import resource, sys
import numpy as np
from cnnvis.core.arrays import write_npy
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
write_npy(sys.argv[1], np.zeros(5000))
"""
    path = tmp_path / "x.npy"
    found = subprocess.run(
        [sys.executable, "-c", run, str(path)], cwd=ROOT, capture_output=True, text=True
    )
    last = found.stderr.splitlines()[-1]
    assert f"{path}: cannot be written (the disk may be full: 5000 requested and" in last
    assert list(tmp_path.iterdir()) == []


def test_json_comes_back_as_it_was_written(tmp_path):
    value = {"name": "Käfer", "numbers": [1, 2.5], "none": None}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_number_that_is_none(tmp_path, value):
    with pytest.raises(UserError, match="x.json: a number is NaN or infinite"):
        write_json(tmp_path / "x.json", {"variance": [1.0, value]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [None, "", "{", '{"a": 1'])
def test_what_is_no_json_is_one_line(tmp_path, text):
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match="x.json: cannot be read as JSON") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_tables_leave_none_empty_and_numbers_as_they_are(tmp_path):
    rows = [("conv1, first", 1.5), (None, 3)]
    write_csv(tmp_path / "new" / "t.csv", ("layer", "mean"), rows)
    expected = b'layer,mean\n"conv1, first",1.5\n,3\n'
    assert (tmp_path / "new" / "t.csv").read_bytes() == expected


def test_examples():
    assert doctest.testmod(cnnvis.core.files) == (0, 1)


def test_a_file_is_known_by_its_content_and_a_large_one_by_size_and_date(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    assert fingerprint(str(path)) is None and fingerprint(str(tmp_path)) is None
    path.write_bytes(b"abc")
    first = fingerprint(str(path))
    os.utime(path, ns=(0, 5))
    assert fingerprint(str(path)) == first
    path.write_bytes(b"abd")
    os.utime(path, ns=(0, 4))
    assert fingerprint(str(path)) not in (first, None)
    monkeypatch.setattr(cnnvis.core.files, "HASHED", 2)
    assert fingerprint(str(path)) == "3 bytes, 4 ns"
    os.mkfifo(tmp_path / "fifo")
    assert fingerprint(str(tmp_path / "fifo")) is None


def test_what_killed_processes_left_is_removed_and_what_live_ones_write_is_not(tmp_path):
    killed = subprocess.Popen([sys.executable, "-c", "pass"])
    killed.wait()
    path = tmp_path / "conv2.png"
    left = tmp_path / f".conv2-{HOST}-{killed.pid}-0123.png"
    kept = [
        f".conv2-{HOST}-{os.getppid()}-0123.png",  # of a process that is there
        f".conv2-00000000-{killed.pid}-0123.png",  # of another machine
        f".conv1-{HOST}-{killed.pid}-0123.png",  # of another file
        ".conv2-mine.png",
    ]
    for each in (left, *(tmp_path / name for name in kept)):
        each.touch()
    with atomic(path) as temporary:
        temporary.touch()
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([*kept, "conv2.png"])
