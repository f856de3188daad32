import numpy as np
import pytest
from PIL import Image

from cnnvis.checks.screenshots import read_screenshot
from cnnvis.core.errors import UserError

VALUES = np.random.default_rng(0).integers(0, 250, (12, 7))


def screenshot(path, values, size, margin=0, cut=(0, 0, 0, 0)):
    """Draw values as matplotlib does without interpolation; cut off (top, bottom, left, right)."""
    high, wide = size
    down = np.arange(high) * len(values) // high
    across = np.arange(wide) * values.shape[1] // wide
    pixels = values[np.ix_(down, across)].astype(np.uint8)
    top, bottom, left, right = cut
    pixels = pixels[top : high - bottom, left : wide - right]
    Image.fromarray(np.pad(pixels, margin, constant_values=255)).save(path)
    return path


@pytest.mark.parametrize("margin", [0, 30])
@pytest.mark.parametrize("cut", [(0, 0, 0, 0), (5, 4, 3, 5), (0, 6, 0, 0), (6, 0, 6, 0)])
def test_cells_are_found_in_margins_and_where_edges_are_cut(tmp_path, margin, cut):
    path = screenshot(tmp_path / "a.png", VALUES, (101, 59), margin, cut)
    assert np.array_equal(read_screenshot(path, 12, 7), VALUES)


def test_bars_and_equal_rows_hide_edges_but_no_cells(tmp_path):
    values = VALUES.copy()
    values[[3, 4, 5]], values[8] = 255, values[7]
    path = screenshot(tmp_path / "a.png", values, (101, 59))
    assert np.array_equal(read_screenshot(path, 12, 7), values)


def test_other_pictures_are_refused_in_one_line(tmp_path):
    path = screenshot(tmp_path / "a.png", VALUES, (101, 59))
    for rows, columns in ((13, 7), (12, 9), (11, 7), (12, 4)):
        message = f"a.png: does not show {rows} rows and {columns} columns of cells"
        with pytest.raises(UserError, match=message):
            read_screenshot(path, rows, columns)
    Image.new("L", (50, 50), 255).save(path)
    with pytest.raises(UserError, match="does not show"):
        read_screenshot(path, 12, 7)
    noise = np.random.default_rng(1).integers(0, 255, (99, 60), np.uint8)
    Image.fromarray(noise).save(path)
    with pytest.raises(UserError, match="does not show"):
        read_screenshot(path, 12, 7)
    path.write_text("no picture")
    with pytest.raises(UserError, match=r"a\.png: cannot be read as a picture"):
        read_screenshot(path, 12, 7)
