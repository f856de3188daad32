"""The configuration's key ``responses``, arranged in a table."""

from cnnvis.config.checks import chosen_layers
from cnnvis.config.own_images import resolve_images
from cnnvis.core.files import safe_name

NAME = "responses"
EACH = 12
"""How many held-out crops of each of photonet's photographs, by default."""


def resolve_responses(config, infos, collections):
    """Arrange what each network responds to.

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
        {network: {``layers``: {layer in paths: its own name}; ``k``; and what `resolve_images` has
        of it}}, for the networks that see any image.
    """
    responses, tables = config[NAME], resolve_images(config, NAME, EACH, infos, collections)
    for network, facts in tables.items():
        convolutions = infos[network].convolutions
        chosen = chosen_layers(responses.get("layers"), network) or convolutions
        facts["layers"] = {safe_name(x): x for x in convolutions if x in chosen}
        facts["k"] = responses["k"]
    return tables
