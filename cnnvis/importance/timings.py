"""How long two networks take for the same images, measured in turns.

A machine's speed drifts, so that one network after the other would compare two machines.
"""

import time

import numpy as np

MOST_ROUNDS, LEAST_ROUNDS = 15, 3
# Seconds after which no further round begins.
ENOUGH = 3.0


def milliseconds(pair, images):
    """Return the median time for one image of two functions that are called in turns.

    Parameters
    ----------
    pair : list of 2 callable
        Each computes a batch; a first call, which is not counted, lets it set up what it keeps.
    images : int
        How many images the batch has.

    Returns
    -------
    dict
        ``before`` and ``after``, of the first and of the second function; ``ratio``, the quartiles
        of the second's time as a share of the first's, round by round; and ``rounds``.
    """
    for function in pair:
        function()
    rounds, start = [], time.perf_counter()
    while len(rounds) < LEAST_ROUNDS or (
        len(rounds) < MOST_ROUNDS and time.perf_counter() - start < ENOUGH
    ):
        # The one that begins changes: what the other left in the cache does no harm, or good.
        order = [0, 1] if len(rounds) % 2 else [1, 0]
        rounds.append([0.0, 0.0])
        for number in order:
            begin = time.perf_counter()
            pair[number]()
            rounds[-1][number] = time.perf_counter() - begin
    seconds = np.array(rounds)
    before, after = (float(f"{1e3 * each / images:.3g}") for each in np.median(seconds, axis=0))
    quartiles = np.quantile(seconds[:, 1] / seconds[:, 0], (0.25, 0.5, 0.75))
    ratio = [float(f"{each:.3g}") for each in quartiles]
    return {"before": before, "after": after, "ratio": ratio, "rounds": len(rounds)}


def layer_milliseconds(networks, batch, layers):
    """Return `milliseconds` of some layers alone, of one image, ``{layer: ...}``.

    Parameters
    ----------
    networks : list of 2 cnnvis.engines.numpy.network.Network
    batch : ndarray, (1, C, H, W)
    layers : list of str
    """
    runs = [_layer_runs(network, batch, layers) for network in networks]
    return {layer: milliseconds([run[layer] for run in runs], 1) for layer in layers}


def _layer_runs(network, batch, layers):
    """Return ``{layer: a function that computes it from its bottom}``."""
    nodes = {layer: network.graph.node(layer) for layer in layers}
    inputs = network.input_values(batch)
    bottoms = sorted({node.bottoms[0] for node in nodes.values()} - set(inputs))
    values = network.run(inputs, bottoms)
    given = inputs | {value: values.whole(value) for value in bottoms}

    def runner(node):
        bottom = {node.bottoms[0]: given[node.bottoms[0]]}
        return lambda: network.run(bottom, node.tops[:1])

    return {layer: runner(node) for layer, node in nodes.items()}
