"""The 3D viewer in a real browser: what it decodes, that it draws, what it does without WebGL2."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest

from cnnvis.activations.forward import predict
from cnnvis.activations.layers import Layer
from cnnvis.core.arrays import write_arrays
from cnnvis.core.files import write_json
from cnnvis.core.places import Places
from cnnvis.core.volume_files import to_bytes
from cnnvis.gradients.comparisons import Comparison, read_members
from cnnvis.pages.viewers import comparison_viewer, volume_viewer
from tests.browser import NAMES, Browser, find_browser

# What tests of drawing need in the page.
TOOLS = """
const found = {};
const settle = () => new Promise((done) => setTimeout(done, 500));
const bytes = (a) => btoa(String.fromCharCode(...new Uint8Array(a.slice().buffer)));
const seen = async () => {
  const image = new Image();
  image.src = viewer.picture();
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  return viewer.drawn.map(({ area }) => {
    const { data } = context.getImageData(area.x, area.y + 40, area.width, area.height - 40);
    let [bright, red, blue] = [0, 0, 0];
    for (let i = 0; i < data.length; i += 4) {
      if (data[i] + data[i + 1] + data[i + 2] > 60) bright++;
      red += data[i];
      blue += data[i + 2];
    }
    return { bright: bright / (data.length / 4), red, blue };
  });
};
const press = (key) =>
  document.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
