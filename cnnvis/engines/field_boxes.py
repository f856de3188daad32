"""The arithmetic of receptive fields: boxes of the elements of a blob, and how layers join them.

Boxes are arrays (4, channels, rows, columns): top, left, -bottom and -right, the last row and
column included, so that the smallest box around several is their minimum. Where all channels have
the same boxes, there is one.
"""

import functools
import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

NOTHING = 1 << 29
"""The coordinates of an empty box, but for shifts, which are far smaller."""
NOWHERE = -NOTHING
"""The position of an element that a window has no element at."""


class NoStrideError(Exception):
    """A layer joins boxes that do not move alike; the message says what it does."""


@dataclass(frozen=True, eq=False)
class _Boxes:
    boxes: np.ndarray

    def with_boxes(self, boxes):
        """Return other boxes that move in the same way."""
        return replace(self, boxes=boxes)

    @property
    def is_empty(self):
        """Whether no element is computed from the image."""
        return self.boxes[0].min() > NOTHING // 2

    def window(self, axis, size, stride, taps):
        """Return the boxes of `size` windows along an axis, `stride` elements apart.

        Parameters
        ----------
        axis : {0, 1}
        size, stride : int
        taps : ndarray of int
            The elements of the first window.
        """
        return self.gather(axis, size, stride, lambda place: place * stride + taps)

    def transposed_window(self, axis, size, stride, taps):
        """Return the boxes of `size` elements that the windows of the bottom's elements add to."""

        def elements(place):
            element, rest = np.divmod(place - taps, stride)
            return np.where(rest == 0, element, NOWHERE)

        return self.gather(axis, size, Fraction(1, stride), elements)

    def whole(self, axis, length, size=1):
        """Return the boxes of `size` elements computed from all `length` along an axis."""
        return self.gather(axis, size, 0, lambda place: place * 0 + np.arange(length))

    def part(self, axis, first, last):
        """Return the boxes of some elements along an axis."""
        return self.gather(axis, last - first, 1, lambda place: place + first)

    def channels(self, first, last):
        """Return the boxes of some channels."""
        return self if self.boxes.shape[1] == 1 else self.with_boxes(self.boxes[:, first:last])

    def grouped(self, groups, channels):
        """Return the boxes of channels that are computed from all of their group."""
        _, count, *places = self.boxes.shape
        if count == 1:
            return self
        boxes = self.boxes.reshape(4, groups, count // groups, *places).min(axis=2)
        return self.with_boxes(boxes if groups == 1 else boxes.repeat(channels // groups, axis=1))

    def near_channels(self, reach):
        """Return the boxes of channels that are computed from `reach` to either side, too."""
        count, boxes = self.boxes.shape[1], self.boxes.copy()
        for shift in range(1, min(reach, count - 1) + 1):
            np.minimum(boxes[:, shift:], self.boxes[:, :-shift], out=boxes[:, shift:])
            np.minimum(boxes[:, :-shift], self.boxes[:, shift:], out=boxes[:, :-shift])
        return self.with_boxes(boxes)

    @classmethod
    def join(cls, parts, size):
        """Return the boxes of elements that are computed from the same element of each part.

        Parameters
        ----------
        parts : list of the same class
        size : (int, int)
            How many rows and columns of elements there are.
        """
        parts = cls.aligned([part for part in parts if not part.is_empty] or parts, size)
        return parts[0].with_boxes(functools.reduce(np.minimum, [part.boxes for part in parts]))

    @classmethod
    def beside(cls, parts, counts, size):
        """Return the boxes of the channels of several parts, which have `counts` of them."""
        parts = cls.aligned(parts, size)
        shapes = [(4, count, *parts[0].boxes.shape[2:]) for count in counts]
        boxes = [np.broadcast_to(p.boxes, shape) for p, shape in zip(parts, shapes, strict=True)]
        return parts[0].with_boxes(np.concatenate(boxes, axis=1))


class Inside(_Boxes):
    """Clipped boxes: of every element, and what is beyond the border of a blob is left out."""

    @classmethod
    def of_input(cls, shape, is_image):
        """Return the boxes of an input: each element's own position, or nothing."""
        boxes = np.full((4, 1, *_size(shape)), NOTHING, np.int32)
        if is_image:
            boxes[0], boxes[1] = np.ogrid[: boxes.shape[2], : boxes.shape[3]]
            boxes[2:] = -boxes[:2]
        return cls(boxes)

    def gather(self, axis, size, step, elements):
        """Return the boxes of `size` elements that are computed from some of these each.

        Parameters
        ----------
        axis : {0, 1}
        size : int
        step : int or Fraction
            How much farther these are for the next element.
        elements : callable
            Returns their positions, (size, count), for the new elements' positions, (size, 1).
        """
        positions = elements(np.arange(size)[:, np.newaxis])
        length = self.boxes.shape[axis + 2]
        positions[(positions < 0) | (positions >= length)] = length
        beyond = np.full_like(self.boxes.take([0], axis + 2), NOTHING)
        padded = np.concatenate([self.boxes, beyond], axis + 2)
        parts = (padded.take(column, axis + 2) for column in positions.T)
        return Inside(functools.reduce(np.minimum, parts))

    def spread(self, shape):
        """Return one box as that of every element of a blob of this shape."""
        return Inside(np.broadcast_to(self.boxes, (4, self.boxes.shape[1], *_size(shape))))

    @staticmethod
    def aligned(parts, size):
        """Return the parts as they are: all have every element's box."""
        return parts

    @staticmethod
    def stacked(parts, axis, lengths):
        """Return the boxes of parts one after the other along an axis."""
        channels = max(part.boxes.shape[1] for part in parts)
        boxes = [part.boxes for part in parts]
        boxes = [np.broadcast_to(array, (4, channels, *array.shape[2:])) for array in boxes]
        return Inside(np.concatenate(boxes, axis + 2))


@dataclass(frozen=True, eq=False)
class Endless(_Boxes):
    """Boxes where blobs go on beyond their borders: of one period of rows and of columns.

    Attributes
    ----------
    advance : tuple of int
        (vertical, horizontal) pixels by which the boxes of the next period are farther.
    """

    advance: tuple

    @classmethod
    def of_input(cls, shape, is_image):
        """Return the boxes of an input, as `Inside.of_input`."""
        return cls(np.full((4, 1, 1, 1), 0 if is_image else NOTHING, np.int64), (1, 1))

    def stride(self, axis):
        """Return by how many pixels boxes move along an axis, a Fraction."""
        return Fraction(self.advance[axis], self.boxes.shape[axis + 2])

    def gather(self, axis, size, step, elements):
        """Return the boxes of elements that are computed from some of these; see `Inside.gather`.

        The new period is the shortest after which the step has come to whole periods of the old.
        """
        stride = self.stride(axis) * step
        period = Fraction(step, self.boxes.shape[axis + 2]).denominator
        boxes = self._at(axis, elements(np.arange(period)[:, np.newaxis]))
        return Endless(boxes, _replaced(self.advance, axis, int(stride * period)))

    def _at(self, axis, positions):
        """Return the boxes around those at `positions`, (size, count), of an axis."""
        turns, phases = np.divmod(positions, self.boxes.shape[axis + 2])
        moves, missing = turns * self.advance[axis], positions == NOWHERE
        parts = []
        for phase, move, empty in zip(phases.T, moves.T, missing.T, strict=True):
            part = self.boxes.take(phase, axis + 2)
            along = (slice(None), np.newaxis) if axis == 0 else ...
            part[axis] += move[along]
            part[axis + 2] -= move[along]
            parts.append(np.where(empty[along], NOTHING, part))
        return functools.reduce(np.minimum, parts)

    def at(self, y, x):
        """Return the box of one element, (4,), all channels taken together."""
        rows = self.with_boxes(self._at(0, np.array([[y]])))
        return rows._at(1, np.array([[x]])).min(axis=1).ravel()

    def spread(self, shape):
        """Return one box as that of every element: it does not move."""
        return self

    @staticmethod
    def aligned(parts, size):
        """Return parts with the same periods.

        Raises
        ------
        NoStrideError
            If they move by different strides. Where one does not move and has the others within
            it, as the scale of a squeeze-and-excitation block, theirs count as one box, too: then
            they are those of the whole blob also where a Slice takes them apart again.
        """
        for axis in (0, 1):
            parts = _still(parts, axis, size[axis])
            period = math.lcm(*(part.boxes.shape[axis + 2] for part in parts))
            advance = [int(part.stride(axis) * period) for part in parts if not part.is_empty]
            places = np.arange(period)[:, np.newaxis]
            parts = [
                Endless(p._at(axis, places), _replaced(p.advance, axis, (advance or [0])[0]))
                for p in parts
            ]
        return parts

    @staticmethod
    def stacked(parts, axis, lengths):
        """Return the boxes of parts one after the other: one, where each continues the other.

        Raises
        ------
        NoStrideError
            If one does not.
        """
        firsts = np.cumsum([0, *lengths[:-1]])
        moved = [
            part.part(axis, -first, length)
            for part, first, length in zip(parts, firsts, lengths, strict=True)
        ]
        first, *others = Endless.aligned(moved, (1, 1))
        if not all((other.boxes == first.boxes).all() for other in others):
            raise NoStrideError("joins parts that are not neighbours in the input")
        return first

    def extent(self, axis):
        """Return size, stride and offset of the boxes along an axis: int, or Fraction.

        The box of each element is within that of the same size at offset + stride * position, and
        none smaller has them all.
        """
        boxes, stride = self.boxes.min(axis=1), self.stride(axis)
        starts, ends = (boxes[side].min(axis=1 - axis) for side in (axis, axis + 2))
        there = [(int(a), 1 - int(b), n) for n, (a, b) in enumerate(zip(starts, ends, strict=True))]
        there = [(a, b, n) for a, b, n in there if a <= NOTHING // 2]
        offset = min(start - stride * place for start, _, place in there)
        size = max(end - stride * place for _, end, place in there) - offset
        return tuple(int(n) if n == int(n) else n for n in (size, stride, offset))


def _still(parts, axis, length):
    """Return parts of one stride: all with stride 0 where one does not move and holds the rest."""
    filled = [part for part in parts if not part.is_empty]
    strides = sorted({part.stride(axis) for part in filled})
    if len(strides) < 2:
        return parts
    whole = [part.whole(axis, length) for part in parts]
    held = [part.boxes[axis::2].min(axis=(1, 2, 3)) for part in whole if not part.is_empty]
    still = [part.boxes[axis::2].max(axis=(1, 2, 3)) for part in filled if not part.stride(axis)]
    if not still or (np.min(held, axis=0) < np.min(still, axis=0)).any():
        raise NoStrideError(f"joins branches with strides {' and '.join(map(str, strides))}")
    return whole


def _replaced(pair, axis, value):
    return (value, pair[1]) if axis == 0 else (pair[0], value)


def _size(shape):
    return tuple(shape[2:]) if len(shape) == 4 else (1, 1)
