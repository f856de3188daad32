"""Pages of any volumes: from the command line, from Python, and within notebooks."""

import os
import subprocess
import sys

import numpy as np
import pytest

from cnnvis.__main__ import main
from cnnvis.core.errors import UserError
from cnnvis.core.files import write_json
from cnnvis.pages.views import view
from tests.browser import NAMES, Browser, find_browser
from tests.conftest import ROOT
from tests.pages.test_pages import Page, spec_and_voxels


@pytest.fixture
def volumes():
    return np.random.default_rng(0).normal(size=(2, 4, 3, 5))


def read(shown, tmp_path):
    shown.save(tmp_path / "page.html")
    return spec_and_voxels(tmp_path / "page.html")


def test_floats_are_shares_and_bytes_stay(tmp_path, volumes):
    spec, voxels = read(view([volumes[0]]), tmp_path)
    largest = np.abs(volumes[0]).max()
    assert (spec["signed"], spec["values"]) == (True, [0, largest])
    assert np.abs(voxels[0] * largest - volumes[0]).max() < 1e-3 * largest
    spec, voxels = read(view([np.abs(volumes[0])]), tmp_path)
    assert (spec["signed"], spec["dtype"]) == (False, "f16")
    data = np.arange(60, dtype=np.uint8).reshape(4, 3, 5)
    spec, voxels = read(view([data], colours="turbo"), tmp_path)
    assert (spec["values"], next(iter(spec["colours"]))) == ([0, 255], "turbo")
    assert np.array_equal(voxels[0], data)
    assert read(view([data], signed=True), tmp_path)[0]["signed"] is True


def test_several_volumes_are_panels_or_frames_on_one_scale(tmp_path, volumes):
    orders = {"back": [3, 2, 1, 0]}
    spec, voxels = read(view([*volumes], titles=["a", "b"], orders=orders), tmp_path)
    assert [(p["title"], p["volume"], p["order"]) for p in spec["panels"]] == [
        ("a · the network's order", 0, None),
        ("a · back", 0, [3, 2, 1, 0]),
        ("b · the network's order", 1, None),
        ("b · back", 1, [3, 2, 1, 0]),
    ]
    assert spec["values"][1] == np.abs(volumes).max()
    assert len(voxels) == 2
    spec, _ = read(view([*volumes], titles=["a", "b"], frames=True), tmp_path)
    assert (spec["frames"], len(spec["panels"])) == (["a", "b"], 1)
    spec, _ = read(view([volumes]), tmp_path)
    assert spec["frames"] == ["frame 0", "frame 1"]


def test_channels_of_weights_are_tiles(tmp_path):
    weights = np.arange(2 * 6 * 2 * 2.0).reshape(2, 6, 2, 2)
    _, voxels = read(view([weights], weights=True), tmp_path)
    assert voxels.shape == (1, 2, 4, 6)
    assert voxels[0, 1, 2, 2] == np.float16(weights[1, 4, 0, 0] / 47)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"titles": ["a"]}, "titles: 1, expected one of each of 2 volumes"),
        ({"colours": "infernal"}, "colours 'infernal': did you mean inferno"),
        ({"orders": {"x": [0, 1]}}, "order 'x': expected each of the filters 0 to 3 once"),
        ({"orders": {"x": [0, 1, 2, 2]}}, "order 'x': expected each of the filters 0 to 3 once"),
        ({"orders": {"x": "0123"}}, "order 'x': expected a list of filters"),
    ],
)
def test_wrong_options_are_named(volumes, options, message):
    with pytest.raises(UserError, match=message):
        view([*volumes], **options)


def test_volumes_of_different_shapes_are_refused(volumes):
    with pytest.raises(UserError, match="no volume; expected at least one array or file"):
        view([])
    with pytest.raises(
        UserError, match=r"volume 2: has shape \(4, 3, 4\), but volume 1 \(4, 3, 5\)"
    ):
        view([volumes[0], volumes[1, ..., :4]])
    with pytest.raises(UserError, match="panels need the same number of frames"):
        view([volumes, volumes[0]])


