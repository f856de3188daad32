"""Pages: what they show, that their links lead somewhere, that they need nothing from elsewhere."""

import base64
import doctest
import gzip
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from cnnvis.activations.forward import read_prediction
from cnnvis.activations.layers import Layer
from cnnvis.core.arrays import read_array
from cnnvis.core.places import PLACES, Places
from cnnvis.core.volume_files import tile_channels, to_bytes
from cnnvis.gradients.layers import GradientLayer
from cnnvis.pages import render
from cnnvis.pages.artefacts import Artefacts, recognise
from cnnvis.pages.images import image_page
from cnnvis.pages.index import index_page
from cnnvis.pages.provenance import SOURCES
from cnnvis.pages.render import closer, link, number, percent
from cnnvis.pages.viewers import gradient_viewer, volume_viewer
from tests import page_tree

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
PAGES = [
    "index.html",
    "methods.html",
    "tiny/index.html",
    "tiny/cat/index.html",
    "tiny/moon_right/index.html",
    "tiny/orderings/index.html",
    "tiny/tuning/conv1.html",
    "tiny/comparisons/rocks/index.html",
    "tiny/comparisons/rocks/conv1.html",
    "tiny/comparisons/rocks/conv1.channels.html",
    "tiny/cat/viewer/conv1.html",
    "tiny/cat/viewer/fire2-squeeze1x1.html",
    "tiny/cat/viewer/gradient-2-conv1.html",
    "tiny/cat/viewer/gradient-2-conv1.channels.html",
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


@pytest.fixture
def copy(tree, tmp_path):
    """A copy of the tree, for tests that write into it."""
    return replace(tree, root=shutil.copytree(tree.root, tmp_path / "results"))


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
        elif not target.startswith("data:"):
            file, _, section = target.partition("#")
            there = page.path.parent / unquote(file)
            assert there.is_file(), target
            assert not section or section in Page(there).values("id")


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


@pytest.mark.parametrize("width", [390, 1600])
@pytest.mark.parametrize(
    "name",
    [*(x for x in PAGES if x.endswith("index.html")), "methods.html", "tiny/tuning/conv1.html"],
)
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
    ranking = read_prediction(tree.folder / "cat/prediction.json", tree.labels)["top"]
    for choice in ranking:
        assert choice["label"] in page.prose
        assert percent(choice["probability"]) in page.prose
    kmeans = json.loads((tree.folder / "cat/orderings/kmeans/conv1.json").read_text())
    *first, last = map(str, kmeans["sizes"])
    assert (
        f"3 clusters, from weak to strong, with {', '.join(first)} and {last} filters" in page.prose
    )
    pca = json.loads((tree.folder / "cat/orderings/pca/conv1.json").read_text())
    assert f"explains {percent(pca['explained_variance'][0])} of their variance" in page.prose
    assert "12 filters of 3 × 3 × 3 weights → 12 feature maps of 9 × 8" in page.prose
    top = (tree.folder / "cat/importance/2/conv1.csv").read_text().splitlines()[1].split(",")
    assert f"The most important filters are {top[1]} ({percent(float(top[3]))})" in page.prose


def test_image_page_shows_layers_in_the_networks_order_and_orders_as_passed(copy):
    shown = copy.artefacts("cat/orderings/pca/*.json", "cat/grids/*/*.png", "filters/*.png")
    shown += copy.artefacts("cat/orderings/natural/*.json")
    prose = Page(page_tree.make_image_page(copy, "cat", shown[::-1] + shown)).prose
    assert prose.index("conv1") < prose.index("fire2/squeeze1x1")
    assert prose.index("natural.") < prose.index("pca.")


@pytest.mark.parametrize("count", [2, 17])
def test_a_long_list_of_dead_filters_is_folded(copy, count):
    path = copy.folder / "cat/orderings/pca/conv1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dead": list(range(count))}))
    page = Page(page_tree.make_image_page(copy, "cat"))
    assert page.faults == []
    assert ("<summary>17 filters have constant feature maps</summary>" in page.text) == (count > 16)
    assert ("Filters 0 and 1 have constant feature maps" in page.prose) == (count == 2)


def test_image_page_shows_only_what_it_is_given(copy):
    shown = copy.artefacts("cat/grids/pca/*.png")
    hrefs = Page(page_tree.make_image_page(copy, "cat", shown)).values("href")
    others = ("viewer/", "slices/", "gradients/", "attributions/")
    assert not [href for href in hrefs if href.startswith(others)]


