import numpy as np
import pytest
from PIL import Image

from cnnvis.core import sheets
from cnnvis.core.colours import Colours
from cnnvis.core.painting import MARGIN, TITLE_ROOM

GREY = Colours("gray", 0, 1)


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), image.info["Description"]


def test_montage_by_hand():
    tiles = np.array([[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]])
    sheet, corners = sheets.montage(tiles, columns=2, gap=1, head=1)
    nan = np.nan
    expected = [
        [nan, nan, nan, nan, nan],
        [1, 2, nan, 3, 4],
        [nan, nan, nan, nan, nan],
        [5, 6, nan, nan, nan],
    ]
    assert np.array_equal(sheet, expected, equal_nan=True)
    assert corners == [(1, 0), (1, 3), (3, 0)]
    pixels, _ = sheets.montage(tiles.astype(np.uint8), columns=2, gap=1, head=1)
    assert np.array_equal(pixels, np.nan_to_num(expected, nan=255))


def test_enlarged_and_shrunk_is_the_same():
    tiles = np.random.default_rng(0).normal(size=(3, 4, 5))
    assert np.allclose(sheets.shrink(sheets.enlarge(tiles, 3), 3), tiles)
    assert sheets.shrink(np.array([[[1.0, 3.0, 7.0]]]), 2).tolist() == [[[2.0, 7.0]]]


@pytest.mark.parametrize(
    ("count", "ideal", "expected"),
    [(96, 12.9, 12), (96, 11, 12), (16, 5, 4), (384, 26, 24), (7, 3, 3), (1, 1.2, 1), (13, 20, 13)],
)
def test_columns_leave_no_ragged_row_where_they_can(count, ideal, expected):
    assert sheets._columns(count, ideal) == expected


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (16, 13, 13), (96, 55, 55), (384, 13, 13), (7, 3, 200), (64, 500, 500)]
)
def test_sheets_of_all_sizes_fit_a_page_and_show_every_tile(tmp_path, shape):
    path = tmp_path / "sheet.png"
    sheets.draw_sheet(
        path, np.zeros(shape), range(shape[0]), title="", caption="c", label="l", colours=GREY
    )
    pixels, _ = read(path)
    height, width = pixels.shape[:2]
    assert 500 < width < 2900
    assert height < 2900
    black = (pixels[TITLE_ROOM:, : width - 110] == 0).all(axis=2).sum()
    scales = [k * k * shape[0] * shape[1] * shape[2] for k in range(1, 160)]
    assert black in scales or shape == (64, 500, 500)


def test_a_sheet_shows_every_value_as_whole_pixels(tmp_path):
    path = tmp_path / "sheet.png"
    values = np.array([[[0.0, 1.0], [1.0, 0.0]]])
    sheets.draw_sheet(path, values, [5], title="", caption="x", label="l", colours=GREY)
    pixels, _ = read(path)
    top, left = TITLE_ROOM + sheets.LABEL_ROOM, MARGIN
    size = sheets.LARGEST_TILE
    tile = pixels[top : top + size, left : left + size, 0]
    half = size // 2
    assert np.array_equal(tile[:half, :half], np.zeros((half, half)))
    assert np.array_equal(tile[:half, half:], np.full((half, half), 255))
    assert np.array_equal(tile[half:, :half], np.full((half, half), 255))
    # The number above it is not white on white.
    assert pixels[TITLE_ROOM:top, left : left + 20].min() < 130


def test_rgb_stays_as_it_is(tmp_path):
    colour = np.array([0.0, 0.5, 1.0])
    sheets.draw_sheet(
        tmp_path / "s.png", np.tile(colour, (2, 3, 3, 1)), "ab", title="", caption="c"
    )
    pixels, _ = read(tmp_path / "s.png")
    assert pixels[TITLE_ROOM + 60, MARGIN + 60].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((2, 1, 3, 3), "of it; the"),
        ((2, 3, 5, 5), "of it with its 3 channels side by side; the"),
        ((2, 48, 5, 5), "of it with its 48 channels as 6 x 8 tiles, row after row; the"),
        ((2, 6), "of it with its 6 channels as 2 x 3 tiles, row after row; the"),
    ],
)
def test_a_tensor_is_described(tmp_path, shape, layout):
    tensor = np.zeros(shape)
    tensor[0, 0] = -2.5
    sheets.draw_tensor(tmp_path / "t.png", tensor, title="", what="What each is of it", label="l")
    pixels, description = read(tmp_path / "t.png")
    assert layout in description
    assert "full colour is 2.5 in magnitude" in description
    blue, zero = (np.array([5, 48, 97]), np.array([247, 247, 247]))
    assert (pixels == blue).all(axis=2).any()
    assert (np.abs(pixels.astype(int) - zero) <= 1).all(axis=2).any()
