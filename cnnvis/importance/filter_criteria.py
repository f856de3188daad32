"""Criteria by which filters are pruned: what each says of how important a filter is.

For an image, with g the gradient at a filter's weights w and at its bias b:

- ``gradient_norm``: the L2 norm of g at w, of the neuron's score: the study's.
- ``taylor``: |sum of g w|, of the logarithm of the class's probability: how much that would change
  to first order if the weights were zero (Molchanov et al. 2019, Importance estimation for neural
  network pruning).
- ``taylor_activation``: the same with the bias: |sum of g w + sum of g b|. A feature map is linear
  in its weights and bias, so that this is |sum of gradient x feature map| over its positions,
  before a ReLU that follows and behind it, too (Molchanov et al. 2017, Pruning convolutional neural
  networks for resource efficient inference).
- ``taylor_signed``: the same without taking the size, so that filters whose removal would raise
  the probability are the least important.
- ``mean_activation``: the mean of the feature map, behind a ReLU in place.
- ``share_positive``: the share of its positions that are above 0 (Hu et al. 2016, Network
  trimming).

These are averaged over images. Of the weights alone are ``weight_l1`` and ``weight_l2``, the sum of
their sizes and their L2 norm (Li et al. 2017, Pruning filters for efficient convnets).
``selectivity`` is how well the filter's responses tell the class, see
`cnnvis.activations.responses`, and ``random`` is an order that says nothing.
"""

import numpy as np

from cnnvis.activations.forward import to_probabilities
from cnnvis.core.arrays import check_finite
from cnnvis.importance import bootstrap

MEASURED = (
    *("gradient_norm", "taylor", "taylor_activation", "taylor_signed"),
    *("mean_activation", "share_positive"),
)
"""The criteria that are averaged over images."""
STUDY = "gradient_norm"
NAMES_OF_CRITERIA = {
    "gradient_norm": "gradient norm (study)",
    "taylor": "gradient x weight",
    "taylor_activation": "gradient x feature map",
    "taylor_signed": "gradient x map, signed",
    "mean_activation": "mean activation",
    "share_positive": "share of positive values",
    "weight_l1": "L1 norm of weights",
    "weight_l2": "L2 norm of weights",
    "selectivity": "selectivity for the class",
    "random": "random order",
}
"""For people."""


class CriteriaSums:
    """Sums of the criteria of some layers' filters, over images and replicates of the bootstrap.

    Parameters
    ----------
    network : cnnvis.engines.base.Engine
    score : str
        The blob.
    blobs : dict of str to str
        ``{layer: blob of its feature maps}``.

    Attributes
    ----------
    sums : dict of str to ndarray
        ``LAYER/criteria`` (replicates + 1, `MEASURED`, filters) for every layer, and ``groups``
        (replicates + 1,), how many images each replicate has.
    """

    def __init__(self, network, score, blobs):
        self.network, self.score, self.blobs = network, score, blobs
        replicates = len(bootstrap.counts([]))
        self.sums = {
            f"{layer}/criteria": np.zeros(
                (replicates, len(MEASURED), network.weight_shapes[layer][0][0])
            )
            for layer in blobs
        }
        self.sums["groups"] = np.zeros(replicates)

    def add(self, images, inputs, own, norms):
        """Add some images.

        Parameters
        ----------
        images : list of str
        inputs : ndarray, (images, C, H, W)
        own : ndarray of int, (images,)
            Their classes.
        norms : dict of str to ndarray, (images, filters)
            The norms of the gradients of each layer.

        Raises
        ------
        UserError
            If a feature map or a gradient is not finite.
        """
        values = self.network.forward(inputs, [*self.blobs.values(), self.score])
        seed = gradient_of_log_probability(values[self.score], own)
        gradients, _ = self.network.gradients(inputs, self.score, seed, list(self.blobs))
        counts = bootstrap.counts(images)
        for layer, blob in self.blobs.items():
            check_finite(values[blob], f"layer '{layer}': blob '{blob}'")
            for gradient in gradients[layer]:
                check_finite(gradient, f"gradient of the log-probability at layer '{layer}'")
            effects = first_order(gradients[layer], self.network.params[layer])
            measured = np.array([norms[layer], *effects, *activity(values[blob])])
            self.sums[f"{layer}/criteria"] += np.einsum("gn,cnf->gcf", counts, measured)
        self.sums["groups"] += counts.sum(axis=1)


def gradient_of_log_probability(scores, own):
    """Return the gradient of the logarithm of each image's own probability at the scores.

    Parameters
    ----------
    scores : ndarray of float, (images, classes, ...)
        Of a softmax, or its output, see `cnnvis.activations.forward.to_probabilities`.
    own : ndarray of int, (images,)

    Returns
    -------
    ndarray, as the scores
    """
    flat = scores.reshape(len(scores), -1)
    probabilities, origin = to_probabilities(flat)
    mask = np.arange(flat.shape[1]) == np.asarray(own)[:, np.newaxis]
    if origin == "score":
        gradient = mask / np.maximum(probabilities, np.finfo(np.float32).tiny)
    else:
        gradient = mask - probabilities
    return gradient.astype(scores.dtype).reshape(scores.shape)


def first_order(gradients, params):
    """Return the criteria ``taylor``, ``taylor_activation`` and ``taylor_signed`` of a layer.

    Parameters
    ----------
    gradients : list of ndarray, (images, filters, ...)
        With respect to the weights and, if there is one, the bias.
    params : list of ndarray, (filters, ...)

    Returns
    -------
    list of 3 ndarray of float64, (images, filters)
    """
    products = [
        np.einsum("nfk,fk->nf", _flat(gradient, 2), _flat(values, 1), dtype=np.float64)
        for gradient, values in zip(gradients, params, strict=True)
    ]
    whole = sum(products)
    return [np.abs(products[0]), np.abs(whole), whole]


def activity(maps):
    """Return the criteria ``mean_activation`` and ``share_positive`` (images, filters)."""
    flat = _flat(maps, 2)
    return [flat.mean(axis=2, dtype=np.float64), np.count_nonzero(flat > 0, axis=2) / flat.shape[2]]


def _flat(array, axes):
    return array.reshape(*array.shape[:axes], -1)


def weight_norms(weights):
    """Return the criteria ``weight_l1`` and ``weight_l2`` of weights (filters, ...), as a dict."""
    flat = np.abs(_flat(weights, 1).astype(np.float64))
    return {"weight_l1": flat.sum(axis=1), "weight_l2": np.sqrt((flat**2).sum(axis=1))}