@pytest.mark.parametrize("reason", ["", "Its weights are <large>."])
def test_image_page_says_why_filters_cannot_be_switched_off(copy, reason):
    files = copy.files(image="cat")
    names = {"network": copy.network, "image": "cat", "labels": copy.labels}
    image_page(files, copy.model, **names, shown=[], what_if=reason)
    page = Page(files("page"))
    assert ("no page on which filters can be switched off. " + reason in page.prose) == bool(reason)
    assert "what-if.html" not in page.values("href")
    (files("page").parent / "what-if.html").touch()
    image_page(files, copy.model, **names, shown=[files("what-if page")], what_if=reason)
    assert "what-if.html" in Page(files("page")).values("href")


def test_an_image_without_artefacts_says_so(tree):
    assert "only takes part in comparisons" in Page(tree.folder / "brick/index.html").prose


def test_hostile_text_stays_text(tree, tmp_path):
    page = Page(tree.folder / "moon_wrong/index.html")
    assert page_tree.NASTY in page.prose
    assert page_tree.NASTY not in page.text
    files = Places(tmp_path, network="n", image="i")
    gradient = read_array(tree.folder / "cat/gradients/2.npz", "conv1")
    hostile = f"<!--{page_tree.NASTY}"
    layer = GradientLayer("conv1", 2, gradient, {})
    gradient_viewer(files, layer, network=page_tree.NASTY, image=hostile)
    page = Page(files("gradient viewer", cls=2, layer="conv1"))
    assert page.faults == []
    assert hostile in page.prose
    assert page.text.count("</script>") == 3
    assert "<b>" not in page.text


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
    pages = [h for h in hrefs if h.startswith("tiny/") and h.endswith(".html")]
    assert list(dict.fromkeys(pages)) == [
        *("tiny/cat/index.html", "tiny/comparisons/rocks/index.html"),  # of the pictures at the top
        "tiny/index.html",
        "tiny/orderings/index.html",
        "tiny/tuning/conv1.html",
        "tiny/brick/index.html",
        "tiny/moon_right/index.html",
        "tiny/moon_wrong/index.html",
    ]
    best = read_prediction(tree.folder / "cat/prediction.json", tree.labels)["top"][0]
    assert f"{best['label']} {percent(best['probability'])}" in page.prose


def test_index_begins_with_what_was_run_and_the_most_telling_pictures(tree):
    page = Page(tree.root / "index.html")
    assert "tiny on 4 images, 1 comparison. Run by the embedded engine" in page.prose
    pictures = page.values("src")
    assert pictures[0].startswith("tiny/cat/grids/")
    assert pictures[1] == "tiny/comparisons/rocks/conv1.png"


def test_index_links_pages_made_on_request_where_there_are(tmp_path):
    index_page(tmp_path / "index.html", [tmp_path / "parity.html"], page_tree.RUN)
    page = Page(tmp_path / "index.html")
    assert "parity.html" in page.values("href") and "verify.html" not in page.values("href")
    assert "not made yet: snakemake verify" in page.prose
    assert "not made yet: snakemake parity" not in page.prose


def test_every_figure_says_how_it_was_made(tree):
    page = Page(tree.folder / "cat/index.html")
    figures = page.text.count("<figure>")
    assert figures and page.text.count('<details class="made">') == figures
    assert "Its numbers: blobs.npz. Of network tiny, image cat, ordering pca" in page.prose
    assert "Again: snakemake --cores 1 results/tiny/cat/grids/pca/conv1.png" in page.prose
    assert "Set by networks.tiny, images.cat, orderings.pca in the configuration" in page.prose
    assert "importance/2/conv1.csv" in page.values("href")
    assert "../../methods.html#importance" in page.values("href")


@pytest.mark.parametrize("kind", SOURCES)
def test_what_a_figure_was_made_from_is_known_by_its_path(kind):
    """Its numbers are kinds of files whose places its own parts say, its method has a section."""
    section, data, keys = SOURCES[kind]
    parts = {word: "1" for word in re.findall(r"{(\w+)}", PLACES[kind])}
    for text in [*(PLACES[each] for each in data), *keys]:
        assert set(re.findall(r"{(\w+)}", text)) <= set(parts)
    methods = (render.HERE / "templates/methods.html").read_text()
    assert f"method('{section}'" in methods


def test_methods_name_engine_files_and_versions(tree):
    page = Page(tree.root / "methods.html")
    assert "the embedded one" in page.prose and f"numpy {np.__version__}" in page.prose
    assert page_tree.NASTY in page.prose and page_tree.NASTY not in page.text
    assert len(page.values("id")) > 20


