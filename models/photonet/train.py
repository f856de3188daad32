"""Train photonet: from which of seventeen photographs was a crop taken?

    python models/photonet/train.py --seed 0 --output models/photonet

writes ``photonet.caffemodel``, ``accuracy.json`` and ``conv1.png`` into the output folder. It
needs PyTorch (``pip install -e .[train]``), which nothing else in the project does. The network is
that of ``deploy.prototxt``, with the first layer of CaffeNet; README.md beside this file says what
it is good for.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from cnnvis import open_network
from cnnvis.activations.filters import draw_filters
from cnnvis.caffe.caffemodel import read_caffemodel, write_caffemodel
from cnnvis.caffe.prototxt import read_prototxt
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.inputs.images import crop_image
from cnnvis.inputs.photographs import (
    MEAN,
    SHAPE,
    held_out_crops,
    network_input,
    photograph_labels,
    read_photographs,
    training_crop,
    without_held_out,
)

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit("train.py: PyTorch is missing; install it with: pip install -e .[train]")

FOLDER = Path(__file__).parent
CONV1 = FOLDER.parent / "caffenet" / "conv1.caffemodel"
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
GREYSCALE_SHARE = 0.1
# Standard deviations: of the angle in degrees, and of the logarithm of each colour's brightness.
ROTATION = 8
COLOUR = 0.05
# The share of batches whose crops are averaged in pairs, and of those where a rectangle of one
# crop lies in another.
AVERAGED, PASTED = 0.1, 0.1
BATCH = 32
CROPS_PER_CLASS = 60


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


def build_network(net):
    """Return the network of `net` up to its scores, modules named as layers, ready to train.

    conv1 is CaffeNet's and frozen. Batch normalisation follows every other convolution, under its
    name with ``_scaled``: fewer steps are needed, and `exported` folds it into the weights.
    """
    network = nn.Sequential()
    for layer in net.layer:
        if layer.type not in ("Input", "Softmax"):
            network.add_module(layer.name, module_of(layer))
        if layer.type == "Convolution" and layer.name != "conv1":
            network.add_module(f"{layer.name}_scaled", nn.LazyBatchNorm2d())
    network.eval()(torch.zeros(1, *SHAPE))  # The lazy modules learn their sizes.
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    with torch.no_grad():
        network.fc8[1].weight.mul_(0.1)  # Start undecided.
        for parameter, array in zip(
            network.conv1.parameters(), read_caffemodel(CONV1)["conv1"], strict=True
        ):
            parameter.copy_(torch.from_numpy(array))
    network.conv1.requires_grad_(False)
    return network


def view(pixels, angle=0.0, mirrored=False):
    """Return a crop at the network's size, float32 (3, 227, 227).

    Without a turn, the same as `cnnvis.inputs.images.resize` of the crop (its fading border too:
    the crop is surrounded by its darkest value) but for rounding, in a tenth of its time.

    Parameters
    ----------
    pixels : torch.Tensor of float32, (3, height, width)
    angle : float
        In radians. What is turned is also enlarged, so that it does not leave the crop.
    mirrored : bool
    """
    height, width = pixels.shape[1:]
    padded = nn.functional.pad(pixels, (1, 1, 1, 1), value=pixels.min().item())
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn /= np.abs(turn[0]).sum()
    turn[:, 0] *= -1 if mirrored else 1
    turn *= [[width / (width + 2)], [height / (height + 2)]]
    positions = torch.from_numpy(np.hstack([turn, np.zeros((2, 1))])[np.newaxis]).float()
    grid = nn.functional.affine_grid(positions, (1, *SHAPE), align_corners=False)
    return nn.functional.grid_sample(padded[np.newaxis], grid, align_corners=False)[0]


def training_view(label, photograph, rng):
    """Return a random crop for training at the network's size, turned and mirrored."""
    crop = training_crop(label, photograph.shape, rng)
    pixels = torch.from_numpy(crop_image(photograph, crop, label)).permute(2, 0, 1)
    return view(pixels, np.radians(rng.normal(0, ROTATION)), rng.random() < 0.5)


def recoloured(pictures, rng):
    """Return pictures (N, 3, 227, 227) brighter or darker, in other colours, some without any."""
    gains = rng.uniform(0.8, 1.25, (BATCH, 1, 1, 1))
    gains = (gains * np.exp(rng.normal(0, COLOUR, (BATCH, 3, 1, 1)))).astype(np.float32)
    shifts = rng.uniform(-0.06, 0.06, (BATCH, 1, 1, 1)).astype(np.float32)
    pictures = (pictures * torch.from_numpy(gains) + torch.from_numpy(shifts)).clamp_(0, 1)
    grey = torch.from_numpy(rng.random(BATCH) < GREYSCALE_SHARE)
    pictures[grey] = pictures[grey].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return pictures


