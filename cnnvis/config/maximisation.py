"""The key maximisation: checked, and arranged in tables.

This module is what `cnnvis.config.checks` and `cnnvis.config.tables` are to the other keys.
"""

from dataclasses import asdict, replace

from cnnvis.config.checks import check_neuron, chosen_layers, unknown
from cnnvis.config.presets import PRESETS
from cnnvis.core.errors import suggest
from cnnvis.core.files import safe_name
from cnnvis.core.schema_errors import dotted


def check_maximisation(config, names, models):
    """Yield one line per mistake in the key maximisation.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    names : dict of str to list of str
        All ``networks`` that the user named.
    models : dict of str to Model
        Of the networks that can be run.
    """
    wanted = config["maximisation"]
    for key in ("layers", "neurons"):
        if _is_by_network(key, wanted[key]):
            yield from unknown(
                dotted("maximisation", key), wanted[key], names["networks"], "networks"
            )
    for network, model in models.items():
        yield from _layers(wanted, network, model)
        for neuron in _neurons(wanted, network):
            yield from check_neuron(dotted("maximisation", "neurons"), neuron, model)
    presets = wanted["presets"]
    for name, preset in presets.items() if isinstance(presets, dict) else ():
        yield from _preset(("maximisation", "presets", name), preset or {})


def _layers(wanted, network, model):
    place, convolutions = dotted("maximisation", "layers"), model.info.convolutions
    for layer, filters in _filters(wanted, network).items():
        if layer not in convolutions:
            near = suggest(layer, convolutions)
            yield f"{place}{network} has no convolution named {layer!r}; {near}"
            continue
        last = convolutions[layer].shape[0] - 1
        for number in filters if filters != "all" else ():
            if number > last:
                yield f"{place}{layer} of {network} has no filter {number}; expected 0 to {last}"
        if safe_name(layer) == safe_name(model.score) and _neurons(wanted, network):
            yield f"{place}{layer} is the score of {network}; name its filters in neurons only"


def _preset(place, preset):
    name = preset.get("preset", place[-1])
    if name not in PRESETS:
        near = suggest(name, PRESETS)
        yield f"{dotted(*place, 'preset')}missing, and {name!r} is not a preset; {near}"
        return
    made = _made(place[-1], preset)
    for key in sorted(preset.keys() - {"preset", "rule", "parametrisation", *made.own()}):
        yield (
            f"{dotted(*place, key)}does not apply to rule {made.rule} with parametrisation "
            f"{made.parametrisation}; expected {', '.join(made.own())}"
        )


def _made(name, preset):
    """Return the `Preset` of an entry."""
    changes = {key: value for key, value in preset.items() if key != "preset"}
    return replace(PRESETS[preset.get("preset", name)], **changes)


def _is_by_network(key, value):
    """Return whether a value is a mapping from names of networks."""
    if key == "neurons":
        return isinstance(value, dict)
    return bool(value) and all(isinstance(filters, dict) for filters in value.values())


def _filters(wanted, network):
    """Return ``{layer: "all" or the numbers of filters}`` of a network."""
    layers = wanted["layers"]
    return layers.get(network, {}) if _is_by_network("layers", layers) else layers


def _neurons(wanted, network):
    """Return the numbers of neurons, none for "all"."""
    chosen = chosen_layers(wanted["neurons"], network) or []
    return [] if chosen == "all" else chosen


def resolve_maximisation(config, models):
    """Return the tables of a configuration that is right.

    Returns
    -------
    dict
        ``presets``: {preset: what a `Preset` is made of}; ``seeds``; and ``networks``: {network:
        {layer, or the score, as in paths: {``layer`` (None for neurons), ``blob``, ``channels``}}}.
    """
    wanted = config["maximisation"]
    presets, most = wanted["presets"], wanted.get("steps")
    entries = presets if isinstance(presets, dict) else dict.fromkeys(presets)
    made = {name: _made(name, entry or {}) for name, entry in entries.items()}
    return {
        "presets": {
            name: {**asdict(preset), "steps": min(preset.steps, most or preset.steps)}
            for name, preset in made.items()
        },
        "seeds": wanted["seeds"],
        "networks": {
            network: _targets(wanted, network, model) for network, model in models.items()
        },
    }


def _targets(wanted, network, model):
    targets = {}
    for layer, filters in _filters(wanted, network).items():
        convolution = model.info.convolutions[layer]
        chosen = list(range(convolution.shape[0])) if filters == "all" else filters
        if chosen:
            targets[safe_name(layer)] = {
                "layer": layer,
                "blob": convolution.blob,
                "channels": chosen,
            }
    neurons = chosen_layers(wanted["neurons"], network) or []
    neurons = list(range(model.classes)) if neurons == "all" else neurons
    if neurons:
        targets[safe_name(model.score)] = {
            "layer": None,
            "blob": model.score,
            "channels": neurons,
        }
    return targets
