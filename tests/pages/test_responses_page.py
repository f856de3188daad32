"""The pages of filters in a real browser: patches, sorting, choosing, and the large picture."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from cnnvis.activations.responses import make_responses
from cnnvis.core.arrays import write_arrays
from cnnvis.core.files import read_json, write_csv, write_json
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.streaming import Streams
from cnnvis.pages.responses import response_page

THIN = "tests/goldens/caffenet_thin"
LAYERS = ["conv1", "conv5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the pages of two layers over ten images of two classes."""
    folder, random = tmp_path_factory.mktemp("run"), np.random.default_rng(0)
    lines = []
    for number in range(10):
        pixels = Image.fromarray(random.integers(0, 255, (9, 6, 3), dtype=np.uint8))
        pixels.resize((120, 160)).save(folder / f"{number}.png")
        lines.append(f"{number}.png {number % 2}\n")
    (folder / "list.txt").write_text("".join(lines))
    (folder / "labels.txt").write_text("".join(f"name <{n}>\n" for n in range(10)))
    files = Places(folder / "results", network="thin")
    model = Model(f"{THIN}.prototxt", f"{THIN}.caffemodel", score="fc8")
    preprocessing = Preprocessing(model.info.input_shape, [104.0, 117.0, 123.0])
    images = ImageSet("responses", str(folder / "list.txt"), None)
    streams = Streams(model, preprocessing, files("responses", layer=LAYERS[0]), threads=1)
    make_responses(streams, files, [images], LAYERS, 4)
    table = files("class importance csv", collection="cats", layer="conv1")
    write_csv(table, ("rank", "filter"), [(rank + 1, (rank + 5) % 16) for rank in range(16)])
    maxima = [files(kind, layer="conv1") for kind in ("maximisation", "maximisation pictures")]
    scores = {(4, 0): 2.5, (4, 1): 3.5, (7, 0): 1.5, (7, 1): 0.5}
    rows = [
        {"filter": index, "preset": "trust", "seed": seed, "score": score}
        for (index, seed), score in scores.items()
    ]
    write_json(maxima[0], {"maxima": rows})
    shades = np.array([[10, 20], [30, 40]], np.uint8)
    write_arrays(maxima[1], {"trust": np.tile(shades[..., None, None, None], (1, 1, 11, 11, 3))})
    tuning = files("tuning page", layer="conv1")
    lost = files("pruning csv", collection="cats", layer="conv1")
    rows = [("single", index, "cats", 0.9 - index / 100) for index in range(16)]
    rows += [("none", "", "cats", 0.9), ("none", "", "dogs", 0.1), ("single", 2, "dogs", 0.7)]
    write_csv(lost, ("removal", "filter", "collection", "probability"), rows)
    needed = [[{"cls": 1, "loss": 0.25}] if n == 3 else [] for n in range(16)]
    lesions = files("lesions", layer="conv1")
    found = {"measure": "log_probability", "filters": [{"needed_by": each} for each in needed]}
    write_json(lesions, found)
    pages = [files("response page", layer=layer) for layer in LAYERS]
    options = {"labels": folder / "labels.txt", "artefacts": [*pages, table, lost, tuning, *maxima]}
    options["artefacts"].append(lesions)
    for layer in LAYERS:
        response_page(files, model, layer=layer, network="thin", **options)
    return folder / "results/thin/responses"


def test_every_filter_has_a_card_with_an_address(folder):
    text = (folder / "conv1.html").read_text()
    for index in range(16):
        assert f'id="filter-{index}"' in text
    assert 'href="conv5.html"' in text
    assert 'href="../tuning/conv1.html#filter-15"' in text
    assert "<dt>rank of importance to cats</dt><dd>12</dd>" in text
    assert "<dt>% of cats lost without it</dt><dd>15.0</dd>" in text
    assert "name &lt;1&gt;" in text
    assert "importance" not in (folder / "conv5.html").read_text()


def test_classes_that_need_a_filter_are_named_on_its_card(folder):
    text = (folder / "conv1.html").read_text()
    needed = re.findall(r'href="../lesions/conv1.html#filter-(\d+)">Needed by</a> (.*?)</p>', text)
    assert needed == [("3", "name &lt;1&gt; 0.25")]
    assert "how much log-probability" in text
    assert "lesions" not in (folder / "conv5.html").read_text()


