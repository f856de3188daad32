"""The interface of all methods of convolution."""


class Method:
    """A convolution of images ``bottom`` (N, C, H, W) to ``top`` (N, O, oh, ow).

    ``weights`` are (O, C / groups, kh, kw), so that the number of groups follows from the shapes:
    a method computes any part of a layer's channels and images. What a transposed convolution
    reads is a ``top`` here, and what it writes a ``bottom``.

    Parameters
    ----------
    name : str
        Of the layer, which the method's memory is kept under.
    window : cnnvis.engines.numpy.convolutions.windows.Window
    """

    def __init__(self, name, window):
        self.name, self.window = name, window

    def suits(self, weights, bottom, top):
        """Whether this is the fastest method known for these weights and shapes."""
        raise NotImplementedError

    def forward(self, work, weights, bias, bottom, top):
        """Write the convolution of `bottom`, plus `bias` (O,) unless that is None, to `top`."""
        raise NotImplementedError

    def backward(self, work, weights, top, bottom):
        """Write to `bottom` the gradient with respect to it, where that of the top is `top`."""
        raise NotImplementedError

    def weight_gradient(self, work, gradient, bottom, top):
        """Write the `gradient` with respect to the weights, where that of the top is `top`.

        ``bottom`` (C, H, W) and ``top`` (O, oh, ow) are of one image.
        """
        raise NotImplementedError


def parts(array, count, axis=0):
    """Return `count` equal parts of an array along its first or second axis."""
    # np.split takes longer than a small convolution.
    size = array.shape[axis] // count
    slices = [slice(first, first + size) for first in range(0, size * count, size)]
    return [array[part] if axis == 0 else array[:, part] for part in slices]
