"""``results/recovery.html``: filters of a network, recovered from published outputs."""

from pathlib import Path

from cnnvis.checks.filter_recovery import Geometry
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.pages.render import figure, link, write_page


def recovery_page(page, reports):
    """Write the page on all recovered filters.

    Parameters
    ----------
    page : path
        ``results/recovery.html``.
    reports : iterable of path
        ``{name}/report.json`` of `cnnvis.checks.filter_recovery.make_recovery`; ``filters.png``,
        ``deploy.prototxt`` and ``weights.caffemodel`` are beside it.

    Raises
    ------
    UserError
        If there are no reports, or one cannot be read.
    """
    recoveries = [_recovery(Path(report), page) for report in reports]
    if not recoveries:
        raise UserError(
            "config: recover is missing; expected recover: {NAME: {volume, image, ...}}"
        )
    write_page(
        page,
        "recovery.html",
        title="Filters of a network, recovered from what they computed",
        recoveries=recoveries,
    )


def _recovery(path, page):
    report = read_json(path)
    columns = zip(report["active"], report["residuals"], report["errors"], strict=True)
    rows = [
        {"number": number, "active": active, "residual": residual, "error": error}
        for number, (active, residual, error) in enumerate(columns)
    ]
    geometry = Geometry(report["kernel"], report["stride"], report["pad"])
    return {
        **report,
        "name": path.parent.name,
        "picture": figure(path.with_name("filters.png"), page),
        "prototxt": link(path.with_name("deploy.prototxt"), page),
        "weights": link(path.with_name("weights.caffemodel"), page),
        "report": link(path, page),
        "rows": rows,
        "most": max(report["active"], default=0),
        "unknown": [rows[number] for number in report["undetermined"]],
        "output": geometry.output(report["input"][1:]),
    }
