"""The files a configuration names: where they are, will be fetched to, or will be decoded to.

Addresses become paths in ``results/downloads``; what is missing beside a ``source.yaml`` that
describes it is fetched too (see `cnnvis.inputs.sources`).
"""

from pathlib import Path

from cnnvis.core.errors import UserError
from cnnvis.core.schema_errors import dotted
from cnnvis.inputs.sources import as_file, missing_files

SHIPPED = ("skimage:", "sklearn:")


def place_files(config):
    """Put a local path where the configuration has an address; say how missing files are made.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults; it is changed. Every ``mean`` that is a file becomes
        ``{file: path, use: pixel or whole}``.

    Returns
    -------
    made : dict
        ``downloads`` ``{path: entry}``, ``decoded`` ``{path: path of the compressed file}`` and
        ``recovered`` ``{path: name in recover}``.
    lines : list of str
        Mistakes in a ``source.yaml``.
    """
    files = []

    def put(entry, key):
        if key in entry:
            entry[key], known = as_file(entry[key])
            files.append((entry[key], known))

    for network in config.get("networks", {}).values():
        put(network, "weights")
        put(network, "labels")
        _put_mean(network, put)
    for image in config.get("images", {}).values():
        if not str(image["path"]).startswith(SHIPPED):
            put(image, "path")
    for recovery in config.get("recover", {}).values():
        put(recovery, "volume")
        if not str(recovery["image"]).startswith(SHIPPED):
            put(recovery, "image")
        _put_mean(recovery, put)
    try:
        downloads, decoded = missing_files(files)
    except UserError as error:
        return {"downloads": {}, "decoded": {}, "recovered": {}}, [str(error)]
    recovered = {
        f"results/recovered/{name}/weights.caffemodel": name for name in config.get("recover", {})
    }
    return {"downloads": downloads, "decoded": decoded, "recovered": recovered}, []


def _put_mean(entry, put):
    mean = entry["mean"]
    if isinstance(mean, list):
        return
    entry["mean"] = mean if isinstance(mean, dict) and "file" in mean else {"file": mean}
    entry["mean"].setdefault("use", "pixel")
    put(entry["mean"], "file")


def missing(place, path, made, expected=None):
    """Yield a line if a file neither is there nor will be made when it is needed."""
    if not Path(path).is_file() and not any(str(path) in table for table in made.values()):
        yield f"{place}file not found: {path}" + (f"; expected {expected}" if expected else "")


def check_recover(config, made):
    """Yield one line per mistake in the key recover."""
    for name, recovery in resolve_recover(config).items():
        place = ("recover", name)
        if Path(recovery["volume"]).suffix not in (".npy", ".vox"):
            yield f"{dotted(*place, 'volume')}{recovery['volume']} is neither .npy nor .vox"
        files = {"image": recovery["file"], "mean": recovery["mean_file"]}
        files |= {"volume": [recovery["volume"]], "volume (header)": recovery["header"]}
        for key, paths in files.items():
            for path in paths:
                yield from missing(dotted(*place, key), path, made)


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
