"""Small networks drawn at random: layers in a row, sometimes forked and joined again."""

import numpy as np
from hypothesis import strategies as st

INPUT = (3, 13, 11)
numbers = st.integers


def field(name, value):
    return f"{name}: {str(value).lower() if isinstance(value, bool) else value}"


@st.composite
def fields(draw, **choices):
    """Draw some of the fields, written as in a prototxt."""
    chosen = {name: draw(choice) for name, choice in choices.items()}
    return " ".join(field(name, value) for name, value in chosen.items() if value is not None)


def maybe(strategy):
    return st.none() | strategy


convolution = fields(
    num_output=st.sampled_from([4, 6]),
    kernel_size=numbers(1, 3),
    stride=maybe(numbers(1, 3)),
    pad=maybe(numbers(0, 2)),
    dilation=maybe(numbers(1, 2)),
    bias_term=maybe(st.booleans()),
)
deconvolution = fields(
    num_output=numbers(1, 4), kernel_size=numbers(1, 3), stride=maybe(numbers(1, 2))
)
pooling = st.one_of(
    fields(pool=st.sampled_from(["MAX", "AVE"]), kernel_size=numbers(2, 3), stride=numbers(1, 2)),
    fields(
        pool=st.sampled_from(["MAX", "AVE"]),
        kernel_h=numbers(2, 3),
        kernel_w=numbers(2, 3),
        stride_h=numbers(1, 3),
        stride_w=numbers(1, 2),
        pad=st.just(1),
    ),
)
lrn = fields(
    local_size=st.sampled_from([1, 3, 5]),
    alpha=st.sampled_from([0.05, 1.0]),
    beta=st.sampled_from([0.75, 0.4]),
    k=st.sampled_from([1.0, 2.0]),
    norm_region=st.sampled_from(["ACROSS_CHANNELS", "WITHIN_CHANNEL"]),
)
# In place where Caffe's own gradient survives it.
LAYERS = {
    ("Convolution", "convolution_param", False): convolution,
    ("Deconvolution", "convolution_param", False): deconvolution,
    ("Pooling", "pooling_param", False): pooling,
    ("LRN", "lrn_param", False): lrn,
    ("ReLU", "relu_param", True): fields(negative_slope=st.sampled_from([0, 0.2])),
    ("PReLU", "prelu_param", True): fields(channel_shared=st.booleans()),
    ("ELU", "elu_param", False): fields(alpha=st.sampled_from([1.0, 0.5])),
    ("Sigmoid", "", False): st.just(""),
    ("TanH", "", False): st.just(""),
    ("AbsVal", "", False): st.just(""),
    ("BNLL", "", False): st.just(""),
    ("Power", "power_param", False): fields(
        power=st.sampled_from([1, 2]),
        scale=st.sampled_from([0.5, 1]),
        shift=st.sampled_from([0, 1]),
    ),
    ("Exp", "exp_param", False): fields(scale=st.just(0.1), base=st.sampled_from([-1, 2])),
    ("BatchNorm", "", False): st.just(""),
    ("Scale", "scale_param", False): fields(bias_term=st.booleans()),
    ("Bias", "", False): st.just(""),
    ("MVN", "mvn_param", False): fields(across_channels=st.booleans()),
    ("Softmax", "softmax_param", False): fields(axis=numbers(1, 3)),
    ("Dropout", "", True): st.just(""),
}


@st.composite
def network_texts(draw):
    """Draw the prototxt of a network with input ``data`` and four neurons in ``score``."""
    dims = " ".join(field("dim", size) for size in (2, *INPUT))
    lines = [
        f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}'
    ]
    blob = "data"
    for number in range(draw(numbers(2, 6))):
        if number and draw(numbers(0, 5)) == 0:
            lines += fork(draw, number, blob)
            blob = f"join{number}"
            continue
        kind, name, in_place = draw(st.sampled_from(list(LAYERS)))
        blob = add(draw, lines, kind, name, in_place and number > 0, number, blob)
    score = "inner_product_param { num_output: 4 }"
    lines.append(layer("score", "InnerProduct", [blob], ["score"], score))
    return "\n".join(lines)


def add(draw, lines, kind, name, in_place, number, blob):
    parameters = draw(LAYERS[kind, name, kind in ("ReLU", "PReLU", "Dropout")])
    top = blob if in_place and draw(st.booleans()) else f"b{number}"
    lines.append(
        layer(f"l{number}", kind, [blob], [top], f"{name} {{ {parameters} }}" if name else "")
    )
    return top


def fork(draw, number, blob):
    """Draw two branches of one blob and how they are joined: added, multiplied, side by side."""
    branches = [f"fork{number}a", f"fork{number}b"]
    lines = [
        layer(name, "Convolution", [blob], [name], f"convolution_param {{ {shape} }}")
        for name, shape in zip(
            branches,
            ("num_output: 4 kernel_size: 3 pad: 1", "num_output: 4 kernel_size: 1"),
            strict=True,
        )  # fmt: skip
    ]
    how = draw(st.sampled_from(["SUM", "PROD", "MAX", "concat"]))
    kind, param = ("Concat", "") if how == "concat" else ("Eltwise", "eltwise_param { %s }")
    lines.append(
        layer(f"join{number}", kind, branches, [f"join{number}"],
              param % f"operation: {how}" if param else "")
    )  # fmt: skip
    return lines


def layer(name, kind, bottoms, tops, parameters=""):
    ends = " ".join([field("bottom", f'"{b}"') for b in bottoms] + [f'top: "{t}"' for t in tops])
    return f'layer {{ name: "{name}" type: "{kind}" {ends} {parameters} }}'


def random_weights(graph, seed):
    """Return weights for a graph that keep its blobs near one."""
    random = np.random.default_rng(seed)
    _, shapes = graph.shapes(graph.inputs)
    kinds = {node.layer.name: node.layer.param.type for node in graph.nodes}
    weights = {}
    for name, of_layer in shapes.items():
        arrays = [random.normal(0, 1 / np.sqrt(max(1, np.prod(s[1:]))), s) for s in of_layer]
        if kinds[name] == "BatchNorm":
            arrays = [arrays[0], random.uniform(0.5, 2, of_layer[1]), np.ones(1)]
        weights[name] = [np.asarray(array, np.float32) for array in arrays]
    return weights
