"""Run networks: one interface (`cnnvis.engines.base.Engine`), one module per engine."""

import importlib
from pathlib import Path

from cnnvis.core.errors import UserError

ENGINES = {"numpy": "cnnvis.engines.numpy.network", "pycaffe": "cnnvis.engines.pycaffe"}


def open_network(prototxt, weights, engine="numpy", **options):
    """Open a Caffe network.

    Parameters
    ----------
    prototxt : str or Path
        The network's ``deploy.prototxt``.
    weights : str, Path or dict
        A ``.caffemodel``, or ``{layer: [weights, bias, ...]}``.
    engine : {"numpy", "pycaffe"}
        The embedded engine, or BVLC Caffe itself.
    dtype : {"float32", "float64"}
        The arithmetic; by default float32, as in Caffe.
    threads : int, optional
        By default one per processor that this process may use.
    surplus : {"error", "ignore"}
        Whether weights of layers that the network does not have are refused (the default) or, as in
        Caffe, ignored.
    input_shape : sequence of 3 int, optional
        (C, H, W), for a ``train_val.prototxt`` that does not specify it.
    **options
        Those four, and of one engine alone ``python`` (pycaffe), the parsed ``graph`` (numpy).

    Returns
    -------
    cnnvis.engines.base.Engine

    Raises
    ------
    UserError
        If the engine is unknown, a file cannot be read, or weights do not fit.

    Examples
    --------
    >>> import cnnvis                                                    # doctest: +SKIP
    >>> network = cnnvis.open_network("deploy.prototxt", "net.caffemodel")   # doctest: +SKIP
    >>> network.forward(batch, ["conv1"])["conv1"].shape                 # doctest: +SKIP
    (10, 96, 55, 55)
    """
    if engine not in ENGINES:
        raise UserError(f"engine: {engine!r} is unknown, expected one of {', '.join(ENGINES)}")
    if not isinstance(weights, dict):
        weights = Path(weights)
    module = importlib.import_module(ENGINES[engine])
    return module.Network(Path(prototxt), weights, **options)
