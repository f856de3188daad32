"""Image sets are listed, divided into parts, and decoded."""

import os
from pathlib import Path

import numpy as np
import pytest

from cnnvis.core.errors import UserError
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing
from tests.inputs.conftest import save

PREPROCESSING = Preprocessing((3, 4, 4), [104.0, 117.0, 123.0])


def names(images, folder):
    return [str(Path(image).relative_to(folder)) for image in images]


def list_images(path, cls=1, limit=None):
    return ImageSet("cats", path, cls, limit).images


def test_a_folder_is_walked_in_the_order_of_names(tmp_path):
    for name in ("b.png", "B.JPG", "a/2.jpeg", "a/10.tif", "a.png", "c/d/e.bmp"):
        save(tmp_path / name)
    for name in (".hidden.png", ".folder/x.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "png").write_text("no suffix")
    expected = ["B.JPG", "a/10.tif", "a/2.jpeg", "a.png", "b.png", "c/d/e.bmp"]
    assert names(list_images(tmp_path), tmp_path) == expected
    assert names(list_images(tmp_path, limit=2), tmp_path) == expected[:2]


def test_links_are_followed_but_each_folder_is_entered_once(tmp_path):
    save(tmp_path / "cats" / "1.png")
    (tmp_path / "cats" / "up").symlink_to(tmp_path)
    (tmp_path / "cats" / "self").symlink_to(tmp_path / "cats" / "self")
    (tmp_path / "cats" / "link.png").symlink_to(tmp_path / "cats" / "1.png")
    (tmp_path / "cats" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    found = names(list_images(tmp_path / "cats"), tmp_path / "cats")
    assert found == ["1.png", "broken.png", "link.png"]


def test_a_list_names_images_relative_to_itself(tmp_path):
    save(tmp_path / "photos" / "a b.png")
    listing = tmp_path / "photos" / "cats.txt"
    listing.write_text("# cats\n\na b.png\n  missing.png \n/absolute.png\n")
    assert list_images(listing) == [
        *(str(tmp_path / "photos" / name) for name in ("a b.png", "missing.png")),
        "/absolute.png",
    ]


def test_of_a_list_in_caffes_format_the_lines_of_the_class_are_taken(tmp_path):
    listing = tmp_path / "val.txt"
    listing.write_text("a.JPEG 3\nb 1.JPEG 65\nc.JPEG 3\n")
    assert names(list_images(listing, cls=3), tmp_path) == ["a.JPEG", "c.JPEG"]
    assert names(list_images(listing, cls=65), tmp_path) == ["b 1.JPEG"]
    with pytest.raises(UserError, match="holds no image of class 4"):
        list_images(listing, cls=4)


def test_patterns_and_files_come_one_after_the_other_and_once(tmp_path):
    for name in ("x/1.png", "x/2.png", "y/deep/3.png"):
        save(tmp_path / name)
    (tmp_path / "y" / "deep" / "no.txt").write_text("not there.png")
    entries = [str(tmp_path / "y/**/*"), str(tmp_path / "x/2.png"), str(tmp_path / "x/*.png")]
    assert names(list_images(entries), tmp_path) == ["y/deep/3.png", "x/2.png", "x/1.png"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "none", "there is no such folder"),
        (lambda folder: [str(folder / "*.gif")], "matches the pattern"),
        (lambda folder: folder, "holds no image of class 1; expected files such as .jpg"),
    ],
)
def test_nothing_to_look_at_is_said_in_one_line(tmp_path, make, words):
    with pytest.raises(UserError, match=words) as error:
        list_images(make(tmp_path))
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_the_fingerprint_changes_with_every_image(folder):
    def fingerprint(limit=None):
        return ImageSet("cats", folder, 1, limit).fingerprint

    before = fingerprint()
    assert before == fingerprint()
    assert before != fingerprint(limit=6)
    os.utime(folder / "0.png", (1, 1))
    assert before != fingerprint()
    (folder / "list.txt").write_text("/nowhere.png\n")
    assert len(ImageSet("cats", folder / "list.txt", 1).fingerprint) == 16


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize("start", [0, 2])
def test_chunks_hold_all_images_in_order_and_name_the_corrupt(folder, size, start, caplog):
    cats = ImageSet("cats", folder, 1)
    chunks = list(cats.chunks(PREPROCESSING, size, 2, start))
    good = [cats.images[index] for index in range(start, 7) if index not in (3, 5)]
    assert [image for chunk in chunks for image in chunk.images] == good
    skipped = [entry["image"] for chunk in chunks for entry in chunk.skipped]
    assert skipped == [cats.images[3], cats.images[5]]
    assert sum(chunk.size for chunk in chunks) == 7 - start
    assert {chunk.size for chunk in chunks[:-1]} <= {size}
    inputs = np.concatenate([chunk.inputs for chunk in chunks if chunk.images])
    np.testing.assert_array_equal(inputs, np.stack([PREPROCESSING(image) for image in good]))
    assert sum("cannot be read as an image" in line for line in caplog.messages) == 2


def test_only_a_few_chunks_are_decoded_ahead(tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_text("".join(f"{index}.png\n" for index in range(100)))
    decoded = []

    def preprocessing(image):
        decoded.append(image)
        return np.zeros((1, 1, 1), np.float32)

    chunks = ImageSet("list", listing, 0).chunks(preprocessing, 5, 2)
    next(chunks)
    assert len(decoded) <= 15
    chunks.close()
    assert len(decoded) <= 15


@pytest.mark.parametrize("size", [1, 3, 7, 9])
def test_parts_are_image_sets_that_make_up_the_whole(folder, size):
    cats = ImageSet("cats", folder, 1, limit=6)
    parts = cats.parts(size)
    assert [image for part in parts for image in part.images] == cats.images
    assert {len(part.images) for part in parts[:-1]} <= {size}
    assert all((part.name, part.cls) == ("cats", 1) for part in parts)
    # Another image in a part shows in this part's fingerprint alone.
    before = [part.fingerprint for part in parts]
    save(Path(parts[-1].images[-1]), 99, (7, 7))
    assert [part.fingerprint for part in cats.parts(size)][:-1] == before[:-1]
    assert cats.parts(size)[-1].fingerprint != before[-1]
