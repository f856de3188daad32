"""Receptive fields: the part of the input that an element of a blob is computed from.

One walk through the graph finds the boxes of all elements of every value. It is made in two ways:

- blobs end at their borders, and what a window reads beyond counts for nothing: these boxes are
  clipped, and exact for each element of any graph;
- blobs go on beyond their borders: these boxes are not clipped, and have a size, a stride and an
  offset. Where a layer joins branches whose strides differ, they have none.

Of several branches it is the smallest box that holds all. Channels are told apart until a layer
mixes them; the images of a batch are not, where a layer joins them. A blob without height and width
(behind InnerProduct, Flatten...) has one box, that of all its elements; a Reshape counts as such a
layer, too. What reads a whole blob, as a global pooling does, has stride 0: its box stays.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from cnnvis.core.errors import UserError, suggest
from cnnvis.engines.field_boxes import NOTHING, Endless, Inside, NoStrideError

# Layers whose elements are taken to be computed from all of their bottom.
COMPLETE = {"Flatten", "InnerProduct", "Reduction", "Reshape", "Silence"}


class Box(NamedTuple):
    """A part of the input, ``image[..., top:bottom, left:right]``; all zeros where it is empty."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive fields of the elements of a blob, all of its channels taken together.

    Attributes
    ----------
    blob : str
    positions : tuple of int
        (height, width) of the blob; (1, 1) for one without.
    """

    blob: str
    positions: tuple
    _network: "_Network"
    _value: int

    @property
    def size(self):
        """(height, width) of an element's box, not clipped, in pixels: int.

        Behind a Deconvolution, elements with larger and smaller boxes may alternate. It is then
        the size of the smallest box that, moved by the stride, holds each: int, or Fraction.
        """
        return tuple(size for size, _, _ in self._extents)

    @property
    def stride(self):
        """(vertical, horizontal) pixels from one element's box to the next's: int or Fraction."""
        return tuple(stride for _, stride, _ in self._extents)

    @property
    def offset(self):
        """(top, left) of element (0, 0)'s box, not clipped; negative where there is padding."""
        return tuple(offset for _, _, offset in self._extents)

    def box(self, y=0, x=0, clipped=True):
        """Return the `Box` of element (y, x).

        Parameters
        ----------
        y, x : int
            Its row and column in the blob, 0 in one without.
        clipped : bool
            Whether it is what the element is computed from, exactly, and empty where that is
            padding alone; or where its windows lie if all blobs go on beyond their borders.

        Raises
        ------
        UserError
            If there is no such element; if not `clipped`, also where there is no one stride.
        """
        if not (0 <= y < self.positions[0] and 0 <= x < self.positions[1]):
            raise UserError(
                f"blob {self.blob}: there is no element ({y}, {x}), expected y from 0 to "
                f"{self.positions[0] - 1} and x from 0 to {self.positions[1] - 1}"
            )
        top, left, bottom, right = map(
            int, self._clipped[:, y, x] if clipped else self._endless.at(y, x)
        )
        return Box(top, left, 1 - bottom, 1 - right) if top < NOTHING // 2 else Box(0, 0, 0, 0)

    @cached_property
    def _clipped(self):
        return self._network.clipped(self._value).boxes.min(axis=1)

    @property
    def refusal(self):
        """Why there are clipped boxes only, without one size, stride and offset; or None."""
        endless = self._network.endless[self._value]
        return endless if isinstance(endless, str) else None

    @property
    def _endless(self):
        if self.refusal:
            raise UserError(
                f"{self._network.graph.source}: {self.refusal}; blob {self.blob} has no one size, "
                "stride and offset, ask for clipped boxes"
            )
        return self._network.endless[self._value]

    @cached_property
    def _extents(self):
        return self._endless.extent(0), self._endless.extent(1)


