import numpy as np
import pytest
from PIL import Image

from cnnvis.core import drawing


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), image.info


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


def test_pixels_stay_where_they_are_above_a_caption(tmp_path):
    block = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    figure = drawing.new_page(400, 200, "title")
    drawing.add_pixels(figure, block, 40, 70)
    drawing.save_figure(figure, tmp_path / "a.png", "caption")
    assert np.array_equal(pixels(tmp_path / "a.png")[0][70:90, 40:70], block)