def test_the_command_line_writes_one_file(tmp_path, volumes, capsys):
    np.save(tmp_path / "a.npy", volumes[0])
    np.savez(tmp_path / "b.npz", conv1=volumes[1], conv2=volumes)
    write_json(tmp_path / "pca.json", {"permutation": [2, 3, 0, 1], "method": "pca"})
    page = tmp_path / "new" / "page.html"
    files = [str(tmp_path / name) for name in ("a.npy", "b.npz")]
    options = ["--array", "conv1", "--order", str(tmp_path / "pca.json"), "--title", "<one>"]
    options += ["--title", "two", "--heading", "both </script>", "--colours", "coolwarm"]
    assert main(["view", *files, *options, "--output", str(page), "--no-browser"]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    spec, voxels = spec_and_voxels(page)
    assert voxels.shape == (2, 4, 3, 5)
    assert [panel["title"] for panel in spec["panels"]][1] == "<one> · pca"
    assert spec["panels"][1]["order"] == [2, 3, 0, 1]
    parsed = Page(page)
    assert parsed.faults == []
    assert "both </script>" in parsed.prose
    assert os.listdir(page.parent) == ["page.html"]


def test_the_command_line_opens_the_page(tmp_path, volumes, capsys, monkeypatch):
    np.save(tmp_path / "a.npy", volumes[0])
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["view", str(tmp_path / "a.npy")]) == 0
    (page,) = tmp_path.glob("cnnvis-*/volume.html")
    assert opened == [page.as_uri()]


def test_a_mistake_is_one_line_and_leaves_nothing(tmp_path, capsys):
    (tmp_path / "a.npy").write_bytes(b"nonsense")
    page = tmp_path / "page.html"
    assert main(["view", str(tmp_path / "a.npy"), "--output", str(page), "--no-browser"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"cnnvis: {tmp_path / 'a.npy'}: cannot be read as .npy")
    assert captured.err.count("\n") == 1
    assert not page.exists()


def test_the_package_and_its_help_need_no_numpy():
    code = (
        "import sys, cnnvis, cnnvis.__main__ as m\n"
        "assert cnnvis.show\n"
        "try: m.main(['view', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


NOTEBOOK = """
import numpy as np
import cnnvis
maps = np.arange(60, dtype="f4").reshape(4, 3, 5)
cnnvis.show(maps, orders={"back": [3, 2, 1, 0]}, titles=["conv1 & <b>"], height=321)
"""


def test_jupyter_displays_the_page(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    paths = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    client = nbclient.NotebookClient(notebook, kernel_name="python3")
    client.execute(cwd=str(tmp_path), env=os.environ | {"PYTHONPATH": paths})
    (output,) = notebook.cells[0].outputs
    frame = output["data"]["text/html"]
    assert frame.startswith("<iframe") and "height:321px" in frame
    look_at_frame(tmp_path, frame)


def look_at_frame(tmp_path, frame):
    """Open an output cell in a browser; the viewer in its frame must have the volume's bytes."""
    if find_browser() is None:
        pytest.skip(f"no browser found, looked for {', '.join(NAMES)}")
    page = tmp_path / "notebook.html"
    page.write_text(f"<!doctype html><body>{frame}</body>", encoding="utf-8")
    with Browser(tmp_path / "profile") as browser:
        session = browser.open(page.as_uri())
        inside = "document.querySelector('iframe')?.contentWindow"
        browser.wait(session, f"{inside}?.document.body?.dataset.ready")
        found = browser.run(
            session,
            f"""
            const {{ viewer, document: page }} = {inside};
            viewer.change({{ azimuth: 10 }});
            await new Promise((done) => setTimeout(done, 500));
            return {{
              ready: page.body.dataset.ready, heading: page.querySelector('h1').textContent,
              titles: viewer.panels.map((panel) => panel.title),
              values: [...viewer.panels[1].frames[0]],
              copy: page.getElementById('copy').hidden,
            }};
            """,
        )
        assert not browser.errors
    values = (np.arange(60).reshape(4, 3, 5)[::-1].ravel() / 59).astype("f2").astype(float)
    assert found == {
        "ready": "1",
        "heading": "conv1 & <b>",
        "titles": ["conv1 & <b> · the network's order", "conv1 & <b> · back"],
        "values": values.tolist(),
        "copy": True,
    }
