"""Image sets are listed and decoded, and streamed into sums."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnvis.core.errors import UserError
from cnnvis.engines.model import Model
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.streaming import Checkpoint, stream

PREPROCESSING = Preprocessing((3, 4, 4), [104.0, 117.0, 123.0])


def save(path, value=0, size=(6, 5)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


def names(images, folder):
    return [str(Path(image).relative_to(folder)) for image in images]


def list_images(path, cls=1, limit=None):
    return ImageSet("cats", path, cls, limit).images


@pytest.fixture
def folder(tmp_path):
    """Seven images; the fourth and the sixth cannot be read."""
    for index in range(7):
        save(tmp_path / "cats" / f"{index}.png", index)
    (tmp_path / "cats" / "3.png").write_bytes(b"\x89PNG no more")
    (tmp_path / "cats" / "5.png").write_bytes(b"")
    return tmp_path / "cats"


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


class Total:
    """Sums inputs, and can be stopped in the middle."""

    def __init__(self, stop=None):
        self.sums = {"total": np.zeros((3, 4, 4)), "count": np.zeros((), np.int64)}
        self.stop, self.batches = stop, 0

    def add(self, chunk):
        if self.batches == self.stop:
            raise KeyboardInterrupt
        self.batches += 1
        # Not the same in another order of additions, so that exact equality means something.
        self.sums["total"] += (chunk.inputs.astype(np.float64) ** 3).sum(axis=0) / 7
        self.sums["count"] += len(chunk.images)

    def run(self, folder, key="key", chunk=2, threads=None):
        checkpoint = Checkpoint(folder.parent / "partial.npz", key)
        options = {"chunk": chunk, "threads": threads}
        cats = ImageSet("cats", folder, 1)
        self.skipped = stream(cats, PREPROCESSING, self, checkpoint, **options)
        return self


def test_an_interrupted_run_is_resumed_and_ends_with_the_same_sums(folder):
    checkpoint = Checkpoint(folder.parent / "partial.npz", "key")
    whole = Total().run(folder)
    assert whole.batches == 4
    checkpoint.forget()
    with pytest.raises(KeyboardInterrupt):
        Total(stop=2).run(folder, threads=1)
    again = Total().run(folder, threads=2)
    assert again.batches == 2 and again.skipped == whole.skipped
    for name in whole.sums:
        np.testing.assert_array_equal(again.sums[name], whole.sums[name])
    assert [Path(entry["image"]).name for entry in again.skipped] == ["3.png", "5.png"]
    finished = Total().run(folder)
    assert finished.skipped == whole.skipped and finished.batches == 0
    checkpoint.forget()
    assert not checkpoint.path.exists()


@pytest.mark.parametrize("spoil", ["key", "bytes", "other sums"])
def test_a_checkpoint_that_does_not_fit_is_not_used(folder, spoil):
    whole = Total().run(folder)
    if spoil == "bytes":
        checkpoint = folder.parent / "partial.npz"
        checkpoint.write_bytes(checkpoint.read_bytes()[:50])
    again = Total()
    if spoil == "other sums":
        again.sums["more"] = np.zeros(2)
    again.run(folder, "another" if spoil == "key" else "key")
    assert again.batches == 4
    np.testing.assert_array_equal(again.sums["total"], whole.sums["total"])


@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_the_size_of_chunks_shows_in_rounding_only(folder, chunk):
    whole, other = Total().run(folder, "2"), Total().run(folder, str(chunk), chunk)
    np.testing.assert_allclose(other.sums["total"], whole.sums["total"], rtol=1e-13)
    assert other.sums["count"] == whole.sums["count"] == 5


def test_a_folder_where_every_image_fails_is_an_error_of_one_line(tmp_path):
    (tmp_path / "cats").mkdir()
    for index in range(3):
        (tmp_path / "cats" / f"{index}.png").write_text("text")
    with pytest.raises(UserError, match="cats: none of its 3 images can be used; the first") as e:
        Total().run(tmp_path / "cats")
    assert "\n" not in str(e.value) and "0.png" in str(e.value)


def test_a_checkpoints_key_depends_on_images_model_and_contents_of_files(folder, tmp_path):
    prototxt, weights = tmp_path / "prototxt", tmp_path / "weights"
    prototxt.write_text("1")
    weights.write_text("1")
    model, cats = Model(str(prototxt), str(weights), "fc8"), ImageSet("cats", folder, 1)

    def key(model=model, preprocessing=PREPROCESSING, image_set=cats, layer="conv1"):
        return Checkpoint.of(tmp_path / "out.csv", model, preprocessing, image_set, layer).key

    assert key() == key(image_set=ImageSet("cats", folder, 1))
    keys = {
        key(),
        key(image_set=ImageSet("cats", folder, 2)),
        key(image_set=ImageSet("cats", folder, 1, limit=3)),
        key(model=Model(str(prototxt), str(weights), "prob")),
        key(preprocessing=Preprocessing((3, 4, 4), [0.0, 0.0, 0.0])),
        key(layer="conv2"),
    }
    weights.write_text("2")
    keys.add(key())
    assert len(keys) == 7


FLAT = """
import json, resource, sys
from pathlib import Path
import numpy as np
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.streaming import Checkpoint, stream
class Total:
    sums = {"total": np.zeros((3, 160, 160))}
    def add(self, chunk):
        self.sums["total"] += chunk.inputs.sum(axis=0)
listing, checkpoint = sys.argv[1:]
preprocessing = Preprocessing((3, 160, 160), [0, 0, 0])
images = ImageSet("x", listing, 0)
preprocessing(images.images[0])
stream(images, preprocessing, Total(), Checkpoint(Path(checkpoint), ""), chunk=8)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""


def test_memory_is_the_same_at_any_length(tmp_path):
    """Of 256 inputs, 79 MB, no more is in memory than of 32."""
    image = Path(save(tmp_path / "a.png", 0, (30, 30)))
    for index in range(256):
        (tmp_path / f"link-{index}.png").symlink_to(image)

    def peak(count):
        listing = tmp_path / f"{count}.txt"
        listing.write_text("".join(f"link-{index}.png\n" for index in range(count)))
        command = [sys.executable, "-c", FLAT, str(listing), str(tmp_path / f"{count}.npz")]
        process = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(process.stdout)

    assert peak(256) < peak(32) + 25
