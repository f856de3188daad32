import doctest
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from cnnvis.core import painting
from cnnvis.core.colours import Colours
from cnnvis.core.painting import MARGIN, Page

GREY = Colours("gray", 0, 1)
DIVERGING = Colours("RdBu_r", -1, 1, "both")


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), image.info["Description"]


@pytest.mark.parametrize("colours", [None, GREY, DIVERGING])
def test_text_is_grey_on_white_whatever_the_colours(tmp_path, colours):
    page = Page(400, 100, "A title", colours)
    page.write((MARGIN, 80), "text")
    page.save(tmp_path / "page.png", "A caption.")
    pixels, description = read(tmp_path / "page.png")
    assert description == "A caption."
    assert np.ptp(pixels.astype(int), axis=2).max() == 0
    assert pixels[:50].min() < 40  # ink
    assert 80 < pixels[60:90].min() < 100  # grey
    assert pixels[0, 0].tolist() == [255, 255, 255]


def test_values_keep_the_colours_of_their_scale(tmp_path):
    values = np.linspace(-1, 1, 200)[np.newaxis].repeat(10, axis=0)
    page = Page(300, 100, "", DIVERGING)
    page.paste(DIVERGING.pixels(values), 50, 60)
    page.save(tmp_path / "page.png", "")
    found = read(tmp_path / "page.png")[0][60:70, 50:250].astype(int)
    assert np.array_equal(found, DIVERGING.pixels(values))


def test_pages_in_true_colour_and_in_grey_look_alike(tmp_path):
    pictures = []
    for colours in (None, GREY):
        page = Page(400, 300, "title", colours)
        page.colour_bar(40, 60, 200, "label", GREY)
        page.left_axis(250, 60, 100, [(0, "0"), (50, "a name")], "label")
        page.lower_axis(250, 160, 100, [(20, "1")], "label")
        page.save(tmp_path / "page.png", "caption " * 30)
        pictures.append(read(tmp_path / "page.png")[0])
    assert np.array_equal(*pictures)


def test_a_colour_bar_has_its_ends_at_its_ends(tmp_path):
    page = Page(300, 300, "", GREY)
    page.colour_bar(40, 60, 200, "label")
    page.save(tmp_path / "page.png", "")
    column = read(tmp_path / "page.png")[0][60:260, 47, 0].astype(int)
    assert (np.diff(column[1:-1]) <= 0).all()
    assert column[1] >= 254
    assert column[-2] <= 1


def test_a_label_that_is_longer_than_its_colour_bar_is_whole(tmp_path):
    """The label of a bar of a few pixels is what it is beside a high one."""
    labels = []
    for height in (20, 400):
        page = Page(300, height + 80, "", GREY)
        page.colour_bar(40, 60, height, "norm of the gradient")
        page.save(tmp_path / "page.png", "")
        column = read(tmp_path / "page.png")[0][60:460, 84:105]
        rows = np.flatnonzero((column < 150).any(axis=(1, 2)))
        labels.append(np.ptp(rows))
    assert labels[0] == labels[1] > 100


def test_a_page_grows_by_its_caption_and_covers_nothing(tmp_path):
    heights = []
    for caption in ("", "words " * 10, "words " * 200):
        page = Page(600, 100, "")
        page.draw.rectangle((0, 90, 599, 99), "#000000")
        page.save(tmp_path / "page.png", caption)
        pixels, _ = read(tmp_path / "page.png")
        assert not pixels[90:100].any()
        heights.append(len(pixels))
    assert heights[0] < heights[1] < heights[2]


def test_lines_are_as_wide_as_they_may_be():
    font = painting.font(painting.TEXT_SIZE)
    text = "one two three four five six seven eight nine ten " * 8
    lines = painting.wrap(text, 300)
    assert " ".join(lines) == text.strip()
    assert all(font.getlength(line) <= 300 for line in lines)
    following = zip(lines, lines[1:], strict=False)
    assert all(font.getlength(f"{a} {b.split()[0]}") > 300 for a, b in following)
    assert painting.wrap("W" * 90, 300) == ["W" * 90]


@pytest.mark.parametrize("length", [10, 60, 200])
def test_a_long_title_stays_on_the_page(tmp_path, length):
    page = Page(560, 60, "x" * length)
    page.save(tmp_path / "page.png", "")
    pixels, _ = read(tmp_path / "page.png")
    assert pixels[:60, : MARGIN + 20].min() < 128
    assert pixels[:60, -MARGIN // 2 :].min() == 255


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 3.2), (0, 8.97e-5), (99.5, 100.25)])
def test_ticks_are_round_and_inside(low, high):
    for most in (1, 4, 10):
        ticks = painting.ticks(low, high, most)
        assert 1 <= len(ticks) <= most + 2
        assert all(low <= tick <= high for tick in ticks)
        assert all(len(painting.number(tick)) <= 8 for tick in ticks)


def test_whole_ticks_are_about_ten():
    assert painting.whole_ticks(55) == list(range(0, 55, 5))
    assert painting.whole_ticks(13) == list(range(0, 13, 2))
    assert painting.whole_ticks(3) == [0, 1, 2]
    assert all(1 <= len(painting.whole_ticks(count)) <= 12 for count in range(1, 5000, 7))


def test_the_same_page_is_the_same_bytes(tmp_path):
    for name in "ab":
        page = Page(300, 300, "title", GREY)
        page.colour_bar(40, 60, 200, "label")
        page.save(tmp_path / f"{name}.png", "caption")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_nothing_that_is_painted_imports_matplotlib():
    modules = "activations.layers", "activations.filters", "gradients.saliency_figure"
    modules += "importance.filter_importance", "core.sheets"
    imports = "".join(f"import cnnvis.{module}\n" for module in modules)
    code = f"{imports}from cnnvis.core.painting import Page\nPage(9, 9, 'title')\nimport sys\n"
    code += "assert not {'matplotlib', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_examples():
    assert doctest.testmod(painting) == (0, 3)
