"""Pages: what they show, that they hold together, and that nothing in them is foreign."""

import base64
import doctest
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from cnnvis import pages
from cnnvis.core.arrays import read_array, write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.volume_files import tile_channels
from cnnvis.inputs.images import preprocess, read_mean
from cnnvis.pages import render, viewers
from cnnvis.pages.artefacts import PLACES, Artefacts, recognise
from cnnvis.pages.images import read_check, write_picture
from cnnvis.pages.render import closer, link, number, percent
from tests import page_tree
from tests.browser import NAMES, Browser, find_browser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
PAGES = [
    "index.html",
    "tiny/cat/index.html",
    "tiny/moon_right/index.html",
    "tiny/comparisons/rocks/index.html",
    "tiny/comparisons/rocks/conv1.html",
    "tiny/cat/viewer/conv1.html",
    "tiny/cat/viewer/fire2-squeeze1x1.html",
    "tiny/cat/viewer/gradient-2-conv1.html",
]


class Page(HTMLParser):
    """A parsed page; `faults` names what is not balanced."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.open, self.faults, self.attributes, self.words = [], [], [], []
        self.feed(self.text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag == "img" and not {"alt", "width", "height"} <= dict(attributes).keys():
            self.faults.append(f"image without alt or size: {attributes}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes nothing")

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def prose(self):
        return re.sub(r"\s+", " ", "".join(self.words))

    def values(self, *names):
        return [value for _, name, value in self.attributes if name in names]


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    return page_tree.build(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("name", PAGES)
def test_every_element_is_closed_and_every_image_described(tree, name):
    assert Page(tree.root / name).faults == []


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file_or_section(tree, name):
    page = Page(tree.root / name)
    links = page.values("href", "src", "srcset")
    ids = page.values("id")
    assert len(links) >= 2
    for target in links:
        if target.startswith("#"):
            assert target[1:] in ids
        elif target != "data:,":
            assert (page.path.parent / unquote(target)).is_file(), target


@pytest.mark.parametrize("name", PAGES)
def test_nothing_comes_from_elsewhere(tree, name):
    page = Page(tree.root / name)
    assert not re.search(r"https?:|@import|url\(", page.text)
    assert not [
        value for value in page.values("href", "src", "srcset") if value.startswith(("/", "file:"))
    ]
    assert str(tree.root) not in page.text


@pytest.mark.parametrize("name", PAGES)
def test_ids_are_unique_and_labels_refer_to_them(tree, name):
    page = Page(tree.root / name)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert set(page.values("aria-labelledby")) <= set(ids)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if find_browser() is None:
        pytest.skip(f"no browser found, looked for {', '.join(NAMES)}")
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("width", [390, 1600])
@pytest.mark.parametrize("name", [name for name in PAGES if name.endswith("index.html")])
def test_pages_fit_phones_and_wide_screens_and_load_their_pictures(tree, browser, name, width):
    page = tree.root / name
    session = browser.open(f"{page.as_uri()}#layer-conv1", width=width)
    browser.wait(session, "document.body && document.body.dataset.ready")
    found = browser.run(
        session,
        """
        for (const section of document.querySelectorAll('details')) section.open = true;
        const images = [...document.images];
        for (const image of images) image.loading = 'eager';
        await Promise.all(images.map((image) => image.decode()));
        return { width: document.documentElement.scrollWidth, images: images.length };
        """,
    )
    browser.close(session)
    assert found["width"] == width
    assert found["images"] == Page(page).text.count("<img ")
    assert not browser.errors


def test_a_link_to_a_closed_layer_opens_it(tree, browser):
    page = tree.folder / "cat/index.html"
    session = browser.open(page.as_uri())
    browser.wait(session, "document.body && document.body.dataset.ready")
    opened = browser.run(
        session,
        """
        const section = document.getElementById('layer-fire2-squeeze1x1').closest('details');
        section.open = false;
        document.querySelector('a[href="#layer-fire2-squeeze1x1"]').click();
        await new Promise((done) => setTimeout(done, 300));
        return section.open;
        """,
    )
    browser.close(session)
    assert opened is True


def test_image_page_tells_the_numbers_of_this_run(tree):
    page = Page(tree.folder / "cat/index.html")
    ranking = json.loads((tree.folder / "cat/prediction.json").read_text())["top"]
    for choice in ranking:
        assert choice["label"] in page.prose
        assert percent(choice["probability"]) in page.prose
    kmeans = json.loads((tree.folder / "cat/orderings/kmeans/conv1.json").read_text())
    *first, last = map(str, kmeans["sizes"])
    assert (
        f"3 clusters by k-means, from weak to strong, of {', '.join(first)} and {last}"
        in page.prose
    )
    pca = json.loads((tree.folder / "cat/orderings/pca/conv1.json").read_text())
    assert f"explains {percent(pca['explained_variance'][0])} of their variance" in page.prose
    assert "12 filters of 3 × 3 × 3 weights → 12 outputs of 9 × 8" in page.prose
    top = (tree.folder / "cat/importance/2/conv1.csv").read_text().splitlines()[1].split(",")
    assert f"The first are {top[1]} ({percent(float(top[3]))})" in page.prose


def test_image_page_shows_layers_in_the_networks_order_and_orders_as_passed(tree):
    files = tree.artefacts("cat/orderings/pca/*.json", "cat/grids/*/*.png", "filters/*.png")
    files += tree.artefacts("cat/orderings/natural/*.json")
    path = page_tree.make_image_page(
        tree, "cat", files[::-1] + files, tree.folder / "cat/other.html"
    )
    page = Page(path)
    path.unlink()
    assert page.prose.index("conv1") < page.prose.index("fire2/squeeze1x1")
    assert page.prose.index("natural.") < page.prose.index("pca.")


def test_image_page_shows_only_what_it_is_given(tree):
    page = tree.folder / "cat/other.html"
    page_tree.make_image_page(tree, "cat", tree.artefacts("cat/grids/pca/*.png"), page)
    hrefs = Page(page).values("href")
    page.unlink()
    assert not [h for h in hrefs if "viewer/" in h or "slices/" in h or "gradients/" in h]


def test_an_image_without_artefacts_says_so(tree):
    assert "only takes part in comparisons" in Page(tree.folder / "brick/index.html").prose


def test_hostile_text_stays_text(tree):
    page = Page(tree.folder / "moon_wrong/index.html")
    assert page_tree.NASTY in page.prose
    assert page_tree.NASTY not in page.text
    path = tree.folder / "cat/viewer/hostile.html"
    pages.make_gradient_viewer(
        tree.folder / "cat/gradients/2.npz",
        path,
        layer="conv1",
        cls=2,
        network=page_tree.NASTY,
        image=f"<!--{page_tree.NASTY}",
        title=page_tree.NASTY,
    )
    hostile = Page(path)
    path.unlink()
    assert hostile.faults == []
    assert hostile.text.count("</script>") == 3
    assert "<b>" not in hostile.text


def test_comparison_page_tells_verdicts_and_numbers(tree):
    page = Page(tree.folder / "comparisons/rocks/index.html")
    summary = json.loads((tree.folder / "comparisons/rocks/conv1.json").read_text())
    assert summary["claim"]["sentence"] in page.prose
    assert page.prose.count("✓ correct") == 3
    assert page.prose.count("✗ wrong") == 1
    for row in summary["images"]:
        assert number(row["norm"]) in page.prose


def test_index_names_every_network_image_and_comparison(tree):
    page = Page(tree.root / "index.html")
    hrefs = page.values("href")
    assert [h for h in hrefs if h.startswith("tiny/")] == [
        "tiny/brick/index.html",
        "tiny/cat/index.html",
        "tiny/moon_right/index.html",
        "tiny/moon_wrong/index.html",
        "tiny/comparisons/rocks/index.html",
    ]
    best = json.loads((tree.folder / "cat/prediction.json").read_text())["top"][0]
    assert f"{best['label']} {percent(best['probability'])}" in page.prose


def spec_and_voxels(path):
    text = path.read_text(encoding="utf-8")
    spec = json.loads(re.search(r'id="spec">(.*?)</script>', text, re.S)[1])
    packed = re.search(r'id="voxels">(.*?)</script>', text, re.S)[1]
    dtype = {"u8": np.uint8, "f16": "<f2"}[spec["dtype"]]
    voxels = np.frombuffer(gzip.decompress(base64.b64decode(packed)), dtype)
    return spec, voxels.reshape(spec["shape"])


@pytest.mark.parametrize("layer", ["conv1", "fire2-squeeze1x1"])
def test_volume_viewer_holds_the_bytes_of_the_vox_files_once(tree, layer):
    spec, voxels = spec_and_voxels(tree.folder / f"cat/viewer/{layer}.html")
    assert [panel["title"] for panel in spec["panels"]] == list(page_tree.ORDERINGS)
    for panel in spec["panels"]:
        vox = tree.folder / f"cat/volumes/{panel['title']}/{layer}.vox"
        assert voxels[0][panel["order"]].tobytes() == vox.read_bytes()


def test_gradient_viewer_holds_shares_of_the_largest_gradient(tree):
    spec, voxels = spec_and_voxels(tree.folder / "cat/viewer/gradient-2-conv1.html")
    gradient = tile_channels(read_array(tree.folder / "cat/gradients/2.npz", "conv1"))
    assert spec["values"] == [0, pytest.approx(np.abs(gradient).max())]
    assert (
        np.abs(voxels[0].astype(float) * spec["values"][1] - gradient).max()
        <= 5e-4 * np.abs(gradient).max()
    )
    assert np.abs(voxels).max() == 1


def test_comparison_viewer_has_one_scale_and_a_name_for_each_frame(tree):
    spec, voxels = spec_and_voxels(tree.folder / "comparisons/rocks/conv1.html")
    assert spec["frames"] == [
        "reference · moon_right (correct)",
        "reference · moon_wrong (wrong)",
        "similar · cat (correct)",
        "dissimilar · brick (correct)",
    ]
    largest = [np.abs(read_array(g["gradients"], "conv1")).max() for g in tree.groups()]
    assert spec["values"][1] == pytest.approx(max(largest))
    assert np.abs(voxels).max(axis=(1, 2, 3)) == pytest.approx(largest / max(largest), rel=1e-3)


@pytest.mark.parametrize("values", [np.zeros((4, 3, 5)), np.full((1, 1, 1), 7.0)])
def test_constant_volumes_and_gradients_make_pages(tree, tmp_path, values):
    write_arrays(tmp_path / "b.npz", {"c": values, "g": values[:, :, :, np.newaxis]})
    order = tmp_path / "order.json"
    order.write_text(json.dumps({"permutation": list(range(len(values)))}))
    common = {"layer": "c", "network": "n", "image": "i"}
    pages.make_volume_viewer(
        tmp_path / "b.npz", {"o": order}, tmp_path / "v.html", blob="c", **common
    )
    pages.make_gradient_viewer(
        tmp_path / "b.npz", tmp_path / "g.html", cls=0, **common | {"layer": "g"}
    )
    assert not spec_and_voxels(tmp_path / "v.html")[1].any()
    assert Page(tmp_path / "g.html").faults == []


def test_a_layer_as_large_as_conv1_makes_a_small_page(tree, tmp_path):
    rng = np.random.default_rng(0)
    outputs = np.maximum(rng.normal(size=(96, 55, 55)), 0)
    write_arrays(tmp_path / "b.npz", {"conv1": outputs})
    orders = {}
    for name in ("natural", "kmeans", "pca"):
        orders[name] = tmp_path / f"{name}.json"
        orders[name].write_text(json.dumps({"permutation": rng.permutation(96).tolist()}))
    page = tmp_path / "conv1.html"
    pages.make_volume_viewer(
        tmp_path / "b.npz", orders, page, layer="conv1", blob="conv1", network="n", image="i"
    )
    # Noise does not compress: this is the worst case, real outputs take about 220 kB.
    assert page.stat().st_size < 500_000


def test_a_viewer_of_a_missing_layer_is_a_mistake_of_one_line(tree, tmp_path):
    with pytest.raises(UserError, match="conv9") as error:
        pages.make_gradient_viewer(
            tree.folder / "cat/gradients/2.npz",
            tmp_path / "page.html",
            layer="conv9",
            cls=2,
            network="n",
            image="i",
        )
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_importance_table_is_a_mistake_of_one_line(tree, tmp_path):
    table = tree.folder / "cat/importance/1/conv1.csv"
    table.parent.mkdir()
    table.write_text("rank,filter\n1,2\n")
    try:
        with pytest.raises(UserError, match="importance/1/conv1.csv"):
            page_tree.make_image_page(tree, "cat", [table], tree.folder / "cat/other.html")
    finally:
        table.unlink()
        table.parent.rmdir()


@pytest.mark.parametrize("mean", [[104.0, 116.5, 122.25], "whole"])
@pytest.mark.parametrize("order", ["BGR", "RGB"])
@pytest.mark.parametrize("scale", [1.0, 0.017])
def test_the_input_becomes_the_picture_it_was(tmp_path, mean, order, scale):
    from PIL import Image

    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    pixels[0, 0], pixels[-1, -1] = 0, 255
    if mean == "whole":
        np.save(tmp_path / "mean.npy", rng.uniform(0, 255, (3, 5, 7)))
        mean = {"file": str(tmp_path / "mean.npy"), "use": "whole"}
    shape = (3, 5, 7)
    image = (pixels / 255).astype(np.float32)
    np.save(tmp_path / "in.npy", preprocess(image, shape, read_mean(mean, shape), scale, order))
    write_picture(
        tmp_path / "in.npy",
        tmp_path / "out.png",
        shape,
        mean=mean,
        scale=scale,
        channel_order=order,
    )
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), pixels)


def test_a_grey_input_becomes_a_grey_picture(tmp_path):
    from PIL import Image

    np.save(tmp_path / "in.npy", np.array([[[-10, 0], [20, 300]]], np.float32))
    write_picture(
        tmp_path / "in.npy",
        tmp_path / "o.png",
        (1, 2, 2),
        mean=[10.0],
        scale=1,
        channel_order="BGR",
    )
    assert np.asarray(Image.open(tmp_path / "o.png")).tolist() == [[0, 10], [30, 255]]


def test_attributions_and_checks_stand_with_their_neuron(tree):
    page = Page(tree.folder / "cat/index.html")
    assert "✗ its gradients are not confirmed" in page.prose
    assert "✓ checked conv1: 60 agree to 3e-8." in page.prose
    assert "Gradient of the loss. How the loss, -log of the probability" in page.prose
    assert "Gradient x weight." not in page.prose
    links = page.values("href")
    for target in ("saliency.png", "saliency.npy", "absolute_gradient/conv1.png", "loss/conv1.mhd"):
        assert f"attributions/2/{target}" in links
    assert "gradients/2.check.png" in links
    without = page_tree.make_image_page(tree, "cat", [], page=tree.root / "tiny/bare/index.html")
    assert "attributions" not in without.read_text(encoding="utf-8")
    without.unlink()


def test_what_is_no_check_is_named(tree, tmp_path):
    path = tmp_path / "2.check.json"
    path.write_text("[1]")
    with pytest.raises(UserError, match="2.check.json: is not a check of gradients"):
        read_check(path)


def test_series_are_played_linked_and_still_for_who_wants_no_motion(tree):
    page = Page(tree.folder / "comparisons/rocks/index.html")
    assert ("source", "srcset", "conv1.still.png") in page.attributes
    assert ("source", "media", "(prefers-reduced-motion: reduce)") in page.attributes
    assert ("img", "src", "conv1.webp") in page.attributes
    for suffix in ("nii.gz", "pvd", "gif"):
        assert ("a", "href", f"conv1.{suffix}") in page.attributes
    assert "Groups: means over their images" in page.prose
    assert "exact one-sided rank test" in page.prose


def test_motion_stops_for_who_wants_none(tree, browser):
    page = tree.root / "tiny/comparisons/rocks/index.html"
    for value, shown in (("reduce", "conv1.still.png"), ("no-preference", "conv1.webp")):
        media = [{"name": "prefers-reduced-motion", "value": value}]
        session = browser.open(page.as_uri(), media=media)
        browser.wait(session, "document.body && document.body.dataset.ready")
        source = browser.run(
            session,
            "const image = document.querySelector('.motion img'); image.loading = 'eager';"
            "await image.decode(); return image.currentSrc;",
        )
        assert source.endswith(shown)
        browser.close(session)


@pytest.mark.parametrize("kind", PLACES)
def test_every_place_is_recognised_as_what_it_is(kind):
    parts = {"cls": "7", "row": "15", "k": "10", "volume": "mhd", "layer": "fire2-squeeze1x1"}
    wanted = {word: parts.get(word, f"a {word}.x") for word in re.findall(r"{(\w+)}", PLACES[kind])}
    found = recognise(Path("out") / PLACES[kind].format(**wanted), "out")
    assert (found.kind, found.parts) == (kind, wanted)


@pytest.mark.parametrize("path", ["out/n/i/notes.txt", "out/n/i/slices/l/row-x/pca.png", "x/n/i"])
def test_an_unknown_file_is_refused(path):
    with pytest.raises(ValueError, match=path):
        recognise(path, "out")


def test_artefacts_are_found_by_parts_in_their_order():
    paths = [f"r/n/i/grids/{o}/{layer}.png" for o in ("pca", "natural") for layer in "ba"]
    files = Artefacts([*paths, paths[0]], "r")
    assert [str(a.path) for a in files.find("grid", layer="b")] == [paths[0], paths[2]]
    assert files.values("ordering", layer="a") == ["pca", "natural"]
    assert files.first("grid", layer="c") is None


def test_links_are_relative_and_quoted():
    assert link("r/n/cat 1/a#b?.png", "r/n/x/index.html") == "../cat%201/a%23b%3F.png"
    assert link(None, "r/index.html") is None


@pytest.mark.parametrize("module", [render, viewers])
def test_the_examples_in_docstrings_hold(module):
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0


def test_numbers_read_like_a_persons():
    assert [percent(v) for v in (1.0, 0.999, 0.9, 0.01234, 1e-5, 0)] == [
        "100 %", "99.9 %", "90 %", "1.2 %", "< 0.1 %", "0 %",
    ]  # fmt: skip
    assert [number(v) for v in (0.5, 1234.5, -0.00001234, 0)] == [
        "0.5", "1,234", "-1.23 × 10⁻⁵", "0",
    ]  # fmt: skip
    assert closer(1.0, 0.0) == "are as close to one another as"
