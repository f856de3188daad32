import hashlib
import http.server
import os
import subprocess
import sys
import tarfile
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.core.errors import UserError
from cnnvis.inputs.downloads import fetch_file
from cnnvis.inputs.sources import as_file, described, missing_files, read_source
from tests.inputs.test_deep_compression import NET, encode

ROOT = Path(__file__).parents[2]
SOURCE = """
name: Small
licence: none
files:
  net.caffemodel: {{urls: ["{0}/net.caffemodel"], size: 7, sha256: "{1}"}}
  small.net: {{urls: ["{0}/small.net"]}}
  small.caffemodel: {{decoded_from: small.net}}
  words.txt: {{archive: "{0}/both.tar.gz", size: 5}}
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder, and the address at which its files are served."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def model(served, tmp_path):
    """The folder of a network whose files are elsewhere."""
    folder, address = served
    (folder / "net.caffemodel").write_bytes(b"weights")
    (folder / "words.txt").write_text("tench")
    with tarfile.open(folder / "both.tar.gz", "w:gz") as tar:
        tar.add(folder / "net.caffemodel", "data/other.txt")
        tar.add(folder / "words.txt", "data/words.txt")
    model = tmp_path / "models" / "small"
    model.mkdir(parents=True)
    source = SOURCE.format(address, hashlib.sha256(b"weights").hexdigest())
    (model / "source.yaml").write_text(source)
    return model


def test_described(model):
    assert described(model / "net.caffemodel")["size"] == 7
    assert described(model / "small.caffemodel") == {"decoded_from": "small.net"}
    assert described(model / "unknown") is None
    assert described(model.parent / "nowhere" / "net.caffemodel") is None


def test_missing_files(model):
    paths = [str(model / name) for name in ("net.caffemodel", "small.caffemodel", "own.caffemodel")]
    downloads, decoded = missing_files([(path, None) for path in paths])
    assert list(downloads) == [paths[0], str(model / "small.net")]
    assert decoded == {paths[1]: str(model / "small.net")}
    for path in paths:
        Path(path).write_bytes(b"")
    assert missing_files([(path, None) for path in paths]) == ({}, {})


def test_addresses():
    path, entry = as_file("https://example.org/a%20b/cat%20(1).jpg?raw=1")
    assert path.startswith("results/downloads/")
    assert path.endswith("-cat__1_.jpg")
    assert entry == {"urls": ["https://example.org/a%20b/cat%20(1).jpg?raw=1"]}
    known = {"url": "https://example.org/cat.jpg", "sha256": "0" * 64}
    other, entry = as_file(known)
    assert entry == {"urls": ["https://example.org/cat.jpg"], "sha256": "0" * 64}
    assert other != as_file(known["url"])[0]  # with another checksum it is another file
    assert as_file("skimage:cat") == ("skimage:cat", None)
    assert as_file("https://example.org")[0].endswith("-file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: Small", "names: Small"), "names: unknown key; did you mean name?"),
        (("licence: none\n", ""), "licence: missing; expected a"),
        (("small.net}", "smal.net}"), "decoded_from: 'smal.net' is not one of its files"),
        (("size: 7", "size: 7.5"), "files.net.caffemodel.size: 7.5 is not a whole number"),
        (('sha256: "', 'sha256: "x'), "expected a hexadecimal checksum"),
        (('"http', '"ftp'), "expected an address that starts with http:// or https://"),
        (("name: Small", "name: [Small"), "cannot be read as YAML"),
    ],
)  # fmt: skip
def test_sources_that_are_wrong(model, change, message):
    path = model / "source.yaml"
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(UserError) as caught:
        read_source(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def take(model, name):
    path = model / name
    fetch_file(described(path), path)
    return path


def test_member_of_an_archive(model):
    assert take(model, "words.txt").read_text() == "tench"
    assert sorted(path.name for path in model.iterdir()) == ["source.yaml", "words.txt"]


def test_archive_that_is_there_is_used_and_kept(model, served):
    (served[0] / "both.tar.gz").rename(model / "words.txt.archive")
    assert take(model, "words.txt").read_text() == "tench"
    assert (model / "words.txt.archive").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"x" * 2000), "cannot be read as a tar archive"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "cannot be read as a tar archive"),
        (lambda path: tarfile.open(path, "w:gz").close(), "contains no file words.txt"),
        (lambda path: path.unlink(), "HTTP 404"),
    ],
)
def test_archives_that_are_none(model, served, make, message):
    make(served[0] / "both.tar.gz")
    with pytest.raises(UserError, match=message):
        take(model, "words.txt")
    assert [path.name for path in model.iterdir()] == ["source.yaml"]


def test_wrong_member(model):
    with pytest.raises(UserError, match="it has 5 bytes, expected 6"):
        fetch_file(described(model / "words.txt") | {"size": 6}, model / "words.txt")
    assert [path.name for path in model.iterdir()] == ["source.yaml"]


COMMON = (ROOT / "workflow" / "common.smk").read_text()
HELPERS = COMMON[COMMON.index("def entry") : COMMON.index("wildcard_constraints:")]
SNAKEFILE = f"""
import re
from pathlib import Path
from cnnvis.inputs.sources import as_file, missing_files