def receptive_field(prototxt, blob, data=None, input_shape=None):
    """Return the receptive field of a blob's elements, from the text of the network alone.

    Parameters
    ----------
    prototxt : str or Path
        The network's ``deploy.prototxt``.
    blob : str
    data : str, optional
        The input in which it is; by default the first that has height and width.
    input_shape : sequence of 3 int, optional
        (C, H, W), for a ``train_val.prototxt`` that does not specify it.

    Returns
    -------
    ReceptiveField

    Raises
    ------
    UserError
        If the file is not usable, or the blob does not exist or is not computed from the input.

    Examples
    --------
    >>> import cnnvis                                                  # doctest: +SKIP
    >>> field = cnnvis.receptive_field("deploy.prototxt", "conv5")     # doctest: +SKIP
    >>> field.size, field.stride, field.offset                         # doctest: +SKIP
    ((163, 163), (16, 16), (-64, -64))
    >>> field.box(0, 6)                                                # doctest: +SKIP
    Box(top=0, left=32, bottom=99, right=195)
    """
    from cnnvis.engines.numpy.graph import read_graph

    graph = read_graph(prototxt, input_shape)
    field = receptive_fields(graph, data)[graph.value(blob)]
    if field is None:
        images = f"the input{f' {data}' if data else ''}"
        raise UserError(f"{prototxt}: blob {blob} is not computed from {images}")
    return field


def receptive_fields(graph, data=None):
    """Return the receptive field of every value of a network.

    Parameters
    ----------
    graph : cnnvis.engines.numpy.graph.Graph
    data : str, optional
        See `receptive_field`.

    Returns
    -------
    list of ReceptiveField or None
        By number of the value; None where it is not computed from the input.

    Raises
    ------
    UserError
        If there is no such input.
    """
    network = _Network(graph, data)
    fields = []
    for value, (shape, boxes) in enumerate(zip(network.shapes, network.endless, strict=True)):
        reads = isinstance(boxes, str) or not boxes.is_empty
        blob = graph.values[value].blob
        fields.append(ReceptiveField(blob, _size(shape), network, value) if reads else None)
    return fields


class _Network:
    """A graph with the boxes of its values that are not clipped, or why there are none."""

    def __init__(self, graph, data):
        self.graph = graph
        self.shapes, _ = graph.shapes(graph.inputs)
        images = [blob for blob, shape in graph.inputs.items() if len(shape) == 4]
        if not images or data not in (None, *images):
            wanted = f"input {data!r}" if data else "input"
            raise UserError(
                f"{graph.source}: there is no {wanted} with height and width; "
                f"{suggest(data or '', images)}"
            )
        blobs = {graph.values[value].blob: value for value in graph.input_values}
        self.image = blobs[data or images[0]]
        self.endless = self._walk(Endless, range(len(self.shapes)))

    def clipped(self, value):
        """Return the `Inside` of one value."""
        return self._walk(Inside, [value])[value]

    def _walk(self, kind, wanted):
        """Return boxes by value, those of `wanted`; of others they may be gone."""
        fields, wanted = [None] * len(self.shapes), frozenset(wanted)
        nodes = self.graph.ancestors(wanted)
        for value in self.graph.input_values:
            fields[value] = kind.of_input(self.shapes[value], value == self.image)
        last = {value: node for node in nodes for value in node.bottoms}
        for node in nodes:
            for value, top in zip(node.tops, self._tops(kind, node, fields), strict=True):
                fields[value] = top
            for value in frozenset(node.bottoms) - wanted:
                if last[value] is node:
                    fields[value] = None  # the boxes of a large blob take 16 bytes an element
        return fields

    def _tops(self, kind, node, fields):
        bottoms = [fields[value] for value in node.bottoms]
        reasons = [bottom for bottom in bottoms if isinstance(bottom, str)]
        if reasons:
            return [reasons[0]] * len(node.tops)
        before, after = ([self.shapes[v] for v in values] for values in (node.bottoms, node.tops))
        try:
            return _tops(kind, node.layer, bottoms, before, after)
        except NoStrideError as error:
            return [f"layer {node.layer.name} {error}"] * len(node.tops)


def _tops(kind, layer, bottoms, before, after):
    """Return the boxes of a layer's tops from those of its bottoms, and the shapes of both."""
    name = layer.param.type
    if layer.elementwise:
        return [kind.join(bottoms, _size(before[0]))] * len(after)
    if name in COMPLETE or any(len(shape) != 4 for shape in (*before, *after)):
        every = [_all(*each) for each in zip(bottoms, before, strict=True)]
        return [kind.join(every, (1, 1)).spread(shape) for shape in after]
    return RULES[name](layer, bottoms, before, after)


