"""How close a run came to what the study published, number by number.

Everything published has an entry in `cnnvis.inputs.published.entries`, and each ends in one of
four ways:

- ``agrees``, within the tolerances of `cnnvis.checks.agreement`;
- ``differs``: it should agree and does not;
- ``explained``: it cannot agree, and what the file itself shows says why;
- ``not checked``, because a file, a layer or a neuron is missing. That is never taken for
  agreement.

A run passes when something agrees and nothing differs.
"""

import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from cnnvis.activations.grids import draw_grid
from cnnvis.activations.slices import order_slice
from cnnvis.checks.agreement import (
    GRADIENT_TOLERANCE,
    compare_bytes,
    compare_clusters,
    compare_labels,
    compare_numbers,
    compare_numerical,
    compare_orders,
    compare_pca,
    compare_published_order,
)
from cnnvis.checks.neuron_search import goodness_of_fit
from cnnvis.core.arrays import read_array
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json, write_json
from cnnvis.core.volume_files import read_vox
from cnnvis.inputs import published

STATUSES = ("agrees", "differs", "explained", "not checked")


@dataclass(frozen=True)
class Run:
    """The results to compare, and why some are missing.

    Attributes
    ----------
    study : str
        The folder of the published files.
    network, image : str
        Names, as in the configuration.
    neuron : int
        Whose gradients the run has.
    blob : str
        The blob of conv1 in ``blobs.npz``.
    files : dict of str to path
        The run's files, by the names that `cnnvis.inputs.published.entries` uses.
    reasons : dict of str to str
        Why the run does not have a file, by the same names.
    rows : sequence of int
        The rows of conv1 that it has slices of.
    checked : str, optional
        The image on which it repeats the study's numerical gradient.
    """

    study: str
    network: str
    image: str
    neuron: int
    blob: str = "conv1"
    files: dict = field(default_factory=dict)
    reasons: dict = field(default_factory=dict)
    rows: tuple = ()
    checked: str | None = None

    @classmethod
    def of(cls, table):
        """Return the run that a table of `cnnvis.config.reproduction` describes.

        Raises
        ------
        UserError
            If the table is empty: the configuration has no key ``verify``.
        """
        if not table:
            raise UserError("config: verify is missing; expected verify: {study: FOLDER}")
        return cls(**table)

    def published(self, entry):
        """Return the paths of an entry's published files."""
        return [published.find(self.study, name) for name in entry.files]


def make_verification(report, run):
    """Compare a finished run with the published files; write the report as JSON.

    Parameters
    ----------
    report : str or Path
        Becomes ``{"study", "network", "image", "neuron", "passed", "sentence", "counts", "checks":
        [{"group", "name", "status", "sentence", "numbers"}, ...]}``.
    run : Run

    Raises
    ------
    UserError
        If the report cannot be written. What is wrong with a published file is in the report.
    """
    checks = []
    for entry in published.entries(run.rows, run.checked):
        outcome = zip(("status", "sentence", "numbers"), compare_entry(run, entry), strict=True)
        checks.append({"group": entry.group, "name": entry.name, **dict(outcome)})
    counts = {status: sum(check["status"] == status for check in checks) for status in STATUSES}
    write_json(
        report,
        {
            "study": str(run.study),
            "network": run.network,
            "image": run.image,
            "neuron": run.neuron,
            "passed": counts["agrees"] > 0 and not counts["differs"],
            "sentence": conclusion(counts),
            "counts": counts,
            "checks": checks,
        },
    )


def conclusion(counts):
    """Return the outcome in one sentence.

    >>> conclusion({"agrees": 5, "differs": 1, "explained": 0, "not checked": 2})
    '5 of 6 comparisons agree with what the study published and 1 differs; 2 could not be made.'
    >>> conclusion({"agrees": 0, "differs": 0, "explained": 0, "not checked": 7})
    'Nothing could be compared with what the study published; 7 comparisons could not be made.'
    """
    agrees, differs, explained, unchecked = map(counts.get, STATUSES)
    compared = agrees + differs
    if not compared:
        text = "Nothing could be compared with what the study published"
        return f"{text}; {unchecked} comparisons could not be made."
    text = f"{agrees} of {compared} comparisons agree with what the study published"
    text += f" and {differs} differ{'s' if differs == 1 else ''}" if differs else ""
    text += f"; {explained} cannot agree, for reasons given" if explained else ""
    return text + (f"; {unchecked} could not be made." if unchecked else ".")


def require_agreement(report):
    """Raise a `UserError` that says what differs, unless a report says that the run passed.

    Parameters
    ----------
    report : str or Path
        Of `make_verification`.
    """
    outcome = read_json(report)
    if not outcome["passed"]:
        wrong = [check for check in outcome["checks"] if check["status"] == "differs"]
        details = "; ".join(f"{check['name']}: {check['sentence']}" for check in wrong[:5])
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise UserError(f"{report}: {outcome['sentence']} {details}{more}".rstrip())


