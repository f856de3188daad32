"""The page of a network: what its table and drawing tell, from the prototxt alone."""

import re

import pytest

from cnnvis.engines.numpy.graph import read_graph
from cnnvis.pages.graph_drawing import HEIGHT, WIDTH, lay_out
from cnnvis.pages.networks import network_page
from tests.conftest import ROOT
from tests.engines.goldens import GOLDENS, MORE_GOLDENS
from tests.pages.test_pages import Page


def write_page(folder, prototxt, shown=()):
    page = folder / "results" / "net" / "index.html"
    network_page(page, network="net", graph=read_graph(prototxt), shown=shown)
    return Page(page)


def row(page, layer):
    """Return the words of a layer's row, without tags."""
    name = re.escape(layer.replace("/", "-"))
    text = re.search(rf'<th scope="row" id="layer-{name}".*?</tr>', page.text, re.S)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)).strip()


@pytest.fixture(scope="module")
def caffenet(tmp_path_factory):
    prototxt = ROOT / "models" / "caffenet" / "deploy.prototxt"
    return write_page(tmp_path_factory.mktemp("caffenet"), prototxt)


def test_the_table_has_caffenet_s_numbers(caffenet):
    expected = {
        "data": "data Input 3 × 227 × 227",
        "conv1": "conv1 Convolution 96 × 55 × 55 96 × 3 × 11 × 11 34,944 11 × 11 4 0",
        "relu1": "relu1 ReLU, in place 96 × 55 × 55 11 × 11 4 0",
        "conv2": "conv2 Convolution 256 × 27 × 27 256 × 48 × 5 × 5 307,456 51 × 51 8 −16",
        "conv5": "conv5 Convolution 256 × 13 × 13 256 × 192 × 3 × 3 442,624 163 × 163 16 −64",
        "fc6": "fc6 InnerProduct 4096 4096 × 9216 37,752,832 the whole image",
        "prob": "prob Softmax 1000 the whole image",
    }
    assert {layer: row(caffenet, layer) for layer in expected} == expected
    assert "23 layers, 8 of them with 60,965,224 weights in all" in caffenet.prose
    assert "colour images of 227 × 227 pixels" in caffenet.prose
    assert f"width:{100 * 163 / 227:.1f}%" in caffenet.text


def test_the_drawing_has_one_box_for_each_size(caffenet):
    titles = re.findall(r"<g><title>(.*?) pixels</title>", caffenet.text)
    assert titles == [
        "pool5: 195 × 195",
        "conv5 and relu5: 163 × 163",
        "conv4 and relu4: 131 × 131",
        "conv3 and relu3: 99 × 99",
        "pool2 and norm2: 67 × 67",
        "conv2 and relu2: 51 × 51",
        "pool1 and norm1: 19 × 19",
        "conv1 and relu1: 11 × 11",
    ]
    boxes = re.findall(r'<rect class="field" x="(\S+)" y="\S+" width="(\S+)"', caffenet.text)
    assert [(float(x), float(width)) for x, width in boxes[:2]] == [(-97.5, 195), (-81.5, 163)]


def test_layers_of_the_prototxt_are_shown_and_those_that_caffe_inserts_are_not(tmp_path):
    page = write_page(tmp_path, GOLDENS / "squeezenet_thin.prototxt")
    layers = re.findall(r'id="layer-([^"]+)"', page.text)
    net = (GOLDENS / "squeezenet_thin.prototxt").read_text()
    assert layers == [name.replace("/", "-") for name in re.findall(r'layer \{ name: "(.*?)"', net)]


def test_what_has_no_one_receptive_field_says_why(tmp_path):
    page = write_page(tmp_path, MORE_GOLDENS / "shapes.prototxt")
    assert "differs: layer rows_again joins parts that are not neighbours" in row(page, "stack")
    assert row(page, "score") == "score InnerProduct 3 3 × 859 2,580 the whole image"
    assert row(page, "f9").endswith("rows 0 to 7, columns 3 to 6 of the image")
    assert row(page, "rows") == "rows Slice 6 × 1 × 5 rows_1 3 × 3 1 0"
    assert "6 × 3 × 5 rows_2" in page.prose
    assert row(page, "quiet") == "quiet Silence"
    assert page.faults == []


