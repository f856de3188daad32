"""The page of one comparison: one neuron's gradients over images of three classes."""

from pathlib import Path

from cnnvis.core.files import read_json
from cnnvis.gradients.comparisons import GROUPS, read_members
from cnnvis.inputs.labels import read_labels
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.images import read_prediction
from cnnvis.pages.render import figure, link, write_page

# Files of a series: what links to them is called, and what they are.
SERIES = {"nii.gz": "nifti", "pvd": "vtk", "webp": "animation", "gif": "gif"}


def comparison_page(page, network, comparison, neuron, groups, artefacts, labels):
    """See `cnnvis.pages.make_comparison_page`."""
    files = Artefacts(artefacts, Path(page).parents[3])
    classes = read_labels(labels, read_prediction(groups[0]["prediction"])["classes"])
    members = [_member(m, network, files, page, classes) for m in read_members(groups)]
    layers = files.values("layer", comparison=comparison)
    write_page(
        page,
        "comparison.html",
        title=f"{comparison} in {network}",
        network=network,
        comparison=comparison,
        neuron=neuron,
        label=classes[neuron],
        groups=[(name, [m for m in members if m["group"] == name]) for name in GROUPS],
        layers=[_layer(layer, comparison, files, page) for layer in layers],
    )


def _animation(files, page, **parts):
    """Return the animation's address with its first frame, which says how large it is."""
    still = figure(files.first("comparison still", **parts), page)
    moving = link(files.first("comparison animation", **parts), page)
    return {**still, "still": still["href"], "href": moving} if still and moving else None


def _member(member, network, files, page, classes):
    parts = {"network": network, "image": member["image"]}
    return member | {
        "class": classes[member["cls"]],
        "picture": figure(files.first("picture", **parts), page),
        "href": link(files.first("page", **parts), page),
    }


def _layer(layer, comparison, files, page):
    parts = {"comparison": comparison, "layer": layer}
    summary = files.first("comparison summary", **parts)
    found = read_json(summary) if summary else None
    return {
        "name": found["layer"] if found else layer,
        "id": f"layer-{layer}",
        "picture": figure(files.first("comparison picture", **parts), page),
        "viewer": link(files.first("comparison viewer", **parts), page),
        "table": link(files.first("comparison table", **parts), page),
        "animation": _animation(files, page, **parts),
        "series": {
            name: link(files.first(f"comparison {kind}", **parts), page)
            for name, kind in SERIES.items()
        },
        "summary": found,
        "longest": max((row["norm"] for row in found["images"]), default=0) if found else 0,
    }
