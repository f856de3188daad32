"""Look inside a Caffe network.

``cnnvis.open_network`` opens one; everything else takes arrays or paths. Names are imported
on first use, so that a job pays only for what it needs.
"""

from cnnvis.version import __version__

__all__ = ["__version__", "open_network"]


def __getattr__(name):
    if name == "open_network":
        from cnnvis.engines import open_network

        return open_network
    raise AttributeError(f"module 'cnnvis' has no attribute {name!r}")
