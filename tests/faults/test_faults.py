"""Whatever happens to a run, one plain rerun makes the same bytes as an undisturbed run.

Run by command: ``make faults``, or CNNVIS_FAULTS=6 for six kills. docs/faults.md has the figures.
"""

import os
import random
import resource
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.faults.world import (
    PAUSE,
    PIECES,
    WEIGHTS,
    contents,
    kill,
    make_study,
    picture,
    results,
    send,
    serve,
    wait_for,
)

KILLS = int(os.environ.get("CNNVIS_FAULTS", 0))
pytestmark = pytest.mark.skipif(not KILLS, reason="takes minutes; CNNVIS_FAULTS is not set")
RUN = ("--cores", "2")
ROOM = 3_000_000
"""Bytes of a disk that becomes full: the results need more."""


def chains(kills):
    """Return how often each run is killed before one is left alone, and a seed for each."""
    lengths, chance = [], random.Random(kills)
    while sum(lengths) < kills:
        lengths.append(min(chance.choice([1, 2, 3]), kills - sum(lengths)))
    return list(enumerate(lengths))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "cat.png"
    picture(9).save(path)
    with serve({"/cat.png": path.read_bytes(), "/weights": WEIGHTS.read_bytes()}) as address:
        yield address


@pytest.fixture(scope="module")
def whole(address, tmp_path_factory):
    """Return what an undisturbed run leaves: ``{path: digest}``."""
    study = make_study(tmp_path_factory.mktemp("whole") / "study", address)
    finish(study)
    return contents(study)


@pytest.fixture
def study(address, tmp_path):
    return make_study(tmp_path / "study", address)


def count(whole):
    return sum(path.startswith("results/") for path in whole)


def finish(study):
    run = study.snakemake(*RUN)
    assert run.returncode == 0, run.stdout + run.stderr


def check(study, whole):
    """Check that what is there is right, and that one plain rerun makes it whole."""
    half = {
        path: digest
        for path, digest in contents(study, hidden=False).items()
        if not path.endswith((".part", ".archive"))
    }
    assert half.items() <= whole.items()
    finish(study)
    assert contents(study) == whole
    assert study.plan() == {}


def until_a_moment(study, process, total, chance):
    """Wait for a random moment of a run: while it plans, downloads, or has made some files."""
    moment = chance.choice(["planning", "download", "jobs", "jobs", "jobs"])
    if moment == "planning":
        time.sleep(chance.uniform(0, 4))
    elif moment == "download":
        downloads = study.folder / "results" / "downloads"
        wait_for(lambda: results(study) > 2 or any(downloads.glob("*.part")), process)
        time.sleep(chance.uniform(0, PIECES * PAUSE))
    else:
        there = results(study)
        wanted = there + chance.uniform(0, 0.9) * (total - there)
        wait_for(lambda: results(study) >= wanted, process)
        time.sleep(chance.uniform(0, 0.3))
    return moment


@pytest.mark.parametrize(("seed", "kills"), chains(KILLS))
def test_killed_runs(study, whole, seed, kills):
    chance = random.Random(seed)
    for number in range(kills):
        run, alone = study.start(*RUN), chance.random() < 0.25
        moment = until_a_moment(study, run, count(whole), chance)
        kill(run, alone)
        print(f"{moment}, {'alone' if alone else 'all'}: {run.returncode}, {results(study)} files")
        assert number or run.returncode == -signal.SIGKILL, "the run was over before"
    check(study, whole)


@pytest.mark.parametrize("moment", ["download", "jobs"])
def test_a_suspended_run_goes_on(study, whole, moment):
    downloads = study.folder / "results" / "downloads"
    there = {
        "download": lambda: any(downloads.glob("*.part")),
        "jobs": lambda: results(study) > count(whole) / 3,
    }
    run = study.start(*RUN)
    wait_for(there[moment], run)
    send(run, signal.SIGSTOP)
    time.sleep(5)
    assert run.poll() is None
    send(run, signal.SIGCONT)
    assert run.wait() == 0, (study.folder / "said").read_text()
    check(study, whole)


def test_a_run_beside_another_in_one_folder_is_refused(study, whole):
    run = study.start(*RUN)
    wait_for(lambda: results(study) > 2, run)
    second = study.snakemake(*RUN)
    assert second.returncode == 1
    assert "Directory cannot be locked" in second.stderr
    assert "Traceback" not in second.stdout + second.stderr
    assert run.wait() == 0, (study.folder / "said").read_text()
    check(study, whole)


def test_two_runs_that_start_at_once_in_one_folder_do_no_harm(study, whole):
    runs = [study.start(*RUN), study.start(*RUN)]
    assert 0 in [run.wait() for run in runs]
    check(study, whole)


def test_two_runs_at_once_in_two_folders_are_alike(address, tmp_path, whole):
    studies = [make_study(tmp_path / name, address) for name in ("one", "two")]
    for run in [study.start(*RUN) for study in studies]:
        assert run.wait() == 0
    for study in studies:
        check(study, whole)


def fails_in_one_line_each(study, reason, **options):
    """Run a study that must fail; check that each job that does says why in one line."""
    run = subprocess.run(
        study.command(*RUN), **study.surroundings(), capture_output=True, timeout=300, **options
    )
    assert run.returncode == 1
    said = [line for line in run.stderr.splitlines() if line.startswith("cnnvis: ")]
    reasons = (reason, "the disk may be full")
    assert said and all(any(each in line for each in reasons) for line in said), run.stderr
    assert "Traceback" not in run.stderr


def test_a_limit_on_the_size_of_files(study, whole):
    limit = 100_000  # bytes; feature maps and the network of the page need more

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    fails_in_one_line_each(study, "File too large", preexec_fn=limited)
    check(study, whole)


@contextmanager
def mounted(folder, *arguments):
    """Mount something on a folder; skip the test where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", *arguments, str(folder)]
    refused = subprocess.run(command, capture_output=True, text=True)
    if refused.returncode:
        pytest.skip(f"cannot mount ({refused.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def test_a_full_disk(address, tmp_path, whole):
    """The whole study is on it, so that Snakemake's records have no room either."""
    disk = tmp_path / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", "size=100m", "none"):
        study = make_study(disk / "study", address)
        used = sum(file.stat().st_blocks * 512 for file in disk.rglob("*"))
        remount(disk, f"size={used + ROOM}")
        assert study.snakemake(*RUN).returncode == 1
        remount(disk, "size=100m")
        check(study, whole)


def test_full_and_read_only_results(address, tmp_path, whole):
    study = make_study(tmp_path / "study", address)
    folder = study.folder / "results"
    with mounted(folder, "-t", "tmpfs", "-o", f"size={ROOM}", "none"):
        fails_in_one_line_each(study, "No space left on device")
        remount(folder, "size=100m,ro")
        fails_in_one_line_each(study, "results: cannot be written")
        remount(folder, "size=100m,rw")
        check(study, whole)
