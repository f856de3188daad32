"""Progress, by a clock that the test sets."""

import logging

import pytest

from cnnvis.core.progress import Progress


@pytest.fixture
def clock(monkeypatch, caplog):
    """The time in seconds, in a list."""
    now = [100.0]
    monkeypatch.setattr("cnnvis.core.progress.time.monotonic", lambda: now[0])
    caplog.set_level(logging.INFO)
    return now


def test_rate_time_left_and_skipped_are_of_this_run(clock, caplog):
    with Progress("cats", 200, done=100) as progress:
        clock[0] += 5
        progress.add(10)
        assert not caplog.messages
        clock[0] += 5
        progress.add(10, skipped=3)
    # 20 images in 10 seconds; 80 are left.
    assert caplog.messages == ["cats: 120 of 200 images, 2.0 images/s, 40 s left, 3 skipped"]


def test_the_end_is_logged_once(clock, caplog):
    with Progress("conv1", 30, unit="weights") as progress:
        clock[0] += 15
        progress.add(30)
    assert caplog.messages == ["conv1: 30 of 30 weights, 2.0 weights/s, in 15 s"]


def test_an_error_is_not_the_end(clock, caplog):
    with pytest.raises(ValueError), Progress("cats", 30) as progress:
        progress.add()
        raise ValueError
    assert caplog.messages == []


def test_the_total_may_grow(clock):
    progress = Progress("conv1", 30, unit="weights")
    progress.add(20, more=10)
    clock[0] += 10
    assert progress.line() == "conv1: 20 of 40 weights, 2.0 weights/s, 10 s left"


@pytest.mark.parametrize(
    ("total", "line"),
    [
        (100_000_000, "net: 40.0 of 100.0 MB, 2.0 MB/s, 30 s left"),
        (None, "net: 40.0 MB, 2.0 MB/s, in 10 s"),
    ],
)
def test_bytes_are_megabytes(clock, total, line):
    progress = Progress("net", total, unit="bytes", done=20_000_000)
    clock[0] += 10
    progress.add(20_000_000)
    assert progress.line() == line


def test_a_terminal_shows_every_step_in_one_line(clock, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Progress("cats", 2) as progress:
        progress.add()
        progress.add()
    shown = capsys.readouterr().err
    assert shown.count("\r") == 2
    assert shown.endswith("\n")


def test_what_an_earlier_run_did_does_not_count_as_fast(clock):
    progress = Progress("conv1", 100, unit="steps")
    progress.resume(60)
    clock[0] += 10
    progress.add(20)
    assert progress.line() == "conv1: 80 of 100 steps, 2.0 steps/s, 10 s left"
