"""How one published result compares with a run: one function for each kind of result.

Each takes the `cnnvis.checks.reproduction.Run`, the entry of `cnnvis.inputs.published`, the run's
files, the published files and the study's picture, and returns an `Outcome`.
"""

import csv
import math
from typing import NamedTuple

import numpy as np

from cnnvis.activations.study_slices import draw_as_study
from cnnvis.checks.agreement import (
    GRADIENT_TOLERANCE,
    compare_bytes,
    compare_cells,
    compare_numbers,
    compare_numerical,
    compare_ordered,
    correlation,
)
from cnnvis.checks.neuron_search import goodness_of_fit
from cnnvis.checks.screenshots import read_screenshot
from cnnvis.core.arrays import read_array, to_unit_range
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.core.volume_files import read_vox, to_bytes
from cnnvis.inputs import published


class Outcome(NamedTuple):
    """What came of one comparison.

    Attributes
    ----------
    status : str
        One of `cnnvis.checks.reproduction.STATUSES`.
    sentence : str
    numbers : dict
        Ready for JSON.
    picture : ndarray of uint8 or Path or None
        What to show beside the study's picture: grey levels, or a file of the run.
    """

    status: str
    sentence: str
    numbers: dict = {}
    picture: object = None


def compare_network(run, entry, results, files, picture):
    """Compare the sizes of the convolutions' outputs with those that the report draws."""
    expected = [list(shape) for shape in entry.options["shapes"]]
    status = "reproduced" if run.shapes == expected else "differs"
    sizes = ", ".join(" x ".join(map(str, shape)) for shape in run.shapes)
    return Outcome(status, f"The five convolutions of {run.network} give {sizes}.")


def compare_volume(run, entry, results, files, picture):
    """Compare a volume, byte by byte, and its header."""
    headers = [results[0].with_suffix(".hd"), files[1]]
    texts = [path.read_text(encoding="latin-1") for path in headers]
    if texts[0] != texts[1]:
        raise UserError("the header is {!r}, the study's is {!r}".format(*texts))
    return Outcome(*compare_bytes(read_vox(results[0]), read_vox(files[0]), "voxels"))


def compare_feature_maps(run, entry, results, files, picture):
    """Compare the feature maps of conv1, scaled as the study scaled them, as numbers."""
    maps = read_array(results[0], run.blob).astype(np.float64)
    expected = published.read_numbers(files[0], maps.shape)
    return Outcome(*compare_numbers(to_unit_range(maps) * 255, expected))


def compare_feature_map(run, entry, results, files, picture):
    """Compare one feature map of conv1 with a picture of it."""
    index = entry.options["filter"]
    values = read_array(results[0], run.blob)[index]
    cells = read_screenshot(picture, *values.shape)
    outcome = compare_cells(values, cells, f"rows of filter {index}", least=len(values))
    return Outcome(*outcome, to_bytes(values))


def compare_slice(run, entry, results, files, picture):
    """Compare a slice, in the order of the run, with a picture of it.

    Where clusters lost all members, the study's loop draws the first one again for each.
    """
    report, maps = read_json(results[0]), read_array(results[1], run.blob).astype(np.float64)
    values, key = to_unit_range(maps)[:, report["row"]], entry.options.get("k")
    if key == "pca":
        values = values[report["pca"]["permutation"]]
    elif key:
        clusters = _clusters(report, key)
        permutation, sizes = clusters["permutation"], clusters["sizes"]
        if not entry.options["bars"]:
            sizes = [len(permutation)]
            permutation = [*permutation, *_repeated(clusters.get("parts", []), key)]
        values = draw_as_study(values, permutation, sizes)
    cells = read_screenshot(picture, *values.shape)
    outcome = compare_cells(values, cells, "rows", entry.options["least"])
    return Outcome(*outcome, to_bytes(values))


def _repeated(parts, key):
    """Return the filters of the first of the clusters that were clustered, if some were lost."""
    lost = len(set(parts)) < int(key.partition("x")[0])
    return [index for index, part in enumerate(parts) if part == 0] if lost else []


def compare_sizes(run, entry, results, files, picture):
    """Compare the sizes of clusters with those that the study's summary gives.

    The study's script counts the rows that it draws, so each further cluster is one short: a white
    bar is in the place of its first row. It prints no size of the last cluster.
    """
    expected = list(entry.options["sizes"])
    sizes = _clusters(read_json(results[0]), str(len(expected)))["sizes"]
    counted = [sizes[0], *(size - 1 for size in sizes[1:-1])]
    sentence = f"The clusters have {', '.join(map(str, sizes))} filters; the study counts without "
    sentence += "the first row of each further one, where it drew a bar."
    if counted != expected[:-1]:
        return Outcome("differs", sentence)
    if sum(expected) != sum(sizes):
        wrong = f"Its last number cannot be right: all would be {sum(expected)} of {sum(sizes)}."
        return Outcome("explained", f"{sentence} {wrong}")
    return Outcome("reproduced", sentence)


def compare_stability(run, entry, results, files, picture):
    """Say whether the orders of consecutive slices are alike, as the study claims."""
    report = read_json(results[0])
    return Outcome("reproduced" if report["holds"] else "differs", report["sentence"])


def compare_ordered_volume(run, entry, results, files, picture):
    """Compare the feature maps of conv1 in the order of PCA with the study's."""
    volume = read_vox(results[0])
    return Outcome(*compare_ordered(volume, _bytes(files[0], volume.shape)))


