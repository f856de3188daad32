"""A network as a graph of nodes and values, read from a prototxt.

A *value* is what one layer writes. A blob that a layer changes in place is one blob but two
values; its name refers to the last of them, as in Caffe after a forward pass.
"""

from dataclasses import dataclass, field

from cnnvis.caffe.deploy import read_deploy
from cnnvis.core.errors import UserError, suggest
from cnnvis.engines.numpy.layers import LAYERS, Layer
from cnnvis.engines.numpy.layers.base import check_size
from cnnvis.engines.numpy.splits import insert_splits


@dataclass
class Value:
    """What one layer writes or, without a producer, an input of the network.

    In Caffe, values with the same `memory` share it, so that only the last of them remains.
    """

    blob: str
    producer: "Node | None"
    memory: int


@dataclass(eq=False)
class Node:
    """A layer and the numbers of the values that it reads and writes."""

    layer: Layer
    bottoms: list
    tops: list
    in_place: bool


@dataclass
class Graph:
    """A network's nodes in the order of the prototxt, its values, and its blobs.

    Attributes
    ----------
    inputs : dict
        ``{blob: shape}`` of the network's inputs, as in the prototxt.
    blobs : dict
        ``{blob: number of its last value}``.
    """

    source: str
    nodes: list = field(default_factory=list)
    values: list = field(default_factory=list)
    blobs: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)

    def add(self, param):
        """Add a layer, a LayerParameter message."""
        if param.type == "Input":
            shapes = [tuple(shape.dim) for shape in param.input_param.shape]
            if len(shapes) not in (1, len(param.top)):
                raise UserError(
                    f"{self.source}: layer {param.name}: {len(shapes)} shapes for its "
                    f"{len(param.top)} tops, expected one, or one for each"
                )
            for shape in shapes:
                check_size(shape, f"{self.source}: layer {param.name}")
            for number, blob in enumerate(param.top):
                self.inputs[blob] = shapes[min(number, len(shapes) - 1)]
                self._new_value(blob, None, param.name)
            return
        bottoms = [self._read(blob, param) for blob in param.bottom]
        in_place = bool(param.top) and param.top[0] in param.bottom
        node = Node(self._layer(param), bottoms, [], in_place)
        for blob in param.top:
            over = self._written_over(blob, node)
            node.tops.append(self._new_value(blob, node, param.name, over))
        self.nodes.append(node)

    def _written_over(self, blob, node):
        """Return the bottom that the top `blob` of a node overwrites in Caffe, or None."""
        if node.layer.shares_memory:
            return node.bottoms[0]
        return next((value for value in node.bottoms if self.values[value].blob == blob), None)

    def _layer(self, param):
        if param.type not in LAYERS:
            raise UserError(
                f"{self.source}: layer {param.name}: type {param.type!r} is unknown to the "
                f"embedded engine, which has {', '.join(sorted(LAYERS))}; a run takes the "
                "shapes of layers from it with engine: pycaffe, too (to add a type: "
                "docs/extending.md)"
            )
        try:
            layer = LAYERS[param.type](param)
            layer.check()
            return layer
        except UserError as error:
            raise UserError(f"{self.source}: {error}") from None

    def _read(self, blob, param):
        if blob not in self.blobs:
            raise UserError(
                f"{self.source}: layer {param.name}: bottom {blob!r} is not the top of any layer "
                f"before it; {suggest(blob, self.blobs)}"
            )
        return self.blobs[blob]

    def _new_value(self, blob, producer, layer, over=None):
        if blob in self.blobs and (over is None or self.values[over].blob != blob):
            raise UserError(f"{self.source}: layer {layer}: blob {blob!r} has another producer")
        memory = len(self.values) if over is None else self.values[over].memory
        self.values.append(Value(blob, producer, memory))
        self.blobs[blob] = len(self.values) - 1
        return self.blobs[blob]

    @property
    def input_values(self):
        """The numbers of the values that no layer writes."""
        return [number for number, value in enumerate(self.values) if value.producer is None]

    def shapes(self, inputs):
        """Return the shape of every value, and of every layer's weights, for `inputs`.

        Parameters
        ----------
        inputs : dict
            ``{blob: shape}``, leading axis included.

        Returns
        -------
        list of tuple, dict
            Shapes by value; ``{layer: [shapes]}`` for layers with weights.
        """
        shapes = [None] * len(self.values)
        for value in self.input_values:
            shapes[value] = tuple(inputs[self.values[value].blob])
        weights = {}
        for node in self.nodes:
            bottoms = [shapes[value] for value in node.bottoms]
            try:
                tops = node.layer.shapes(bottoms)
                of_weights = node.layer.weight_shapes(bottoms)
                for shape in (*tops, *((1, *shape) for shape in of_weights)):
                    check_size(shape, f"layer {node.layer.name}")
            except UserError as error:
                raise UserError(f"{self.source}: {error}") from None
            for value, shape in zip(node.tops, tops, strict=True):
                shapes[value] = tuple(shape)
            if of_weights:
                weights[node.layer.name] = [tuple(shape) for shape in of_weights]
        return shapes, weights

    def value(self, blob):
        """Return the number of a blob's last value."""
        if blob not in self.blobs:
            raise UserError(
                f"{self.source}: there is no blob {blob!r}; {suggest(blob, self.blobs)}"
            )
        return self.blobs[blob]

    def remaining(self, value):
        """Return the value that remains in the memory of `value` in Caffe: the last one written."""
        memory = self.values[value].memory
        return max(number for number, other in enumerate(self.values) if other.memory == memory)

    def node(self, layer):
        """Return a layer's node."""
        names = [node.layer.name for node in self.nodes]
        if layer not in names:
            raise UserError(f"{self.source}: there is no layer {layer!r}; {suggest(layer, names)}")
        return self.nodes[names.index(layer)]

    def ancestors(self, values, given=()):
        """Return the nodes that compute `values` from `given`, in order."""
        needed, nodes = set(values).difference(given), []
        for node in reversed(self.nodes):
            if needed.intersection(node.tops):
                nodes.append(node)
                needed.update(set(node.bottoms).difference(given))
        return nodes[::-1]

    def beside(self, target, changed):
        """Return the values `target` depends on besides `changed` and what is computed from it."""
        follows, beside = set(changed), set()
        for node in self.ancestors([target], changed):
            if follows.intersection(node.bottoms):
                follows.update(node.tops)
                beside.update(set(node.bottoms) - follows)
        return sorted(beside | ({target} - follows))


def read_graph(prototxt, input_shape=None):
    """Read a network's graph.

    Parameters
    ----------
    prototxt : str or Path
        Its ``deploy.prototxt``, of which the TEST phase is used. A network written for training
        is converted to its deploy form, with a warning.
    input_shape : sequence of int, optional
        (C, H, W), for a network for training that does not specify it.

    Raises
    ------
    UserError
        If the file is not usable, naming it and the layer.
    """
    return build_graph(read_deploy(prototxt, input_shape), str(prototxt))


def build_graph(net, source):
    """Return the graph of a network in its deploy form.

    Parameters
    ----------
    net : NetParameter
    source : str
        The file, for error messages.

    Raises
    ------
    UserError
        If a layer is not usable, naming it and the file.
    """
    graph = Graph(source)
    for param in insert_splits(net.layer, graph.source):
        graph.add(param)
    if not graph.nodes:
        raise UserError(f"{source}: has no layers that compute anything")
    return graph