def test_shared_weights_count_once(tmp_path):
    page = write_page(tmp_path, MORE_GOLDENS / "shared_weights.prototxt")
    counts = map(int, re.findall(r'class="count">(\d+)<', page.text))
    total = int(re.search(r"with (\d+) weights in all", page.prose)[1])
    assert total < sum(counts)


def test_a_layer_s_files_are_linked(tmp_path):
    folder = tmp_path / "results" / "net"
    pages = [folder / room / "conv2.html" for room in ("responses", "lesions")]
    shown = [folder / "filters" / "conv2.png", *pages]
    prototxt = GOLDENS / "caffenet_thin.prototxt"
    page = write_page(tmp_path, prototxt, shown)
    assert "filters/conv2.png" in page.values("href")
    assert row(page, "conv2").startswith("conv2 filters responses lesions Convolution")
    assert "filters/conv1.png" not in page.values("href")


NETWORKS = [
    ROOT / "models" / "caffenet" / "deploy.prototxt",
    GOLDENS / "squeezenet_thin.prototxt",
    *(MORE_GOLDENS / f"{name}.prototxt" for name in ("googlenet_thin", "resnet_thin", "fcn_thin")),
    *(MORE_GOLDENS / f"{name}.prototxt" for name in ("shapes", "in_place", "eltwise")),
]


@pytest.mark.parametrize("prototxt", NETWORKS, ids=lambda path: path.stem)
def test_the_graph_has_every_layer_once_and_no_two_in_one_place(prototxt):
    graph = read_graph(prototxt)
    blocks = lay_out(graph)
    boxes = [box for block in blocks for box in block.boxes]
    drawn = [node.layer.name for box in boxes for node in box.nodes]
    layers = [node.layer.name for node in graph.nodes]
    assert sorted(drawn) == sorted(name for name in layers if not name.endswith("_split"))
    for block in blocks:
        places = [(box.rank, box.lane) for box in block.boxes]
        assert len(set(places)) == len(places)
        for box in block.boxes:
            left, top = box.corner
            assert left + WIDTH <= block.width and top + HEIGHT <= block.height
            assert all(source.rank < box.rank for source in box.sources if source in block.boxes)
        inside = sum(source in block.boxes for box in block.boxes for source in box.sources)
        assert len(block.lines) >= inside


def test_branches_lie_side_by_side_between_the_layers_that_part_and_join_them():
    blocks = lay_out(read_graph(MORE_GOLDENS / "googlenet_thin.prototxt"))
    names = [[box.nodes[0].layer.name for box in block.boxes if box.nodes] for block in blocks]
    branches = next(index for index, group in enumerate(names) if len(group) > 1)
    assert names[branches - 1] == ["pool1/norm1"]
    assert names[branches + 1] == ["inception_3a/output"]
    places = {box.nodes[0].layer.name: (box.rank, box.lane) for box in blocks[branches].boxes}
    prefix = "inception_3a/"
    assert {name.removeprefix(prefix): place for name, place in places.items()} == {
        "1x1": (0, 0),
        "3x3_reduce": (0, 1),
        "3x3": (1, 1),
        "5x5": (0, 2),
        "pool": (0, 3),
        "pool_proj": (1, 3),
    }


def test_a_layer_in_place_stands_with_the_layer_before_it(caffenet):
    drawing = caffenet.text[caffenet.text.index('class="graph"') :].split("<table")[0]
    titles = re.findall(r"<title>(.*?)</title>", drawing)
    assert titles[:4] == ["data", "conv1, relu1", "pool1", "norm1"]
    first = re.search(r'<a href="#layer-conv1".*?</a>', drawing, re.S)[0]
    texts = re.findall(r"<text[^>]*>(.*?)</text>", first)
    assert texts == [
        *("conv1", "Convolution + ReLU", "96 × 55 × 55", "34,944 weights", "field 11 × 11")
    ]
