"""Which elements of a network activation maximisation is about, and what of the input they see.

Of a filter it is the value in the middle of its feature map (row height // 2, column width // 2),
before a ReLU or the like changes it in place: a negative value has a gradient, too. Only the
receptive field affects it. Of a neuron it is the score, before the softmax.
"""

import tempfile
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from cnnvis.caffe.deploy import text_up_to
from cnnvis.engines.receptive_fields import receptive_fields


@dataclass(frozen=True)
class Target:
    """Which elements of a network are maximised, and what of its input they depend on.

    Attributes
    ----------
    model : Model
        The network, or the part of it that ends with the layer.
    blob : str
        The elements' blob in it.
    input_shape, shape : tuple of int
        Of its input, which may be smaller than the whole network's, and of the blob.
    at : tuple of int
        Row and column of the elements.
    corner : tuple of int
        Top and left of the picture in this input.
    box : tuple of int
        (top, left, height, width) of the picture in the whole network's input.
    """

    model: object
    blob: str
    input_shape: tuple
    shape: tuple
    at: tuple
    corner: tuple
    box: tuple

    def elements(self, channels):
        """Return the numbers of the elements in channels, counted over the blob in C order."""
        return elements(self.shape, self.at, channels)

    def picture(self, inputs):
        """Return the part of arrays (..., height, width) that is the picture."""
        (top, left), (_, _, height, width) = self.corner, self.box
        return inputs[..., top : top + height, left : left + width]


def centre(shape):
    """Return the row and the column in the middle of (channels, height, width).

    >>> centre((96, 55, 55)), centre((10,))
    ((27, 27), (0, 0))
    """
    return tuple(size // 2 for size in (*shape, 1, 1)[1:3])


def elements(shape, at, channels):
    """Return the numbers of the elements at one place in channels, counted in C order.

    >>> elements((96, 55, 55), (27, 27), [0, 1]), elements((10,), (0, 0), [3])
    ([1512, 4537], [3])
    """
    _, height, width = (*shape, 1, 1)[:3]
    return [(channel * height + at[0]) * width + at[1] for channel in channels]


def target_of(model, layer=None):
    """Return a context in which the `Target` of a layer's filters is there, or of the neurons."""
    return nullcontext(_neurons(model)) if layer is None else _filters(model, layer)


def _neurons(model):
    shape, scores = model.info.input_shape, model.info.blobs[model.score]
    return Target(model, model.score, shape, scores, (0, 0), (0, 0), (0, 0, *shape[1:]))


@contextmanager
def _filters(model, layer):
    """Give the `Target` of a layer's filters, as long as its temporary prototxt is there.

    Where there is no padding in the receptive field, the network runs on this part of the input,
    and on as much above and left of it as moves the element by a multiple of the stride: values are
    those in the whole input.
    """
    with tempfile.TemporaryDirectory(prefix="cnnvis-") as folder:
        prototxt = Path(folder) / Path(model.prototxt).name
        prototxt.write_bytes(text_up_to(model.prototxt, layer, model.input_shape))
        yield _filter_target(replace(model, prototxt=str(prototxt), surplus="ignore"), layer)


def _filter_target(model, layer):
    value, (channels, *sizes) = model.graph.node(layer).tops[0], model.info.input_shape
    blob = model.graph.values[value].blob
    middle, field = centre(model.info.blobs[blob]), receptive_fields(model.graph)[value]
    box = field.box(*middle)
    ends = zip(middle, box[:2], box[2:], sizes, _strides(model, field, middle), strict=True)
    axes = [_part(*each) for each in ends]
    sizes = [size for _, _, size in axes]
    shapes, _ = model.graph.shapes({next(iter(model.graph.inputs)): (1, channels, *sizes)})
    return Target(
        model=model,
        blob=blob,
        input_shape=(channels, *sizes),
        shape=shapes[value][1:],
        at=tuple(place for place, _, _ in axes),
        corner=tuple(first for _, first, _ in axes),
        box=(box.top, box.left, box.bottom - box.top, box.right - box.left),
    )


def _strides(model, field, middle):
    """Return by how many pixels elements with equal values differ in place, 0 where by none."""
    # Elements behind a Deconvolution differ in what they see, even next to each other, and those
    # behind branches with different strides.
    transposed = any(node.layer.param.type == "Deconvolution" for node in model.graph.nodes)
    if transposed or field.refusal:
        return 0, 0
    strides, whole = field.stride, field.box(*middle, clipped=False)
    # What a field that is clipped sees of the padding depends on its place.
    clipped = field.box(*middle)
    inside = [
        (whole[axis], whole[axis + 2]) == (clipped[axis], clipped[axis + 2]) for axis in (0, 1)
    ]
    return [int(stride) if each else 0 for stride, each in zip(strides, inside, strict=True)]


def _part(place, first, last, size, stride):
    """Return the element's place, its field's first pixel and the input's size along an axis."""
    if not stride:
        return place, first, size
    left_out = min(place, first // stride)
    return place - left_out, first - left_out * stride, last - left_out * stride
