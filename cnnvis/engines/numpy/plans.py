"""Execution plan of one forward or backward pass."""

import math
from dataclasses import dataclass


@dataclass
class Stage:
    """Nodes that run one after the other for a few images at a time, or each for the whole batch.

    Attributes
    ----------
    nodes : list of Node
    images : int or None
        The number of images, None if the nodes run for the whole batch.
    largest : int
        Numbers per image of the largest value.
    """

    nodes: list
    images: int | None
    largest: int = 1


class Plan:
    """Which nodes run for a forward pass to `targets`, and where their values are kept.

    Parameters
    ----------
    graph : Graph
    shapes : list of tuple
        The shape of every value.
    targets : list of int
        The values that are asked for.
    layers : list of Node
        Those whose weights' gradient is asked for; none for a forward pass only.
    inputs : bool
        Whether the gradient with respect to the input is asked for.
    given : sequence of int
        Values that are known already.

    Attributes
    ----------
    stages : list of Stage
        Consecutive layers that treat images independently run for a few images at a time, so that
        their values stay in the processor's cache; others run for the whole batch.
    storage : dict
        The memory of each value, which layers in place and layers that only rename share.
    kept : set
        The storages of the whole batch; all others are of a few images, one for each thread.
    path : set
        The nodes that are backpropagated through.
    wants : set
        The values whose gradient is computed.
    """

    def __init__(self, graph, shapes, targets, layers=(), inputs=False, given=()):
        self.graph, self.shapes = graph, shapes
        self.targets, self.layers = list(targets), set(layers)
        self.given = set(given)
        self.nodes = graph.ancestors(targets, given)
        self.wants, self.path = self._gradient_path(inputs)
        self.storage = self._share_memory()
        self.stages = self._make_stages()
        self.kept = self._keep()

    @property
    def mixes_images(self):
        """Whether there is a layer through which images depend on each other."""
        return any(node.layer.scope == "mixed" for node in self.nodes)

    def _gradient_path(self, inputs):
        wants, path = set(self.graph.input_values if inputs else ()), set()
        for node in self.nodes:
            if node in self.layers or wants.intersection(node.bottoms):
                path.add(node)
                wants.update(node.tops)
        return wants, path

    def _share_memory(self):
        readers, storage = {}, {}
        for node in self.nodes:
            for value in node.bottoms:
                readers.setdefault(value, set()).add(node)
        for node in self.nodes:
            shares = node.layer.is_view or self._may_overwrite(node, readers)
            for value in node.bottoms:
                storage.setdefault(value, value)
            for value in node.tops:
                storage[value] = storage[node.bottoms[0]] if shares else value
        for target in self.targets:
            storage.setdefault(target, target)
        return storage

    def _may_overwrite(self, node, readers):
        if not (node.in_place and node.layer.overwrites):
            return False
        bottom = node.bottoms[0]
        producer = self.graph.values[bottom].producer
        if producer is None or readers[bottom] != {node}:
            return False
        if bottom in self.given or bottom in self.targets:
            return False
        maker = producer.layer
        return not maker.is_view and not (maker.needs_top and producer in self.path)

    def _make_stages(self):
        stages = []
        for node in self.nodes:
            images = self._images(node)
            if not stages or images is None or stages[-1].images != images:
                stages.append(Stage([], images))
            stages[-1].nodes.append(node)
            sizes = [math.prod(self.shapes[value][1:]) for value in (*node.bottoms, *node.tops)]
            stages[-1].largest = max(stages[-1].largest, *sizes)
        return stages

    def _images(self, node):
        """Return the number of images that a node may treat separately, or None."""
        counts = {self.shapes[value][:1] for value in (*node.bottoms, *node.tops)}
        if node.layer.scope != "image" or len(counts) != 1:
            return None
        return counts.pop()[0]

    def _keep(self):
        kept = {self.storage[value] for value in self.targets}
        where = {}
        for position, stage in enumerate(self.stages):
            for node in stage.nodes:
                where.update(dict.fromkeys(node.tops, position))
                whole = stage.images is None or node in self.path
                for value in (*node.tops, *node.bottoms):
                    if whole or where.get(value) != position:
                        kept.add(self.storage[value])
        return kept
