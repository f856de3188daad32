"""The files that a configuration names: those that are there, and those that a rule will make.

Addresses become paths in ``results/downloads``; a missing file that the ``source.yaml`` beside it
describes is downloaded, too (see `cnnvis.inputs.sources`).
"""

from pathlib import Path

from cnnvis.core.errors import UserError
from cnnvis.core.schema_errors import dotted
from cnnvis.inputs.sources import as_file, missing_files

SHIPPED = ("skimage:", "sklearn:")


def place_files(config):
    """Replace addresses in the configuration by local paths; find out how missing files are made.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults; it is changed. Every ``mean`` that is a file becomes
        ``{file: path, use: pixel or whole}``.

    Returns
    -------
    planned : dict
        ``downloads`` ``{path: entry}``, ``decoded`` ``{path: path of the compressed file}`` and
        ``recovered`` ``{path: name in recover}``.
    lines : list of str
        Mistakes in a ``source.yaml``.
    """
    files = []

    def put(entry, *keys):
        for key in keys:
            if key in entry and not str(entry[key]).startswith(SHIPPED):
                entry[key], source = as_file(entry[key])
                files.append((entry[key], source))

    recoveries = config.get("recover", {})
    for entry in (*config.get("networks", {}).values(), *recoveries.values()):
        put(entry, "weights", "labels", "volume", "image")
        mean = entry["mean"]
        if not isinstance(mean, list):
            mean = mean if isinstance(mean, dict) and "file" in mean else {"file": mean}
            entry["mean"] = {**mean, "use": mean.get("use", "pixel")}
            put(entry["mean"], "file")
    for image in config.get("images", {}).values():
        put(image, "path")
    recovered = {f"results/recovered/{name}/weights.caffemodel": name for name in recoveries}
    try:
        downloads, decoded = missing_files(files)
    except UserError as error:
        return {"downloads": {}, "decoded": {}, "recovered": recovered}, [str(error)]
    return {"downloads": downloads, "decoded": decoded, "recovered": recovered}, []


def missing(place, path, planned, expected=None):
    """Yield a line if a file is neither there nor will be made by a rule."""
    if not Path(path).is_file() and not any(str(path) in table for table in planned.values()):
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
    return {
        name: {
            "volume": recovery["volume"],
            "header": [str(Path(recovery["volume"]).with_suffix(".hd"))]
            if recovery["volume"].endswith(".vox")
            else [],
            "image": recovery["image"],
            "crop": recovery.get("crop"),
            "layer": recovery["layer"],
            "file": [] if recovery["image"].startswith(SHIPPED) else [recovery["image"]],
            "mean_file": [recovery["mean"]["file"]] if isinstance(recovery["mean"], dict) else [],
            "preprocessing": {
                "shape": tuple(recovery["input_shape"]),
                **{key: recovery[key] for key in ("mean", "input_scale", "channel_order")},
            },
            "geometry": {key: recovery[key] for key in ("kernel", "stride", "pad")},
        }
        for name, recovery in config.get("recover", {}).items()
    }
