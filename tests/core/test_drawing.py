import numpy as np
from PIL import Image

from cnnvis.core import drawing
from cnnvis.core.painting import MARGIN


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), image.info["Description"]


def test_a_figure_grows_by_its_caption_and_keeps_its_pixels(tmp_path):
    block = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    heights = []
    for caption in ("words", "words " * 200):
        figure = drawing.new_page(400, 200, "title")
        page = drawing.to_page(figure)
        page.paste(block, 40, 170)
        page.save(tmp_path / "a.png", caption)
        pixels, description = read(tmp_path / "a.png")
        assert description == caption
        assert np.array_equal(pixels[170:190, 40:70], block)
        assert pixels[200:].min() < 100
        heights.append(len(pixels))
    assert 200 < heights[0] < heights[1]


def test_axes_are_where_they_are_put(tmp_path):
    figure = drawing.new_page(400, 300, "")
    drawing.add_axes(figure, 100, 80, 200, 150).set_facecolor("#123456")
    drawing.save_figure(figure, tmp_path / "a.png", "caption")
    coloured = (read(tmp_path / "a.png")[0] == (0x12, 0x34, 0x56)).all(axis=2)
    assert coloured[82:228, 102:298].all()
    assert coloured.sum() <= 200 * 150


def test_the_same_figure_is_the_same_bytes(tmp_path):
    for name in "ab":
        figure = drawing.new_page(400, 200, "title")
        drawing.style(drawing.add_axes(figure, 60, 60, 200, 90), "x", "y")
        drawing.save_figure(figure, tmp_path / f"{name}.png", "caption")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_long_title_stays_on_the_page(tmp_path):
    title = "Importance of conv1 of photonet for neuron 12 on " + "x" * 30
    drawing.save_figure(drawing.new_page(560, 200, title), tmp_path / "a.png", "caption")
    pixels, _ = read(tmp_path / "a.png")
    assert pixels[:60, : MARGIN + 20].min() < 128
    assert pixels[:60, -MARGIN // 2 :].min() == 255