def test_the_bars_of_a_histogram_stand_where_their_bins_are(folder):
    text = (folder / "conv5.html").read_text()
    summaries = read_json(folder / "conv5.json")["filters"]
    bars = re.findall(r"<svg class=.histogram.*?</svg>", text, re.S)
    varied = [each for each in summaries if each["quantiles"][0] < each["quantiles"][-1]]
    assert len(bars) == len(varied) > 0
    for each, bar in zip(varied, bars, strict=True):
        places = [int(place) for place in re.findall(r'rect x="(\d+)"', bar)]
        assert places == [place for place, count in enumerate(each["histogram"]) if count]


def test_what_drives_a_filter_is_the_best_of_all_seeds(folder):
    text = (folder / "conv1.html").read_text()
    assert text.count("What drives it most") == 2
    found = re.findall(
        r'base64,([^"]+)"[^>]*filter (\d+), by[^>]*>\s*<figcaption>trust ([0-9.]+)', text
    )
    shades = []
    for picture, index, score in found:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            shades.append((index, score, image.getpixel((5, 5))[0]))
    assert shades == [("4", "3.5", 20), ("7", "1.5", 30)]


@pytest.fixture
def look(browser, folder):
    def look(body, layer="conv1", hash="", **options):
        session = browser.open(f"{(folder / f'{layer}.html').as_uri()}{hash}", **options)
        browser.wait(session, "document.body && document.body.dataset.ready")
        found = browser.run(session, body)
        browser.close(session)
        assert not browser.errors
        return found

    return look


CARDS = "[...document.querySelectorAll('.filter:not([hidden])')]"
SHOWN = f"{CARDS}.map((card) => Number(card.dataset.index))"
CHOOSE = """
const form = document.getElementById('sorting');
const choose = (values) => {
  for (const [name, value] of Object.entries(values)) {
    if (name === 'turned') form.turned.checked = value; else form[name].value = value;
  }
  form.dispatchEvent(new Event('input', { bubbles: true }));
};
"""


def test_cards_are_sorted_and_chosen(look):
    found = look(
        f"""{CHOOSE} const numbers = (name) => {CARDS}.map((card) => Number(card.dataset[name]));
        choose({{ key: 'strongest' }});
        const strongest = numbers('strongest');
        choose({{ key: 'importance-0' }});
        const important = {SHOWN};
        choose({{ key: 'importance-1' }});
        const lost = {SHOWN};
        choose({{ key: 'index', turned: true }});
        const turned = {SHOWN};
        choose({{ turned: false, filter: '7' }});
        const one = {SHOWN}, count = form.count.textContent;
        choose({{ filter: '', label: 'no such' }});
        return {{ strongest, important, lost, turned, one, count, none: {SHOWN} }};"""
    )
    assert found["strongest"] == sorted(found["strongest"], reverse=True)
    assert found["important"][:3] == [5, 6, 7]
    assert found["lost"][:3] == [15, 14, 13]
    assert found["turned"] == list(range(16))[::-1]
    assert (found["one"], found["count"], found["none"]) == ([7], "1 filter", [])


def test_a_patch_opens_its_image_with_the_feature_map(look):
    found = look(
        """
        document.querySelector('#filter-3 .patches button:nth-child(2)').click();
        const image = document.querySelector('.stage img');
        await image.decode();
        const before = document.getElementById('large-text').textContent;
        const box = image.getBoundingClientRect();
        document.querySelector('.stage').dispatchEvent(new PointerEvent('pointermove',
          { bubbles: true, clientX: box.left + 1, clientY: box.top + 1 }));
        return { open: document.getElementById('large').open, width: image.naturalWidth, before,
          after: document.getElementById('large-text').textContent,
          map: document.querySelector('.map').style.backgroundImage };
        """,
        layer="conv5",
    )
    assert found["open"]
    assert found["width"] == 115
    assert "receptive field is" in found["before"]
    assert found["after"].startswith("Position row 0, column 0 of")
    assert "conv5/maps-000.webp" in found["map"]


@pytest.mark.parametrize("width", [390, 1280])
def test_sheets_are_loaded_as_cards_come_into_view_and_nothing_is_too_wide(look, width):
    found = look(
        """
        const patch = document.querySelector('.patches button');
        for (let turn = 0; turn < 100 && !patch.style.backgroundImage; turn++)
          await new Promise((done) => setTimeout(done, 100));
        const painted = patch.style.backgroundImage;
        return { painted, wide: document.documentElement.scrollWidth };
        """,
        width=width,
    )
    assert "conv1/patches-000.webp" in found["painted"]
    assert found["wide"] <= width


def test_an_address_leads_to_its_card(look):
    body = """
    await new Promise((done) => setTimeout(done, 300));
    const { top } = document.getElementById('filter-14').getBoundingClientRect();
    return { top, height: innerHeight };
    """
    found = look(body, hash="#filter-14")
    assert 0 <= found["top"] < found["height"]
