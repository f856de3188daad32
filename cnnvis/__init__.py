"""Look inside a Caffe network: ``cnnvis.open_network`` opens one."""

from cnnvis.engines import open_network
from cnnvis.version import __version__

__all__ = ["__version__", "open_network", "receptive_field"]


def __getattr__(name):
    # NumPy, which this needs, is loaded by those who ask for it: every job imports this package.
    if name == "receptive_field":
        from cnnvis.engines.receptive_fields import receptive_field

        return receptive_field
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
