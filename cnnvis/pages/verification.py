"""``results/verify.html``: how close a run came to what the study published."""

from cnnvis.core.files import read_json
from cnnvis.pages.render import link, write_page

GROUPS = {
    "Volumes": "The study published each convolution's feature maps of cat.jpg as bytes.",
    "Outputs of conv1": "The same feature maps of conv1 as float32 numbers, before rounding.",
    "Orders of conv1's filters": (
        "One order was published, as a volume. The others are those of the published feature maps, "
        "computed by the same method as this run's."
    ),
    "Pictures": (
        "The study's pictures are screenshots. Compared instead is the picture that this project "
        "draws of the published feature maps."
    ),
    "Gradients": (
        "Gradients of one neuron with respect to the weights of conv1 and conv2, on six images. "
        "The study did not record which neuron, so every neuron of the network was tried."
    ),
    "Numerical gradients": (
        "The study checked its gradients by changing one weight of conv1 after another. The "
        "published numbers are uncorrelated with its own backpropagated gradients."
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
    verification = read_json(report)
    write_page(
        page,
        "verification.html",
        title="Does this run reproduce what the study published?",
        report=verification,
        groups=[_group(name, verification["checks"]) for name in GROUPS],
        words=WORDS,
        recovered=[read_json(path) for path in recovered],
        file=link(report, page),
    )


def _group(name, checks):
    checks = [check for check in checks if check["group"] == name]
    # The template explains these once, for all of them.
    numerical = [check for check in checks if check["status"] == "explained" and check["numbers"]]
    unchecked = {}
    for check in checks:
        if check["status"] == "not checked":
            unchecked.setdefault(check["sentence"], []).append(check["name"])
    return {
        "name": name,
        "id": name.lower().replace(" ", "-").replace("'", ""),
        "about": GROUPS[name],
        "checks": [c for c in checks if c["status"] != "not checked" and c not in numerical],
        "numerical": numerical,
        "unchecked": unchecked,
    }
