import numpy as np
import pytest
from PIL import Image

from cnnvis.core.painting import MARGIN, TITLE_ROOM
from cnnvis.gradients import saliency_figure
from cnnvis.inputs.images import Preprocessing


def draw(folder, gradient, order="BGR"):
    values = np.random.default_rng(0).normal(size=gradient.shape).astype(np.float32)
    preprocessing = Preprocessing(gradient.shape, [100.0] * len(gradient), channel_order=order)
    saliency_figure.draw_saliency(folder / "s.png", gradient, values, preprocessing, title="title")
    return Image.open(folder / "s.png")


@pytest.mark.parametrize("shape", [(3, 227, 227), (3, 32, 40), (1, 28, 28), (3, 1100, 900)])
def test_the_picture_has_its_usual_size_whatever_the_input_s(tmp_path, shape):
    picture = draw(tmp_path, np.random.default_rng(1).normal(size=shape))
    assert 700 < picture.width < 1300
    assert 550 < picture.height < 1200
    assert "Simonyan et al. 2013" in picture.text["Description"]


@pytest.mark.parametrize(("order", "first"), [("BGR", 2), ("RGB", 0)])
def test_red_comes_first_whatever_the_network_s_order(order, first):
    gradient = np.zeros((3, 4, 4))
    gradient[first] = 1
    channels = saliency_figure.colour_channels(gradient, order)
    assert list(channels) == ["red", "green", "blue"]
    assert channels["red"].all()
    assert not channels["blue"].any()


def test_the_map_is_light_where_the_gradient_is_strong(tmp_path):
    gradient = np.zeros((3, 227, 227))
    gradient[1, :, 113:] = -1
    pixels = np.asarray(draw(tmp_path, gradient).convert("L"))
    row = pixels[TITLE_ROOM + 100]
    assert row[MARGIN + 100] < 5
    assert row[MARGIN + 350] > 200


def test_pictures_are_resized_by_whole_factors():
    pixels = np.array([[0, 100], [200, 100]], np.uint8)
    large = saliency_figure.resize(pixels, 5)
    assert large[..., 0].tolist() == [[0, 0, 100, 100]] * 2 + [[200, 200, 100, 100]] * 2
    assert saliency_figure.resize(pixels, 1).tolist() == [[[100, 100, 100]]]


def test_the_overlay_covers_the_image_where_the_map_is_strong():
    pixels = np.full((1, 2, 3), 255, np.uint8)
    covered = saliency_figure.overlay(pixels, np.array([[0.0, 5.0]]))
    assert covered.tolist() == [[[255, 255, 255], [190, 0, 30]]]


def test_a_gradient_of_zero_is_a_picture(tmp_path):
    assert draw(tmp_path, np.zeros((3, 9, 9)))
