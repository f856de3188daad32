"""How close a run came to what the study published, number by number.

Every published file gives one check or more, and every check ends in one of four ways:

- ``agrees``, within the tolerances below;
- ``differs``: it should agree and does not;
- ``explained``: it cannot agree, and what the file itself shows says why;
- ``not checked``, because a file, a layer or a neuron is not there. That is never taken for
  agreement.

A run passes when something agrees and nothing differs.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from cnnvis.checks import published
from cnnvis.checks.agreement import (
    GRADIENT_TOLERANCE,
    bytes_check,
    clusters_check,
    grid_check,
    numbers_check,
    numerical_check,
    order_check,
    published_order_check,
)
from cnnvis.core.arrays import read_array
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json, write_json

STATUSES = ("agrees", "differs", "explained", "not checked")


@dataclass(frozen=True)
class Run:
    """The results to compare, and why some are missing.

    Attributes
    ----------
    study : str or Path
        The folder of the published files.
    network, image : str
        Names, as in the configuration.
    neuron : int
        Whose gradients the run has.
    blobs : str or Path
        ``blobs.npz`` of the image.
    blob : str
        The first layer's blob in it.
    volumes : dict of str to path
        Layer -> ``.vox`` in natural order.
    orderings : dict of str to path
        ``pca`` and ``kmeans`` of the first layer -> JSON.
    grids, slices : list of path
        The first layer's grid in natural order and its slices; none or one, none or more.
    grid_title : str
        What stands above the grid.
    natural : list of path
        The JSON of the grid's ordering.
    gradients, fits : dict of str to path
        Image -> ``.npz``, and JSON of `cnnvis.checks.neuron_search.make_fit`.
    checks : dict of str to path
        Image -> report of `cnnvis.checks.gradient_check.check_gradients` in mode ``study``.
    reasons : dict of str to str
        Layer, ``orderings``, ``gradients`` or image -> why the run does not have it.
    """

    study: str | Path
    network: str
    image: str
    neuron: int
    blobs: str | Path | None = None
    blob: str = "conv1"
    volumes: dict = field(default_factory=dict)
    orderings: dict = field(default_factory=dict)
    grids: list = field(default_factory=list)
    grid_title: str = ""
    natural: list = field(default_factory=list)
    slices: list = field(default_factory=list)
    gradients: dict = field(default_factory=dict)
    fits: dict = field(default_factory=dict)
    checks: dict = field(default_factory=dict)
    reasons: dict = field(default_factory=dict)

    @classmethod
    def of(cls, table, files):
        """Return the run that a table of `cnnvis.config.reproduction` and its files describe.

        Parameters
        ----------
        table : dict
        files : object
            Lists of paths as attributes, in the order of the table's lists.

        Raises
        ------
        UserError
            If the table is empty.
        """
        if not table["network"]:
            raise UserError("config: verify is missing; expected verify: {study: FOLDER}")
        network, image = table["network"][0], table["image"][0]
        return cls(
            study=table["study"],
            network=network,
            image=image,
            neuron=table["neuron"],
            blobs=files.blobs[0],
            blob=table["blob"],
            volumes=_paired(table["layers"], files.volumes),
            orderings=_paired(table["orderings"], files.orderings),
            grids=list(files.grids),
            grid_title="".join(
                f"conv1 of {network} on {image}, {o} order" for o in table["natural"]
            ),
            natural=list(files.natural),
            slices=list(files.slices),
            gradients=_paired(table["images"], files.gradients),
            fits=_paired(table["images"], files.fits),
            checks=_paired(table["checked"], files.checks),
            reasons=table["reasons"],
        )

    def file(self, name):
        """Return the path of a published file."""
        return published.find(self.study, name)

    def lacks(self, *names):
        """Return why the first of the published files that is missing cannot be read, or None."""
        paths = [path for path in map(self.file, names) if not path.is_file()]
        return f"{paths[0]} is not there" if paths else None

    def reason(self, *keys):
        """Return why the run lacks the first of these that it lacks."""
        known = (self.reasons[key] for key in keys if key in self.reasons)
        return next(known, "the run does not have it")


@dataclass(frozen=True)
class Check:
    """One comparison: ``group`` and ``name``, how it ended, in words, and its numbers."""

    group: str
    name: str
    status: str
    sentence: str
    numbers: dict = field(default_factory=dict)


def _paired(keys, paths):
    return dict(zip(keys, paths, strict=True))


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
    checks = [
        *_volume_checks(run),
        _array_check(run),
        *_order_checks(run),
        *_picture_checks(run),
        *_gradient_checks(run),
        *_numerical_checks(run),
    ]
    counts = {status: sum(check.status == status for check in checks) for status in STATUSES}
    write_json(
        report,
        {
            "study": str(run.study),
            "network": run.network,
            "image": run.image,
            "neuron": run.neuron,
            "passed": counts["agrees"] > 0 and not counts["differs"],
            "sentence": summary(counts),
            "counts": counts,
            "checks": [asdict(check) for check in checks],
        },
    )


def summary(counts):
    """Return the outcome in one sentence.

    >>> summary({"agrees": 5, "differs": 1, "explained": 0, "not checked": 2})
    '5 of 6 comparisons agree with what the study published and 1 differs; 2 could not be made.'
    >>> summary({"agrees": 0, "differs": 0, "explained": 0, "not checked": 7})
    'Nothing could be compared with what the study published; 7 comparisons could not be made.'
    """
    agrees, differs, explained, unchecked = (counts[status] for status in STATUSES)
    made = agrees + differs
    if not made:
        text = "Nothing could be compared with what the study published"
        return f"{text}; {unchecked} comparisons could not be made."
    text = f"{agrees} of {made} comparisons agree with what the study published"
    text += f" and {differs} differ{'s' if differs == 1 else ''}" if differs else ""
    text += f"; {explained} cannot agree, for reasons given" if explained else ""
    return text + (f"; {unchecked} could not be made." if unchecked else ".")


def require_agreement(report):
    """Raise a `UserError` unless a report says that the run passed.

    Parameters
    ----------
    report : str or Path
        Of `make_verification`.

    Raises
    ------
    UserError
        With the sentence of what differs.
    """
    found = read_json(report)
    if not found["passed"]:
        wrong = [check for check in found["checks"] if check["status"] == "differs"]
        said = "; ".join(f"{check['name']}: {check['sentence']}" for check in wrong[:5])
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise UserError(f"{report}: {found['sentence']} {said}{more}".rstrip())


def _check(group, name, reason, compare):
    """Return a check: `reason` why it cannot be made, or what `compare()` says."""
    if reason:
        return Check(group, name, "not checked", f"Not checked, because {reason}.")
    try:
        return Check(group, name, *compare())
    except UserError as error:
        return Check(group, name, "differs", f"Cannot be compared: {error}.")


def _volume_checks(run):
    for layer in published.LAYERS:
        names = published.volume_name(layer), published.header_name(layer)
        reason = run.lacks(*names) if layer in run.volumes else run.reason(layer)
        yield _check("Volumes", names[0], reason, _volume_of(run, layer))


def _volume_of(run, layer):
    def compare():
        expected = published.read_bytes(run.file(published.volume_name(layer)))
        found = published.read_bytes(run.volumes[layer])
        header = Path(run.volumes[layer]).with_suffix(".hd")
        text = run.file(published.header_name(layer)).read_bytes()
        if header.read_bytes() != text:
            raise UserError(f"{header}: is not {text!r}, as the study has it")
        return bytes_check(found, expected, "voxels")

    return compare


def _array_check(run):
    reason = run.lacks(published.CONV1) if run.volumes.get("conv1") else run.reason("conv1")

    def compare():
        outputs = read_array(run.blobs, run.blob).astype(np.float64)
        expected = published.read_numbers(run.file(published.CONV1), outputs.shape)
        low, high = outputs.min(), outputs.max()
        return numbers_check((outputs - low) * 255 / ((high - low) or 1), expected)

    return _check("Outputs of conv1", published.CONV1, reason, compare)


def _order_checks(run):
    group, name = "Orders of conv1's filters", published.CONV1
    for method, check in (("pca", order_check), ("kmeans", clusters_check)):
        missing = None if method in run.orderings else run.reason("conv1", "orderings")
        compare = _order_of(run, check, run.orderings.get(method))
        yield _check(group, f"{method}, from {name}", missing or run.lacks(name), compare)
    missing = None if "pca" in run.orderings else run.reason("conv1", "orderings")
    reason = missing or run.lacks(name, published.ORDERED)
    yield _check(group, f"pca, as in {published.ORDERED}", reason, _published_order(run))
    for path in run.slices:
        row = read_json(path)["row"]
        yield _check(group, f"row {row}, from {name}", run.lacks(name), _slice_of(run, path))


def _conv1(run):
    return published.read_numbers(run.file(published.CONV1))


def _order_of(run, check, path):
    def compare():
        outputs = _conv1(run)
        return check(read_json(path), outputs.reshape(len(outputs), -1))

    return compare


def _published_order(run):
    def compare():
        outputs = _conv1(run)
        volume = published.read_bytes(run.file(published.ORDERED), outputs.shape)
        return published_order_check(read_json(run.orderings["pca"]), volume, outputs)

    return compare


def _slice_of(run, path):
    def compare():
        found = read_json(path)
        rows = _conv1(run)[:, found["row"], :]
        results = [order_check(found["pca"], rows)]
        for k, clusters in found["kmeans"].items():
            parameters = {"k": int(k), "seed": found["seed"]}
            results.append(clusters_check({**clusters, "parameters": parameters}, rows))
        wrong = [result for result in results if result[0] != "agrees"]
        if wrong:
            return wrong[0]
        clusters = f" So are the clusters of k-means with k = {' and '.join(found['kmeans'])}."
        return "agrees", results[0][1] + (clusters if found["kmeans"] else ""), results[0][2]

    return compare


def _picture_checks(run):
    reason = run.lacks(published.CONV1) if run.grids else run.reason("conv1")

    def compare():
        outputs = read_array(run.blobs, run.blob)
        return grid_check(run.grids[0], run.natural[0], outputs, _conv1(run), run.grid_title)

    yield _check("Pictures", f"grid, from {published.CONV1}", reason, compare)


def _gradient_checks(run):
    for layer in published.GRADIENT_LAYERS:
        for image in published.IMAGES:
            name = published.gradient_name(image, layer)
            reason = run.reasons.get(f"gradient of {layer}")
            if image not in run.gradients or image not in run.fits:
                reason = run.reason("gradients", image)
            reason = reason or run.lacks(name)
            yield _check("Gradients", name, reason, _gradient_of(run, image, layer, name))


def _gradient_of(run, image, layer, name):
    def compare():
        from cnnvis.checks.neuron_search import compare as compare_gradients

        found = read_array(run.gradients[image], layer, "gradient of layer")
        expected = published.read_numbers(run.file(name), found.shape)
        numbers = compare_gradients(found, expected)
        fit = read_json(run.fits[image])["layers"][layer]
        if "error" in fit:
            raise UserError(fit["error"])
        return _gradient_said(numbers, fit, run.neuron)

    return compare


def _gradient_said(numbers, fit, neuron):
    best = fit["candidates"][0]
    numbers = {**numbers, "best_neuron": best["neuron"], "scanned": fit["scanned"], "fit": best}
    said = f"relative error {numbers['relative_error']:.1g}, correlation "
    said += f"{numbers['correlation'] or 0:.6f} with neuron {neuron}"
    if best["neuron"] == neuron:
        said += f", which of {fit['scanned']} fits best"
    else:
        said += (
            f"; of {fit['scanned']}, neuron {best['neuron']} fits best, with a relative error of "
            f"{best['relative_error']:.1g}"
        )
    # The study did not record the neuron: its file is reproduced by whichever gives its numbers.
    close = min(numbers["relative_error"], best["relative_error"]) <= GRADIENT_TOLERANCE
    return "agrees" if close else "differs", said[0].upper() + said[1:] + ".", numbers


def _numerical_checks(run):
    for image in published.IMAGES:
        name = published.numerical_name(image)
        reason = run.lacks(name, published.gradient_name(image, "conv1"))
        yield _check("Numerical gradients", name, reason, _numerical_of(run, image, name))
    for image, path in run.checks.items():
        report = read_json(path)
        status = "agrees" if report["agrees"] else "explained"
        name = f"the study's scheme, on {image}"
        yield Check("Numerical gradients", name, status, report["sentence"])
    if not run.checks:
        reason = f"{run.reason('gradients', 'checks')}, so that its scheme cannot be repeated"
        yield _check("Numerical gradients", "the study's scheme", reason, None)


def _numerical_of(run, image, name):
    def compare():
        gradient = published.read_numbers(run.file(published.gradient_name(image, "conv1")))
        numerical = published.read_numbers(run.file(name), gradient.shape)
        return numerical_check(numerical, gradient)

    return compare