"""

pytestmark = pytest.mark.skipif(
    find_browser() is None, reason=f"no browser found, looked for {', '.join(NAMES)}"
)


def look(browser, page, body, hash="", **options):
    """Open a page, run `body` in it once it is ready, and return what it found."""
    session = browser.open(f"{page.as_uri()}{hash}", **options)
    browser.wait(session, "document.body && document.body.dataset.ready")
    ready = browser.run(session, "return document.body.dataset.ready;")
    found = browser.run(session, f"{TOOLS} {body} return found;")
    browser.close(session)
    assert ready == "error" or not browser.errors
    return found | {"ready": ready}


@pytest.fixture(scope="module")
def outputs():
    values = np.maximum(np.random.default_rng(0).normal(size=(7, 6, 5)), 0)
    # Solid, so that every way of drawing has something to show.
    values[4:] += 3
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def orders():
    rng = np.random.default_rng(1)
    return {"natural": list(range(7)), "other <i>": rng.permutation(7).tolist()}


@pytest.fixture(scope="module")
def volume_page(tmp_path_factory, outputs, orders):
    image = "cat's </script>"
    files = Places(tmp_path_factory.mktemp("volume"), network="n", image="i")
    described = {name: {"permutation": order} for name, order in orders.items()}
    layer = Layer("conv", outputs, to_bytes(outputs), described)
    volume_viewer(files, layer, network='net "&<', image=image, responses=True)
    return files("viewer", layer="conv")


@pytest.fixture(scope="module")
def gradients():
    values = np.random.default_rng(2).normal(size=(3, 8, 4, 2, 3)) * 1e-7
    # The first image's are nearly all positive, the second's negative.
    return (values + np.array([4e-7, -4e-7, 0]).reshape(3, 1, 1, 1, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def series_page(tmp_path_factory, gradients):
    files = Places(tmp_path_factory.mktemp("series"), network="n", comparison="three")
    entries = []
    for i, group in enumerate(("reference", "similar", "dissimilar")):
        write_arrays(files("gradients", image=f"image {i}", cls=0), {"conv": gradients[i]})
        scores = np.eye(3)[i] * 4
        prediction = predict(scores, "score")
        write_json(files("prediction", image=f"image {i}"), prediction)
        entries.append({"group": group, "cls": i, "image": f"image {i}", "correct": True})
    members = read_members(files, entries, 0)
    comparison_viewer(files, Comparison.read(members, "conv", name="three", network="n", neuron=0))
    return files("comparison viewer", layer="conv")


def test_the_page_decodes_and_orders_the_bytes_of_the_volume(browser, volume_page, outputs, orders):
    found = look(
        browser,
        volume_page,
        """
        found.panels = viewer.panels.map((panel) => panel.frames.map(bytes));
        found.titles = [...document.querySelectorAll('.panel-title')].map((e) => e.textContent);
        found.heading = document.querySelector('h1').textContent;
        found.background = await seen();
        viewer.change({ box: 0, curve: '0_0-1_0' });
        found.nothing = await seen();
        """,
    )
    assert found["ready"] == "1"
    voxels = to_bytes(outputs)
    assert found["titles"] == list(orders)
    assert found["heading"] == "conv: feature maps of its 7 filters for cat's </script>"
    for panel, order in zip(found["panels"], orders.values(), strict=True):
        assert base64.b64decode(panel[0]) == voxels[order].tobytes()
    assert all(panel["bright"] > 0.05 for panel in found["background"])
    # The probe can tell an empty drawing from a full one.
    assert all(panel["bright"] < 0.01 for panel in found["nothing"])


def test_every_way_of_drawing_draws_something_else(browser, volume_page):
    found = look(
        browser,
        volume_page,
        """
        found.seen = [];
        for (const mode of ['volume', 'maximum', 'surface', 'slices']) {
          viewer.change({ mode, box: 0 });
          found.seen.push((await seen())[0]);
        }
        """,
    )
    assert all(view["bright"] > 0.02 for view in found["seen"])
    assert len({view["red"] for view in found["seen"]}) == 4


def test_keys_controls_and_address_change_the_view(browser, volume_page):
    found = look(
        browser,
        volume_page,
        """
        found.start = { ...viewer.state };
        press('m');
        press('x');
        press('ArrowLeft');
        press(']');
        const slider = document.querySelector('[data-state="opacity"]');
        slider.value = 0.5;
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        await settle();
        found.changed = { ...viewer.state };
        found.hash = location.hash;
        found.secure = isSecureContext;
        navigator.clipboard.writeText = async (text) => { found.copied = text; };
        press('c');
        await settle();
        press('?');
        found.help = document.getElementById('help').open;
        document.getElementById('help').close();
        press('r');
        await settle();
        found.reset = { ...viewer.state };
        location.hash = '#mode=slices&frame=99&colours=nonsense&zoom=x&elevation=10';
        await settle();
        found.hostile = { ...viewer.state };
        const { area } = viewer.drawn[0];
        viewer.change({ azimuth: 0, elevation: 0, mode: 'volume' });
        viewer.draw(true);
        viewer.point(area.x + area.width / 2, area.y + area.height / 2);
        found.voxel = document.getElementById('voxel').textContent;
        """,
        hash="#azimuth=12.5&unknown=1",
    )
    start = found["start"]
    assert start["azimuth"] == 12.5
    assert "unknown" not in start
    changes = {"mode": "maximum", "showX": 1, "azimuth": 7.5, "opacity": 0.5}
    assert found["changed"] == start | changes | {"threshold": start["threshold"] + 0.02}
    for part in ("mode=maximum", "showX=1", "azimuth=7.5", "opacity=0.5"):
        assert part in found["hash"]
    # Pages that are opened as files may write to the clipboard.
    assert found["secure"] is True
    assert found["copied"] == f"{volume_page.as_uri()}{found['hash']}"
    assert found["help"] is True
    assert found["reset"]["mode"] == "volume"
    assert found["hostile"] == found["reset"] | {"mode": "slices", "elevation": 10}
    assert re.fullmatch(r"filter [4-6] · y [23] · x 2 · \d.*", found["voxel"])


def test_half_floats_play_as_a_series_on_one_scale(browser, series_page, gradients):
    found = look(
        browser,
        series_page,
        """
        found.frames = viewer.panels[0].frames.map(bytes);
        found.seen = [];
        found.names = [];
        viewer.change({ box: 0, mode: 'surface' });
        for (let i = 0; i < 3; i++) {
          found.names.push(document.getElementById('frame-name').textContent);
          found.seen.push((await seen())[0]);
          press('.');
          await settle();
        }
        found.back = viewer.state.frame;
        found.marks = document.getElementById('marks').innerText;
        viewer.change({ speed: 5 });
        press(' ');
        found.playing = viewer.playing;
        await settle();
        press(' ');
        found.later = viewer.state.frame;
        """,
    )
    frames = [np.frombuffer(base64.b64decode(f), "<f4") for f in found["frames"]]
    sums = gradients.sum(axis=2)
    for frame, volume in zip(frames, sums / np.abs(sums).max(), strict=True):
        assert np.array_equal(frame, volume.astype("<f2").astype("<f4").ravel())
    assert found["names"] == [
        "reference · image 0 (correct)",
        "similar · image 1 (correct)",
        "dissimilar · image 2 (correct)",
    ]
    assert found["seen"][0]["red"] > 1.5 * found["seen"][0]["blue"]
    assert found["seen"][1]["blue"] > 1.5 * found["seen"][1]["red"]
    assert found["back"] == 0
    assert found["playing"] is True
    assert found["later"] > 0


def test_without_webgl_the_page_says_so_and_names_the_files(volume_page, tmp_path):
    with Browser(tmp_path, flags=("--disable-3d-apis",)) as browser:
        found = look(
            browser,
            volume_page,
            """
            found.shown = document.getElementById('message').checkVisibility();
            found.text = document.getElementById('message').innerText;
            const links = [...document.querySelectorAll('#message a')];
            found.links = links.map((a) => a.getAttribute('href'));
            """,
        )
    assert found["ready"] == "nogl"
    assert found["shown"] is True
    assert "WebGL2" in found["text"]
    assert found["links"][:3] == [
        "../grids/natural/conv.png",
        "../grids/other%20%3Ci%3E/conv.png",
        "../volumes/natural/conv.nhdr",
    ]
    assert len(found["links"]) == 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["volume_page", "series_page"])
def test_the_page_is_accessible_by_the_rules_of_axe(browser, request, page, scheme):
    rules = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    axe = (Path(rules.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    found = look(
        browser,
        request.getfixturevalue(page),
        """
        viewer.change({ picked: 3 });
        for (const section of document.querySelectorAll('details')) section.open = true;
        viewer.draw(true);
        """
        + axe
        + """
        const name = ({ target, failureSummary }) => `${target}: ${failureSummary}`;
        const problems = async () => {
          // What lies over the drawing has a shadow of its own, which axe cannot judge.
          const { violations } = await axe.run({ exclude: ["#labels"] });
          return violations.map(({ id, nodes }) => [id, ...nodes.map(name)]);
        };
        found.page = await problems();
        viewer.help();
        found.help = await problems();
        """,
        media=[{"name": "prefers-color-scheme", "value": scheme}],
    )
    assert found["page"] == []
    assert found["help"] == []


def test_the_focus_runs_through_everything_in_the_order_of_the_page(browser, volume_page):
    found = look(
        browser,
        volume_page,
        """
        viewer.change({ picked: 3 });
        viewer.draw(true);
        const kinds = 'button, input, select, a[href], canvas, summary, [role="slider"]';
        const all = [...document.querySelectorAll(kinds)];
        const reached = all.filter((e) => e.tabIndex >= 0 && e.checkVisibility());
        found.positive = all.filter((e) => e.tabIndex > 0).length;
        found.names = reached.map((e) => e.id || e.dataset.state).filter(Boolean);
        const named = (e) => e.textContent.trim() || e.ariaLabel || e.labels?.length;
        found.unnamed = reached.filter((e) => !named(e)).map((e) => e.outerHTML);
        """,
    )
    names = found["names"]
    assert found["positive"] == 0
    assert found["unnamed"] == []
    wanted = ["save", "copy", "reset", "show-help", "volume", "picked", "unpick", "share", "mode"]
    assert [name for name in names if name in wanted] == wanted


def test_nothing_moves_by_itself(browser, series_page):
    found = look(
        browser,
        series_page,
        """
        const before = JSON.stringify(viewer.state);
        await settle();
        found.same = before === JSON.stringify(viewer.state);
        found.playing = viewer.playing;
        found.animations = document.getAnimations().length;
        """,
        media=[{"name": "prefers-reduced-motion", "value": "reduce"}],
    )
    assert found["same"] is True
    assert found["playing"] is False
    assert found["animations"] == 0


def test_a_damaged_volume_is_reported_in_the_page(browser, volume_page):
    damaged = volume_page.with_name("damaged.html")
    text = volume_page.read_text(encoding="utf-8")
    damaged.write_text(text.replace('"shape":[1,7,', '"shape":[1,8,'), encoding="utf-8")
    found = look(browser, damaged, "found.text = document.getElementById('message').innerText;")
    assert found["ready"] == "error"
    assert "another size than stated" in found["text"]


def test_a_picked_filter_is_the_same_in_all_panels_and_beside_them(
    browser, volume_page, outputs, orders
):
    found = look(
        browser,
        volume_page,
        """
        viewer.change({ azimuth: 0, elevation: 0, mode: 'slices' });
        viewer.change({ showFilter: 1, sliceFilter: 0.999 });
        viewer.draw(true);
        const box = viewer.canvas.getBoundingClientRect();
        const at = ({ area }, kind) => viewer.canvas.dispatchEvent(new PointerEvent(kind, {
          pointerId: 1, bubbles: true, pointerType: 'touch',
          clientX: box.left + area.x + area.width / 2, clientY: box.top + area.y + area.height / 2,
        }));
        viewer.canvas.setPointerCapture = () => {};
        for (const kind of ['pointerdown', 'pointerup', 'pointerleave']) at(viewer.drawn[1], kind);
        viewer.draw(true);
        found.picked = viewer.state.picked;
        found.voxel = document.getElementById('voxel').textContent;
        found.places = [...document.querySelectorAll('#places li')].map((e) => e.textContent);
        found.labels = [...document.querySelectorAll('.picked')].map((e) => e.textContent);
        found.slabs = viewer.drawn.map(({ slab, size }) => slab.middle[2] / size[2]);
        const canvas = document.querySelector('#slices canvas');
        found.size = [canvas.width, canvas.height];
        const { data } = canvas.getContext('2d').getImageData(0, 0, 5, 6);
        found.red = [...data].filter((_, i) => i % 4 === 0);
        const map = canvas.getBoundingClientRect();
        canvas.dispatchEvent(new PointerEvent('pointermove', {
          clientX: map.left + map.width * 0.5, clientY: map.top + map.height * 0.99 }));
        found.read = document.querySelector('#slices figcaption').textContent;
        found.link = document.querySelector('#responses a').getAttribute('href');
        press('n');
        await settle();
        found.next = viewer.state.picked;
        found.hash = location.hash;
        press('Escape');
        viewer.draw(true);
        found.hidden = document.getElementById('card').hidden;
        """,
    )
    picked = orders["other <i>"][-1]
    assert found["picked"] == picked
    assert found["voxel"].startswith(f"filter {picked} · place 6 · y ")
    assert found["places"] == ["other <i>: place 6"]
    assert found["labels"] == [str(picked)] * 2
    # The last place is the nearest: at the end of the box's z axis that is drawn in front.
    assert found["slabs"] == pytest.approx([(6.5 - picked) / 7 - 0.5, 0.5 / 7 - 0.5])
    assert found["size"] == [5, 6]
    values = to_bytes(outputs)[picked].ravel()
    brightest = np.argmax(values)
    assert found["red"][brightest] == max(found["red"])
    assert found["red"][brightest] > found["red"][np.argmin(values)]
    value = outputs[picked, 5, 2]
    assert found["read"].startswith(f"filter {picked} · y 5 · x 2 · ")
    assert float(found["read"].split()[-1]) == pytest.approx(value, abs=float(outputs.max()) / 255)
    assert found["link"] == f"../../responses/conv.html#filter-{picked}"
    assert found["next"] == (picked + 1) % 7
    assert f"picked={found['next']}" in found["hash"]
    assert found["hidden"] is True


def test_the_curve_of_opacity_is_dragged_and_moved_by_keys(browser, volume_page):
    found = look(
        browser,
        volume_page,
        """
        const box = document.getElementById('curve');
        const at = (kind, x, y) => {
          const area = box.getBoundingClientRect();
          box.dispatchEvent(new PointerEvent(kind, { pointerId: 1, bubbles: true,
            clientX: area.left + x * area.width, clientY: area.top + (1 - y) * area.height }));
        };
        box.setPointerCapture = () => {};
        found.start = viewer.state.curve;
        found.before = (await seen())[0];
        at('pointerdown', 0.6, 0.9);
        at('pointermove', 0.5, 0.75);
        at('pointerup', 0.5, 0.75);
        viewer.draw(true);
        found.dragged = viewer.state.curve;
        const handle = box.querySelectorAll('span')[2];
        found.handle = [handle.getAttribute('role'), handle.getAttribute('aria-valuetext')];
        const key = (name) => handle.dispatchEvent(
          new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true }));
        key('ArrowUp');
        key('ArrowRight');
        found.azimuth = viewer.state.azimuth;
        found.moved = viewer.state.curve;
        key('Delete');
        found.removed = viewer.state.curve;
        viewer.change({ curve: '0_0-1_0', box: 0 });
        found.nothing = (await seen())[0];
        await settle();
        found.hash = location.hash;
        """,
    )
    assert found["dragged"] == found["start"].replace("-1_1", "-0.5_0.75-1_1")
    assert found["handle"] == ["slider", "75 %"]
    assert found["moved"] == found["start"].replace("-1_1", "-0.52_0.77-1_1")
    assert found["azimuth"] == -38
    assert found["removed"] == found["start"]
    assert found["before"]["bright"] > 0.02 > found["nothing"]["bright"]
    assert "curve=0_0-1_0" in found["hash"]


def test_frames_are_subtracted_on_a_symmetric_scale(browser, series_page, gradients):
    found = look(
        browser,
        series_page,
        """
        found.start = { ...viewer.state };
        viewer.change({ minus: 1, box: 0, mode: 'surface' });
        viewer.draw(true);
        found.difference = bytes(viewer.panels[0].difference.voxels);
        found.name = document.getElementById('frame-name').textContent;
        found.red = (await seen())[0];
        viewer.change({ frame: 1, minus: 0 });
        found.blue = (await seen())[0];
        viewer.change({ low: -0.25 });
        found.tied = viewer.state.high;
        viewer.change({ symmetric: 0, high: 0.5 });
        found.free = [viewer.state.low, viewer.state.high];
        """,
    )
    start = found["start"]
    assert start["low"] == -start["high"]
    sums = gradients.sum(axis=2)
    shares = (sums / np.abs(sums).max()).astype("<f2").astype("<f4")
    difference = np.frombuffer(base64.b64decode(found["difference"]), "<f4")
    assert np.array_equal(difference, (shares[0] - shares[1]).ravel())
    assert found["name"] == "reference · image 0 (correct) − similar · image 1 (correct)"
    red, blue = (found[view]["red"] / found[view]["blue"] for view in ("red", "blue"))
    assert red > 1.2 > 0.8 > blue
    assert found["tied"] == 0.25
    assert found["free"] == [-0.25, 0.5]


def test_neighbours_without_relation_are_drawn_as_exact_voxels(browser, volume_page, series_page):
    for page, expected in ((volume_page, [True, False]), (series_page, [True])):
        found = look(
            browser,
            page,
            """
            const { gl } = viewer.renderer;
            viewer.draw(true);
            found.exact = viewer.panels.map((panel) => {
              gl.bindTexture(gl.TEXTURE_3D, viewer.renderer.textures.get(panel.frames[0]));
              return gl.getTexParameter(gl.TEXTURE_3D, gl.TEXTURE_MAG_FILTER) === gl.NEAREST;
            });
            """,
        )
        assert found["exact"] == expected


def test_what_draws_slowly_draws_fewer_pixels(browser, volume_page):
    found = look(
        browser,
        volume_page,
        """
        const area = viewer.canvas.clientWidth * viewer.canvas.clientHeight;
        found.sharpness = [0, 60 / area, 240 / area, 1e9].map((cost) => {
          viewer.cost = cost;
          return viewer.sharpness(60);
        });
        viewer.cost = 1e9;
        viewer.picture();
        found.saved = viewer.canvas.width / viewer.canvas.clientWidth;
        """,
    )
    assert found["sharpness"] == pytest.approx([1, 1, 0.5, 0.1])
    assert found["saved"] == 1


def test_the_help_lists_every_key(browser, series_page):
    found = look(
        browser,
        series_page,
        """
        found.listed = [...document.querySelectorAll('#help dt kbd')].map((e) => e.textContent);
        found.keys = Object.keys(viewer.keys());
        """,
    )
    words = {"Space": " ", "←": "ArrowLeft", "→": "ArrowRight", "↑": "ArrowUp", "↓": "ArrowDown"}
    assert {words.get(key, key) for key in found["listed"]} == set(found["keys"])


@pytest.mark.parametrize("width", [360, 1600, 3840])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_phones_and_wide_screens(browser, series_page, width, scheme):
    found = look(
        browser,
        series_page,
        """
        found.width = document.documentElement.scrollWidth;
        found.stage = document.getElementById('stage').clientHeight;
        found.open = document.getElementById('controls').open;
        const channels = getComputedStyle(document.body).backgroundColor.match(/\\d+/g);
        found.paper = Number(channels[0]);
        """,
        width=width,
        height=844,
        media=[{"name": "prefers-color-scheme", "value": scheme}],
    )
    assert found["width"] == width
    assert found["stage"] > 400
    assert found["open"] is (width > 360)
    assert (found["paper"] > 128) is (scheme == "light")