def compare_entry(run, entry):
    """Compare a run with one published result.

    Parameters
    ----------
    run : Run
    entry : cnnvis.inputs.published.Published

    Returns
    -------
    status : str
        One of `STATUSES`.
    sentence : str
    numbers : dict
    """
    missing = [
        run.reasons.get(name, "the run does not have it")
        for name in entry.results
        if name not in run.files
    ]
    missing += [
        f"{'the file' if path.name == entry.name else path.name} is missing from {run.study}"
        for path in run.published(entry)
        if not path.is_file()
    ]
    if missing:
        return "not checked", f"Not checked, because {missing[0]}.", {}
    results = [Path(run.files[name]) for name in entry.results]
    try:
        return METHODS[entry.method](run, *results, *run.published(entry))
    except UserError as error:
        return "differs", f"Cannot be compared: {error}.", {}


def _volume(run, result, volume, header):
    texts = [path.read_text(encoding="latin-1") for path in (result.with_suffix(".hd"), header)]
    if texts[0] != texts[1]:
        raise UserError("the header is {!r}, the study's is {!r}".format(*texts))
    return compare_bytes(read_vox(result), read_vox(volume), "voxels")


def _feature_maps(run, blobs, maps):
    outputs = read_array(blobs, run.blob).astype(np.float64)
    expected = published.read_numbers(maps, outputs.shape)
    low, high = outputs.min(), outputs.max()
    return compare_numbers((outputs - low) * 255 / ((high - low) or 1), expected)


def _ordering(run, ordering, maps, *, compare):
    maps = published.read_numbers(maps)
    return compare(read_json(ordering), maps.reshape(len(maps), -1))


def _published_order(run, ordering, maps, volume):
    maps = published.read_numbers(maps)
    content = np.fromfile(volume, np.uint8)
    if content.size != maps.size:
        raise UserError(f"{volume}: has {content.size} bytes, expected {maps.size}")
    return compare_published_order(read_json(ordering), content.reshape(maps.shape), maps)


def _slice(run, numbers, maps):
    report = read_json(numbers)
    options = {key: report[key] for key in ("method", "seed", "starts", "cluster_order")}
    options["k"] = list(report["kmeans"])
    expected = order_slice(published.read_numbers(maps), report["row"], options)
    orders = (order["pca"]["permutation"] for order in (report, expected))
    outcomes = [compare_orders(*orders, np.array(expected["pca"]["projections"]))]
    for k, clusters in report["kmeans"].items():
        outcomes.append(compare_labels(clusters["labels"], expected["kmeans"][k]["labels"]))
    for outcome in outcomes:
        if outcome[0] != "agrees":
            return outcome
    _, sentence, numbers = outcomes[0]
    if report["kmeans"]:
        sentence += f" So are the clusters of k-means with k = {' and '.join(report['kmeans'])}."
    return "agrees", sentence, numbers


def _grid(run, picture, blobs, maps):
    """Compare a grid with one drawn of the published feature maps, pixel by pixel."""
    outputs = read_array(blobs, run.blob)
    expected = published.read_numbers(maps, outputs.shape)
    # The published maps are scaled to 0..255; the grid's caption names the original range.
    low, high = float(outputs.min()), float(outputs.max())
    expected = (expected * ((high - low) / (np.ptp(expected) or 1)) + low).astype(outputs.dtype)
    title = f"conv1 of {run.network} on {run.image}, {picture.parent.name} order"
    with tempfile.TemporaryDirectory() as folder:
        grid = Path(folder) / "grid.png"
        order = range(len(expected))
        draw_grid(grid, expected, order, layer="conv1", method="natural", title=title)
        return compare_bytes(_pixels(picture), _pixels(grid), "colour values of its pixels")


def _pixels(path):
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _gradient(run, gradients, fit, expected, *, layer):
    gradient = read_array(gradients, layer, "gradient of layer")
    expected = published.read_numbers(expected, gradient.shape)
    fit = read_json(fit)["layers"][layer]
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
    # The study did not record the neuron: its file is reproduced by whichever gives its numbers.
    agrees = min(error, best["relative_error"]) <= GRADIENT_TOLERANCE
    return "agrees" if agrees else "differs", sentence, numbers


def _numerical(run, numerical, gradient):
    gradient = published.read_numbers(gradient)
    return compare_numerical(published.read_numbers(numerical, gradient.shape), gradient)


def _scheme(run, report):
    report = read_json(report)
    return "agrees" if report["agrees"] else "explained", report["sentence"], {}


METHODS = {
    "volume": _volume,
    "feature maps": _feature_maps,
    "pca": partial(_ordering, compare=compare_pca),
    "kmeans": partial(_ordering, compare=compare_clusters),
    "published order": _published_order,
    "slice": _slice,
    "grid": _grid,
    "gradient of conv1": partial(_gradient, layer="conv1"),
    "gradient of conv2": partial(_gradient, layer="conv2"),
    "numerical gradient": _numerical,
    "scheme": _scheme,
}
