"""The files that a configuration names: those that are there, and those that a rule will make.

Addresses become paths in ``results/downloads``; a missing file that the ``source.yaml`` beside it
describes is downloaded, too (see `cnnvis.inputs.sources`).
"""

import os
from dataclasses import asdict
from pathlib import Path

from cnnvis.core.errors import UserError
from cnnvis.core.schema_errors import dotted
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.sources import as_file, missing_files

SHIPPED = ("skimage:", "sklearn:")


def place_files(config, arrays=()):
    """Replace addresses in the configuration by local paths; find out how missing files are made.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults; it is changed. Every ``mean`` that is a file becomes
        ``{file: path, use: pixel or whole}``.
    arrays : iterable of str
        Further files that are needed, paths or addresses.

    Returns
    -------
    planned : dict
        ``downloads`` ``{path: entry}``, ``decoded`` ``{path: path of the compressed file}`` and
        ``recovered`` ``{path: name in recover}``.
    lines : list of str
        Mistakes in a ``source.yaml``.
    """
    files = list(map(as_file, arrays))

    def put(entry, *keys):
        for key in keys:
            if entry.get(key) and not str(entry[key]).startswith(SHIPPED):
                entry[key], source = as_file(entry[key])
                files.append((entry[key], source))

    for entry in (*config["networks"].values(), *config["recover"].values()):
        put(entry, "weights", "labels", "volume", "image")
        mean = entry["mean"]
        if not isinstance(mean, list):
            mean = mean if isinstance(mean, dict) and "file" in mean else {"file": mean}
            entry["mean"] = {**mean, "use": mean.get("use", "pixel")}
            put(entry["mean"], "file")
    for image in config["images"].values():
        put(image, "path")
    downloads, decoded, lines = {}, {}, []
    try:
        downloads, decoded = missing_files(files)
    except UserError as error:
        lines = [str(error)]
    recovered = {f"results/recovered/{name}/weights.caffemodel": name for name in config["recover"]}
    return {"downloads": downloads, "decoded": decoded, "recovered": recovered}, lines


def missing(place, path, planned, expected=None):
    """Yield a line if a file is neither there nor will be made by a rule."""
    if not os.path.isfile(path) and not any(str(path) in table for table in planned.values()):
        yield f"{place}file not found: {path}" + (f"; expected {expected}" if expected else "")


def check_recover(config, planned):
    """Yield one line per mistake in the key recover."""
    for name, recovery in resolve_recover(config).items():
        place = ("recover", name)
        if Path(recovery["volume"]).suffix not in (".npy", ".vox"):
            yield f"{dotted(*place, 'volume')}{recovery['volume']} is neither .npy nor .vox"
        files = {"image": recovery["file"], "mean": recovery["mean_file"]}
        files |= {"volume": [recovery["volume"]], "volume (header)": recovery["header"]}
        for key, paths in files.items():
            for path in paths:
                yield from missing(dotted(*place, key), path, planned)


def resolve_recover(config):
    """Arrange the key recover.

    Returns
    -------
    dict
        {name: {``volume``, ``image``, ``crop``, ``layer``; ``header``, ``file`` and ``mean_file``
        as lists; ``preprocessing`` and ``geometry``, what `Preprocessing` and `Geometry` are
        made of}}
    """
    return {name: _recovery(recovery) for name, recovery in config["recover"].items()}


def _recovery(recovery):
    volume = Path(recovery["volume"])
    preprocessing = preprocessing_of(recovery, recovery["input_shape"])
    return {
        **{key: recovery.get(key) for key in ("volume", "image", "crop", "layer")},
        "header": [str(volume.with_suffix(".hd"))] if volume.suffix == ".vox" else [],
        "file": image_file(recovery["image"]),
        "mean_file": preprocessing.files(),
        "preprocessing": asdict(preprocessing),
        "geometry": {key: recovery[key] for key in ("kernel", "stride", "pad")},
    }


def preprocessing_of(entry, shape):
    """Return the `Preprocessing` of a network or of a recovery, for inputs of a shape."""
    options = {key: entry[key] for key in ("mean", "input_scale", "channel_order")}
    return Preprocessing(tuple(shape), **options)


def image_file(path):
    """Return the file of an image as a list: empty where a package ships it."""
    return [] if path.startswith(SHIPPED) else [path]
