"""``results/{network}/lesions/{layer}.html``: which classes need which filters of a layer."""

from pathlib import Path

import numpy as np

from cnnvis.core.arrays import packed
from cnnvis.core.colours import encoded_tables
from cnnvis.core.files import read_json
from cnnvis.importance.lesions import OWN, PERCENTILE, SCORE, read_losses, sentence
from cnnvis.importance.lesions_figure import COLOURS, draw_lesions
from cnnvis.inputs.labels import read_labels
from cnnvis.pages.artefacts import Artefacts, figure_of
from cnnvis.pages.render import json_in_script, link, number, write_page

# What the losses of each measure are called.
LABELS = {
    "log_probability": "fall of the log-probability",
    "probability": "fall of the probability",
    "error_top1": "rise of the top-1 error",
    SCORE: "fall of the mean score",
}
UNITS = {"log_probability": " (nats)"}


def lesion_page(files, *, network, layer, shown, labels=None):
    """Draw what classes lose without each filter of a layer, and write the page.

    Parameters
    ----------
    files : Places
        Of the network. Read are ``lesions`` and ``lesion arrays``; ``lesion picture`` and ``lesion
        page`` are written.
    network : str
    layer : str
        As in paths.
    shown : iterable of path
        The pages to link, see `cnnvis.config.page_files.lesion_links`.
    labels : path, optional
        Class names, one per line.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    page, picture = files("lesion page", layer=layer), files("lesion picture", layer=layer)
    summary = read_json(files("lesions", layer=layer))
    losses = read_losses(files("lesion arrays", layer=layer))
    artefacts = Artefacts(shown, Path(page).parents[2], page)
    title = f"Which classes need which filters of {summary['layer']} in {network}"
    names = read_labels(labels, len(summary["classes"]))
    measure, main = summary["measure"], losses[summary["measure"]]
    says = sentence(summary["layer"], measure, main, names)
    draw_lesions(
        picture,
        main,
        _order(summary, measure),
        names,
        label=LABELS[measure] + UNITS.get(measure, ""),
        title=title,
        caption=f"{says} The colour is the {LABELS[measure]} of a class (rows), "
        f"over {_over(summary)}, when a filter (columns) alone is removed: red, the class needs "
        f"it; blue, it is better off without. Colours end at ±{number(main.window)}, the "
        f"{PERCENTILE}th percentile of sizes. Neighbours are as alike as possible.",
    )
    responses = artefacts.link("response page", layer=layer)
    write_page(
        page,
        "lesions.html",
        title=title,
        network=network,
        layer=summary["layer"],
        summary=summary,
        says=says,
        names=names,
        measure=LABELS[measure],
        measures={name: LABELS[name] for name in losses},
        over=_over(summary),
        percentile=PERCENTILE,
        picture=figure_of(picture, page.parents[2], page),
        responses=responses,
        others=_others(artefacts, layer),
        files={
            suffix: link(files(kind, layer=layer), page)
            for suffix, kind in ((".json", "lesions"), (".npz", "lesion arrays"))
        },
        spec=json_in_script(_spec(summary, losses, names, responses)),
        packed=_packed(losses),
        styles=["templates/cards.css", "templates/lesions.css"],
    )


def _order(summary, measure):
    key = SCORE if measure == SCORE else summary["measure"]
    return {"filters": summary["filter_order"], "classes": summary["class_orders"][key]}


def _over(summary):
    """Say over which images the numbers are, for each class."""
    counts = sorted({entry["images"] for entry in summary["classes"]} - {0})
    if summary["measure"] == SCORE:
        return f"all {summary['images']} images"
    return f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} images of the class"


def _others(artefacts, layer):
    pages = [artefact.parts["layer"] for artefact in artefacts.find("lesion page")]
    return [{"layer": each, "href": None if each == layer else f"{each}.html"} for each in pages]


def _spec(summary, losses, names, responses):
    """Return what the script needs beside the numbers themselves."""
    return {
        "filters": len(summary["filters"]),
        "names": names,
        "images": [entry["images"] for entry in summary["classes"]],
        "responses": responses,
        "colours": encoded_tables()[COLOURS],
        "measures": [
            {
                "label": LABELS[name],
                "unit": UNITS.get(name, ""),
                "sign": OWN.get(name, -1),
                "classes": each.classes.tolist(),
                "before": [float(f"{value:.4g}") for value in each.before],
                "window": each.window,
                "largest": _largest(each),
                "order": _order(summary, name),
            }
            for name, each in losses.items()
        ],
    }


def _largest(losses):
    return float(np.abs(losses.values).max()) or 1.0


def _packed(losses):
    """Return the losses as shares of the largest, in half precision, `packed`."""
    shares = [(each.values / _largest(each)).ravel() for each in losses.values()]
    return packed(np.concatenate(shares).astype("<f2"), 9)
