"""The only place that runs a network: one interface, one module per engine."""

import importlib
from pathlib import Path

from cnnvis.core.errors import UserError

ENGINES = {"numpy": "cnnvis.engines.numpy.network", "pycaffe": "cnnvis.engines.pycaffe"}


def open_network(
    prototxt,
    weights,
    engine="numpy",
    dtype="float32",
    threads=None,
    surplus="error",
    input_shape=None,
    **options,
):
    """Open a Caffe network.

    Parameters
    ----------
    prototxt : str or Path
        The network's ``deploy.prototxt``.
    weights : str, Path or dict
        A ``.caffemodel``, or ``{layer: [weights, bias, ...]}``.
    engine : {"numpy", "pycaffe"}
        Who computes: the embedded engine, or BVLC Caffe itself.
    dtype : {"float32", "float64"}
        The arithmetic. Caffe's own is float32.
    threads : int, optional
        How many to use; by default every processor this process may run on.
    surplus : {"error", "ignore"}
        What becomes of weights in the file for layers the network does not have.
        Caffe ignores them.
    input_shape : sequence of 3 int, optional
        (C, H, W), for a ``train_val.prototxt`` that does not say it itself.
    **options
        What the engine alone understands (``python`` for pycaffe).

    Returns
    -------
    network
        With ``input_shape`` (C, H, W); ``params`` ``{layer: [arrays]}``;
        ``forward(batch, blobs=None)``; ``weight_gradient(batch, blob, neuron, layers)``;
        ``data_gradient(batch, blob, neuron)``; ``set_weights({layer: [arrays]})``; ``close()``.
        It is a context manager.

    Raises
    ------
    UserError
        For an unknown engine, a file that cannot be read, weights that do not fit.

    Examples
    --------
    >>> import cnnvis                                                    # doctest: +SKIP
    >>> network = cnnvis.open_network("deploy.prototxt", "net.caffemodel")   # doctest: +SKIP
    >>> network.forward(batch, ["conv1"])["conv1"].shape                 # doctest: +SKIP
    (10, 96, 55, 55)
    """
    if engine not in ENGINES:
        raise UserError(f"engine: {engine!r} is not known, expected one of {', '.join(ENGINES)}")
    if not isinstance(weights, dict):
        weights = Path(weights)
    module = importlib.import_module(ENGINES[engine])
    return module.Network(
        Path(prototxt),
        weights,
        dtype=dtype,
        threads=threads,
        surplus=surplus,
        input_shape=input_shape,
        **options,
    )
