"""Image sets are streamed into sums: in parts, by one job or several, interrupted or not."""

import doctest
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnvis.core.errors import UserError
from cnnvis.engines.model import Model
from cnnvis.inputs import streaming
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.streaming import Streams, portions
from tests.inputs.conftest import save

PREPROCESSING = Preprocessing((3, 4, 4), [104.0, 117.0, 123.0])


@pytest.fixture
def model(tmp_path):
    """Two files; nothing runs a network."""
    for name in ("prototxt", "weights"):
        (tmp_path / name).write_text("1")
    return Model(str(tmp_path / "prototxt"), str(tmp_path / "weights"), "fc8")


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


@pytest.fixture
def run(folder, model):
    """Return a function that streams the folder and returns the `Total` and the `Streams`."""

    def run(output="sums", *values, stop=None, **options):
        options = {"chunk": 2} | options
        streams = Streams(model, PREPROCESSING, folder.parent / output, **options)
        total = Total(stop)
        total.skipped = streams.sum(total, ImageSet("cats", folder, 1), *values)
        return total, streams

    return run


def check_same(one, other):
    for name in one.sums:
        np.testing.assert_array_equal(one.sums[name], other.sums[name])
    assert one.skipped == other.skipped


@pytest.mark.parametrize("part", [3, 512])
def test_an_interrupted_run_is_resumed_and_ends_with_the_same_sums(run, part):
    whole, _ = run("whole", part=part)
    assert whole.batches == 4 and whole.sums["count"] == 5
    with pytest.raises(KeyboardInterrupt):
        run(stop=2, threads=1, part=part)
    again, streams = run(threads=2, part=part)
    assert again.batches == 2
    check_same(again, whole)
    assert [Path(entry["image"]).name for entry in again.skipped] == ["3.png", "5.png"]
    finished, _ = run(part=part)
    assert finished.batches == 0
    check_same(finished, whole)
    assert all(checkpoint.path.exists() for checkpoint in streams.checkpoints)
    streams.forget()
    assert not list(streams.output.parent.glob(".sums*"))


@pytest.mark.parametrize("spoil", ["code", "values", "bytes", "another part"])
def test_a_checkpoint_that_does_not_fit_is_not_used(run, spoil):
    whole, streams = run(part=4)
    (first, second) = (checkpoint.path for checkpoint in streams.checkpoints)
    if spoil == "bytes":
        first.write_bytes(first.read_bytes()[:50])
    if spoil == "another part":
        second.replace(first)
    changed = {"code": (["sums"], {"code": "new"}), "values": (["sums", 1], {})}
    values, options = changed.get(spoil, (["sums"], {}))
    again, _ = run(*values, part=4, **options)
    assert again.batches == {"bytes": 2, "another part": 4}.get(spoil, 4)
    check_same(again, whole)


@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_the_size_of_chunks_shows_in_rounding_only(run, chunk):
    (whole, _), (other, _) = run("2"), run(str(chunk), chunk=chunk)
    np.testing.assert_allclose(other.sums["total"], whole.sums["total"], rtol=1e-13)
    assert other.sums["count"] == whole.sums["count"] == 5


def test_the_sums_of_a_set_are_those_of_its_parts_one_after_the_other(run, folder, model):
    found, _ = run(part=3, chunk=3)
    expected = np.zeros((3, 4, 4))
    for names in ("012", "4", "6"):
        inputs = np.stack([PREPROCESSING(folder / f"{name}.png") for name in names])
        expected += (inputs.astype(np.float64) ** 3).sum(axis=0) / 7
    np.testing.assert_array_equal(found.sums["total"], expected)


@pytest.mark.parametrize("ends", [[1, 2, 3, 4], [3, 4], [4]])
def test_sums_are_the_same_whichever_jobs_made_the_parts(run, folder, ends):
    """Seven images in parts of two; an unreadable one is told once."""
    whole, streams = run("whole", part=2)
    streams.forget()
    folders = []
    for first, end in zip([0, *ends], ends, strict=False):
        _, streams = run(f"made{end}", part=2, portion={"cats": [first, end]})
        assert streams.hand_over()
        folders.append(streams.output)
    files = sorted(path.name for made in folders for path in made.iterdir())
    assert files == [f"cats.{number:04}.npz" for number in range(4)]
    # What the job itself had before the images were divided goes with it.
    run(part=2)
    joined, streams = run(part=2, made=folders)
    assert joined.batches == 0 and not streams.hand_over()
    check_same(joined, whole)
    assert len(joined.skipped) == 2
    streams.forget()
    assert sorted(path.name for made in folders for path in made.iterdir()) == files
    assert not list(folder.parent.glob(".*"))


