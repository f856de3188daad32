"""The page of a layer's filters: what each responds to, one card per filter."""

import base64
import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image

from cnnvis.activations.response_pictures import MAP, ROWS, boxes_of, has_colours
from cnnvis.core.files import read_json, safe_name
from cnnvis.inputs.labels import read_labels
from cnnvis.pages.artefacts import Artefacts
from cnnvis.pages.render import json_in_script, link, write_page

# Pictures of so few pixels are enlarged, and lose nothing.
SMALL = 32


def response_page(files, model, *, network, layer, artefacts, labels=None):
    """Write the page of one layer's filters.

    Parameters
    ----------
    files : Places
        Of the network. Read is ``responses``; ``response page`` is written.
    model : Model
    network, layer : str
    artefacts : iterable of path
        What else is known of the layer's filters: tables of class importance and of pruning; the
        page on their tuning; what drives them most; which classes need them; pages of other layers.
    labels : path, optional
        Class names, one per line.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    where = {"layer": safe_name(layer)}
    page, summary = files("response page", **where), read_json(files("responses", **where))
    names = read_labels(labels, model.classes)
    shown = Artefacts(artefacts, Path(page).parents[2], page)
    importance, maxima = _importance(shown, **where), _maxima(shown, **where)
    found = shown.first("lesions", **where)
    lesions = read_json(found) if found else None
    _, height, width = model.info.convolutions[layer].shape
    filters = [
        _filter(index, each, names, {key: values[index] for key, values in importance.items()})
        | {"maxima": maxima.get(index, [])}
        | {"needed_by": lesions["filters"][index]["needed_by"] if lesions else []}
        for index, each in enumerate(summary["filters"])
    ]
    write_page(
        page,
        "responses.html",
        title=f"Filters of {layer} in {network}: what they respond to",
        network=network,
        layer=layer,
        summary=summary,
        names=names,
        filters=filters,
        columns=max(len(each["top"]) for each in filters),
        importance=list(importance),
        others=_other_pages(shown, page, layer),
        tuning=shown.link("tuning page", **where),
        lesions=lesions
        and {"href": link(files("lesion page", **where), page), "measure": lesions["measure"]},
        spec=json_in_script(
            {**_geometry(model, summary["blob"], (height, width)), "folder": where["layer"]}
        ),
        files={
            suffix: link(files(kind, **where), page)
            for suffix, kind in ((".json", "responses"), (".npz", "response arrays"))
        },
        rows=ROWS,
        coloured=has_colours(model.info.layers_with_weights[layer]),
        styles=["templates/cards.css", "templates/dialog.css"],
    )


def _filter(index, each, names, importance):
    """Return what a filter's card shows."""
    ends = {
        end: [{"label": _name(names, entry["cls"]), "area": entry["area"]} for entry in entries]
        for end, entries in each["selectivity"].items()
    }
    images = [Path(entry["image"]).name for entry in each["top"]]
    return {
        **each,
        "index": index,
        "sheet": index // ROWS,
        "row": index % ROWS,
        "images": images,
        "strongest": each["top"][0]["value"],
        "best": ends["best"],
        "worst": ends["worst"],
        "area": ends["best"][0]["area"] if ends["best"] else None,
        "importance": importance,
        "places": [[entry["picture"], entry["y"], entry["x"]] for entry in each["top"]],
    }


def _name(names, cls):
    return names[cls] if 0 <= cls < len(names) else "no class"


def _importance(shown, layer):
    """Return ``{what: [number of each filter]}`` of tables of class importance and of pruning.

    They are the rank of its importance to a class; and by how much the probability of a class's own
    images, in per cent, is lower without it.
    """
    numbers = {}
    for table in shown.find("class importance csv", layer=layer):
        ranks = {int(row["filter"]): int(row["rank"]) for row in _rows(table)}
        numbers[f"rank of importance to {table.parts['collection']}"] = _listed(ranks)
    for table in shown.find("pruning csv", layer=layer):
        own = table.parts["collection"]
        rows = [row for row in _rows(table) if row["collection"] == own]
        whole = next(float(row["probability"]) for row in rows if row["removal"] == "none")
        lost = {
            int(row["filter"]): round(100 * (whole - float(row["probability"])), 3)
            for row in rows
            if row["removal"] == "single"
        }
        numbers[f"% of {own} lost without it"] = _listed(lost)
    return numbers


def _maxima(shown, layer):
    """Return ``{filter: [preset, score and picture]}`` of what drives filters most.

    Of several seeds it is the picture with the largest score.
    """
    found = shown.first("maximisation", layer=layer)
    if not found:
        return {}
    best = {}
    for row in read_json(found)["maxima"]:
        key = row["filter"], row["preset"]
        if key not in best or row["score"] > best[key]["score"]:
            best[key] = row
    filters = list(dict.fromkeys(index for index, _ in best))
    maxima = {index: [] for index in filters}
    with np.load(shown.first("maximisation pictures", layer=layer)) as pictures:
        for (index, preset), row in best.items():
            picture = _embedded(pictures[preset][filters.index(index), row["seed"]])
            maxima[index].append({"preset": preset, "score": row["score"], "picture": picture})
    return maxima


def _embedded(pixels):
    """Return a picture, uint8, as an address that holds it."""
    content = io.BytesIO()
    small = max(pixels.shape[:2]) <= SMALL
    Image.fromarray(pixels).save(content, "WEBP", lossless=small, quality=80, method=4)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def _rows(table):
    with open(table.path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _listed(numbers):
    return [numbers[index] for index in range(len(numbers))]


def _other_pages(shown, page, layer):
    pages = [artefact.parts["layer"] for artefact in shown.find("response page")]
    return [
        {"layer": each, "href": None if each == safe_name(layer) else f"{each}.html"}
        for each in pages
    ]


def _geometry(model, blob, size):
    """Return what the script needs to draw the receptive field of a position."""
    box, (_, tall, wide) = boxes_of(model, blob), model.info.input_shape
    step = -(-max(size) // MAP)
    corners = [box(0, x) for x in range(size[1])], [box(y, 0) for y in range(size[0])]
    return {
        "input": [tall, wide],
        "map": list(size),
        "sheet": [-(-n // step) * step for n in size],
        "columns": [[each.left, each.right] for each in corners[0]],
        "rows": [[each.top, each.bottom] for each in corners[1]],
    }