def test_index_shows_what_drives_filters_most(tmp_path):
    sheet = Places(tmp_path, network="tiny")("maximisation sheet", layer="conv1", preset="blur")
    sheet.parent.mkdir(parents=True)
    Image.new("RGB", (7, 5)).save(sheet)
    index_page(tmp_path / "index.html", [sheet], page_tree.RUN)
    page = Page(tmp_path / "index.html")
    assert page.values("src") == ["tiny/maximisation/conv1/blur.png"]
    assert "conv1, preset blur" in page.prose


def spec_and_voxels(path):
    text = path.read_text(encoding="utf-8")
    spec = json.loads(re.search(r'id="spec">(.*?)</script>', text, re.S)[1])
    packed = re.search(r'id="voxels">(.*?)</script>', text, re.S)[1]
    dtype = {"u8": np.uint8, "i8": np.int8, "f16": "<f2"}[spec["dtype"]]
    voxels = np.frombuffer(gzip.decompress(base64.b64decode(packed)), dtype)
    return spec, voxels.reshape(spec["shape"])


@pytest.mark.parametrize("layer", ["conv1", "fire2-squeeze1x1"])
def test_volume_viewer_holds_the_bytes_of_the_vox_files_once(tree, layer):
    spec, voxels = spec_and_voxels(tree.folder / f"cat/viewer/{layer}.html")
    assert [panel["title"] for panel in spec["panels"]] == list(page_tree.ORDERINGS)
    for panel in spec["panels"]:
        vox = tree.folder / f"cat/volumes/{panel['title']}/{layer}.vox"
        assert voxels[0][panel["order"]].tobytes() == vox.read_bytes()


@pytest.mark.parametrize(
    ("suffix", "arrange"),
    [("", lambda gradient: gradient.sum(axis=1)), (".channels", tile_channels)],
)
def test_gradient_viewers_hold_shares_of_the_largest_value(tree, suffix, arrange):
    spec, voxels = spec_and_voxels(tree.folder / f"cat/viewer/gradient-2-conv1{suffix}.html")
    gradient = arrange(read_array(tree.folder / "cat/gradients/2.npz", "conv1"))
    assert spec["values"] == [0, pytest.approx(np.abs(gradient).max())]
    assert (
        np.abs(voxels[0].astype(float) * spec["values"][1] - gradient).max()
        <= 5e-4 * np.abs(gradient).max()
    )
    assert np.abs(voxels).max() == 1
    order = json.loads((tree.folder / "cat/gradients/2/orderings/pca/conv1.json").read_text())
    assert spec["panels"] == [
        {"title": "the network's order", "order": None},
        {"title": "pca", "order": order["permutation"]},
    ]


@pytest.mark.parametrize("page", ["cat/viewer/gradient-2-conv1", "comparisons/rocks/conv1"])
def test_the_two_viewers_of_a_gradient_link_one_another(tree, page):
    for suffix, other in (("", ".channels"), (".channels", "")):
        path = tree.folder / f"{page}{suffix}.html"
        views = re.search(r'class="views".*?</nav>', path.read_text(encoding="utf-8"), re.S)[0]
        assert re.findall(r'href="([^"]+)"', views) == [f"{Path(page).name}{other}.html"]


def test_comparison_viewer_has_one_scale_and_a_name_for_each_frame(tree):
    spec, voxels = spec_and_voxels(tree.folder / "comparisons/rocks/conv1.html")
    assert spec["frames"] == [
        "reference · moon_right (correct)",
        "reference · moon_wrong (wrong)",
        "similar · cat (correct)",
        "dissimilar · brick (correct)",
    ]
    sums = [read_array(member.gradients, "conv1").sum(axis=1) for member in tree.members()]
    largest = [np.abs(volume).max() for volume in sums]
    assert spec["values"][1] == pytest.approx(max(largest))
    assert np.abs(voxels).max(axis=(1, 2, 3)) == pytest.approx(largest / max(largest), rel=1e-3)


def write_volume_page(folder, maps, orders):
    """Write the 3D page of feature maps in these orders; return its path."""
    files = Places(folder, network="n", image="i")
    orders = {name: {"permutation": order} for name, order in orders.items()}
    layer = Layer("conv1", maps, to_bytes(maps), orders)
    volume_viewer(files, layer, network="n", image="i")
    return files("viewer", layer="conv1")


@pytest.mark.parametrize("values", [np.zeros((4, 3, 5)), np.full((1, 1, 1), 7.0)])
def test_constant_volumes_and_gradients_make_pages(tmp_path, values):
    page = write_volume_page(tmp_path, values, {"natural": list(range(len(values)))})
    assert not spec_and_voxels(page)[1].any()
    files = Places(tmp_path, network="n", image="i")
    layer = GradientLayer("g", 0, values[..., np.newaxis], {})
    gradient_viewer(files, layer, network="n", image="i")
    assert Page(files("gradient viewer", layer="g", cls=0)).faults == []


