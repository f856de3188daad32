"""Look inside a Caffe network: ``cnnvis.open_network`` opens one."""

from cnnvis.engines import open_network
from cnnvis.version import __version__

__all__ = ["__version__", "open_network", "receptive_field", "show"]


def receptive_field(prototxt, blob, **options):
    """Return the receptive field of a blob's elements, from the text of the network alone.

    Parameters, errors and examples are those of `cnnvis.engines.receptive_fields.receptive_field`.
    """
    # Late: every job imports this package, and not every job NumPy.
    from cnnvis.engines import receptive_fields

    return receptive_fields.receptive_field(prototxt, blob, **options)


def show(*volumes, **options):
    """Show volumes in a notebook: arrays ``(filters, height, width)``, or files.

    Options, errors and the result are those of `cnnvis.pages.views.view`.
    """
    from cnnvis.pages.views import view

    return view(volumes, **options)
