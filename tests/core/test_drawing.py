import numpy as np
import pytest
from PIL import Image

from cnnvis.core import drawing


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), image.info


def test_montage_by_hand():
    tiles = np.array([[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]])
    sheet, corners = drawing.montage(tiles, columns=2, gap=1, head=1)
    nan = np.nan
    expected = [
        [nan, nan, nan, nan, nan],
        [1, 2, nan, 3, 4],
        [nan, nan, nan, nan, nan],
        [5, 6, nan, nan, nan],
    ]
    assert np.array_equal(sheet, expected, equal_nan=True)
    assert corners == [(1, 0), (1, 3), (3, 0)]


def test_colours_of_pixels_by_hand():
    sheet = np.array([[0.0, 1.0, np.nan, 2.0, -1.0]])
    found = drawing.to_pixels(sheet, drawing.Colours("gray", 0, 1))
    assert found[0, :, 0].tolist() == [0, 255, 255, 255, 0]
    signed = drawing.to_pixels(np.array([[0.0]]), drawing.Colours("RdBu_r", -3, 3))
    assert signed.min() > 240  # nearly white


def test_rgb_pixels_by_hand():
    found = drawing.to_pixels(np.array([[[0.0, 0.5, 1.0]]]))
    assert found.tolist() == [[[0, 128, 255]]]


def test_enlarged_and_shrunk_is_the_same():
    tiles = np.random.default_rng(0).normal(size=(3, 4, 5))
    assert np.allclose(drawing.shrink(drawing.enlarge(tiles, 3), 3), tiles)
    assert drawing.shrink(np.array([[[1.0, 3.0, 7.0]]]), 2).tolist() == [[[2.0, 7.0]]]


@pytest.mark.parametrize(
    ("count", "ideal", "expected"),
    [(96, 12.9, 12), (96, 11, 12), (16, 5, 4), (384, 26, 24), (7, 3, 3), (1, 1.2, 1), (13, 20, 13)],
)
def test_columns_leave_no_ragged_row_where_they_can(count, ideal, expected):
    assert drawing._columns(count, ideal) == expected


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (16, 13, 13), (96, 55, 55), (384, 13, 13), (7, 3, 200), (64, 500, 500)]
)
def test_sheets_of_all_sizes_fit_a_page(tmp_path, shape):
    path = tmp_path / "sheet.png"
    values = np.random.default_rng(0).uniform(size=shape)
    colours = drawing.Colours("gray", 0, 1)
    drawing.draw_sheet(
        path, values, range(shape[0]), title="t", caption="c", label="l", colours=colours
    )
    height, width = pixels(path)[0].shape[:2]
    assert 500 < width < 2900
    assert height < 2900


def test_a_sheet_shows_every_value_as_whole_pixels(tmp_path):
    path = tmp_path / "sheet.png"
    values = np.array([[[0.0, 1.0], [1.0, 0.0]]])
    colours = drawing.Colours("gray", 0, 1)
    drawing.draw_sheet(path, values, [5], title="", caption="x", label="l", colours=colours)
    found, _ = pixels(path)
    top, left = drawing.TITLE_ROOM + drawing.LABEL_ROOM, drawing.MARGIN
    size = drawing.LARGEST_TILE
    tile = found[top : top + size, left : left + size, 0]
    half = size // 2
    assert np.array_equal(tile[:half, :half], np.zeros((half, half)))
    assert np.array_equal(tile[:half, half:], np.full((half, half), 255))
    assert np.array_equal(tile[half:, :half], np.full((half, half), 255))
    # The number above it is not white on white.
    assert found[drawing.TITLE_ROOM : top, left : left + 20].min() < 130


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_a_caption_makes_the_figure_grow_instead_of_covering_it(tmp_path, layout):
    sizes = []
    for caption in (None, "words " * 10, "words " * 200):
        figure = drawing.new_figure(5, 3, layout=layout)
        figure.add_subplot().plot([0, 1])
        drawing.save_figure(figure, tmp_path / "a.png", caption)
        found, info = pixels(tmp_path / "a.png")
        assert info["Description"] == (caption or "")
        sizes.append(found.shape)
    assert [width for _, width, _ in sizes] == [600, 600, 600]
    heights = [height for height, _, _ in sizes]
    assert heights[0] == 360
    assert heights[0] < heights[1] < heights[2]


def test_the_same_picture_is_the_same_bytes(tmp_path):
    for name in "ab":
        figure = drawing.new_page(400, 200, "title")
        drawing.add_image(figure, np.eye(3), 20, 60, (90, 90))
        drawing.save_figure(figure, tmp_path / f"{name}.png", "caption")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_long_title_stays_on_the_page(tmp_path):
    figure = drawing.new_page(
        560, 200, "Importance of conv1 of photonet for neuron 12 on " + "x" * 30
    )
    drawing.save_figure(figure, tmp_path / "a.png")
    found, _ = pixels(tmp_path / "a.png")
    assert found[:60, : drawing.MARGIN + 20].min() < 128
    assert found[:60, -drawing.MARGIN // 2 :].min() == 255
