"""The methods that a convolution can be computed by, and the rule that chooses one.

A method is a class with `forward`, `backward` and `weight_gradient` (see `base.Method`) and with
`suits`, which says where it is the fastest. To add one, write it and name it in `METHODS`.
"""

from cnnvis.engines.numpy.convolutions.depthwise import Depthwise
from cnnvis.engines.numpy.convolutions.direct import Direct, Pointwise
from cnnvis.engines.numpy.convolutions.winograd import Winograd

# The first that suits is taken. Direct suits everything.
METHODS = (Depthwise, Pointwise, Winograd, Direct)

__all__ = ["METHODS"]
