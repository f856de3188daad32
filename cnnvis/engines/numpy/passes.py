"""The forward and the backward pass of a plan."""

import functools

import numpy as np

# Images that run together may have this many bytes of one value: more would not stay in the
# processor's cache; fewer images of a small network would spend most of the time calling NumPy.
BLOCK_BYTES = 1_000_000


class Values:
    """The arrays of all values of a plan: for the whole batch, or for a few images at a time.

    Parameters
    ----------
    plan : Plan
    given : dict
        ``{value: array (N, ...)}``: the network's inputs, or other values that are known already.
    dtype : dtype
    """

    def __init__(self, plan, given, dtype):
        self.plan, self.dtype = plan, dtype
        self._kept = dict(given)
        for storage in plan.kept:
            if storage not in self._kept:
                self._kept[storage] = np.empty(plan.shapes[storage], dtype)

    def whole(self, value):
        """Return a kept value, all images."""
        return self._kept[self.plan.storage[value]].reshape(self.plan.shapes[value])

    def some(self, work, value, images):
        """Return some images of a value, (images, ...): kept, or in the thread's own memory."""
        storage = self.plan.storage[value]
        shape = (images.stop - images.start, *self.plan.shapes[value][1:])
        if storage in self._kept:
            return self._kept[storage][images].reshape(shape)
        return work.buffer(("value", storage), shape, self.dtype)

    def of(self, node, work, images):
        """Return the bottoms and the tops of a node, of one image, a slice or (None) all."""
        if isinstance(images, int):
            images = slice(images, images + 1)
        if images is None:
            return [self.whole(v) for v in node.bottoms], [self.whole(v) for v in node.tops]
        bottoms = [self.some(work, value, images) for value in node.bottoms]
        return bottoms, [self.some(work, value, images) for value in node.tops]


def forward(plan, params, given, workers, dtype, watch=None):
    """Run the plan's nodes and return their `Values`.

    ``watch(node, work, image, bottoms, tops)`` is called after each node; `image` is None for all.
    """
    values = Values(plan, given, dtype)

    def run(stage, work, images):
        for node in stage.nodes:
            if not node.layer.is_view:
                bottoms, tops = values.of(node, work, images)
                node.layer.forward(work, params.get(node.layer.name, []), bottoms, tops)
                if watch is not None:
                    watch(node, work, images, bottoms, tops)

    size = None if watch else (lambda stage: int(BLOCK_BYTES // (stage.largest * dtype.itemsize)))
    _run_stages(plan.stages, workers, run, size)
    return values


def backward(plan, params, values, seed, workers):
    """Backpropagate along the plan.

    Parameters
    ----------
    seed : ndarray, shape of the plan's first target
        The gradient with respect to it, such as ones at the neurons and zeros elsewhere.

    Returns
    -------
    dict, ndarray or None
        ``{layer: [array (N, ...) per parameter]}``, and the gradient of the input, if asked for.
    """
    backpropagation = _Backpropagation(plan, params, values)
    backpropagation.whole[plan.targets[0]][...] = seed
    _run_stages(reversed(plan.stages), workers, backpropagation.run)
    return backpropagation.weights, backpropagation.whole.get(plan.graph.input_values[0])


def _run_stages(stages, workers, run, size=None):
    """Run ``run(stage, work, images)``, `images` one or, with a `size` of the stage, a slice."""
    for stage in stages:
        if stage.images is None:
            run(stage, workers.shared, None)
            continue
        of_stage = functools.partial(run, stage)
        if size is None:
            workers.over_images(of_stage, stage.images)
        else:
            workers.over_blocks(of_stage, stage.images, size(stage))


class _Backpropagation:
    """The gradients of a backward pass: of weights, and of values that several stages need."""

    def __init__(self, plan, params, values):
        self.plan, self.params, self.values = plan, params, values
        images = plan.shapes[plan.targets[0]][0]
        self.weights = {
            layer: [np.empty((images, *array.shape), values.dtype) for array in params[layer]]
            for layer in (node.layer.name for node in plan.nodes if node in plan.layers)
        }
        self.whole = {
            value: np.zeros(plan.shapes[value], values.dtype) for value in self._crossing()
        }

    def _crossing(self):
        """Return the values whose gradient one stage computes and another reads."""
        crossing = {self.plan.targets[0]}
        for stage in self.plan.stages:
            computed = set()
            for node in stage.nodes:
                if node in self.plan.path:
                    crossing.update(self.plan.wants.intersection(node.bottoms) - computed)
                if stage.images is not None:
                    computed.update(node.tops)
        return crossing

    def run(self, stage, work, image):
        """Backpropagate through one stage, for one image or (None) for all."""
        local = {}
        for node in reversed(stage.nodes):
            if node in self.plan.path:
                blobs = self.values.of(node, work, image)
                dtops = [self._read(value, image, local) for value in node.tops]
                if node in self.plan.layers:
                    self._weights(node, work, image, *blobs, dtops)
                self._bottoms(node, work, image, local, *blobs, dtops)

    def _read(self, value, image, local):
        """Return the gradient with respect to a node's top, zeros if no later node reads it."""
        if value not in local:
            if value in self.whole:
                local[value] = self._whole(value, image)
            else:
                images, *shape = self.plan.shapes[value]
                shape = (images if image is None else 1, *shape)
                local[value] = np.zeros(shape, self.values.dtype)
        return local[value]

    def _whole(self, value, image):
        return self.whole[value] if image is None else self.whole[value][image : image + 1]

    def _weights(self, node, work, image, *blobs):
        layer, weights = node.layer, self.params[node.layer.name]
        first = 0 if image is None else image
        for one in range(len(blobs[-1][0])):
            parts = [[array[one : one + 1] for array in arrays] for arrays in blobs]
            gradients = layer.weight_gradients(work, weights, *parts)
            for target, gradient in zip(self.weights[layer.name], gradients, strict=True):
                target[first + one] = gradient

    def _bottoms(self, node, work, image, local, bottoms, tops, dtops):
        wanted = [value in self.plan.wants for value in node.bottoms]
        if not any(wanted):
            return
        if node.layer.is_view:
            gradients = [sum(dtops[1:], start=dtops[0]).reshape(bottoms[0].shape)]
        else:
            weights = self.params.get(node.layer.name, [])
            gradients = node.layer.backward(work, weights, bottoms, tops, dtops, wanted)
        for value, gradient, is_wanted in zip(node.bottoms, gradients, wanted, strict=True):
            if is_wanted:
                self._add(value, gradient, image, local)

    def _add(self, value, gradient, image, local):
        if value in self.whole:
            target = self._whole(value, image)
            target += gradient
        elif value in local:
            local[value] += gradient
        else:
            local[value] = gradient
