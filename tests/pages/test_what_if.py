"""The page on which filters are switched off, in a browser, against the engine."""

import numpy as np
import pytest
from PIL import Image

from cnnvis.activations.layers import Layer
from cnnvis.core.arrays import write_arrays, write_npy
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.engines.programs import write_program
from cnnvis.pages.maps import write_maps
from cnnvis.pages.what_if import is_cheap, removable, what_if_page
from tests.conftest import ROOT
from tests.engines.goldens import difference
from tests.pages.test_pages import Page

FOLDER = ROOT / "models/photonet"
MODEL = Model(str(FOLDER / "deploy.prototxt"), str(FOLDER / "photonet.caffemodel"), "fc8")
NASTY = "<b>&\"'</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make the page of noise, with the feature maps of one layer; return the network's folder."""
    files = Places(tmp_path_factory.mktemp("what-if"), network="photonet", image="noise")
    values = np.random.default_rng(3).normal(0, 60, MODEL.info.input_shape).astype("f4")
    with MODEL.open(1) as engine:
        blobs = engine.forward(values[None], ["conv5", "fc8"])
    write_npy(files("input"), values)
    write_arrays(files("blobs"), {"fc8": blobs["fc8"][0].reshape(-1)})
    Image.new("RGB", (227, 227)).save(files("picture"))
    write_maps(files, Layer("conv5", blobs["conv5"][0], None, {}))
    write_program(files("what-if network"), MODEL)
    labels = files("page").with_name("labels.txt")
    labels.write_text("\n".join([NASTY, *map(str, range(16))]))
    what_if_page(files, MODEL, network="photonet", image="noise", labels=labels)
    return files("what-if network").parent


@pytest.fixture
def look(browser, folder):
    def look(body, hash="", **options):
        page = folder / "noise/what-if.html"
        session = browser.open(page.as_uri() + hash, **options)
        browser.wait(session, "document.body && document.body.dataset.network")
        found = browser.run(session, body)
        browser.close(session)
        assert not browser.errors
        return found

    return look


def expected(folder, layer, sets):
    batch = np.load(folder / "noise/input.npy")[None]
    with MODEL.open(1) as engine:
        return engine.scores_without(batch, layer, sets, "fc8")[:, 0]


def test_scores_without_filters_are_the_engines(look, folder):
    sets = [[], [5], [0, 17, 40], list(range(48))]
    for layer in ("conv1", "conv4"):
        found = look(f"return {sets}.map((filters) => scoresWithout({layer!r}, filters));")
        assert difference(np.array(found), expected(folder, layer, sets)) < 1e-5
    agreement = look("return document.getElementById('agreement').textContent;")
    assert agreement.startswith("Its scores agree with the engine's")


CHOOSE = """
const form = document.getElementById('choices');
const choose = async (values) => {
  for (const [name, value] of Object.entries(values)) {
    form[name].value = value;
    form[name].dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise((done) => setTimeout(done, 100));
  }
};
const tiles = () => [...document.querySelectorAll('.tiles button')];
"""


def test_tiles_say_what_each_filter_alone_changes_and_sort_by_it(look, folder):
    found = look(
        f"""{CHOOSE} await choose({{ layer: 'conv5', cls: '1', order: 'effect' }});
        return tiles().map((tile) => [Number(tile.dataset.filter), Number(tile.dataset.change)]);"""
    )
    scores = expected(folder, "conv5", [[], *([each] for each in range(64))])
    second = np.argsort(-scores[0], kind="stable")[1]
    changes = scores[1:, second] - scores[0, second]
    assert [change for _, change in found] == sorted(change for _, change in found)
    for filter_, change in found:
        assert change == pytest.approx(changes[filter_], abs=1e-6)


def test_filters_are_switched_by_their_tiles_and_by_the_address(look):
    found = look(
        f"""{CHOOSE} const off = () => tiles().filter((tile) => tile.ariaPressed === 'true').length;
        const all = document.getElementById('scores').textContent;
        tiles()[2].click();
        tiles()[7].click();
        const two = [off(), location.hash, document.getElementById('sentence').textContent];
        const without = document.getElementById('scores').textContent;
        document.getElementById('invert').click();
        const inverted = off();
        document.getElementById('reset').click();
        const again = document.getElementById('scores').textContent;
        return {{ two, all, without, inverted, again, none: off() }};"""
    )
    assert found["two"][:2] == [2, "#conv1:2,7"]
    assert "Without filters 2, 7 of conv1, the network predicts" in found["two"][2]
    assert found["all"] == found["again"] != found["without"]
    assert (found["inverted"], found["none"]) == (94, 0)
    given = look(
        "return document.getElementById('sentence').textContent + ' ' + form.layer.value;".replace(
            "form", "document.getElementById('choices')"
        ),
        hash="#conv5:1,60",
    )
    assert given.startswith("Without filters 1, 60 of conv5")
    assert given.endswith(" conv5")


@pytest.mark.parametrize("width", [390, 1280])
def test_tiles_show_feature_maps_and_nothing_is_too_wide(look, folder, width):
    found = look(
        f"""{CHOOSE} await choose({{ layer: 'conv5' }});
        for (let i = 0; i < 100 && !document.querySelector('.tiles canvas'); i++) {{
          await new Promise((done) => setTimeout(done, 50));
        }}
        return [document.documentElement.scrollWidth, document.querySelectorAll('canvas').length];
        """,
        width=width,
    )
    assert found == [width, 64]


def test_the_page_is_whole_and_text_stays_text(folder):
    page = Page(folder / "noise/what-if.html")
    assert page.faults == []
    assert NASTY not in page.text
    assert page.text.count("<b>") == 0


def test_what_costs_more_than_a_second_is_not_computed_in_advance():
    assert is_cheap(MODEL, removable(MODEL))
    assert list(removable(MODEL)) == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
    model = Model(str(ROOT / "models/squeezenet/deploy.prototxt"), None, "pool_final")
    assert not is_cheap(model, removable(model))
