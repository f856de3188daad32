"""Figures for papers: three files of the same picture, the same bytes again, vectors in the SVG."""

import re

import numpy as np
import pytest
from PIL import Image

from cnnvis.core import volume_figures
from cnnvis.core.volume_figures import FORMATS, draw_volumes

RNG = np.random.default_rng(0)
MAPS = np.maximum(RNG.normal(size=(6, 5, 4)), 0)
VOLUMES = {
    "maps": {"natural": MAPS, "a <b> & c": MAPS[::-1]},
    "signed": {"one": RNG.normal(size=(9, 1, 1))},
    "zero": {"dead": np.zeros((3, 2, 2))},
}


@pytest.fixture(autouse=True)
def few_frames(monkeypatch):
    monkeypatch.setattr(volume_figures, "STEP", 120)


def draw(folder, volumes):
    folder.mkdir(exist_ok=True)
    paths = [folder / f"figure.{suffix}" for suffix in FORMATS]
    draw_volumes(paths, volumes, title="conv_1 <&>", label="activation")
    return paths


@pytest.mark.parametrize("name", VOLUMES)
def test_the_same_volumes_give_the_same_bytes(tmp_path, name):
    first, again = (draw(tmp_path / folder, VOLUMES[name]) for folder in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_the_svg_has_vectors_and_one_picture_for_each_volume_and_the_bar(tmp_path):
    _, svg, _ = draw(tmp_path, VOLUMES["maps"])
    text = svg.read_text()
    assert len(re.findall("<image ", text)) == 3
    assert text.count("<path") > 30
    assert "<!-- a &lt;b&gt; &amp; c -->" in text
    assert not re.search(r"<dc:date>|\d{4}-\d\d-\d\dT", text)


def test_the_animation_turns_and_the_png_is_for_print(tmp_path):
    png, _, webp = draw(tmp_path, VOLUMES["maps"])
    with Image.open(webp) as frames, Image.open(png) as still:
        assert frames.n_frames == 3
        assert still.width == pytest.approx(2.5 * frames.width, abs=1)
        assert not still.info.keys() & {"Software", "Creation Time"}
