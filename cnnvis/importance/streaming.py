"""Sums over a collection, kept after every chunk so that an interrupted run can go on.

Of each image only what it adds to the sums stays: memory is the same at any length. Sums are in
double precision and images are added one after the other, so that the size of the chunks shows in
the rounding alone; a run that went on from a checkpoint has exactly the sums of one that did not
have to.
"""

import hashlib
import json
import logging
import zipfile
from pathlib import Path

import numpy as np

from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.progress import Progress
from cnnvis.inputs.image_sets import fingerprint, read_chunks


def sum_over(images, prepare, step, sums, *, name, chunk, checkpoint, key, threads=None):
    """Add every image of a collection to sums, from where an interrupted run ended.

    Parameters
    ----------
    images : list of str
    prepare : callable
        From a path to an input.
    step : callable
        ``step(inputs)`` adds a batch (N, C, H, W) to `sums`, in place.
    sums : dict of str to ndarray
        Float64 or int64, zeros.
    name : str
        The collection's.
    chunk : int
        Images per batch.
    checkpoint : str or Path
        Where the sums are kept after every chunk; `forget` removes it once the results are
        written. One that was made with another `key` is not used.
    key : str
        A digest of everything the sums depend on.
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
    position, skipped = _resume(Path(checkpoint), key, sums, name)
    with Progress(name, len(images), done=position) as progress:
        for part in read_chunks(images, prepare, chunk, threads, position):
            if part.images:
                step(part.inputs)
            skipped += part.skipped
            _keep(checkpoint, key, part.stop, skipped, sums)
            progress.update(part.stop, len(skipped))
    if len(skipped) == len(images):
        raise UserError(
            f"collection {name}: none of its {len(images)} images can be used; the first: "
            f"{skipped[0]['reason']}"
        )
    return skipped


def _resume(checkpoint, key, sums, name):
    """Fill `sums` from a checkpoint that fits; return how far it is, and what was skipped."""
    try:
        with np.load(checkpoint, allow_pickle=False) as kept:
            state = json.loads(str(kept["state"]))
            if state["key"] != key:
                logging.info("%s: the checkpoint is of another run and is not used", name)
                return 0, []
            found = {entry: kept[f"sum/{entry}"] for entry in sums}
    except FileNotFoundError:
        return 0, []
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        logging.info("%s: the checkpoint cannot be read and is not used", name)
        return 0, []
    for entry, array in found.items():
        sums[entry][...] = array
    logging.info("%s: resumed after %d images", name, state["position"])
    return state["position"], state["skipped"]


def _keep(checkpoint, key, position, skipped, sums):
    state = json.dumps({"key": key, "position": position, "skipped": skipped})
    arrays = {f"sum/{entry}": array for entry, array in sums.items()}
    write_arrays(checkpoint, {"state": np.array(state), **arrays})


def checkpoint_of(output, name=""):
    """Return where the sums of a job are kept until its `output` is written."""
    output = Path(output)
    return output.with_name(f".{output.name}{f'.{name}' if name else ''}.partial.npz")


def forget(*checkpoints):
    """Remove checkpoints of a run that is finished."""
    for checkpoint in checkpoints:
        Path(checkpoint).unlink(missing_ok=True)


def digest_of(images, *values, files=()):
    """Return a digest of images, of values and of the contents of files: a checkpoint's key."""
    total = hashlib.sha256(fingerprint(images).encode())
    for value in values:
        total.update(f"\0{json.dumps(value, sort_keys=True, default=repr)}".encode())
    for file in files:
        with open(file, "rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