def training_batch(photographs, rng):
    """Return inputs (N, 3, 227, 227) and their classes (N,) as tensors."""
    classes = rng.integers(len(photographs), size=BATCH)
    labels = [photograph_labels()[cls] for cls in classes]
    views = [training_view(label, photographs[label], rng) for label in labels]
    pictures = recoloured(torch.stack(views), rng)
    inputs = pictures.flip(1) * 255 - torch.from_numpy(MEAN).float()
    return inputs, torch.from_numpy(classes)


def mixed(inputs, rng):
    """Mix each input of some batches with another one of the batch.

    Parameters
    ----------
    inputs : torch.Tensor, (N, 3, 227, 227)
    rng : numpy.random.Generator

    Returns
    -------
    inputs : torch.Tensor
    share : float
        How much of each is left; the rest is of its partner.
    partners : torch.Tensor of int64, (N,)
    """
    partners, kind = torch.from_numpy(rng.permutation(len(inputs))), rng.random()
    if kind < AVERAGED:
        share = rng.beta(0.4, 0.4)
        return torch.lerp(inputs[partners], inputs, share), share, partners
    if kind < AVERAGED + PASTED:
        side = int(SHAPE[1] * np.sqrt(rng.random()))
        top, left = rng.integers(SHAPE[1] - side + 1, size=2)
        window = np.s_[:, :, top : top + side, left : left + side]
        inputs, pasted = inputs.clone(), inputs[partners]
        inputs[window] = pasted[window]
        return inputs, 1 - (side / SHAPE[1]) ** 2, partners
    return inputs, 1.0, partners


def train(network, photographs, steps, rng):
    """Train the network in place, with a line of progress every fifty steps."""
    weights = [each for each in network.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps)
    network.train()
    begin, history = time.monotonic(), []
    for step in range(1, steps + 1):
        inputs, classes = training_batch(photographs, rng)
        inputs, share, partners = mixed(inputs, rng)
        scores = network(inputs)
        loss = share * nn.functional.cross_entropy(scores, classes)
        loss += (1 - share) * nn.functional.cross_entropy(scores, classes[partners])
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


def exported(network):
    """Return ``{layer: [weights, bias]}`` as Caffe stores them.

    Batch normalisation is folded into the convolution before it: with its statistics of training,
    it is a factor and a shift of each filter's output.
    """
    arrays, modules = {}, dict(network.named_children())
    for name, module in modules.items():
        if not list(module.parameters()) or name.endswith("_scaled"):
            continue
        weights, bias = (each.detach().double() for each in module.parameters())
        if f"{name}_scaled" in modules:
            norm = modules[f"{name}_scaled"]
            factor = norm.weight.detach() / torch.sqrt(norm.running_var.double() + norm.eps)
            weights = weights * factor[:, None, None, None]
            bias = (bias - norm.running_mean) * factor + norm.bias.detach()
        arrays[name] = [weights.float().numpy(), bias.float().numpy()]
    return arrays


def predicted(network, photograph, crops):
    """Return the predicted classes (N,) of crops of a photograph."""
    inputs = np.stack([network_input(photograph, crop) for crop in crops])
    return network.forward(inputs, ["fc8"])["fc8"].argmax(axis=1)


def evaluate(weights, photographs):
    """Measure a network as everybody will run it, from its files by this project's engine.

    Returns
    -------
    table : ndarray of int, (classes, classes)
        How often each class was predicted for held-out crops of each class.
    whole : list of int
        What was predicted for each whole photograph.
    """
    table, whole = [], []
    with open_network(FOLDER / "deploy.prototxt", weights) as network:
        for label, photograph in photographs.items():
            crops = held_out_crops(label, photograph.shape, CROPS_PER_CLASS)
            found = predicted(network, photograph, [*crops, [0, 0, *photograph.shape[:2]]])
            table.append(np.bincount(found[:-1], minlength=len(photographs)))
            whole.append(int(found[-1]))
    return np.array(table), whole


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


def write(network, net, options, photographs):
    """Write the weights, a picture of conv1's filters, and how well the network does."""
    weights = options.output / "photonet.caffemodel"
    arrays = exported(network)
    write_caffemodel(weights, arrays, net=net)
    title = "Filters of conv1 in photonet"
    draw_filters(options.output / "conv1.png", arrays["conv1"][0], layer="conv1", title=title)
    numbers = summary(*evaluate(weights, photographs), options)
    write_json(options.output / "accuracy.json", numbers)
    print(f"held-out accuracy {numbers['accuracy']:.1%}; wrote {weights}")
    for label, row in numbers["classes"].items():
        print(f"  {label:20} {row['accuracy']:6.1%}  {row['mistaken_for'] or ''}")


def parse_options(arguments):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    parser.add_argument("--steps", type=int, default=3000, help="batches of 32 (default 3000)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default 2)")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder (default: this one)")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Train, evaluate, write."""
    options = parse_options(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    net = read_prototxt(FOLDER / "deploy.prototxt")
    photographs = read_photographs()
    seen = {label: without_held_out(label, x) for label, x in photographs.items()}
    network = build_network(net)
    train(network, seen, options.steps, np.random.default_rng(options.seed))
    write(network, net, options, photographs)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"train.py: {error}")
