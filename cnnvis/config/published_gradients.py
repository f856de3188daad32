"""Networks that have published gradients instead of weights: which array is whose.

In the configuration they are the key ``gradients`` of a network: a pattern for each layer, with
the words `{image}` and `{cls}`.
"""

from typing import NamedTuple

from cnnvis.config.checks import GROUPS, gradient_layers, networks_of, runs, unknown
from cnnvis.config.files import missing
from cnnvis.config.orderings import compared_neurons
from cnnvis.core.schema_errors import dotted
from cnnvis.inputs.sources import as_file


class PublishedArray(NamedTuple):
    """The gradient of one neuron with respect to the weights of one layer, for one image.

    Attributes
    ----------
    network, image : str
    cls : int
    layer : str
    address : str
        Of the ``.npy`` file, or its path.
    """

    network: str
    image: str
    cls: int
    layer: str
    address: str


def published_arrays(config):
    """Return the published arrays that a configuration needs: a list of `PublishedArray`.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    """
    return [
        PublishedArray(network, image, cls, layer, _fill(patterns[layer], image, cls))
        for network, patterns in _published(config).items()
        for image in config["images"]
        for cls in _neurons(config, network, image)
        for layer in gradient_layers(config, network, None)
        if layer in patterns
    ]


def _published(config):
    return {
        name: network["gradients"]
        for name, network in config["networks"].items()
        if not runs(config, name)
    }


def _fill(pattern, image, cls):
    return pattern.replace("{image}", image).replace("{cls}", str(cls))


def _neurons(config, network, image):
    """Return the neurons whose gradients are wanted for an image, in ascending order."""
    if not networks_of(config["images"][image], [network]):
        return []
    compared = {
        comparison["neuron"]
        for comparison in config["comparisons"].values()
        if networks_of(comparison, [network])
        if any(
            image in comparison[group][verdict]
            for group in GROUPS
            for verdict in ("correct", "wrong")
        )
    }
    ordered = compared_neurons(config, image)
    return sorted({*config["images"][image]["classes"], *compared, *ordered})


def check_published(config, arrays, planned, infos):
    """Yield one line per mistake in published gradients.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    arrays : list of PublishedArray
    planned : dict
        Missing files that a rule will make (see `cnnvis.config.files.place_files`).
    infos : dict of str to NetworkInfo
    """
    for network, patterns in _published(config).items():
        place = ("networks", network, "gradients")
        if network in infos:
            layers, what = infos[network].layers_with_weights, f"layers of {network} with weights"
            yield from unknown(dotted(*place), patterns, layers, what)
        chosen, what = gradient_layers(config, network, None), f"published layers of {network}"
        yield from unknown(dotted("gradients", "layers"), chosen, patterns, what)
        for layer, pattern in patterns.items():
            yield from _pattern(dotted(*place, layer), pattern, config, network)
    for array in arrays:
        place = dotted("networks", array.network, "gradients", array.layer)
        expected = f"the gradient of neuron {array.cls} for image {array.image}"
        yield from missing(place, as_file(array.address)[0], planned, expected)
    for name, collection in config["collections"].items():
        seen = networks_of(collection, config["networks"])
        if seen and not any(runs(config, network) for network in seen):
            yield f"{dotted('collections', name)}needs a network with weights; {seen[0]} has none"


def _pattern(place, pattern, config, network):
    if "{image}" not in pattern:
        yield f"{place}{pattern!r} lacks {{image}}, which stands for the name of an image"
    for image in config["images"] if "{cls}" not in pattern else ():
        neurons = _neurons(config, network, image)
        if len(neurons) > 1:
            yield (
                f"{place}one file cannot be the gradient of the neurons "
                f"{', '.join(map(str, neurons))} for image {image}; expected one neuron in its "
                f"classes and comparisons, or {{cls}} in {pattern!r}"
            )


def resolve_published(config, arrays):
    """Arrange published arrays.

    Returns
    -------
    dict
        {network: {image: {neuron as str: [path of the array of each layer with gradients]}}},
        of networks without weights.
    """
    tables = {network: {} for network in _published(config)}
    for array in arrays:
        neurons = tables[array.network].setdefault(array.image, {})
        neurons.setdefault(str(array.cls), []).append(as_file(array.address)[0])
    return tables
