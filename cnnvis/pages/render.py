"""Fill the templates and write pages: links, pictures with their sizes, numbers as text."""

import base64
import functools
import io
import json
import math
import os
import struct
from pathlib import Path
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from cnnvis.activations.arrangements import certificate
from cnnvis.activations.orderings import provenance
from cnnvis.core.files import atomic
from cnnvis.version import __version__

HERE = Path(__file__).parent


def write_page(page, template, **values):
    """Fill a template of ``templates/`` and write it to `page`.

    Text is escaped. The style and the scripts are embedded, so that a page needs no files but those
    it links.
    """
    text = page_text(template, **values)
    with atomic(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def page_text(template, **values):
    """Return the text of a page; see `write_page`."""
    return _environment().get_template(template).render(values | {"version": __version__})


def link(target, page):
    """Return the relative URL of a file for a page, percent-encoded; None for no file.

    >>> link("results/n/cat/grids/pca/conv 1#.png", "results/n/cat/index.html")
    'grids/pca/conv%201%23.png'
    """
    if target is None:
        return None
    relative = os.path.relpath(target, Path(page).parent)
    return quote(Path(relative).as_posix(), safe="/")


def figure(picture, page):
    """Return the URL and the size of a PNG, or None if there is no picture.

    With the size stated, the layout does not shift while pictures load.
    """
    if picture is None:
        return None
    with open(picture, "rb") as file:
        width, height = struct.unpack(">16x2I", file.read(24))
    return {"href": link(picture, page), "width": width, "height": height}


def embedded(colours):
    """Return a small picture as a URL that holds it: RGB in [0, 1], (height, width, 3), as PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.rint(255 * colours).astype(np.uint8)).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@functools.cache
def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "sides": sides, "names": names}
    environment.filters |= {"certificate": certificate, "provenance": provenance}
    environment.filters["middle"] = middle
    environment.globals |= {"source": source, "closer": closer}
    return environment


def source(*files):
    """Return the text of files of this package, for use in a ``<style>`` or ``<script>``.

    Raises
    ------
    ValueError
        If the text would end that element.
    """
    text = "\n".join((HERE / file).read_text(encoding="utf-8") for file in files)
    if "</" in text:
        raise ValueError(f"{files}: '</' would end the page's element early")
    return Markup(text)


def json_in_script(value):
    """Return JSON that cannot end the ``<script>`` element around it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def percent(share):
    """Return a share as a percentage with two digits, three where it is near 100 %.

    >>> percent(0.8734), percent(0.0004), percent(0)
    ('87 %', '< 0.1 %', '0 %')
    """
    if share == 0:
        return "0 %"
    if share < 0.001:
        return "< 0.1 %"
    return f"{share * 100:.2g} %" if share < 0.995 else f"{share * 100:.3g} %"


def number(value):
    """Return a number with three significant digits, or an integer in full.

    >>> number(1234567), number(0.000012345), number(12.0)
    ('1,234,567', '1.23 × 10⁻⁵', '12')
    """
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    exponent = math.floor(math.log10(abs(value)))
    if -4 < exponent < 6:
        return f"{value:,.3g}" if exponent < 3 else f"{value:,.0f}"
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value / 10**exponent:.2f} × 10{digits}"


def sides(shape):
    """Return the lengths of a shape, joined by a multiplication sign.

    >>> sides([55, 55])
    '55 × 55'
    """
    return " × ".join(str(side) for side in shape)


def closer(distance, natural):
    """Describe the mean distance of neighbours compared with that in the natural order.

    >>> closer(75.0, 100.0), closer(110.0, 100.0)
    ('are on average 25 % closer to each other than', 'are on average 10 % farther apart than')
    """
    change = distance / natural - 1 if natural else 0.0
    if abs(change) < 0.005:
        return "are on average as close to each other as"
    if change < 0:
        return f"are on average {percent(-change)} closer to each other than"
    return f"are on average {percent(change)} farther apart than"


def names(items):
    """Join items as in a sentence.

    >>> names(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last


def middle(text, length):
    """Return `text`, its middle replaced by an ellipsis where it is longer than `length`.

    >>> middle("inception_3a/5x5_reduce", 15)
    'incepti…_reduce'
    """
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"
