"""``results/parity.html``: is the embedded engine faithful to Caffe?"""

from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json, write_json
from cnnvis.pages.render import write_page

TASKS = {"forward": "Forward pass, one image", "gradient": "Gradient of one neuron, one image"}


def parity_page(page, report, reports):
    """Write the page, and the reports of all networks as one JSON file.

    Parameters
    ----------
    page, report : path
        ``results/parity.html`` and ``results/parity.json``.
    reports : iterable of path
        ``parity.json`` of each network, see `cnnvis.checks.engine_parity.compare_engines`.

    Raises
    ------
    UserError
        If there is no report, or one cannot be read.
    """
    networks = [read_json(path) for path in reports]
    if not networks:
        raise UserError("config: networks: none has weights; expected one to run in both engines")
    summary = {"faithful": all(each["faithful"] for each in networks), "networks": networks}
    write_json(report, summary)
    write_page(
        page,
        "parity.html",
        title="Is the embedded engine faithful to Caffe?",
        tasks=TASKS,
        **summary,
    )
