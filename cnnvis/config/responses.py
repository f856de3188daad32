"""The configuration's key ``responses``: checked, and arranged in a table.

Its images are those of all collections, or of an image set of its own, which is called as the key.
"""

from cnnvis.config.checks import chosen_layers, mistakes, networks_of, reserved
from cnnvis.config.collections import ALL, collection_table, image_set_of, label_of
from cnnvis.core.files import safe_name
from cnnvis.core.schema_errors import dotted

NAME = "responses"
EACH = 12
"""How many held-out crops of each of photonet's photographs, by default."""


def check_responses(config):
    """Yield one line per mistake in the key responses, but for its layers.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    """
    yield from reserved("collections", config["collections"], [NAME])
    responses, place = config["responses"], dotted("responses", "images")
    if "images" not in responses:
        if "limit" in responses:
            yield f"{dotted('responses', 'limit')}applies to responses.images, which is missing"
        return
    label = label_of(responses["images"])
    if label is None:
        yield from mistakes(place, lambda: image_set_of(NAME, _collection(config)).images)
    elif label != ALL:
        expected = "a folder, a text file, a list of patterns, or photonet:*"
        yield f"{place}{responses['images']!r} is not allowed; expected {expected}"


def _collection(config):
    """Return the entry of ``collections`` that the images of responses would be, or None."""
    if "images" not in config["responses"]:
        return None
    images, limit = config["responses"]["images"], config["responses"].get("limit")
    default = None if label_of(images) is None else EACH
    return {"path": images, "cls": None, "limit": limit or default}


def resolve_responses(config, infos, collections):
    """Arrange what each network responds to.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    infos : dict of str to NetworkInfo
        Of the networks that can be run.
    collections : dict
        Of `cnnvis.config.collections.resolve_collections`; the own image set is added.

    Returns
    -------
    dict
        {network: {``layers``: {layer in paths: its own name}; ``image_sets``, what each `ImageSet`
        is made of; ``images``, their fingerprints; ``folders`` that are made; ``k``}}, for the
        networks that see any image.
    """
    own, responses, tables = _collection(config), config["responses"], {}
    if own:
        collections[NAME] = collection_table(NAME, own)
    for network, info in infos.items():
        seen = [x for x, entry in config["collections"].items() if networks_of(entry, [network])]
        sets = [collections[name] for name in ([NAME] if own else seen)]
        chosen = chosen_layers(responses.get("layers"), network) or info.convolutions
        if sets:
            tables[network] = {
                "layers": {safe_name(x): x for x in info.convolutions if x in chosen},
                "image_sets": [each["image_set"] for each in sets],
                "images": [each["images"] for each in sets],
                "folders": [folder for each in sets for folder in each["folders"]],
                "k": responses["k"],
            }
    return tables
