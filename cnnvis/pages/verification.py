"""``results/verify.html``: how close a run came to what the study published."""

from cnnvis.core.files import read_json
from cnnvis.pages.render import link, write_page

GROUPS = {
    "Volumes": "The study wrote each convolution's outputs of cat.jpg as bytes from 0 to 255.",
    "Outputs of conv1": "The same outputs as numbers, in float32, before they were rounded.",
    "Orders of conv1's filters": (
        "One order was published, as a volume. The others follow from the published outputs: "
        "those were ordered by the same method as this run's."
    ),
    "Pictures": (
        "The study's pictures are screenshots. Compared is the picture that this project draws of "
        "the published outputs."
    ),
    "Gradients": (
        "Derivatives of one neuron by the weights of conv1 and conv2, for six images. The study "
        "did not record the neuron, so every neuron of the network was tried."
    ),
    "Numerical gradients": (
        "The study checked its gradients by changing one weight of conv1 after another. Its "
        "numbers agree with nothing, not even with its own gradients."
    ),
}
WORDS = {"agrees": "agrees", "differs": "differs", "explained": "cannot agree"}


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
    found = read_json(report)
    write_page(
        page,
        "verification.html",
        title="Is it what the study published?",
        report=found,
        groups=[_group(name, found["checks"]) for name in GROUPS],
        words=WORDS,
        recovered=[read_json(path) for path in recovered],
        file=link(report, page),
    )


def _group(name, checks):
    mine = [check for check in checks if check["group"] == name]
    # Those are explained once, for all of them; see the template.
    numerical = [check for check in mine if check["status"] == "explained" and check["numbers"]]
    unchecked = {}
    for check in mine:
        if check["status"] == "not checked":
            unchecked.setdefault(check["sentence"], []).append(check["name"])
    return {
        "name": name,
        "id": name.lower().replace(" ", "-").replace("'", ""),
        "about": GROUPS[name],
        "checks": [c for c in mine if c["status"] != "not checked" and c not in numerical],
        "numerical": numerical,
        "unchecked": unchecked,
    }
