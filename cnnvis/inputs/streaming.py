"""Streaming sums over image sets: in parts, which may be jobs of their own, and with checkpoints.

Of each image only what it adds to the sums is kept, so that memory does not grow with the set. Sums
are in double precision and images are added one after the other, so that the size of the chunks
only affects rounding. The sums of every `PART` images begin at zero; those of the set are the sums
of its parts, added in their order. So the result is the same to the bit whichever jobs made the
parts, and whether they were interrupted and resumed, whatever the number of threads that decode.
"""

import hashlib
import json
import logging
import os
import zipfile
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.progress import Progress
from cnnvis.inputs.images import Preprocessing

CHUNK = 32
"""Images per chunk: what an interruption costs at most, and what is in memory at once."""
PART = 512
"""Images per part: with another number, sums over more images are rounded otherwise."""


@dataclass(frozen=True)
class Checkpoint:
    """What a job had after its last finished chunk of images, or step of something else.

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
        logging.info("%s: %d %s were done before", name, state["done"], self.unit)
        return state["done"], state["skipped"]

    def write(self, sums, done, skipped):
        """Write the sums over the first `done` images, of which some were skipped."""
        state = json.dumps({"key": self.key, "done": done, "skipped": skipped})
        arrays = {f"sum/{entry}": array for entry, array in sums.items()}
        write_arrays(self.path, {"state": np.array(state), **arrays})

    def add_to(self, sums):
        """Add the sums in the file to others, in place."""
        with np.load(self.path, allow_pickle=False) as archive:
            for name, array in sums.items():
                array += archive[f"sum/{name}"]

    def array(self, name):
        """Return one of the sums in the file."""
        with np.load(self.path, allow_pickle=False) as archive:
            return archive[f"sum/{name}"]

    def forget(self):
        """Remove the file."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Streams:
    """How one job streams image sets: through which network, and which parts of them.

    Attributes
    ----------
    model : cnnvis.engines.model.Model
    preprocessing : cnnvis.inputs.images.Preprocessing
    output : str or Path
        The job's first output, beside which its checkpoints are hidden.
    code : str
        The digest of the code: sums of other code are not resumed.
    threads : int, optional
        How many compute, and how many decode.
    chunk, part : int
        Images per batch, and per part.
    portion : dict of str to list of 2 int, optional
        Of a job that makes some parts for another one: the first of each image set, and the one
        behind the last (see `portions`). Its output is a folder of these parts.
    made : list of str or Path
        The folders of all such jobs; empty where the job itself makes all parts.
    checkpoints : list of Checkpoint
        Of the parts that the job has made; where others did, what it had before they did.
    """

    model: object
    preprocessing: object
    output: str | Path
    code: str = ""
    threads: int | None = None
    chunk: int = CHUNK
    part: int = PART
    portion: dict | None = None
    made: list = ()
    checkpoints: list = field(default_factory=list)

    @classmethod
    def of(cls, model, snakemake):
        """Return those of a Snakemake job; `snakemake` is as for `cnnvis.core.jobs.job`."""
        return cls(
            model,
            Preprocessing(**snakemake.params.preprocessing),
            snakemake.output[0],
            code=snakemake.params.code,
            threads=snakemake.threads,
            portion=snakemake.params.get("portion"),
            made=snakemake.input.get("parts", []),
        )

    def sum(self, accumulator, image_set, *values, name=""):
        """Add every image of a set to an accumulator, or in the job of a portion some of them.

        Parameters
        ----------
        accumulator : object
            See `stream`.
        image_set : cnnvis.inputs.image_sets.ImageSet
        *values
            What the sums depend on: layers, what is removed....
        name : str
            What tells this pass from the job's others over the same images, in names of files.

        Returns
        -------
        list of dict
            ``image`` and ``reason`` of the images that were skipped.

        Raises
        ------
        UserError
            If no image can be read, or a part that another job made is not of these images.
        """
        parts, skipped = self.parts(accumulator, image_set, *values, name=name)
        clear(accumulator.sums)
        for part in parts:
            part.add_to(accumulator.sums)
        return skipped

    def parts(self, accumulator, image_set, *values, name=""):
        """Return the checkpoints of all parts, each with its own sums, and what was skipped.

        Parameters, errors and ``skipped`` are those of `sum`.
        """
        parts, found, skipped = image_set.parts(self.part), [], []
        last = len(parts)
        first, end = (0, last) if self.portion is None else self.portion.get(image_set.name, (0, 0))
        for number, part in enumerate(parts[first:end], first):
            title = f"{image_set.name}, part {number + 1} of {last}" if last > 1 else image_set.name
            file = ".".join(filter(None, [name, image_set.name, f"{number:04}", "npz"]))
            key = _digest_of([self.key, part.fingerprint, *values])
            own = Path(self.output).with_name(self._hidden + file)
            self.checkpoints.append(Checkpoint(own, key))
            found.append(Checkpoint(self._found.get(file, own), key))
            add = self._find if self.made else self._make
            skipped += add(part, accumulator, found[-1], title)
        if self.portion is None and len(skipped) == len(image_set.images):
            raise UserError(
                f"collection {image_set.name}: none of its {len(skipped)} images can be used; the "
                f"first: {skipped[0]['reason']}"
            )
        return found, skipped

    @cached_property
    def key(self):
        """What all sums of the job depend on, as a digest; not on the number of threads."""
        return digest(self.model, self.preprocessing, self.chunk, self.part, self.code)

    @cached_property
    def _found(self):
        return {path.name: path for folder in self.made for path in Path(folder).iterdir()}

    @property
    def _hidden(self):
        return f".{Path(self.output).name}.partial."

    def _make(self, part, accumulator, checkpoint, title):
        options = {"chunk": self.chunk, "threads": self.threads, "title": title}
        return stream(part, self.preprocessing, accumulator, checkpoint, **options)

    def _find(self, part, accumulator, checkpoint, title):
        done, skipped = checkpoint.read(accumulator.sums, title)
        if done < len(part.images):
            raise UserError(
                f"{checkpoint.path}: is not the sums of {title} as it is now, expected those of "
                f"{len(part.images)} images; run the workflow again"
            )
        return skipped

    def hand_over(self):
        """Put the parts of a portion into the job's output; return whether there is a portion."""
        if self.portion is None:
            return False
        folder = Path(self.output)
        folder.mkdir(parents=True, exist_ok=True)
        for checkpoint in self.checkpoints:
            file = checkpoint.path.name.removeprefix(self._hidden)
            os.replace(checkpoint.path, folder / file)
        return True

    def forget(self):
        """Remove the checkpoints, once the job's results are written."""
        for checkpoint in self.checkpoints:
            checkpoint.forget()