def _all(fields, shape):
    """Return the one box of all elements of a blob."""
    return _plane(fields, shape).grouped(1, 1)


def _plane(fields, shape):
    """Return the one box of all elements of each channel."""
    height, width = _size(shape)
    return fields.whole(0, height).whole(1, width)


def _convolution(layer, bottoms, before, after):
    window = layer.window
    sides = list(zip(window.kernel, window.stride, window.pad, window.dilation, strict=True))
    tops = []
    for top, shape in zip(bottoms, after, strict=True):
        top = top.grouped(layer.group, shape[1])
        for axis, (kernel, stride, pad, dilation) in enumerate(sides):
            move = top.transposed_window if layer.transposed else top.window
            top = move(axis, shape[2 + axis], stride, np.arange(kernel) * dilation - pad)
        tops.append(top)
    return tops


def _pooling(layer, bottoms, before, after):
    top = bottoms[0]
    if layer.pooling.global_pooling:
        return [_plane(top, before[0])] * len(after)
    for axis, size in enumerate(after[0][2:]):
        taps = np.arange(layer.kernel[axis]) - layer.pad[axis]
        top = top.window(axis, size, layer.stride[axis], taps)
    return [top] * len(after)


def _lrn(layer, bottoms, before, after):
    top = bottoms[0]
    if not layer.within:
        return [top.near_channels(layer.reach)]
    for axis, size in enumerate(after[0][2:]):
        top = top.window(axis, size, 1, np.arange(layer.size) - layer.reach)
    return [top]


def _mvn(layer, bottoms, before, after):
    across = layer.param.mvn_param.across_channels
    reads = _all if across else _plane
    return [reads(bottoms[0], before[0]).spread(after[0])]


def _softmax(layer, bottoms, before, after):
    return _along(layer.param.softmax_param.axis, layer, bottoms, before, after)


def _argmax(layer, bottoms, before, after):
    if layer.along:
        return _along(layer.argmax.axis, layer, bottoms, before, after)
    return [_all(bottoms[0], before[0]).spread(after[0])]


def _along(axis, layer, bottoms, before, after):
    """Return the boxes of elements that are computed from all along one axis."""
    axis = layer.axis(axis, before[0])
    if axis < 2:
        return [bottoms[0].grouped(1, 1) if axis == 1 else bottoms[0]]
    return [bottoms[0].whole(axis - 2, before[0][axis], after[0][axis])]


def _concat(layer, bottoms, before, after):
    axis, kind, size = layer.along(before[0]), type(bottoms[0]), _size(before[0])
    if axis == 0:
        return [kind.join(bottoms, size)]
    lengths = [shape[axis] for shape in before]
    if axis == 1:
        return [kind.beside(bottoms, lengths, size)]
    return [kind.stacked(bottoms, axis - 2, lengths)]


def _slice(layer, bottoms, before, after):
    axis, edges = layer.along(before[0]), layer.edges(before[0])
    return [_part(bottoms[0], axis, *ends) for ends in zip(edges, edges[1:], strict=False)]


def _crop(layer, bottoms, before, after):
    top = bottoms[0]
    place, start = layer.place(*before)
    for axis in range(start, len(place)):
        top = _part(top, axis, place[axis].start, place[axis].stop)
    return [top]


def _part(fields, axis, first, last):
    if axis < 2:
        return fields.channels(first, last) if axis == 1 else fields
    return fields.part(axis - 2, first, last)


def _size(shape):
    return tuple(shape[2:]) if len(shape) == 4 else (1, 1)


RULES = {
    **{"Convolution": _convolution, "Deconvolution": _convolution, "Pooling": _pooling},
    **{"LRN": _lrn, "MVN": _mvn, "Softmax": _softmax, "ArgMax": _argmax},
    **{"Concat": _concat, "Slice": _slice, "Crop": _crop},
}
