"""Images that the tests of image sets and of streams share."""

import numpy as np
import pytest
from PIL import Image


def save(path, value=0, size=(6, 5)):
    """Write an image of random pixels; return its path as a string."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Seven images; the fourth and the sixth cannot be read."""
    for index in range(7):
        save(tmp_path / "cats" / f"{index}.png", index)
    (tmp_path / "cats" / "3.png").write_bytes(b"\x89PNG no more")
    (tmp_path / "cats" / "5.png").write_bytes(b"")
    return tmp_path / "cats"
