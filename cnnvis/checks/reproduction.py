"""How close a run came to what the study published, result by result.

Everything published has an entry in `cnnvis.inputs.published.entries`, and each ends in one of
five ways:

- ``reproduced``, within the tolerances of `cnnvis.checks.agreement`;
- ``differs``: it should be the same and is not;
- ``explained``: it differs, because of something that the published files themselves show;
- ``needs ImageNet``: the study measured it on images that may not be passed on;
- ``not checked``, because a file, a layer or a neuron is missing. That is never taken for
  agreement.

Nothing is compared with what this project computes of the study's files by its own methods. A run
passes when something is reproduced and nothing differs.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cnnvis.checks.outcomes import METHODS, Outcome
from cnnvis.core.errors import UserError
from cnnvis.core.files import atomic, read_json, write_json
from cnnvis.inputs import published

STATUSES = ("reproduced", "differs", "explained", "needs ImageNet", "not checked")
# Pixels of the longer side of a picture that is drawn of numbers.
SIDE = 600


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
    shapes : list of list of int
        Filters, height and width of what the convolutions give, in the network's order.
    files : dict of str to path
        The run's files, by the names that `cnnvis.inputs.published.entries` uses.
    reasons : dict of str to str
        Why the run does not have a file, by the same names.
    """

    study: str
    network: str
    image: str
    neuron: int
    blob: str = "conv1"
    shapes: list = field(default_factory=list)
    files: dict = field(default_factory=dict)
    reasons: dict = field(default_factory=dict)

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


def make_verification(report, folder, run):
    """Compare a finished run with the published files; write the report and its pictures.

    Parameters
    ----------
    report : str or Path
        Becomes ``{"study", "network", "image", "neuron", "passed", "sentence", "counts", "checks":
        [{"section", "name", "status", "sentence", "numbers", "pictures"}, ...]}``; ``pictures`` has
        the paths of the study's picture and of the run's, ``study`` and ``run``, or None.
    folder : str or Path
        For the pictures, as PNG.
    run : Run

    Raises
    ------
    UserError
        If a file cannot be written. What is wrong with a published file is in the report.
    """
    checks = [_check(run, entry, Path(folder)) for entry in published.entries()]
    counts = {status: sum(check["status"] == status for check in checks) for status in STATUSES}
    write_json(
        report,
        {
            "study": str(run.study),
            "network": run.network,
            "image": run.image,
            "neuron": run.neuron,
            "passed": counts["reproduced"] > 0 and not counts["differs"],
            "sentence": conclusion(counts),
            "counts": counts,
            "checks": checks,
        },
    )


def _check(run, entry, folder):
    """Compare one result; save the study's picture and the run's, if there are any."""
    name = re.sub(r"[^0-9a-zA-Z]+", "-", entry.name).strip("-").lower()
    picture, missing = None, _missing(run, entry)
    try:
        if entry.picture and not missing:
            shown = published.read_picture(run.study, entry.picture)
            picture = _save(shown, folder / f"{name}.study.png")
        outcome = compare_entry(run, entry, picture)
    except UserError as error:
        outcome = Outcome("differs", f"Cannot be compared: {error}.")
    ours = _save(outcome.picture, folder / f"{name}.png")
    return {
        "section": entry.section,
        "name": entry.name,
        "status": outcome.status,
        "sentence": outcome.sentence,
        "numbers": outcome.numbers,
        "pictures": {"study": picture and str(picture), "run": ours and str(ours)},
    }


def _missing(run, entry):
    """Return why a result cannot be compared: what is missing, a list of str."""
    reasons = [
        run.reasons.get(name, "the run does not have it")
        for name in entry.results
        if name not in run.files
    ]
    needed = [published.find(run.study, name) for name in entry.needed]
    return reasons + [
        f"{path.name} is missing from {run.study}" for path in needed if not path.is_file()
    ]


def _save(picture, path):
    """Write a picture, or grey levels enlarged; return its path, that of a file as it is."""
    from PIL import Image

    if picture is None or isinstance(picture, Path):
        return picture
    if isinstance(picture, np.ndarray):
        scale = max(1, SIDE // max(picture.shape))
        picture = Image.fromarray(picture.repeat(scale, axis=0).repeat(scale, axis=1))
    with atomic(path) as temporary:
        picture.save(temporary, format="PNG")
    return path


def compare_entry(run, entry, picture=None):
    """Compare a run with one published result.

    Parameters
    ----------
    run : Run
    entry : cnnvis.inputs.published.Published
    picture : Path or None
        The study's picture as PNG.

    Returns
    -------
    cnnvis.checks.outcomes.Outcome

    Raises
    ------
    UserError
        If a file of the run or of the study is not usable.
    """
    missing = _missing(run, entry)
    # The study's numbers can be given without its picture.
    if missing and entry.method != "ImageNet":
        return Outcome("not checked", f"Not checked, because {missing[0]}.")
    needed = [published.find(run.study, name) for name in entry.needed]
    results = [Path(run.files[name]) for name in entry.results]
    return METHODS[entry.method](run, entry, results, needed, picture)


def conclusion(counts):
    """Return the outcome in one sentence.

    >>> counts = dict(zip(STATUSES, (5, 1, 0, 4, 2)))
    >>> conclusion(counts)
    '5 of 6 results are reproduced and 1 differs; 4 need ImageNet; 2 could not be checked.'
    >>> conclusion(dict(zip(STATUSES, (0, 0, 0, 4, 7))))
    'Nothing could be compared with what the study published; 11 results could not be checked.'
    """
    reproduced, differs, explained, imagenet, unchecked = map(counts.get, STATUSES)
    compared = reproduced + differs
    if not compared:
        text = "Nothing could be compared with what the study published"
        return f"{text}; {imagenet + unchecked} results could not be checked."
    parts = [f"{reproduced} of {compared} results are reproduced"]
    parts[0] += f" and {differs} differ{'s' if differs == 1 else ''}" if differs else ""
    parts += [f"{explained} differ for reasons given"] if explained else []
    parts += [f"{imagenet} need ImageNet"] if imagenet else []
    parts += [f"{unchecked} could not be checked"] if unchecked else []
    return "; ".join(parts) + "."


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
        details = "; ".join(f"{check['name']}: {check['sentence']}" for check in wrong[:2])
        more = f"; and {len(wrong) - 2} more" if len(wrong) > 2 else ""
        raise UserError(f"{report}: {outcome['sentence']} {details}{more}".rstrip())
