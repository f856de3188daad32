import pytest

from cnnvis.core import code_digest
from cnnvis.core.code_digest import PACKAGE, digest, used_files

SCRIPTS = PACKAGE.parent / "scripts"


@pytest.fixture
def package(tmp_path):
    """Return a package in which one script uses some modules and not others."""
    files = {
        "pack/__init__.py": "",
        "pack/used.py": "import numpy\nfrom pack import deeper\n",
        "pack/deeper.py": "def f():\n    import pack.late.end\n",
        "pack/late/__init__.py": "from pack.late.beside import x\n",
        "pack/late/end.py": "",
        "pack/late/beside.py": "x = 1\n",
        "pack/late/page.html": "<p>",
        "pack/late/more/style.css": "p {}",
        "pack/late/inner/__init__.py": "",
        "pack/late/inner/unused.html": "<p>",
        "pack/engines/__init__.py": "",
        "pack/engines/fast/__init__.py": "",
        "pack/engines/fast/passes.py": "",
        "pack/engines/slow.py": "",
        "pack/engines/slow_worker.py": "",
        "pack/unused.py": "",
        "script.py": "from pack.used import f\n",
        "opens.py": "from pack.engines import start\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "pack"


def names(package, script="script.py", engine="fast"):
    files = used_files(package.parent / script, engine, package)
    return [path.relative_to(package).as_posix() for path in files]


def test_imports_are_followed_late_ones_too(package):
    assert names(package) == [
        "deeper.py",
        "late/__init__.py",
        "late/beside.py",
        "late/end.py",
        "late/more/style.css",
        "late/page.html",
        "used.py",
    ]


def test_only_the_engine_in_use_counts(package):
    modules = ["engines/__init__.py", "engines/fast/__init__.py", "engines/fast/passes.py"]
    assert names(package, "opens.py") == modules
    modules = ["engines/__init__.py", "engines/slow.py", "engines/slow_worker.py"]
    assert names(package, "opens.py", "slow") == modules


def digest_after(package, change):
    """Return the digests before and after a change, as two starts of the workflow see them."""
    before = digest(package.parent / "script.py", "fast", package)
    change()
    for function in (code_digest._imports, code_digest._file_digest, code_digest._data_files):
        function.cache_clear()
    return before, digest(package.parent / "script.py", "fast", package)


@pytest.mark.parametrize("name", ["used.py", "deeper.py", "late/beside.py", "late/page.html"])
def test_the_digest_changes_with_what_is_used(package, name):
    def change():
        (package / name).write_text((package / name).read_text() + "\n# changed\n")

    before, after = digest_after(package, change)
    assert before != after


@pytest.mark.parametrize("name", ["unused.py", "engines/slow.py", "late/inner/unused.html"])
def test_the_digest_ignores_what_is_not_used(package, name):
    before, after = digest_after(package, lambda: (package / name).write_text("# changed\n"))
    assert before == after


def test_the_digest_changes_with_the_script(package):
    before = digest(package.parent / "script.py", "fast", package)
    (package.parent / "script.py").write_text("from pack.used import f  # changed\n")
    assert digest(package.parent / "script.py", "fast", package) != before


def used_by(script, engine="numpy"):
    files = used_files(SCRIPTS / script, engine)
    return {path.relative_to(PACKAGE).as_posix() for path in files}


def test_scripts_use_what_one_expects():
    used = used_by("make_layers.py")
    assert {"activations/layers.py", "activations/orderings.py", "pages/viewers.py"} <= used
    assert {"pages/templates/viewer.html", "pages/viewer/main.js", "core/colours.json"} <= used
    assert not {"config/load.py", "importance/pruning.py", "engines/numpy/network.py"} & used


def test_scripts_that_run_networks_use_the_engine():
    used = used_by("make_gradients.py")
    assert {"engines/numpy/passes.py", "caffe/caffemodel.py"} <= used
    assert "engines/pycaffe_worker.py" not in used
    assert "engines/pycaffe_worker.py" in used_by("make_gradients.py", "pycaffe")


def test_every_script_runs_as_a_job():
    for script in sorted(SCRIPTS.glob("*.py")):
        text = script.read_text()
        assert "from cnnvis import" not in text, script
        assert "with job(snakemake):" in text, script
        assert "snakemake.config" not in text, script