def test_a_layer_as_large_as_conv1_makes_a_small_page(tmp_path):
    rng = np.random.default_rng(0)
    maps = np.maximum(rng.normal(size=(96, 55, 55)), 0)
    names = ("natural", "kmeans", "pca")
    page = write_volume_page(tmp_path, maps, {n: rng.permutation(96).tolist() for n in names})
    # Noise does not compress: this is the worst case, real feature maps take about 220 kB.
    assert page.stat().st_size < 500_000


def test_a_large_gradient_is_rounded_to_keep_its_page_small(tmp_path):
    rng = np.random.default_rng(0)
    # Heavier tails than a normal distribution's, as those of gradients are.
    gradient = rng.normal(size=(384, 256, 3, 3)) * rng.exponential(size=(384, 1, 1, 1))
    files = Places(tmp_path, network="n", image="i")
    gradient_viewer(files, GradientLayer("conv", 0, gradient, {}), network="n", image="i")
    page = files("gradient channels viewer", layer="conv", cls=0)
    assert page.stat().st_size < 1_500_000
    assert "rounded to 1/127 of the largest magnitude" in Page(page).prose
    spec, voxels = spec_and_voxels(page)
    shares = tile_channels(gradient) / np.abs(gradient).max()
    assert spec["dtype"] == "i8"
    assert np.abs(voxels[0] / 127 - shares).max() <= 0.5 / 127 + 5e-4
    assert "rounded" not in Page(files("gradient viewer", layer="conv", cls=0)).prose


def test_attributions_and_checks_are_shown_with_their_neuron(tree):
    page = Page(tree.folder / "cat/index.html")
    assert "✗ wrong gradients by numerical derivatives" in page.prose
    assert "The float32 gradients in the file differ by 1e-7." in page.prose
    assert "✓ checked conv1: 60 agree to 3e-8." in page.prose
    assert "Gradient of the loss. How the loss, -log of the probability" in page.prose
    assert "Gradient x weight." not in page.prose
    links = page.values("href")
    for target in ("saliency.png", "saliency.npy", "loss/conv1.png", "loss/conv1.mhd"):
        assert f"attributions/2/{target}" in links
    assert "gradients/2.check.png" in links


def test_series_are_played_linked_and_still_for_who_wants_no_motion(tree):
    page = Page(tree.folder / "comparisons/rocks/index.html")
    assert ("source", "srcset", "conv1.still.png") in page.attributes
    assert ("source", "media", "(prefers-reduced-motion: reduce)") in page.attributes
    assert ("img", "src", "conv1.webp") in page.attributes
    for suffix in ("nii.gz", "pvd", "webp"):
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
    parts |= {"share": "0.25", "format": "svg"}
    wanted = {word: parts.get(word, f"a {word}.x") for word in re.findall(r"{(\w+)}", PLACES[kind])}
    found = recognise(Path("out") / PLACES[kind].format(**wanted), "out")
    assert (found.kind, found.parts) == (kind, wanted)


@pytest.mark.parametrize("path", ["out/n/i/notes.txt", "out/n/i/slices/l/row-x/pca.png", "x/n/i"])
def test_an_unknown_file_is_refused(path):
    with pytest.raises(ValueError, match=path):
        recognise(path, "out")


def test_artefacts_are_found_by_parts_in_their_order():
    paths = [f"r/n/i/grids/{o}/{layer}.png" for o in ("pca", "natural") for layer in "ba"]
    files = Artefacts([*paths, paths[0]], "r", "r/index.html")
    assert [str(a.path) for a in files.find("grid", layer="b")] == [paths[0], paths[2]]
    assert files.values("ordering", layer="a") == ["pca", "natural"]
    assert files.first("grid", layer="c") is None


def test_links_are_relative_and_quoted():
    assert link("r/n/cat 1/a#b?.png", "r/n/x/index.html") == "../cat%201/a%23b%3F.png"
    assert link(None, "r/index.html") is None


def test_the_examples_in_docstrings_hold():
    failed, tried = doctest.testmod(render)
    assert tried > 0
    assert failed == 0


def test_numbers_read_like_a_persons():
    assert [percent(v) for v in (1.0, 0.999, 0.9, 0.01234, 1e-5, 0)] == [
        "100 %", "99.9 %", "90 %", "1.2 %", "< 0.1 %", "0 %",
    ]  # fmt: skip
    assert [number(v) for v in (0.5, 1234.5, -0.00001234, 0)] == [
        "0.5", "1,234", "-1.23 × 10⁻⁵", "0",
    ]  # fmt: skip
    assert closer(1.0, 0.0) == "are on average as close to each other as"
