"""Filter outputs as volumes of bytes, as the study wrote them, and binarised.

A volume of a layer has one slice per filter, in the order of an ordering: the bytes of the
array ``(filters, height, width)`` in C order, so x (width) runs fastest and z is the filter::

              z = filter 95
             +-----------+
            /           /|        offset in the file = (z * height + y) * width + x
     z = 0 +-----------+ |
           |  x -->    | |
           |  y        | +
           |  |        |/
           +-----------+

Beside every ``.vox`` stand three headers that describe the same bytes: ``.hd`` (the study's),
``.nhdr`` (NRRD) and ``.mhd`` (MetaImage), the latter two for 3D Slicer, ParaView, ITK and Fiji.
"""

import numbers

import numpy as np

from cnnvis.activations.orderings import read_permutation
from cnnvis.core.arrays import check_finite, check_maps, read_array
from cnnvis.core.errors import UserError
from cnnvis.core.volume_files import to_bytes, write_volume

RULES = ("positive", "otsu", "percentile")


def make_volume(blobs, ordering, vox, binary_vox, *, blob, binarise="positive", percentile=90):
    """Write a layer's outputs as two volumes, grey and binarised, each with its headers.

    Parameters
    ----------
    blobs : str or Path
        The image's ``blobs.npz``.
    ordering : str or Path
        JSON of `cnnvis.activations.orderings.make_ordering`: which filter is which slice.
    vox, binary_vox : str or Path
        The two volumes; the headers take their names.
    blob : str
        The convolution's blob, (filters, height, width).
    binarise : {"positive", "otsu", "percentile"} or float
        Rule of `to_binary`.
    percentile : float
        For the rule "percentile".

    Raises
    ------
    UserError
        If a file, the blob or the rule is not usable.
    """
    outputs = read_array(blobs, blob)
    check_maps(outputs, f"{blobs}: blob '{blob}'")
    permutation = read_permutation(ordering, len(outputs))
    write_volume(vox, to_bytes(outputs)[permutation])
    write_volume(binary_vox, to_binary(outputs, binarise, percentile)[permutation])


def to_binary(outputs, rule="positive", percentile=90):
    """Return 255 where a layer is above a threshold, 0 elsewhere.

    Parameters
    ----------
    outputs : ndarray
        Any shape.
    rule : {"positive", "otsu", "percentile"} or float
        The threshold: 0; Otsu's over the whole layer; that percentile of the whole layer; or the
        number itself, in the blob's units.
    percentile : float
        In [0, 100], for the rule "percentile".

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    UserError
        If the rule is none of these, or a value is NaN or infinite.

    Examples
    --------
    >>> to_binary(np.array([-1.0, 0.0, 2.0]))
    array([  0,   0, 255], dtype=uint8)
    """
    check_finite(outputs, "volume")
    return np.where(outputs > _threshold(outputs, rule, percentile), 255, 0).astype(np.uint8)


def _threshold(outputs, rule, percentile):
    if isinstance(rule, numbers.Real) and not isinstance(rule, bool) and np.isfinite(rule):
        return rule
    if rule == "positive":
        return 0
    if rule == "otsu":
        from skimage.filters import threshold_otsu

        return threshold_otsu(outputs)
    if rule == "percentile":
        if not 0 <= percentile <= 100:
            raise UserError(f"volumes: percentile {percentile} is not between 0 and 100")
        return np.percentile(outputs, percentile)
    expected = ", ".join(RULES)
    raise UserError(f"volumes: binarise '{rule}' is unknown, expected {expected} or a number")