def compare_gradient(run, entry, results, files, picture):
    """Compare a gradient; whichever neuron gives the published numbers reproduces them."""
    layer = entry.options["layer"]
    gradient = read_array(results[0], layer, "gradient of layer")
    expected = published.read_numbers(files[0], gradient.shape)
    fit = read_json(results[1])["layers"][layer]
    if "error" in fit:
        raise UserError(fit["error"])
    best = fit["candidates"][0]
    numbers = goodness_of_fit(gradient, expected)
    error = numbers["relative_error"]
    sentence = (
        f"Relative error {error:.1g}, correlation {numbers['correlation'] or 0:.6f} with neuron "
        f"{run.neuron}"
    )
    if best["neuron"] == run.neuron:
        sentence += f", which of {fit['scanned']} fits best."
    else:
        sentence += (
            f"; of {fit['scanned']}, neuron {best['neuron']} fits best, with a relative error of "
            f"{best['relative_error']:.1g}."
        )
    numbers |= {"best_neuron": best["neuron"], "scanned": fit["scanned"], "fit": best}
    right = min(error, best["relative_error"]) <= GRADIENT_TOLERANCE
    return Outcome("reproduced" if right else "differs", sentence, numbers)


def compare_numerical_gradient(run, entry, results, files, picture):
    """Compare the study's numerical gradient with its own backpropagated one."""
    gradient = published.read_numbers(files[1])
    return Outcome(*compare_numerical(published.read_numbers(files[0], gradient.shape), gradient))


def compare_scheme(run, entry, results, files, picture):
    """Say what became of the study's numerical scheme when it was repeated."""
    report = read_json(results[0])
    return Outcome("reproduced" if report["agrees"] else "explained", report["sentence"])


def compare_photograph(run, entry, results, files, picture):
    """Say whether the report shows a published image: its PDF holds the very bytes of the file."""
    photograph, report = files[:2]
    if photograph.read_bytes() not in report.read_bytes():
        return Outcome("differs", f"The report does not contain {photograph.name}.")
    sentence = f"The report contains the file {photograph.name}, byte by byte."
    return Outcome("reproduced", sentence, picture=results[0])


def compare_gradient_volume(run, entry, results, files, picture):
    """Compare a gradient, summed over channels and scaled to 0 and 1, with the study's volume.

    The gradient is the run's, or for a numerical one the array that the study published.
    """
    if len(files) > 1:
        gradient = published.read_numbers(files[1])
    else:
        gradient = read_array(results[0], "conv1", "gradient of layer")
    sums = np.rint(to_unit_range(gradient.sum(axis=1))).astype(np.uint8)
    return Outcome(*compare_bytes(sums, _bytes(files[0], sums.shape), "voxels"))


def compare_view(run, entry, results, files, picture):
    """Show a volume in 3D beside the study's screenshot, which gives nothing to compare."""
    sentence = (
        "The study's viewer is not public, and its camera and colours are not recorded, so there "
        "is nothing to measure."
    )
    return Outcome("explained", sentence, picture=results[0])


def compare_claim(run, entry, results, files, picture):
    """Say whether the gradients of the dissimilar class are the least in all layers compared."""
    summaries = [read_json(path) for path in results]
    means = (
        f"{summary['layer']}: "
        + ", ".join(f"{group['norm']:.4g} ({name})" for name, group in summary["groups"].items())
        for summary in summaries
    )
    holds = all(summary["claim"]["holds"] for summary in summaries)
    sentence = f"The mean norm of the gradient is, {'; '.join(means)}."
    return Outcome("reproduced" if holds else "differs", sentence)


def compare_importance_map(run, entry, results, files, picture):
    """Compare a map of 96 norms, 16 x 6, with the report's."""
    norms = np.zeros(96)
    with open(results[0], newline="") as stream:
        for row in csv.DictReader(stream):
            norms[int(row["filter"])] = float(row["norm"])
    values, image = norms.reshape(16, 6), results[0].parents[2].name
    cells = read_screenshot(picture, 16, 6)
    status, sentence, numbers = compare_cells(values, cells, "rows", least=16)
    if status == "differs":
        related = correlation(values, cells)
        status, numbers["correlation"] = "explained", related
        sentence = f"For {image} the norms correlate {related:.3f} with the report's grey levels; "
        sentence += "the report does not say which image its map is of."
    return Outcome(status, sentence, numbers, to_bytes(values))


def name_imagenet(run, entry, results, files, picture):
    """Give the study's numbers, which need the training images of ImageNet."""
    return Outcome(
        "needs ImageNet",
        f"The study: {entry.options['numbers']}. It used ImageNet's training images of the class, "
        "which may not be passed on; with them, the page on classes gives a run's own numbers.",
    )


def _clusters(report, key):
    try:
        return report["kmeans"][key]
    except KeyError:
        raise UserError(f"the run has no clusters of k = {key}") from None


def _bytes(path, shape):
    """Read a published volume that has no header."""
    content = np.fromfile(path, np.uint8)
    if content.size != math.prod(shape):
        raise UserError(f"{path}: has {content.size} bytes, expected {math.prod(shape)}")
    return content.reshape(shape)


METHODS = {
    "network": compare_network,
    "volume": compare_volume,
    "feature maps": compare_feature_maps,
    "feature map": compare_feature_map,
    "slice": compare_slice,
    "sizes": compare_sizes,
    "stability": compare_stability,
    "ordered volume": compare_ordered_volume,
    "gradient": compare_gradient,
    "numerical gradient": compare_numerical_gradient,
    "scheme": compare_scheme,
    "photograph": compare_photograph,
    "gradient volume": compare_gradient_volume,
    "3D view": compare_view,
    "claim": compare_claim,
    "importance map": compare_importance_map,
    "ImageNet": name_imagenet,
}
