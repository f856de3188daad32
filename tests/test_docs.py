"""What the documentation says of the code, where the code can tell whether it is true."""

import re

import pytest

from cnnvis.caffe.prototxt import read_prototxt
from cnnvis.caffe.schema import messages
from cnnvis.engines.numpy.layers import LAYERS
from cnnvis.inputs import published
from cnnvis.pages.artefacts import recognise
from tests.conftest import ROOT

TYPES = {*LAYERS, "Input"}
START, *SECTIONS = re.split(r"^### (\w+)\n", (ROOT / "docs/layers.md").read_text(), flags=re.M)
LAYERS_PAGE = dict(zip(SECTIONS[::2], SECTIONS[1::2], strict=True))
PARAMETERS = {
    field.name.replace("_", ""): field.message_type
    for field in messages.LayerParameter.DESCRIPTOR.fields
    if field.name.endswith("_param")
}


def parameters_of(kind):
    """Return the names of a layer type's own fields."""
    name = {"Deconvolution": "Convolution"}.get(kind, kind).lower() + "param"
    return {field.name for field in PARAMETERS[name].fields} if name in PARAMETERS else set()


def test_the_page_on_layers_has_just_the_types_that_are_implemented():
    assert set(LAYERS_PAGE) == TYPES
    assert len(SECTIONS) == 2 * len(TYPES)


def test_fields_of_layers_are_found():
    assert parameters_of("LRN") == {"local_size", "alpha", "beta", "norm_region", "k", "engine"}
    assert len([kind for kind in TYPES if parameters_of(kind)]) >= 25


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_field_of_a_layer_is_on_its_page(kind):
    without_effect = re.search(r"\*\*No effect\*\*.*", START)[0]
    named = set(re.findall(r"`(\w+)`", LAYERS_PAGE[kind] + without_effect))
    assert parameters_of(kind) - named == set()


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_networks_that_prove_a_layer_contain_it(kind):
    networks = re.findall(r"\(\.\./(tests/\w+/\w+\.prototxt)\)", LAYERS_PAGE[kind])
    assert networks
    for network in networks:
        assert kind in {layer.type for layer in read_prototxt(ROOT / network).layer}, network
        assert (ROOT / network).with_suffix(".npz").is_file()


def test_the_page_on_the_study_names_its_sections_and_figures():
    page = (ROOT / "docs/study.md").read_text()
    parts = [section.split()[0] for section in published.SECTIONS]
    assert [part for part in parts if f"\n| {part} " not in page] == []
    names = " ".join(entry.name for entry in published.entries())
    figures = set(re.findall(r"Figure \d", names))
    assert len(figures) == 8
    assert figures - set(re.findall(r"Figure \d", page)) == set()


def test_results_that_the_page_on_the_study_names_have_such_a_place():
    named = re.findall(r"`([\w./-]+/[\w.-]+\.\w+)`", (ROOT / "docs/study.md").read_text())
    results = [path for path in named if not path.startswith(("results/", "config/"))]
    assert len(results) >= 20
    for path in results:
        recognise(f"results/caffenet/{path}", "results")


@pytest.mark.parametrize("name", ["mine.yaml", "network.yaml", "many.yaml"])
def test_configurations_of_the_tutorial_can_be_run(study, name):
    tutorial = (ROOT / "docs/tutorial.md").read_text()
    (text,) = re.findall(rf"```yaml\n# {name}\n(.*?)```", tutorial, flags=re.S)
    folder = study.folder
    (folder / "models").symlink_to(ROOT / "models")
    network = folder / "networks/squeezenet"
    network.mkdir(parents=True)
    (network / "deploy.prototxt").symlink_to(ROOT / "models/squeezenet/deploy.prototxt")
    (network / "labels.txt").write_text("".join(f"class {number}\n" for number in range(1000)))
    (network / "squeezenet.caffemodel").touch()
    (folder / "photographs").mkdir()
    for photograph in ("rocket", "chelsea"):
        (folder / f"photographs/{photograph}.jpg").touch()
    (folder / name).write_text(text)
    run = study.snakemake("-n", "--configfile", name)
    assert run.returncode == 0, run.stderr
    assert "image_page" in run.stdout
