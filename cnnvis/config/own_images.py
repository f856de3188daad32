"""Keys with images of their own: checked, and arranged in tables.

The images of such a key are those of all collections, or of an image set of its own, which is
called as the key.
"""

from cnnvis.config.checks import mistakes, networks_of, reserved
from cnnvis.config.collections import ALL, collection_table, image_set_of, label_of, portions_of
from cnnvis.core.schema_errors import dotted


def own_collection(config, key, each):
    """Return the entry of ``collections`` that the images of a key would be, or None.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    key : str
        The configuration's key, which has ``images`` and ``limit``.
    each : int
        How many held-out crops of each of photonet's photographs, by default.
    """
    if "images" not in config.get(key, {}):
        return None
    images, limit = config[key]["images"], config[key].get("limit")
    default = None if label_of(images) is None else each
    return {"path": images, "limit": limit or default}


def check_images(config, key):
    """Yield one line per mistake in the images of a key, and in collections of its name."""
    yield from reserved("collections", config["collections"], [key])
    own, place = config.get(key, {}), dotted(key, "images")
    if "images" not in own:
        if "limit" in own:
            yield f"{dotted(key, 'limit')}applies to {key}.images, which is missing"
        return
    label = label_of(own["images"])
    if label is None:
        yield from mistakes(place, lambda: image_set_of(key, own_collection(config, key, 0)).images)
    elif label != ALL:
        expected = "a folder, a text file, a list of patterns, or photonet:*"
        yield f"{place}{own['images']!r} is not allowed; expected {expected}"


def resolve_images(config, key, each, networks, collections):
    """Arrange the images of a key.

    Parameters
    ----------
    config, key, each
        See `own_collection`.
    networks : iterable of str
    collections : dict
        Of `cnnvis.config.collections.resolve_collections`; the own image set is added.

    Returns
    -------
    dict
        {network: {``image_sets``, what each `ImageSet` is made of; ``images``, their fingerprints;
        ``folders`` that are made; ``portions``}}, for the networks that see any image.
    """
    own, tables = own_collection(config, key, each), {}
    if own:
        collections[key] = collection_table(key, own)
    for network in networks:
        seen = [x for x, entry in config["collections"].items() if networks_of(entry, [network])]
        sets = [collections[name] for name in ([key] if own else seen)]
        if sets:
            tables[network] = {
                "image_sets": [each["image_set"] for each in sets],
                "images": [each["images"] for each in sets],
                "folders": [folder for each in sets for folder in each["folders"]],
                "portions": portions_of(config, sets),
            }
    return tables
