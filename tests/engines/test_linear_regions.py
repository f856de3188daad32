"""Where a network is not smooth."""

from cnnvis.engines.numpy.layers import LAYERS
from cnnvis.engines.numpy.linear_regions import SWITCHES


def test_every_layer_type_is_known_to_be_smooth_or_to_switch():
    smooth = {
        *("BNLL", "BatchNorm", "Bias", "Concat", "Convolution", "Crop", "Deconvolution"),
        *("Dropout", "Exp", "Flatten", "InnerProduct", "LRN", "Log", "MVN", "Power", "Reshape"),
        *("Scale", "Sigmoid", "Silence", "Slice", "Softmax", "Split", "TanH"),
    }
    assert set(LAYERS) - SWITCHES.keys() == smooth
