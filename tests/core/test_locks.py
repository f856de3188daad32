import signal
import subprocess
import sys

import pytest

from cnnvis.core.locks import NAME, join_runs
from tests.conftest import ROOT

RUN = """
import sys
from pathlib import Path
from cnnvis.core.locks import join_runs

folder = Path(sys.argv[1])
removed = join_runs(folder)
(folder / "locks").mkdir(exist_ok=True)
(folder / "locks" / "0.output.lock").touch()
print(removed, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run():
    """Return a function that starts a run that locks a folder; it says if a lock was removed."""
    started = []

    def start(folder):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        command = [sys.executable, "-c", RUN, str(folder)]
        started.append(subprocess.Popen(command, cwd=ROOT, **pipes))
        return started[-1], started[-1].stdout.readline().strip() == "True"

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_killed_runs_lock_is_removed_by_the_next(tmp_path, run):
    first, removed = run(tmp_path)
    assert not removed
    assert not run(tmp_path)[1], "the first run is there"
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not run(tmp_path)[1], "the second run is there"


def test_the_lock_of_a_run_that_was_killed_alone_is_removed(tmp_path, run):
    first, _ = run(tmp_path)
    first.kill()
    first.wait()
    assert (tmp_path / "locks" / "0.output.lock").exists()
    assert run(tmp_path)[1]


def test_locks_of_other_machines_and_of_nobody_stay(tmp_path, run):
    lock = tmp_path / "locks" / "0.output.lock"
    lock.parent.mkdir()
    lock.touch()
    assert not join_runs(tmp_path / "elsewhere")
    assert not run(tmp_path)[1], "nobody knows whose lock it is"
    (tmp_path / "another").mkdir()
    (tmp_path / "another" / NAME).write_text("another machine")
    (tmp_path / "another" / "locks").mkdir()
    (tmp_path / "another" / "locks" / "0.input.lock").touch()
    assert not run(tmp_path / "another")[1]
    assert (tmp_path / "another" / NAME).read_text() == "another machine"
