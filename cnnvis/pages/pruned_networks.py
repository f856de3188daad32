"""What pages show of the networks that are written without some filters."""

from cnnvis.core.files import read_json


def pruned_reports(files, **parts):
    """Return what the macro of ``templates/pruned_networks.html`` needs, one dict a network.

    Parameters
    ----------
    files : cnnvis.pages.artefacts.Artefacts
    **parts : str
        Of which reports: network, collection, layer (as in paths).

    Returns
    -------
    list of dict
        ``report``, what `cnnvis.importance.pruned_networks.make_pruned_networks` writes; ``share``,
        as in paths; ``rows``, the layers whose sizes differ; ``as_before``, how many do not; and
        ``files``, links to all three.

    Raises
    ------
    UserError
        If a report cannot be read.
    """
    found = files.find("pruned report", **parts)
    return [_shown(files, artefact) for artefact in found]


def _shown(files, artefact):
    report = read_json(artefact.path)
    rows = {
        layer: {**costs, "milliseconds": report["milliseconds"]["layers"].get(layer)}
        for layer, costs in report["layers"].items()
        if costs["before"] != costs["after"]
    }
    suffixes = {"prototxt": "network", "caffemodel": "weights", "json": "report"}
    return {
        "report": report,
        "share": artefact.parts["share"],
        "rows": rows,
        "as_before": len(report["layers"]) - len(rows),
        "files": [
            {"suffix": suffix, "href": files.link(f"pruned {kind}", **artefact.parts)}
            for suffix, kind in suffixes.items()
        ],
    }
