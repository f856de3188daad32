"""A network of the configuration, as one object: its files, its engine and its neurons."""

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from cnnvis.core.arrays import read_npy
from cnnvis.core.errors import UserError, suggest
from cnnvis.engines import open_network
from cnnvis.engines.inspection import describe


@dataclass(frozen=True)
class Model:
    """A network of the configuration: its files, what runs it, which blob holds its neurons.

    It holds only what results depend on, so that it can be a param of the workflow's rules.

    Attributes
    ----------
    prototxt : str
    weights : str or None
        The two files; a network of which only gradients were published has no weights, and cannot
        be opened.
    score : str
        The blob whose elements are the neurons.
    engine : {"numpy", "pycaffe"}
        See `cnnvis.open_network`.
    surplus : {"error", "ignore"}
        What becomes of weights in the file for layers that the network does not have.
    input_shape : tuple of 3 int, optional
        (C, H, W), for a ``train_val.prototxt`` that does not specify it.
    python : str, optional
        The interpreter that imports Caffe, for the engine pycaffe.
    """

    prototxt: str
    weights: str | None
    score: str
    engine: str = "numpy"
    surplus: str = "error"
    input_shape: tuple | None = None
    python: str | None = None

    @cached_property
    def graph(self):
        """The parsed prototxt: a `cnnvis.engines.numpy.graph.Graph`.

        Raises
        ------
        UserError
            If the prototxt is not usable.
        """
        from cnnvis.engines.numpy.graph import read_graph

        return read_graph(self.prototxt, self.input_shape)

    @cached_property
    def info(self):
        """The network's shapes: a `cnnvis.engines.inspection.NetworkInfo`."""
        return describe(self.graph)

    @cached_property
    def classes(self):
        """How many neurons the score blob has.

        Raises
        ------
        UserError
            If there is no such blob, or it is a map of scores, (classes, height, width): neurons
            are single numbers, and which position's is meant cannot be guessed.
        """
        if self.score not in self.info.blobs:
            # Caffe adds blobs of its own where one is read twice; nobody means those.
            blobs = [blob for blob in self.info.blobs if "_split_" not in blob]
            raise UserError(
                f"{self.prototxt}: score blob '{self.score}' does not exist; "
                f"{suggest(self.score, blobs)}"
            )
        shape = tuple(self.info.blobs[self.score])
        if not shape or np.prod(shape) != shape[0]:
            raise UserError(
                f"{self.prototxt}: score blob '{self.score}' has shape {shape}, expected one "
                "number per class; choose a blob behind the pooling, or add a global one"
            )
        return shape[0]

    def open(self, threads=None, dtype="float32", engine=None):
        """Open the network.

        Parameters
        ----------
        threads : int, optional
            By default every processor this process may run on.
        dtype : {"float32", "float64"}
        engine : str, optional
            Another engine than the model's own (numerical checks need the embedded one).

        Returns
        -------
        cnnvis.engines.base.Engine
        """
        engine = engine or self.engine
        options = {"numpy": {"graph": self.graph}, "pycaffe": {"python": self.python}}
        return open_network(
            self.prototxt,
            self.weights,
            engine=engine,
            dtype=dtype,
            threads=threads,
            surplus=self.surplus,
            input_shape=self.input_shape,
            **options.get(engine, {}),
        )

    def read_input(self, path):
        """Read a preprocessed image, float32 (channels, height, width).

        Raises
        ------
        UserError
            If it cannot be read or is not of the network's input shape.
        """
        return read_npy(path, shape=self.info.input_shape)

    def check_neuron(self, cls):
        """Raise a `UserError` unless the score blob has an element `cls`."""
        if not 0 <= cls < self.classes:
            raise UserError(
                f"{self.prototxt}: class {cls} is outside score blob '{self.score}', "
                f"which has 0 to {self.classes - 1}"
            )

    def check_classes(self, image_sets):
        """Raise a `UserError` unless the score blob has an element for each image's class."""
        for cls in {cls for each in image_sets for cls in each.classes.values()} - {None}:
            self.check_neuron(cls)

    def check_layers(self, layers):
        """Raise a `UserError` unless every layer has weights."""
        for layer in layers:
            if layer not in self.info.layers_with_weights:
                raise UserError(
                    f"{self.prototxt}: layer '{layer}' has no weights; layers that have: "
                    f"{', '.join(self.info.layers_with_weights)}"
                )

    def blob_of(self, layer):
        """Return the blob that holds the output of a layer, as layers in place leave it."""
        return self.graph.values[self.graph.node(layer).tops[0]].blob

    def check_filters(self, layer):
        """Raise a `UserError` unless a layer has filters that can be pruned."""
        self.check_layers([layer])
        if layer not in self.info.filters:
            raise UserError(
                f"{self.prototxt}: layer '{layer}' has no filters that can be pruned; layers that "
                f"have: {', '.join(self.info.filters)}"
            )

    def key(self):
        """Return what a checkpoint's results depend on, as a dict: everything but file contents."""
        return asdict(self)
