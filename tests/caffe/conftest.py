"""Shared data, and messages written by hand."""

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SHARED = TESTS.parents[1] / "shared"


def pytest_generate_tests(metafunc):
    """Run a test with `golden` once per network that real Caffe wrote."""
    if "golden" in metafunc.fixturenames:
        found = sorted(TESTS.glob("*goldens/*.caffemodel"))
        assert found
        metafunc.parametrize("golden", found, ids=lambda path: path.stem)


@pytest.fixture
def squeezenet():
    """Return the folder of the trained SqueezeNet, or skip."""
    folder = SHARED / "squeezenet"
    if not folder.is_dir():
        pytest.skip("the project's shared data (../shared/squeezenet) is absent")
    return folder


@pytest.fixture
def save(tmp_path):
    """Return a function that writes bytes or text to a file and returns its path."""

    def save(content, name="file.caffemodel"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return save
