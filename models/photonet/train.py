"""Train photonet: from which of seventeen photographs was a crop taken?

    python models/photonet/train.py --seed 0 --output models/photonet

writes ``photonet.caffemodel``, ``accuracy.json`` and ``conv1.png`` into the output folder. It
needs PyTorch (``pip install -e .[train]``), which nothing else in the project does, and took
25 minutes on two busy cores. The network is that of ``deploy.prototxt``; README.md
beside this file says what it is good for.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from cnnvis.activations.filters import draw_filters
from cnnvis.caffe.caffemodel import write_caffemodel
from cnnvis.caffe.prototxt import read_prototxt
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.inputs.photographs import (
    MEAN,
    SHAPE,
    draw_crop,
    held_out_crops,
    network_input,
    photograph_labels,
    read_photographs,
    sampled,
)

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit("train.py: PyTorch is missing; install it with: pip install -e .[train]")

FOLDER = Path(__file__).parent
# The input is divided by this during training, and conv1's weights by it at export: Adam's step
# suits weights that see inputs of about unit size, and Caffe's inputs are a hundred times larger.
INPUT_SCALE = 60.0
LEARNING_RATE = 5e-4
# ASSUME: conv1 starts as a bank of sensible filters, and the crops seen are too few to average
# out the noise that full steps would leave in it. The price: it hardly moves (README.md).
CONV1_SHARE = 0.1
WEIGHT_DECAY = 1e-3
GREYSCALE_SHARE = 0.1
BATCH = 32
CROPS_PER_CLASS = 60


def gabor(size, wavelength, angle, phase, spread):
    """Return a Gabor patch (size, size): a cosine wave under a Gaussian window."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    along = columns * np.cos(angle) + rows * np.sin(angle)
    window = np.exp(-(rows**2 + columns**2) / (2 * spread**2))
    return window * np.cos(2 * np.pi * along / wavelength + phase)


def grey_filters(size):
    """Return 64 Gabor filters (3, size, size) that do not answer to constant grey."""
    filters = []
    for wavelength, spread in ((3.5, 2.0), (5, 2.4), (7.5, 3.0), (11, 3.6)):
        for phase in (0, np.pi / 2):
            for angle in np.arange(8) * np.pi / 8:
                patch = gabor(size, wavelength, angle, phase, spread)
                filters.append(np.repeat((patch - patch.mean())[None], 3, axis=0))
    return filters


def coloured_filters(size, rng):
    """Return 32 blobs and edges (3, size, size) along random hues, a quarter of them with grey."""
    filters = []
    for index in range(32):
        hue = rng.normal(size=3)
        hue -= hue.mean() if index % 4 else 0
        wavelength = (np.inf, 20, 12, 8)[index // 8]
        phase = 0 if index < 8 else rng.choice([0, np.pi / 2])
        patch = gabor(size, wavelength, rng.uniform(0, np.pi), phase, rng.uniform(2.2, 3.8))
        filters.append(hue[:, None, None] * patch)
    return filters


def first_filters(rng, size=11):
    """Return conv1's weights before training, float32 (96, 3, size, size), of unit norm."""
    filters = np.array(grey_filters(size) + coloured_filters(size, rng))
    filters /= np.sqrt((filters**2).sum((1, 2, 3), keepdims=True))
    # Shuffled, so that both groups of conv2 get some of each kind.
    return filters[rng.permutation(len(filters))].astype(np.float32)


def module_of(layer):
    """Return PyTorch's module for a layer of the network.

    Its LRN divides alpha by the window, as Caffe's does. Raises KeyError for other types.
    """
    conv, pool, lrn = layer.convolution_param, layer.pooling_param, layer.lrn_param
    return {
        "Convolution": lambda: nn.LazyConv2d(
            conv.num_output,
            conv.kernel_size[0],
            stride=conv.stride[0] if conv.stride else 1,
            padding=conv.pad[0] if conv.pad else 0,
            groups=conv.group,
        ),
        "ReLU": lambda: nn.ReLU(inplace=True),
        "Pooling": lambda: nn.MaxPool2d(pool.kernel_size, pool.stride, ceil_mode=True),
        "LRN": lambda: nn.LocalResponseNorm(lrn.local_size, lrn.alpha, lrn.beta, lrn.k),
        "InnerProduct": lambda: nn.Sequential(
            nn.Flatten(), nn.LazyLinear(layer.inner_product_param.num_output)
        ),
        "Dropout": lambda: nn.Dropout(layer.dropout_param.dropout_ratio),
    }[layer.type]()


def build_network(net, rng):
    """Return the network of `net` up to its scores, modules named as layers, ready to train."""
    network = nn.Sequential()
    for layer in net.layer:
        if layer.type not in ("Input", "Softmax"):
            network.add_module(layer.name, module_of(layer))
    network(torch.zeros(1, *SHAPE))  # The lazy modules learn their sizes.
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    with torch.no_grad():
        network.conv1.weight.copy_(torch.from_numpy(first_filters(rng)))
        network.fc8[1].weight.mul_(0.1)  # Start undecided.
    return network


def training_crop(photograph, rng):
    """Return a random crop of the left part as network input: flipped, brighter, greyer or not."""
    picture = sampled(photograph, draw_crop(photograph.shape, False, rng))
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if rng.random() < GREYSCALE_SHARE:
        picture = np.repeat(picture.mean(2, keepdims=True), 3, axis=2)
    picture = (picture * rng.uniform(0.75, 1.3) + rng.uniform(-0.06, 0.06)).clip(0, 1)
    return (picture.transpose(2, 0, 1)[::-1] * 255 - MEAN).astype(np.float32)


def training_batch(photographs, rng):
    """Return scaled inputs (N, 3, 227, 227) and their classes (N,) as tensors."""
    classes = rng.integers(len(photographs), size=BATCH)
    inputs = np.stack([training_crop(photographs[cls], rng) for cls in classes])
    return torch.from_numpy(inputs / np.float32(INPUT_SCALE)), torch.from_numpy(classes)


def make_optimiser(network, steps):
    """Return Adam with decoupled weight decay, and its one-cycle schedule."""
    conv1 = list(network.conv1.parameters())
    others = [p for name, p in network.named_parameters() if not name.startswith("conv1.")]
    groups = [{"params": others}, {"params": conv1}]
    optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    rates = [LEARNING_RATE, CONV1_SHARE * LEARNING_RATE]
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, steps)


