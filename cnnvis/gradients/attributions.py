"""Other ways to say what a neuron depends on, from the gradient and the weights or the image.

- gradient x weight: what each weight contributes to the score, to first order. Where a network is
  homogeneous in a layer's weights (ReLU, pooling, no biases above and in it), the contributions of
  that layer sum to the score itself (Euler's theorem).
- the gradient of the loss, ``-log softmax(score)[cls]``, instead of that of the score: it also
  knows the other classes, ``d loss / d w = sum_j (p_j - [j = cls]) d score_j / d w``.
- the gradient by the image: a saliency map (Simonyan, Vedaldi and Zisserman 2013, "Deep inside
  convolutional networks": the largest magnitude over the colours of a pixel).

Their volumes are those channel by channel of `cnnvis.gradients.volumes`.
"""

from dataclasses import dataclass

import numpy as np

from cnnvis.activations.forward import to_probabilities


@dataclass(frozen=True)
class Kind:
    """A kind of attribution: its name for people, and what it says."""

    title: str
    meaning: str


KINDS = {
    "gradient_x_weight": Kind(
        "Gradient x weight",
        "What each weight contributes to the score, to first order. Red: without this weight the "
        "score would be lower; blue: higher.",
    ),
    "loss": Kind(
        "Gradient of the loss",
        "How the loss, -log of the probability of this class, would change. Blue: a larger weight "
        "makes this answer more probable, against all other classes; red: less.",
    ),
}


def loss_seed(scores, cls):
    """Return the derivative of the loss by each score.

    Parameters
    ----------
    scores : ndarray, (classes,)
    cls : int

    Returns
    -------
    ndarray of float64, (classes,)
        ``p_j - [j = cls]``; for scores that are probabilities already (see
        `cnnvis.activations.forward.to_probabilities`), ``-1 / p`` at `cls` and 0 elsewhere.

    Examples
    --------
    >>> loss_seed(np.array([0.0, 0.0]), 1)
    array([ 0.5, -0.5])
    """
    probabilities, origin = to_probabilities(scores)
    if origin == "score":
        seed = np.zeros(len(scores))
        seed[cls] = -1 / max(probabilities[cls], np.finfo(np.float64).tiny)
        return seed
    seed = probabilities.copy()
    # Not p - 1: of a probability near 1 that leaves only rounding.
    seed[cls] = -np.delete(probabilities, cls).sum()
    return seed


def saliency_map(gradient):
    """Return the largest magnitude over the colours of every pixel (Simonyan et al. 2013).

    Parameters
    ----------
    gradient : ndarray, (channels, height, width)

    Returns
    -------
    ndarray, (height, width)

    Examples
    --------
    >>> saliency_map(np.array([[[1.0, 0.0]], [[-3.0, 2.0]]]))
    array([[3., 2.]])
    """
    return np.abs(gradient).max(axis=0)


def attribute(network, batch, score, cls, gradients, kinds):
    """Compute attributions of one neuron for one image.

    Parameters
    ----------
    network : Engine
    batch : ndarray, (1, C, H, W)
    score : str
        The blob whose elements are the neurons.
    cls : int
    gradients : dict
        ``{layer: gradient of the neuron with respect to its weights}``.
    kinds : list of str
        Of `KINDS`; may be empty.

    Returns
    -------
    dict
        ``{"kind/layer": array of the shape of the layer's weights}``.
    """
    attributions = {}
    if "gradient_x_weight" in kinds:
        for layer, gradient in gradients.items():
            weights = network.params[layer][0].reshape(gradient.shape)
            attributions[f"gradient_x_weight/{layer}"] = gradient * weights
    if "loss" in kinds:
        for layer, array in loss_gradient(network, batch, score, cls, list(gradients)).items():
            attributions[f"loss/{layer}"] = array
    return attributions


def loss_gradient(network, batch, score, cls, layers):
    """Return the gradient of ``-log softmax(score)[cls]`` with respect to weights.

    Parameters
    ----------
    network : Engine
    batch : ndarray, (1, C, H, W)
        One image.
    score : str
        The blob whose elements are the neurons.
    cls : int
    layers : list of str

    Returns
    -------
    dict
        ``{layer: array of the shape of its weights}``.
    """
    scores = network.forward(batch, [score])[score]
    seed = loss_seed(scores.reshape(-1), cls).reshape(scores.shape).astype(network.dtype)
    gradients = network.weight_gradient(batch, score, seed, layers)
    return {layer: array[0] for layer, array in gradients.items()}
