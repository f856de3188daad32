"""``results/parity.html``: is the embedded engine faithful to Caffe?"""

from cnnvis.core.files import read_json, write_json
from cnnvis.pages.render import write_page

TASKS = {"forward": "Forward pass, one image", "gradient": "Gradient of one neuron, one image"}


def parity_page(page, report, reports):
    """See `cnnvis.pages.make_parity_page`."""
    networks = [read_json(path) for path in reports]
    write_json(report, {"faithful": all(n["faithful"] for n in networks), "networks": networks})
    write_page(
        page,
        "parity.html",
        title="Is the embedded engine faithful to Caffe?",
        networks=networks,
        faithful=all(network["faithful"] for network in networks),
        tasks=TASKS,
    )
