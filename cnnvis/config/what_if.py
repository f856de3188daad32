"""The configuration's key ``what_if``, arranged in a table."""

from cnnvis.engines.programs import refusal


def resolve_what_if(config, models):
    """Return ``{network: why filters cannot be switched off on a page}``, "" where they can.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    models : dict of str to Model
    """
    return {name: _refusal(config, model) for name, model in models.items()}


def _refusal(config, model):
    if not config["what_if"]:
        return "The configuration says what_if: false."
    if model.weights is None:
        return "The weights of the network were not published."
    return refusal(model.graph, model.score)
