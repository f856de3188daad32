"""The page of one comparison: one neuron's gradients over images of three classes."""

from cnnvis.core.files import safe_name
from cnnvis.gradients.comparisons import GROUPS
from cnnvis.gradients.volumes import LAYOUTS
from cnnvis.inputs.labels import read_labels
from cnnvis.pages.artefacts import figure_of
from cnnvis.pages.render import figure, link, write_page

# Files of a time series for other programs: what a link to them says, and what they are.
SERIES = {".nii.gz": "nifti", ".pvd": "vtk"}


def comparison_page(
    files, members, summaries, *, network, comparison, neuron, classes, labels=None
):
    """Write the page of one comparison: its images, and their gradients layer by layer.

    Parameters
    ----------
    files : Places
        Of the comparison. Read are each image's ``picture`` and the comparison's pictures, whose
        sizes the page states; ``comparison page`` is written.
    members : list of cnnvis.gradients.comparisons.Member
    summaries : list of dict
        One per layer, see `cnnvis.gradients.comparisons.summarise`.
    network, comparison : str
    neuron : int
        The neuron whose gradients are compared.
    classes : int
        How many neurons the network has.
    labels : path, optional
        Class names, one per line.

    Raises
    ------
    UserError
        If the labels cannot be read.
    """
    page = files("comparison page")
    names = read_labels(labels, classes)
    shown = [_member(member, names[member.cls], files, page) for member in members]
    write_page(
        page,
        "comparison.html",
        title=f"{comparison} in {network}",
        network=network,
        comparison=comparison,
        neuron=neuron,
        label=names[neuron],
        predicted=members[0].predicted is not None,
        groups=[(name, [m for m in shown if m["member"].group == name]) for name in GROUPS],
        layers=[_layer(summary, files, page) for summary in summaries],
    )


def _member(member, cls, files, page):
    return {
        "member": member,
        "class": cls,
        "picture": figure(files("picture", image=member.image), page),
        "href": link(files("page", image=member.image), page),
    }


def _layer(summary, files, page):
    layer = safe_name(summary["layer"])
    return {
        "name": summary["layer"],
        "id": f"layer-{layer}",
        "picture": figure_of(files("comparison picture", layer=layer), page.parents[3], page),
        "layouts": [_layout(layout, layer, files, page) for layout in LAYOUTS],
        "table": link(files("comparison table", layer=layer), page),
        # Its first frame says how large the animation is.
        "still": figure(files("comparison still", layer=layer), page),
        "animation": link(files("comparison animation", layer=layer), page),
        "summary": summary,
        "longest": max(row["norm"] for row in summary["images"]),
    }


def _layout(layout, layer, files, page):
    def href(kind):
        return link(files(f"comparison {layout.prefix}{kind}", layer=layer), page)

    series = {suffix: href(kind) for suffix, kind in SERIES.items()}
    return {"title": layout.title, "viewer": href("viewer"), "series": series}
