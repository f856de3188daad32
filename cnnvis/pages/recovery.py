"""``results/recovery.html``: the filters of a network, recovered from what they made of a photo."""

from pathlib import Path

from cnnvis.checks.filter_recovery import Geometry
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.pages.render import figure, link, write_page


def recovery_page(page, recoveries):
    """Write the page on all recovered filters.

    Parameters
    ----------
    page : path
        ``results/recovery.html``.
    recoveries : dict of str to path
        Name -> ``report.json`` of `cnnvis.checks.filter_recovery.make_recovery`; ``filters.png``,
        ``deploy.prototxt`` and ``weights.caffemodel`` lie beside it.

    Raises
    ------
    UserError
        If there are no recoveries, or a report cannot be read.
    """
    if not recoveries:
        raise UserError(
            "config: recover is missing; expected recover: {NAME: {volume, image, ...}}"
        )
    write_page(
        page,
        "recovery.html",
        title="Filters of a network, from a picture of what they did",
        recoveries=[_recovery(name, Path(path), page) for name, path in recoveries.items()],
    )


def _recovery(name, path, page):
    report = read_json(path)
    keys = ("active", "residuals", "errors")
    rows = zip(*(report[key] for key in keys), strict=True)
    filters = [
        {"number": number, "active": active, "residual": residual, "error": error}
        for number, (active, residual, error) in enumerate(rows)
    ]
    return {
        **report,
        "name": name,
        "picture": figure(path.with_name("filters.png"), page),
        "prototxt": link(path.with_name("deploy.prototxt"), page),
        "weights": link(path.with_name("weights.caffemodel"), page),
        "report": link(path, page),
        "rows": filters,
        "most": max(report["active"], default=0),
        "unknown": [filters[number] for number in report["undetermined"]],
        "output": Geometry(*(report[key] for key in ("kernel", "stride", "pad"))).output(
            report["input"][1:]
        ),
    }
