"""``results/verify.html``: how close a run came to what the study published."""

from cnnvis.core.files import read_json
from cnnvis.inputs.published import SECTIONS
from cnnvis.pages.render import figure, link, write_page

ABOUT = {
    "3.1.2 3D unordered visualization": (
        "The study published each convolution's feature maps of cat.jpg as bytes."
    ),
    "3.1.3 Finding patterns between filter output images: slices": (
        "The study's pictures are screenshots of matplotlib. Their cells are read back as grey "
        "levels and compared row by row with this run's slice in this run's order."
    ),
    "3.1.3 Finding patterns between filter output images: whole outputs": (
        "Three volumes were published. The sign of PCA is arbitrary: where the study's order runs "
        "the other way, its places are counted from the other end."
    ),
    "3.2.1 Gradient calculation": (
        "The study did not record which neuron its gradients are of, so where a network has "
        "weights every neuron is tried. Its numerical gradients should correlate 1 with the "
        "others. A derivative does not depend on the one computed before it: where neighbours are "
        "nearly equal, changed weights were not put back. And where all are float32 numbers, they "
        "are differences of scores that were never divided by the script's step of 10⁻⁹; in "
        "float32 this step does not even change a weight above 0.03."
    ),
    "3.2.2 Visualization of gradients": (
        "Two volumes are in the history of the study's repository: gradients with respect to "
        "conv1, summed over the three colours, scaled to 0 and 1 and rounded. The second is of a "
        "numerical gradient that was replaced later."
    ),
}
WORDS = {
    "reproduced": "reproduced",
    "differs": "differs",
    "explained": "differs, because",
    "needs ImageNet": "needs ImageNet",
    "not checked": "not checked",
}


def verification_page(page, report, recovered=()):
    """Write the page of a verification.

    Parameters
    ----------
    page : path
        ``results/verify.html``.
    report : path
        ``results/verify.json``, see `cnnvis.checks.reproduction`.
    recovered : iterable of path
        ``report.json`` of the recovery that the network's filters come from, if they do: the page
        then says what agreement means.

    Raises
    ------
    UserError
        If a report cannot be read.
    """
    verification = read_json(report)
    write_page(
        page,
        "verification.html",
        title="Does this run reproduce what the study published?",
        report=verification,
        sections=[_section(name, verification["checks"], page) for name in SECTIONS],
        words=WORDS,
        recovered=[read_json(path) for path in recovered],
        file=link(report, page),
    )


def _section(name, checks, page):
    checks = [check for check in checks if check["section"] == name]
    unchecked = {}
    for check in checks:
        if check["status"] == "not checked":
            unchecked.setdefault(check["sentence"], []).append(check["name"])
    return {
        "name": name,
        "id": name.split()[0].replace(".", "-") + f"-{SECTIONS.index(name)}",
        "about": ABOUT.get(name),
        "checks": [
            {**check, **_pictures(check["pictures"], page)}
            for check in checks
            if check["status"] != "not checked"
        ],
        "unchecked": unchecked,
    }


def _pictures(pictures, page):
    """Return the links of both pictures; of the run's, whether it is a page."""
    ours = pictures["run"]
    is_page = bool(ours and ours.endswith(".html"))
    return {
        "theirs": figure(pictures["study"], page),
        "ours": None if is_page else figure(ours, page),
        "view": link(ours, page) if is_page else None,
    }
