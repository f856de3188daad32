import numpy as np
import pytest

from cnnvis.core.arrays import read_array
from cnnvis.core.errors import UserError
from cnnvis.gradients.published_gradients import import_gradients

SHAPES = {"conv1": (2, 1, 1, 2), "fc8": (3, 2)}
CONV1 = np.array([1.0, -2.0, 0.5, 4.0]).reshape(SHAPES["conv1"])


def test_arrays_become_the_gradients_of_their_layers(tmp_path):
    fc8 = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.save(tmp_path / "a.npy", CONV1)
    np.save(tmp_path / "b.npy", fc8)
    arrays = {"conv1": tmp_path / "a.npy", "fc8": tmp_path / "b.npy"}
    import_gradients(tmp_path / "263.npz", arrays, SHAPES)
    for layer, expected in {"conv1": CONV1, "fc8": fc8}.items():
        found = read_array(tmp_path / "263.npz", layer)
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)


def _array(path, values):
    np.save(path, values)


def _truncated(path, _):
    np.save(path, CONV1)
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize(
    ("write", "values", "words"),
    [
        (_array, CONV1.reshape(2, 2), "has shape (2, 2); expected (2, 1, 1, 2), the shape of the "),
        (_array, CONV1 * np.nan, "gradient of layer conv1: 4 of 4 values are NaN or infinite"),
        (_array, CONV1 * 1e38, "gradient of layer conv1: 1 of 4 values are NaN or infinite"),
        (_array, np.array("text"), "expected a .npy file with one array of numbers"),
        (_truncated, None, "cannot be read as .npy"),
        (lambda path, _: path.write_text("<html>"), None, "cannot be read as .npy"),
        (lambda path, _: None, None, "cannot be read as .npy"),
    ],
)
def test_a_wrong_file_is_named_in_one_line_and_nothing_is_written(tmp_path, write, values, words):
    write(tmp_path / "a.npy", values)
    with pytest.raises(UserError) as caught:
        import_gradients(tmp_path / "263.npz", {"conv1": tmp_path / "a.npy"}, SHAPES)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path}/a.npy: ") and words in line and "\n" not in line
    assert not list(tmp_path.glob("*.npz*"))