home = Path({str(ROOT)!r})
files = [(path, None) for path in config["files"].split(",")] + [as_file(config["url"])]
tables = dict(zip(["downloads", "decoded"], missing_files(files)))
tables |= {{"engine": "numpy", "networks": {{}}, "orderings": {{}}}}

{HELPERS}

def code(script):
    return "digest"

rule all:
    input: [path for path, _ in files]

include: "{ROOT}/workflow/inputs.smk"
"""


def run(folder, files, address):
    """Run Snakemake; return what it says."""
    (folder / "Snakefile").write_text(SNAKEFILE)
    config = [f"files={','.join(files)}", f"url={address}/words.txt"]
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", *config]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_rules(model, served, tmp_path):
    """Snakemake fetches and decodes what is missing, once, and never touches what is there."""
    rng = np.random.default_rng(1)
    layers = [(rng.normal(size=256), rng.normal(size=n), {3: 7, 5: 9}) for n in (4, 5)]
    (served[0] / "small.net").write_bytes(encode(layers))
    (model / "deploy.prototxt").write_text(NET)
    files = [f"models/small/{name}" for name in ("net.caffemodel", "small.caffemodel", "words.txt")]
    status, text = run(tmp_path, files, served[1])
    assert status == 0, text
    assert (model / "net.caffemodel").read_bytes() == b"weights"
    assert list(read_caffemodel(model / "small.caffemodel")) == ["a", "b"]
    downloads = list((tmp_path / "results" / "downloads").iterdir())
    assert [path.read_text() for path in downloads] == ["tench"]
    (model / "net.caffemodel").write_bytes(b"a user's own")
    (model / "source.yaml").write_text("name: broken by now, and not even read")
    (model / "small.net").unlink()
    status, text = run(tmp_path, files, served[1])
    assert status == 0, text
    assert "Nothing to be done" in text
    assert (model / "net.caffemodel").read_bytes() == b"a user's own"
    assert not (model / "small.net").exists()


def test_rules_say_in_one_line_what_failed(model, served, tmp_path):
    (served[0] / "net.caffemodel").write_bytes(b"WEIGHTS")
    status, text = run(tmp_path, ["models/small/net.caffemodel"], served[1])
    assert status != 0
    lines = [line for line in text.splitlines() if line.startswith("cnnvis: ")]
    assert len(lines) == 1, text
    assert "has sha256" in lines[0]
    assert lines[0].endswith(
        f"download {served[1]}/net.caffemodel and save it as models/small/net.caffemodel"
    )


@pytest.mark.parametrize("letter", ["a", "\u00e9", "\U0001f600"])
def test_a_long_name_is_cut(letter):
    path, _ = as_file(f"https://example.org/{letter * 400}.jpg")
    assert path.endswith(".jpg") and len(Path(path).name.encode()) < 220


@pytest.mark.parametrize("address", ["https://[", "https://ex\u2100mple.org/a.jpg"])
def test_no_address_is_a_path(address):
    assert as_file(address) == (address, None)


@pytest.mark.parametrize("content", ["a: 2020-13-45", "[" * 3000, "a: &a [*a]", "a: " + "9" * 5000])
def test_yaml_that_is_no_description_is_one_line(tmp_path, content):
    (tmp_path / "source.yaml").write_text(content)
    with pytest.raises(UserError, match="source.yaml: ") as error:
        read_source(tmp_path / "source.yaml")
    assert "\n" not in str(error.value)
