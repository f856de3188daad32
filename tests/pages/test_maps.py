"""The sheets of feature maps on the page of an image, and what they are drawn from."""

import base64
import gzip
import json

import numpy as np
import pytest

from cnnvis.activations.grids import grey_scale
from cnnvis.activations.layers import Layer
from cnnvis.core.arrays import read_array
from cnnvis.core.files import safe_name
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.engines.receptive_fields import receptive_fields
from cnnvis.pages.images import _place
from cnnvis.pages.maps import write_maps
from tests import page_tree

ORDER = [2, 0, 1]


def written(folder, maps):
    """Write the feature maps of a layer, and return what the script says."""
    files = Places(folder, network="n", image="i")
    write_maps(files, Layer("a/b", maps, None, {"pca": {"permutation": ORDER}}))
    text = files("maps", layer="a-b").read_text()
    assert text.startswith("cnnvisMaps({") and text.endswith("});\n")
    return json.loads(text[len("cnnvisMaps(") : -len(");\n")])


@pytest.mark.parametrize("least", [0, -3])
def test_maps_are_kept_to_half_a_step(tmp_path, least):
    maps = np.random.default_rng(0).uniform(least, 5, (3, 4, 6)).astype("f4") * [
        [[1]],
        [[9]],
        [[0]],
    ]
    found = written(tmp_path, maps)
    assert (found["layer"], found["orders"]) == ("a/b", {"pca": ORDER})
    assert found["gamma"] == (0.5 if least == 0 else 1)
    packed = gzip.decompress(base64.b64decode(found["voxels"]))
    voxels = np.frombuffer(packed, np.uint8).reshape(found["shape"])
    low, high = (np.array(found[end])[:, None, None] for end in ("low", "high"))
    shares = (maps - low) / np.where(high > low, high - low, 1)
    steps = np.clip(shares, 0, 1) ** found["gamma"] * 255
    assert np.abs(voxels - steps).max() < 0.51
    assert high.max() == pytest.approx(maps.max(), rel=1e-5)


def test_a_map_lies_where_its_receptive_fields_are(tmp_path):
    (tmp_path / "net.prototxt").write_text(page_tree.PROTOTXT)
    model = Model(str(tmp_path / "net.prototxt"), None, "score")
    fields = receptive_fields(model.graph)
    place = _place(fields[model.graph.value("conv1")], (19, 17))
    # Kernels of 3 every 2 pixels: the middle of the first is pixel 1, and the first value covers
    # half a pixel to either side of it.
    assert place == {"top": 0.5 / 19, "height": 18 / 19, "left": 0.5 / 17, "width": 16 / 17}
    assert _place(None, (19, 17)) is None


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return page_tree.build(tmp_path_factory.mktemp("maps"))


@pytest.fixture
def look(browser, tree):
    def look(body, **options):
        session = browser.open((tree.folder / "cat/index.html").as_uri(), **options)
        browser.wait(session, "document.body && document.body.dataset.ready")
        browser.run(
            session, "for (const each of document.querySelectorAll('details')) each.open = true;"
        )
        browser.wait(session, READY)
        found = browser.run(session, body)
        browser.close(session)
        assert not browser.errors
        return found

    return look


# Sheets are loaded as they come into view.
READY = (
    "[...document.querySelectorAll('.maps')]"
    ".every((sheet) => sheet.dataset.ready || (sheet.scrollIntoView(), false))"
)
GREYS = """
const section = document.querySelector('.maps'), form = section.querySelector('form');
const choose = (order, scale) => {
  Object.assign(form.order, { value: order }); Object.assign(form.scale, { value: scale });
  form.dispatchEvent(new Event('input', { bubbles: true }));
  return [...section.querySelectorAll('.tiles button')].map((tile) => {
    const canvas = tile.querySelector('canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return { filter: Number(tile.textContent), greys: [...data].filter((_, i) => i % 4 === 0) };
  });
};
"""


def test_tiles_are_the_maps_in_an_order_on_either_scale(look, tree):
    found = look(f"{GREYS} return [choose('pca', 'layer'), choose('natural', 'filter')];")
    maps = read_array(tree.folder / "cat/blobs.npz", "conv1")
    order = json.loads((tree.folder / "cat/orderings/pca/conv1.json").read_text())["permutation"]
    assert [tile["filter"] for tile in found[0]] == order
    assert [tile["filter"] for tile in found[1]] == list(range(12))
    greys = np.array([tile["greys"] for tile in found[0]]).reshape(maps.shape)
    # A step of the stored bytes is at most that of a map twice as strong as white is.
    assert np.abs(greys - grey_scale(maps).pixels(maps[order])[..., 0].astype(int)).max() <= 2
    assert [max(tile["greys"]) for tile in found[1]] == [255] * 12


def test_a_tile_opens_its_map_over_the_image(look, tree):
    found = look(
        """
        document.querySelector('.tiles button:nth-child(4)').click();
        const heat = document.querySelector('.heat'), image = document.querySelector('.stage img');
        await image.decode();
        const [inner, outer] = [heat.getBoundingClientRect(), image.getBoundingClientRect()];
        const named = (name) => document.getElementById(name);
        const texts = () => ['large-title', 'large-text'].map((name) => named(name).textContent);
        const first = texts();
        const clientX = inner.left + (inner.width * 7.5) / 8, clientY = inner.top + 1;
        const move = new PointerEvent('pointermove', { bubbles: true, clientX, clientY });
        heat.parentElement.dispatchEvent(move);
        const here = texts();
        named('large').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
        return { first, here, next: texts()[0], wide: inner.width / outer.width,
          left: (inner.left - outer.left) / outer.width };
        """
    )
    value = read_array(tree.folder / "cat/blobs.npz", "conv1")[3, 0, 7]
    assert found["first"][0] == "conv1, filter 3"
    assert found["first"][1].endswith("over the middle of its receptive field.")
    assert "Row 0, column 7: about " in found["here"][1]
    said = float(found["here"][1].rsplit("about ", 1)[1].rstrip("."))
    assert said == pytest.approx(value, abs=0.02)
    assert found["next"] == "conv1, filter 4"
    assert (found["wide"], found["left"]) == pytest.approx((16 / 17, 0.5 / 17), abs=1e-3)


def test_without_its_file_a_sheet_gives_way_to_pictures(browser, tree, tmp_path):
    text = (tree.folder / "cat/index.html").read_text(encoding="utf-8")
    name = f"grids/{safe_name('conv1')}.js"
    assert name in text
    page = tree.folder / "cat/moved.html"
    page.write_text(text.replace(name, "grids/gone.js"), encoding="utf-8")
    session = browser.open(page.as_uri())
    browser.wait(session, "document.body && document.body.dataset.ready")
    browser.run(session, "document.querySelector('.maps').scrollIntoView();")
    browser.wait(session, "document.querySelector('.pictures').open")
    hidden = browser.run(session, "return document.querySelector('.maps').hidden;")
    browser.close(session)
    page.unlink()
    assert hidden
