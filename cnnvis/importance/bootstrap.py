"""How far a result over images would vary with other images: the Poisson bootstrap.

Every image counts in every replicate as often as a random number says, which has a Poisson
distribution of mean 1. That is a bootstrap whose number of images varies a little, too, and it can
be summed in one pass (Hanley and MacGibbon 2006, Creating non-parametric bootstrap samples using
Poisson frequencies). The numbers depend on the image's name alone, so that jobs that sum different
things over the same images do so over the same replicates.
"""

import zlib

import numpy as np

REPLICATES = 200
# The interval that is reported, in percent of the replicates.
ENDS = (5, 95)


def counts(images):
    """Return how often images count in each replicate.

    Parameters
    ----------
    images : list of str
        Their paths.

    Returns
    -------
    ndarray of float64, (REPLICATES + 1, images)
        The first row is all ones: the images themselves.
    """
    drawn = [
        np.random.default_rng(zlib.crc32(image.encode())).poisson(1, REPLICATES) for image in images
    ]
    drawn = np.array(drawn, np.float64).reshape(len(images), REPLICATES)
    return np.vstack([np.ones(len(images)), drawn.T])


def interval(values):
    """Return the `ENDS` of values of the replicates, those that are NaN left out.

    Returns
    -------
    list of 2 float, or None where all are NaN
    """
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    return np.percentile(values, ENDS).tolist() if len(values) else None
