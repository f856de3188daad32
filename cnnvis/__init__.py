"""Look inside a Caffe network: ``cnnvis.open_network`` opens one."""

from cnnvis.engines import open_network
from cnnvis.engines.receptive_fields import receptive_field
from cnnvis.version import __version__

__all__ = ["__version__", "open_network", "receptive_field"]