def portions(images, images_per_job):
    """Divide the parts of image sets among jobs.

    Parameters
    ----------
    images : dict of str to int
        How many each image set has.
    images_per_job : int or None
        A job gets parts until it has so many images, or more. None for a single job.

    Returns
    -------
    dict of str to dict
        ``{number of the job: {image set: [first part, the one behind the last]}}``; empty where
        there is a single job.

    Examples
    --------
    >>> portions({"cats": 1100, "dogs": 30, "birds": 20}, 600)
    {'0': {'cats': [0, 2]}, '1': {'cats': [2, 3], 'dogs': [0, 1], 'birds': [0, 1]}}
    """
    jobs, room = [], 0
    for name, count in images.items() if images_per_job else ():
        for number, first in enumerate(range(0, count, PART)):
            if room <= 0:
                jobs.append({})
                room = images_per_job
            jobs[-1].setdefault(name, [number, None])[1] = number + 1
            room -= min(PART, count - first)
    return {str(number): job for number, job in enumerate(jobs)} if len(jobs) > 1 else {}


def digest(model, preprocessing, *values):
    """Return a digest of a network, its files, its preprocessing and further values."""
    files = []
    for path in [model.prototxt, model.weights, *preprocessing.files()]:
        with open(path, "rb") as file:
            files.append(hashlib.file_digest(file, "sha256").hexdigest())
    return _digest_of([*values, asdict(preprocessing), model.key(), files])


def _digest_of(values):
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def stream(
    image_set, preprocessing, accumulator, checkpoint, *, chunk=CHUNK, threads=None, title=None
):
    """Sum the images of a set, from where an interrupted run ended.

    Parameters
    ----------
    image_set : cnnvis.inputs.image_sets.ImageSet
    preprocessing : cnnvis.inputs.images.Preprocessing
    accumulator : object
        Its ``sums`` are a dict of arrays, set to zero at first, to which its method ``add`` adds a
        `cnnvis.inputs.image_sets.Chunk` of images, in place.
    checkpoint : Checkpoint
        Written after every chunk.
    chunk : int
        Images per batch.
    threads : int, optional
        How many decode.
    title : str, optional
        What is summed, for the log; by default the name of the set.

    Returns
    -------
    list of dict
        ``image`` and ``reason`` of the images that were skipped.
    """
    title = title or image_set.name
    clear(accumulator.sums)
    done, skipped = checkpoint.read(accumulator.sums, title)
    with Progress(title, len(image_set.images), done=done) as progress:
        progress.add(0, skipped=len(skipped))
        for part in image_set.chunks(preprocessing, chunk, threads, done):
            if part.images:
                accumulator.add(part)
            done += part.size
            skipped += part.skipped
            checkpoint.write(accumulator.sums, done, skipped)
            progress.add(part.size, skipped=len(part.skipped))
    return skipped


def clear(sums):
    """Set sums to zero."""
    for array in sums.values():
        array[...] = 0