def train(network, photographs, steps, rng):
    """Train the network in place, with a line of progress every fifty steps."""
    optimiser, schedule = make_optimiser(network, steps)
    network.train()
    begin, history = time.monotonic(), []
    for step in range(1, steps + 1):
        inputs, classes = training_batch(photographs, rng)
        scores = network(inputs)
        loss = nn.functional.cross_entropy(scores, classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        history.append((loss.item(), (scores.argmax(1) == classes).float().mean().item()))
        if step % 50 == 0 or step == steps:
            report(step, steps, time.monotonic() - begin, np.mean(history[-50:], axis=0))


def report(step, steps, seconds, averages):
    """Print where training is, how fast it goes and how long it will take."""
    rate = step / seconds
    print(
        f"step {step}/{steps}  loss {averages[0]:.3f}  right {averages[1]:.1%}  "
        f"{rate:.2f} steps/s  {(steps - step) / rate:.0f} s left",
        flush=True,
    )


def predicted(network, inputs):
    """Return the predicted classes (N,) of network inputs (N, 3, 227, 227)."""
    with torch.no_grad():
        return network(torch.from_numpy(inputs) / INPUT_SCALE).argmax(1).numpy()


def evaluate(network, photographs):
    """Return ``(table, whole)``: how often each class was predicted for held-out crops of each
    class (classes, classes), and what was predicted for each whole photograph (classes,).
    """
    network.eval()
    table = np.zeros((len(photograph_labels()), len(photograph_labels())), dtype=int)
    for cls, photograph in enumerate(photographs):
        crops = held_out_crops(photograph_labels()[cls], photograph.shape, CROPS_PER_CLASS)
        inputs = np.stack([network_input(photograph, crop) for crop in crops])
        table[cls] = np.bincount(predicted(network, inputs), minlength=len(photograph_labels()))
    whole = [network_input(x, [0, 0, *x.shape[:2]]) for x in photographs]
    return table, predicted(network, np.stack(whole))


def summary(table, whole, options):
    """Return what accuracy.json says: how it was trained, and how well it does."""
    classes = {}
    for cls, label in enumerate(photograph_labels()):
        mistakes = {
            photograph_labels()[i]: int(table[cls, i])
            for i in np.argsort(-table[cls], kind="stable")
        }
        classes[label] = {
            "accuracy": round(table[cls, cls] / table[cls].sum(), 4),
            "mistaken_for": {k: n for k, n in mistakes.items() if n and k != label},
            "whole_photograph": photograph_labels()[whole[cls]],
        }
    return {
        "seed": options.seed,
        "steps": options.steps,
        "crops_per_class": CROPS_PER_CLASS,
        "accuracy": round(np.trace(table) / table.sum(), 4),
        "classes": classes,
    }


def exported(network):
    """Return ``{layer: [weights, bias]}`` as Caffe stores them, the input's scale folded in."""
    arrays = {}
    for name, parameter in network.named_parameters():
        arrays.setdefault(name.split(".")[0], []).append(parameter.detach().numpy().copy())
    arrays["conv1"][0] /= np.float32(INPUT_SCALE)
    return arrays


def write(network, net, numbers, output):
    """Write the weights, the numbers and a picture of conv1's filters."""
    weights = output / "photonet.caffemodel"
    arrays = exported(network)
    write_caffemodel(weights, arrays, net=net)
    write_json(output / "accuracy.json", numbers)
    title = "Filters of conv1 in photonet"
    draw_filters(output / "conv1.png", arrays["conv1"][0], layer="conv1", title=title)
    print(f"held-out accuracy {numbers['accuracy']:.1%}; wrote {weights}")
    for label, row in numbers["classes"].items():
        print(f"  {label:20} {row['accuracy']:6.1%}  {row['mistaken_for'] or ''}")


def parse_options(arguments):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    parser.add_argument("--steps", type=int, default=1200, help="batches of 32 (default 1200)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default 2)")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder (default: this one)")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Train, evaluate, write."""
    options = parse_options(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    net = read_prototxt(FOLDER / "deploy.prototxt")
    photographs = list(read_photographs().values())
    network = build_network(net, rng)
    train(network, photographs, options.steps, rng)
    write(network, net, summary(*evaluate(network, photographs), options), options.output)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"train.py: {error}")
