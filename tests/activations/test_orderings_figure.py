import numpy as np
import pytest
from PIL import Image

from cnnvis.activations.orderings_figure import AXIS, FOOT, HEAD, TREE, Panel, draw_distances
from cnnvis.core.colours import table
from cnnvis.core.painting import MARGIN, TITLE_ROOM

# Points 0, 3 and 1 on a line.
DISTANCES = np.array([[0.0, 3, 1], [3, 0, 2], [1, 2, 0]])
LEFT, CELL = MARGIN + AXIS, 384 // 3


def draw(tmp_path, panels, distances=DISTANCES):
    path = tmp_path / "distances.png"
    draw_distances(path, distances, panels, "A title", "The caption.")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), image.text["Description"]


def cells(pixels, top, left=LEFT):
    middles = CELL // 2 + CELL * np.arange(3)
    return pixels[np.ix_(top + middles, left + middles)]


def test_rows_and_columns_are_in_the_order_of_each_panel(tmp_path):
    panels = [Panel("first", [0, 1, 2]), Panel("second", [0, 2, 1])]
    pixels, caption = draw(tmp_path, panels)
    top, step = TITLE_ROOM + HEAD, LEFT + 3 * CELL
    first, second = cells(pixels, top), cells(pixels, top, LEFT + step)
    assert np.array_equal(second, first[np.ix_([0, 2, 1], [0, 2, 1])])
    lowest, highest = table("viridis")[[0, 255]]
    assert (first[[0, 1, 2], [0, 1, 2]] == lowest).all()
    # The largest distance is beyond the 95th percentile, so its colour is the last.
    assert first[0, 1].tolist() == highest.tolist() == first[1, 0].tolist()
    assert caption == "The caption."


def test_the_tree_stands_above_its_matrix_as_high_as_its_merges(tmp_path):
    tree = [[0, 2, 1.0], [3, 1, 2.5]]
    pixels, _ = draw(tmp_path, [Panel("leaf", [0, 2, 1], tree)])
    top = TITLE_ROOM + HEAD + TREE
    # One column of pixels through the middle of filter 0, and one between it and filter 2.
    above = [pixels[top - TREE : top, LEFT + CELL // 2], pixels[top - TREE : top, LEFT + CELL]]
    dark = [np.flatnonzero((column < 128).all(axis=1)) for column in above]
    low, high = 4 + (TREE - 16) * 1.0 / 2.5, 4 + TREE - 16
    assert TREE - dark[0].min() == pytest.approx(low, abs=1)
    # Between them are the line of the merge, and the line upwards from its middle.
    assert TREE - dark[1].max() == pytest.approx(low, abs=1)
    assert TREE - dark[1].min() == pytest.approx(high, abs=1)


def test_panels_stand_in_rows_of_three(tmp_path):
    one, four = (
        draw(tmp_path, [Panel(str(index), [0, 1, 2]) for index in range(count)])[0]
        for count in (3, 4)
    )
    assert len(four) - len(one) == HEAD + 3 * CELL + FOOT


@pytest.mark.parametrize("filters", [1, 2, 600])
def test_equal_filters_and_few_and_many(tmp_path, filters):
    pixels, _ = draw(tmp_path, [Panel("a", range(filters))], np.zeros((filters, filters)))
    corner = pixels[TITLE_ROOM + HEAD + 1, LEFT + 1]
    assert corner.tolist() == table("viridis")[0].tolist()


def test_a_pixel_is_the_mean_of_several_filters_where_there_are_thousands(tmp_path):
    """1,100 filters on a line: blocks of two, 550 pixels."""
    places = np.arange(1100.0)
    distances = np.abs(np.subtract.outer(places, places))
    pixels, _ = draw(tmp_path, [Panel("natural", range(1100))], distances)
    top = TITLE_ROOM + HEAD
    inside = pixels[top : top + 550, LEFT : LEFT + 550].astype(int)
    lowest = table("viridis")[0].astype(int)
    # Mean distances of a block on the diagonal are 0.5 of 1,045: the first colour.
    assert (inside[np.arange(550), np.arange(550)] == lowest).all()
    assert (pixels[top : top + 550, LEFT + 550] == 255).all()
    assert (inside[0, -20:] == table("viridis")[255]).all()
