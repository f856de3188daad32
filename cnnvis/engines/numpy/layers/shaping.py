"""Layers that rearrange numbers without changing them."""

import math

import numpy as np

from cnnvis.engines.numpy.layers.base import Layer


class _View(Layer):
    """Tops that are the bottom's memory, in Caffe as here."""

    is_view = True
    shares_memory = True


class Split(_View):
    """The same blob under several names."""

    elementwise = True
    tops = (1, math.inf)

    def shapes(self, bottoms):
        return [bottoms[0]] * len(self.param.top)


class Flatten(_View):
    """Axes `axis` to `end_axis` become one."""

    def shapes(self, bottoms):
        shape, flatten = bottoms[0], self.param.flatten_param
        first, last = self.axis(flatten.axis, shape), self.axis(flatten.end_axis, shape)
        if last < first:
            self.fail(f"end_axis {flatten.end_axis} comes before axis {flatten.axis}")
        self.scope = "mixed" if first == 0 and last > 0 else "image"
        return [(*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])]


class Reshape(_View):
    """Axes `axis` to `axis + num_axes` get the dimensions given: 0 copies, -1 is inferred."""

    def shapes(self, bottoms):
        shape, reshape = tuple(bottoms[0]), self.param.reshape_param
        start = reshape.axis if reshape.axis >= 0 else len(shape) + 1 + reshape.axis
        stop = len(shape) if reshape.num_axes == -1 else start + reshape.num_axes
        if not 0 <= start <= stop <= len(shape):
            self.fail(f"axis {reshape.axis}, num_axes {reshape.num_axes}: outside {shape}")
        top = list(shape[:start]) + self._dimensions(shape, start) + list(shape[stop:])
        if -1 in top:
            others = -math.prod(top)
            if others == 0 or math.prod(shape) % others:
                self.fail(f"{top} does not divide a blob of shape {shape}")
            top[top.index(-1)] = math.prod(shape) // others
        if math.prod(top) != math.prod(shape):
            self.fail(f"a blob of shape {shape} cannot become {tuple(top)}")
        self.scope = "image" if top and top[:1] == list(shape[:1]) else "mixed"
        return [tuple(top)]

    def _dimensions(self, shape, start):
        dimensions = list(self.param.reshape_param.shape.dim)
        if dimensions.count(-1) > 1:
            self.fail(f"dimensions {dimensions}: at most one may be -1")
        for number, dimension in enumerate(dimensions):
            if dimension == 0:
                if start + number >= len(shape):
                    self.fail(f"dimensions {dimensions}: no axis to copy for 0 number {number}")
                dimensions[number] = shape[start + number]
        return dimensions


class Concat(Layer):
    """Blobs one after the other along one axis."""

    needs_top = False
    bottoms = (1, math.inf)

    def along(self, shape):
        concat = self.param.concat_param
        return self.axis(concat.concat_dim if concat.HasField("concat_dim") else concat.axis, shape)

    def shapes(self, bottoms):
        axis = self.along(bottoms[0])
        self.scope = "mixed" if axis == 0 and len(bottoms) > 1 else "image"
        rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in bottoms}
        if len(rests) != 1 or len({len(shape) for shape in bottoms}) != 1:
            self.fail(f"bottoms of shapes {bottoms}: expected the same but for axis {axis}")
        length = sum(shape[axis] for shape in bottoms)
        return [(*bottoms[0][:axis], length, *bottoms[0][axis + 1 :])]

    def forward(self, work, weights, bottoms, tops):
        np.concatenate(bottoms, axis=self.along(bottoms[0].shape), out=tops[0])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        axis = self.along(bottoms[0].shape)
        edges = np.cumsum([bottom.shape[axis] for bottom in bottoms])[:-1]
        return [part.copy() for part in np.split(dtops[0], edges, axis=axis)]


class Slice(Layer):
    """One blob cut into several along one axis, evenly or at `slice_point`."""

    needs_top = False
    tops = (1, math.inf)

    def along(self, shape):
        cut = self.param.slice_param
        return self.axis(cut.slice_dim if cut.HasField("slice_dim") else cut.axis, shape)

    def edges(self, shape):
        length, points = shape[self.along(shape)], list(self.param.slice_param.slice_point)
        tops = len(self.param.top)
        if not points:
            if length % tops:
                self.fail(f"{tops} tops do not divide an axis of {length} evenly")
            points = [length // tops * number for number in range(1, tops)]
        edges = [0, *points, length]
        if len(points) != tops - 1 or any(a >= b for a, b in zip(edges, edges[1:], strict=False)):
            self.fail(f"slice_point {points}: expected {tops - 1} rising numbers below {length}")
        return edges

    def shapes(self, bottoms):
        shape = bottoms[0]
        axis, edges = self.along(shape), self.edges(shape)
        self.scope = "mixed" if axis == 0 and len(self.param.top) > 1 else "image"
        lengths = np.diff(edges).tolist()
        return [(*shape[:axis], length, *shape[axis + 1 :]) for length in lengths]

    def forward(self, work, weights, bottoms, tops):
        edges = self.edges(bottoms[0].shape)[1:-1]
        parts = np.split(bottoms[0], edges, axis=self.along(bottoms[0].shape))
        for part, top in zip(parts, tops, strict=True):
            np.copyto(top, part)

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        return [np.concatenate(dtops, axis=self.along(bottoms[0].shape))]


class Crop(Layer):
    """The first blob cut to the size of the second, from `axis` on, at `offset`."""

    needs_top = False
    bottoms = (2, 2)

    def place(self, shape, like):
        crop = self.param.crop_param
        start, offsets = self.axis(crop.axis, shape), list(crop.offset)
        if len(offsets) <= 1:
            offsets = (offsets or [0]) * (len(shape) - start)
        if start + len(offsets) != len(shape):
            self.fail(f"{len(offsets)} offsets for {len(shape) - start} axes")
        place = [slice(None)] * start
        for axis, offset in enumerate(offsets, start=start):
            if offset + like[axis] > shape[axis]:
                self.fail(f"offset {offset} and size {like[axis]} reach past axis {axis}: {shape}")
            place.append(slice(offset, offset + like[axis]))
        return tuple(place), start

    def shapes(self, bottoms):
        if len(bottoms[0]) != len(bottoms[1]):
            self.fail(f"bottoms of shapes {bottoms}: expected as many axes")
        _, start = self.place(*bottoms)
        self.scope = "mixed" if start == 0 else "image"
        return [(*bottoms[0][:start], *bottoms[1][start:])]

    def forward(self, work, weights, bottoms, tops):
        place, _ = self.place(bottoms[0].shape, bottoms[1].shape)
        np.copyto(tops[0], bottoms[0][place])

    def backward(self, work, weights, bottoms, tops, dtops, wanted):
        place, _ = self.place(bottoms[0].shape, bottoms[1].shape)
        gradient = np.zeros_like(bottoms[0])
        gradient[place] = dtops[0]
        return [gradient, np.zeros_like(bottoms[1])]


class Silence(Layer):
    """Reads blobs, so that Caffe does not list them as outputs; writes none."""

    bottoms, tops = (1, math.inf), (0, 0)

    def shapes(self, bottoms):
        return []

    def forward(self, work, weights, bottoms, tops):
        pass
