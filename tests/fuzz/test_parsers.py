"""Every parser takes damaged files: it reads them, or refuses them in one line; nothing else.

A few hundred cases each are part of the tests. ``make fuzz`` runs 100,000 of each (10,000
configurations); what it finds is mended and kept beside the other tests of the parser.
"""

import copy
import io
import os

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnvis.caffe.binaryproto import read_binaryproto
from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.caffe.deploy import as_deploy
from cnnvis.caffe.prototxt import parse_prototxt
from cnnvis.config.load import load_config
from cnnvis.core.arrays import read_array, read_npy
from cnnvis.core.errors import ConfigError, UserError
from cnnvis.engines.inspection import describe
from cnnvis.engines.numpy.graph import build_graph
from cnnvis.inputs.deep_compression import decode
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import FORMATS, read_image
from cnnvis.inputs.labels import read_labels
from tests.caffe.test_hostile import VALID
from tests.config.test_load import THIN
from tests.conftest import ROOT
from tests.fuzz.mutations import mutations
from tests.inputs.test_deep_compression import encode

CASES = int(os.environ.get("CNNVIS_FUZZ", 300))
fuzz = settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=CASES < 100_000,  # the tests, and those of CI, are the same each time
)
# A configuration takes a tenth of a second, a thousand times as long as a file.
rarely = settings(fuzz, max_examples=max(1, CASES // 10))
GOLDENS = ROOT / "tests" / "goldens"
PROTOTXTS = sorted(GOLDENS.glob("*.prototxt")) + sorted((ROOT / "models").glob("*/deploy.prototxt"))
SMALL = [path.read_bytes() for path in PROTOTXTS if path.stat().st_size < 10_000]


def one_line(read, *arguments):
    """Read something; the only exception is a `UserError` of one line (or of one line each)."""
    try:
        return read(*arguments)
    except UserError as error:
        lines = error.lines if isinstance(error, ConfigError) else [str(error)]
        assert lines and not any("\n" in line for line in lines)
        return None


@pytest.fixture
def save(tmp_path):
    """Return a function that writes content to a file, always the same one."""

    def write(content, name="file"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def any_of(contents):
    """Return a strategy for damaged copies of one of the contents."""
    return st.sampled_from(contents).flatmap(mutations)


def bytes_of(write, *arguments, **options):
    stream = io.BytesIO()
    write(stream, *arguments, **options)
    return stream.getvalue()


@fuzz
@given(content=any_of(SMALL))
def test_prototxt(content):
    net = one_line(parse_prototxt, content, "net.prototxt")
    deploy = net and one_line(as_deploy, net, None, "net.prototxt")
    graph = deploy and one_line(build_graph, deploy[0], "net.prototxt")
    if graph:
        one_line(describe, graph)


@fuzz
@given(content=any_of(list(VALID.values())))
def test_caffemodel(save, content):
    one_line(read_caffemodel, save(content))


BLOB = bytes.fromhex("0801100318012002") + b"\x2a\x18" + bytes(24)


@fuzz
@given(content=any_of([BLOB, b"\x3a\x05\x0a\x03\x03\x01\x02" + BLOB[8:]]))
def test_binaryproto(save, content):
    one_line(read_binaryproto, save(content))


@fuzz
@given(content=any_of([bytes_of(np.save, array) for array in (np.eye(3), np.arange(9.0).T)]))
def test_npy(save, content):
    one_line(read_npy, save(content))


NPZ = [bytes_of(write, a=np.eye(3), b=np.arange(4)) for write in (np.savez, np.savez_compressed)]


@fuzz
@given(content=any_of(NPZ), name=st.sampled_from(["a", "b", "c", "a.npy"]))
def test_npz(save, content, name):
    one_line(read_array, save(content), name)


def picture(form, mode):
    pixels = np.random.default_rng(0).integers(0, 255, (9, 7, 3), np.uint8)
    return bytes_of(Image.fromarray(pixels).convert(mode).save, form)


PICTURES = [picture(form, mode) for form in FORMATS for mode in ("RGB", "L")]
PICTURES += [picture("TIFF", "1"), picture("PNG", "P"), picture("GIF", "P")]


@pytest.mark.filterwarnings("ignore::UserWarning")
@fuzz
@given(content=any_of(PICTURES))
def test_image(save, content):
    one_line(read_image, save(content))


@fuzz
@given(content=mutations("n02123045 tabby\r\nMönd\n\n x\n".encode()))
def test_labels(save, content):
    labels = one_line(read_labels, save(content), 4)
    assert not labels or not any("\n" in label for label in labels)


@fuzz
@given(content=mutations(b"# a list\ncat.jpg 3\n dogs/a dog.png\n\n/tmp/x.gif 12\n"))
@pytest.mark.parametrize("cls", [None, 3])
def test_list_of_images(save, content, cls):
    one_line(lambda: ImageSet("birds", str(save(content)), cls).classes)


CODEBOOK, BIASES = np.zeros(256, np.float32), np.zeros(2, np.float32)
COMPRESSED = encode([(CODEBOOK, BIASES, {3: 1, 40: 2}), (CODEBOOK, BIASES, {0: 1})])


@fuzz
@given(content=mutations(COMPRESSED))
def test_compressed_weights(content):
    one_line(decode, content, {"a": (2, 3, 3, 3), "b": (2, 2, 1, 1)})


@pytest.fixture
def _in_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@rarely
@given(content=mutations(yaml.safe_dump(THIN).encode()))
@pytest.mark.usefixtures("_in_the_root")
def test_configuration(save, content):
    path = save(content)
    try:
        config = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError):
        one_line(load_config, {}, [path])
    else:
        one_line(load_config, config, [path])


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates()
VALUES |= st.sampled_from(["/", "~", "..", "a" * 5000, "https://[", "skimage:", "*", "photonet:"])
VALUES = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)
KEYS = sorted(yaml.safe_load((ROOT / "config" / "schema.yaml").read_text())["properties"])


@rarely
@given(data=st.data(), value=VALUES)
@pytest.mark.usefixtures("_in_the_root")
def test_values_of_a_configuration(data, value):
    config = copy.deepcopy(THIN)
    node, key = config, data.draw(st.sampled_from(KEYS))
    while isinstance(node.get(key), dict) and node[key] and data.draw(st.booleans()):
        node = node[key]
        key = data.draw(st.sampled_from(sorted(node)))
    node[key] = value
    one_line(load_config, config)