def test_the_job_of_a_portion_is_resumed_too(run, folder):
    portion = {"cats": [0, 2]}
    with pytest.raises(KeyboardInterrupt):
        run("made", part=4, portion=portion, stop=3)
    assert not (folder.parent / "made").exists()
    again, streams = run("made", part=4, portion=portion)
    assert again.batches == 1 and streams.hand_over()
    check_same(run(part=4, made=[folder.parent / "made"])[0], run("whole", part=4)[0])


@pytest.mark.parametrize("spoil", ["missing", "bytes", "image"])
def test_a_part_of_other_images_is_an_error_of_one_line(run, folder, spoil):
    _, streams = run("made", part=4, portion={"cats": [0, 2]})
    streams.hand_over()
    second = folder.parent / "made" / "cats.0001.npz"
    if spoil == "missing":
        second.unlink()
    elif spoil == "bytes":
        second.write_bytes(second.read_bytes()[:99])
    else:
        save(folder / "6.png", 9, (9, 9))
    with pytest.raises(UserError, match="cats.0001.npz: is not .* cats, part 2 of 2") as error:
        run(part=4, made=[folder.parent / "made"])
    assert "\n" not in str(error.value)


def test_a_folder_where_every_image_fails_is_an_error_of_one_line(run, folder):
    for image in folder.iterdir():
        image.write_text("text")
    with pytest.raises(UserError, match="cats: none of its 7 images can be used; the first") as e:
        run(part=3)
    assert "\n" not in str(e.value) and "0.png" in str(e.value)
    # In a portion, all may fail: others may be readable.
    total, _ = run("made", part=3, portion={"cats": [0, 1]})
    assert total.sums["count"] == 0 and len(total.skipped) == 3


def test_a_checkpoints_key_depends_on_images_model_and_contents_of_files(folder, model):
    cats = ImageSet("cats", folder, 1)

    def key(model=model, preprocessing=PREPROCESSING, image_set=cats, layer="conv1", **options):
        streams = Streams(model, preprocessing, folder.parent / "out.csv", **options)
        return streams.parts(Total(), image_set, layer)[0][0].key

    assert key() == key(image_set=ImageSet("cats", folder, 1)) == key(threads=2)
    keys = {
        key(),
        key(image_set=ImageSet("cats", folder, 2)),
        key(image_set=ImageSet("cats", folder, 1, limit=3)),
        key(model=Model(model.prototxt, model.weights, "prob")),
        key(preprocessing=Preprocessing((3, 4, 4), [0.0, 0.0, 0.0])),
        key(layer="conv2"),
        key(chunk=2),
        key(part=2),
        key(code="other"),
    }
    Path(model.weights).write_text("2")
    keys.add(key())
    assert len(keys) == 10


def test_parts_are_divided_among_jobs(monkeypatch):
    monkeypatch.setattr(streaming, "PART", 10)
    sizes = {"a": 25, "b": 3, "c": 2, "d": 10}
    assert portions(sizes, None) == portions(sizes, 100) == {}
    assert list(portions(sizes, 1).values()) == [
        {"a": [0, 1]},
        {"a": [1, 2]},
        {"a": [2, 3]},
        {"b": [0, 1]},
        {"c": [0, 1]},
        {"d": [0, 1]},
    ]
    assert list(portions(sizes, 15).values()) == [
        {"a": [0, 2]},
        {"a": [2, 3], "b": [0, 1], "c": [0, 1], "d": [0, 1]},
    ]


FLAT = """
import json, resource, sys
import numpy as np
from cnnvis.engines.model import Model
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.streaming import Streams
class Total:
    sums = {"total": np.zeros((3, 160, 160))}
    def add(self, chunk):
        self.sums["total"] += chunk.inputs.sum(axis=0)
listing, output = sys.argv[1:]
preprocessing = Preprocessing((3, 160, 160), [0, 0, 0])
images = ImageSet("x", listing, 0)
preprocessing(images.images[0])
model = Model(listing, listing, "")  # Two files; nothing runs a network.
Streams(model, preprocessing, output, chunk=8, part=32).sum(Total(), images)
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
        command = [sys.executable, "-c", FLAT, str(listing), str(tmp_path / f"{count}")]
        process = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(process.stdout)

    assert peak(256) < peak(32) + 25


def test_examples():
    assert doctest.testmod(streaming) == (0, 1)
