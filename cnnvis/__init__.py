"""Look inside a Caffe network: ``cnnvis.open_network`` opens one."""

from cnnvis.engines import open_network
from cnnvis.version import __version__

__all__ = ["__version__", "open_network"]
