"""The configuration's key ``lesions``: checked, and arranged in a table."""

from cnnvis.config.checks import check_neuron, chosen_layers
from cnnvis.config.collections import classes_of, pruned_layers
from cnnvis.config.own_images import check_images, own_collection, resolve_images
from cnnvis.core.files import safe_name
from cnnvis.core.schema_errors import dotted

NAME = "lesions"
EACH = 6
"""How many held-out crops of each of photonet's photographs, by default."""


def check_lesions(config, models):
    """Yield one line per mistake in the key lesions, but for its layers.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    models : dict of str to Model
        Of the networks that can be run.
    """
    lines, own = list(check_images(config, NAME)), own_collection(config, NAME, EACH)
    yield from lines
    if NAME in config and not own and not config["collections"]:
        yield f"{dotted(NAME, 'images')}missing, and there are no collections; name one of the two"
    for model in models.values() if own and not lines else ():
        largest = max(classes_of(NAME, own) - {None}, default=0)
        yield from check_neuron(dotted(NAME, "images"), largest, model)


def resolve_lesions(config, infos, collections):
    """Arrange whose filters are removed, and over which images.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    infos : dict of str to NetworkInfo
        Of the networks that can be run.
    collections : dict
        See `cnnvis.config.own_images.resolve_images`.

    Returns
    -------
    dict
        {network: {``layers``: {layer in paths: its own name}; ``zero``, what is set to zero; and
        what `resolve_images` has of it}}, for the networks that see any image and have such layers.
    """
    if NAME not in config:
        return {}
    tables = resolve_images(config, NAME, EACH, infos, collections)
    for network, facts in tables.items():
        chosen = chosen_layers(config[NAME].get("layers"), network)
        layers = chosen or pruned_layers(config, network, infos[network])
        facts["layers"] = {safe_name(layer): layer for layer in layers}
        facts["zero"] = config["pruning"]["zero"]
    return {network: facts for network, facts in tables.items() if facts["layers"]}
