"""Streaming sums over an image set, checkpointed after every chunk.

Of each image only what it adds to the sums is kept, so that memory does not grow with the set. Sums
are in double precision and images are added one after the other, so that the size of the chunks
only affects rounding. A run that was resumed from a checkpoint has exactly the sums of one that was
not interrupted, whatever the number of threads that decode.
"""

import hashlib
import json
import logging
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.progress import Progress

CHUNK = 32
"""Images per chunk: what an interruption costs at most, and what is in memory at once."""


@dataclass(frozen=True)
class Checkpoint:
    """The sums of a job over one image set after its last finished chunk.

    Attributes
    ----------
    path : Path
        The file, removed once the job's results are written.
    key : str
        A digest of everything that the sums depend on: a file with another key is not used.
    unit : str
        What is counted.
    """

    path: Path
    key: str
    unit: str = "images"

    @classmethod
    def of(cls, output, model, preprocessing, image_set, *values):
        """Return the checkpoint of a job, hidden beside its output.

        Parameters
        ----------
        output : str or Path
        model : cnnvis.engines.model.Model
        preprocessing : cnnvis.inputs.images.Preprocessing
        image_set : cnnvis.inputs.image_sets.ImageSet
        *values
            What else the sums depend on: layers, the size of the chunks, the digest of the
            code.... Not the number of threads: a run may be resumed with another one.
        """
        key = digest(model, preprocessing, image_set.fingerprint, image_set.cls, *values)
        output = Path(output)
        path = output.with_name(f".{output.name}.{image_set.name}.partial.npz")
        return cls(path, key)

    def read(self, sums, name):
        """Fill `sums` from the file; return how many images it covers, and those skipped."""
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                state = json.loads(str(archive["state"]))
                if state["key"] != self.key:
                    logging.info("%s: the checkpoint belongs to another run and is not used", name)
                    return 0, []
                saved = {entry: archive[f"sum/{entry}"] for entry in sums}
        except FileNotFoundError:
            return 0, []
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            logging.info("%s: the checkpoint cannot be read and is not used", name)
            return 0, []
        for entry, array in saved.items():
            sums[entry][...] = array
        logging.info("%s: resuming after %d %s", name, state["done"], self.unit)
        return state["done"], state["skipped"]

    def write(self, sums, done, skipped):
        """Write the sums over the first `done` images, of which some were skipped."""
        state = json.dumps({"key": self.key, "done": done, "skipped": skipped})
        arrays = {f"sum/{entry}": array for entry, array in sums.items()}
        write_arrays(self.path, {"state": np.array(state), **arrays})

    def forget(self):
        """Remove the file."""
        self.path.unlink(missing_ok=True)


def digest(model, preprocessing, *values):
    """Return a digest of a network, its files, its preprocessing and further values."""
    values = [*values, asdict(preprocessing), model.key()]
    total = hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode())
    for path in [model.prototxt, model.weights, *preprocessing.files()]:
        with open(path, "rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def stream(image_set, preprocessing, accumulator, checkpoint, *, chunk=CHUNK, threads=None):
    """Add every image of a set to an accumulator, from where an interrupted run ended.

    Parameters
    ----------
    image_set : cnnvis.inputs.image_sets.ImageSet
    preprocessing : cnnvis.inputs.images.Preprocessing
    accumulator : object
        Its ``sums`` are a dict of float64 or int64 arrays, zeros at first, to which its method
        ``add`` adds a `cnnvis.inputs.image_sets.Chunk` of images, in place.
    checkpoint : Checkpoint
        Written after every chunk.
    chunk : int
        Images per batch.
    threads : int, optional
        How many decode.

    Returns
    -------
    list of dict
        ``image`` and ``reason`` of the images that were skipped.

    Raises
    ------
    UserError
        If no image can be read.
    """
    name, total = image_set.name, len(image_set.images)
    done, skipped = checkpoint.read(accumulator.sums, name)
    with Progress(name, total, done=done) as progress:
        progress.add(0, skipped=len(skipped))
        for part in image_set.chunks(preprocessing, chunk, threads, done):
            if part.images:
                accumulator.add(part)
            done += part.size
            skipped += part.skipped
            checkpoint.write(accumulator.sums, done, skipped)
            progress.add(part.size, skipped=len(part.skipped))
    if len(skipped) == total:
        raise UserError(
            f"collection {name}: none of its {total} images can be used; the first: "
            f"{skipped[0]['reason']}"
        )
    return skipped
