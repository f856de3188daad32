"""The pages on classes and the page on parity, from reports written by hand."""

import json
from html.parser import HTMLParser

import pytest
from PIL import Image

from cnnvis.core.errors import UserError
from cnnvis.pages.classes import class_pages
from cnnvis.pages.parity import parity_page


class Links(HTMLParser):
    """Collects what a page links to and shows."""

    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attributes):
        self.links += [value for key, value in attributes if key in ("href", "src")]


def links_of(page):
    parser = Links()
    parser.feed(page.read_text())
    return [link for link in parser.links if not link.startswith(("#", "data:", "../"))]


def write(path, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.new("L", (4, 3)).save(path)
    else:
        path.write_text(json.dumps(content))
    return path


def spearman(value):
    entry = {"spearman": {"value": value, "interval": None if value is None else [-0.5, value]}}
    return dict.fromkeys(("change", "log_probability", "probability", "error_top1"), entry)


def test_a_page_for_each_class_and_their_overview(tmp_path):
    root = tmp_path / "results" / "net" / "classes"
    errors = {"error_top1": 0.25, "error_top5": 0.0, "probability": 0.5}
    cases = dict.fromkeys(("before", "least", "most"), errors)
    common = {"cls": 3, "images": 8, "skipped": ["torn.jpg"], "sentence": "Half <of> it & more."}
    importance = write(root / "cats" / "importance" / "conv1.json", common)
    pruning = {**common, "table": cases, "others": {"dogs": cases}}
    trial = {"sentence": "Trust none.", "filters": 9, "criteria": {}}
    for name, value in (("taylor", 0.71), ("random", None)):
        areas = {"probability": {"area": 1.0, "relative": value}}
        trial["criteria"][name] = {"losses": spearman(value), "areas": areas}
    kinds = ("importance", "pruning", "criteria")
    files = [
        importance,
        write(root / "cats" / "pruning" / "conv1.json", pruning),
        write(root / "cats" / "criteria" / "conv1.json", trial),
        *(write(root / "cats" / kind / "conv1.csv", "") for kind in kinds),
        *(write(root / "cats" / kind / "conv1.png") for kind in kinds),
        write(root / "cats" / "pruning" / "conv1.svg", ""),
        write(root / "dogs" / "importance" / "conv1.json", {**common, "skipped": []}),
        write(root / "dogs" / "importance" / "conv1.png"),
    ]
    class_pages(root / "index.html", network="net", artefacts=files)
    page = root / "cats" / "index.html"
    text = page.read_text()
    assert "Half &lt;of&gt; it &amp; more." in text and "torn.jpg" in text
    assert text.count("25 %") == 6
    assert "Trust none." in text and "0.71 <small>(−0.50 to 0.71)" in text and "taylor" in text
    order = ("Which filters are", "Can the measure", "What happens when filters")
    assert sorted(order, key=text.index) == list(order)
    links = links_of(page)
    assert len(links) > 8 and all((page.parent / link).is_file() for link in links)
    overview = (root / "index.html").read_text()
    assert "Half &lt;of&gt; it &amp; more." in overview and "Trust none." in overview
    assert links_of(root / "index.html") == ["cats/index.html", "dogs/index.html"]
    assert "Can the measure" not in (root / "dogs" / "index.html").read_text()


def test_pages_show_the_study_beside_its_classes(tmp_path):
    root = tmp_path / "results" / "net" / "classes"
    common = {"images": 8, "skipped": [], "sentence": "Some."}
    errors = {"error_top1": 0.25, "error_top5": 0.0}
    cases = dict.fromkeys(("before", "least", "most"), errors)
    files = []
    for cls, name in enumerate(("corgis", "dogs")):
        summary = {**common, "cls": cls, "filters": 96, "zero": "weights", "others": {}}
        neuron = {**common, "cls": 1 - cls, "sentence": f"Over {name}."}
        files += [
            write(root / name / "importance" / "conv1.json", summary),
            write(root / name / "importance" / "conv1.png"),
            write(root / name / "neurons" / str(1 - cls) / "conv1.json", neuron),
            write(root / name / "neurons" / str(1 - cls) / "conv1.png"),
            write(
                root / name / "pruning" / "conv1.json",
                {**summary, "table": cases, "study_sweep": []},
            ),
            write(root / name / "pruning" / "conv1.png"),
        ]
    labels = tmp_path / "labels.txt"
    labels.write_text("n02113023 Pembroke\nn02113186 Cardigan\n")

    def texts(**options):
        class_pages(root / "index.html", network="net", artefacts=files, **options)
        return [(root / name / "index.html").read_text() for name in ("corgis", "dogs")]

    corgis, dogs = texts(labels=labels)
    assert "in the study</th>" in corgis and "15.46 %" in corgis
    assert "in the study</th>" not in dogs
    assert "Over corgis." in corgis and "neurons/0/conv1.png" in dogs
    assert "15.46" not in texts()[0]


def test_the_networks_that_were_written_are_shown(tmp_path):
    root = tmp_path / "results" / "net" / "classes"
    errors = {"error_top1": 0.25, "error_top5": 0.0, "probability": 0.5}
    summary = {"cls": 3, "images": 8, "skipped": [], "sentence": "Some.", "others": {}}
    summary["table"] = dict.fromkeys(("before", "least", "most"), errors)
    costs = [{"shape": [n, 5, 3, 3], "parameters": 45 * n, "multiply_adds": 90 * n} for n in (9, 7)]
    time = {"before": 1.5, "after": 1.25, "rounds": 3}
    report = {
        "sentence": "Without <2> filters.",
        "layer": "conv/1",
        "share": 0.3,
        "removed": [1, 4],
        "stay": [{"reason": "layer 'n' (LRN) mixes", "filters": [5, 6]}],
        "sizes": {
            key: {"before": 4321, "after": 3210} for key in ("parameters", "multiply_adds", "bytes")
        },
        "layers": {
            "conv/1": {"before": costs[0], "after": costs[1]},
            "fc8": {"before": costs[0], "after": costs[0]},
        },
        "milliseconds": {
            **{"machine": "abacus", "engine": "numpy", "batches": {"1": time, "8": time}},
            "layers": {"conv/1": time},
        },
        "agreement": {"largest_difference": 1.2e-7, "images": 16},
        "errors": {"cats": {when: {"images": 8, **errors} for when in ("before", "after")}},
    }
    files = [
        write(root / "cats" / "importance" / "conv-1.json", summary),
        write(root / "cats" / "importance" / "conv-1.png"),
        write(root / "cats" / "pruning" / "conv-1.json", summary),
        write(root / "cats" / "pruning" / "conv-1.png"),
        write(root / "cats" / "pruned" / "conv-1-0.3.json", report),
        write(root / "cats" / "pruned" / "conv-1-0.3.prototxt", ""),
        write(root / "cats" / "pruned" / "conv-1-0.3.caffemodel", ""),
    ]
    class_pages(root / "index.html", network="net", artefacts=files)
    for name in ("importance/conv-1.csv", "pruning/conv-1.csv", "pruning/conv-1.svg"):
        write(root / "cats" / name, "")
    page = root / "cats" / "index.html"
    text, links = page.read_text(), links_of(page)
    assert all((page.parent / link).is_file() for link in links)
    assert {f"pruned/{file.name}" for file in files[-3:]} <= set(links)
    for words in (
        *("conv/1 without 30 % of its filters", "Without &lt;2&gt; filters.", "abacus"),
        *("<td>9 × 5 × 3 × 3</td><td>7 × 5 × 3 × 3</td>", "<td>405</td><td>315</td>"),
        *("5 and 6: layer &#39;n&#39; (LRN) mixes.", "1.20 × 10⁻⁷", "<td>1.5</td><td>1.25</td>"),
        *("<td>4,321 bytes</td><td>3,210 bytes</td>", "1 other layers with weights are as before"),
    ):
        assert words in text, words
    # Nothing removed, no layer differs, no time of one layer: no table of sizes.
    report |= {"removed": [], "layers": {"fc8": report["layers"]["fc8"]}}
    write(root / "cats" / "pruned" / "conv-1-0.3.json", report)
    class_pages(root / "index.html", network="net", artefacts=files)
    assert "abacus" not in page.read_text()


def test_parity_page_says_what_is_not_faithful(tmp_path):
    value = {"absolute": 0.5, "relative": 0.01}
    report = {
        "network": "net",
        "images": ["cat"],
        "blobs": {"conv1": value},
        "gradients": {},
        "flips": [],
        "seconds": {"forward": {"numpy": 0.1, "pycaffe": 0.2}},
        "faithful": False,
        "sentence": "NOT faithful",
    }
    path = write(tmp_path / "net" / "parity.json", report)
    page, summary = tmp_path / "parity.html", tmp_path / "parity.json"
    parity_page(page, summary, [path])
    assert "No: at least one network" in page.read_text()
    assert json.loads(summary.read_text())["faithful"] is False


def test_parity_of_nothing_is_no_parity(tmp_path):
    with pytest.raises(UserError, match="networks: none has weights"):
        parity_page(tmp_path / "parity.html", tmp_path / "parity.json", [])
    assert not list(tmp_path.iterdir())
