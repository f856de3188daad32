from pathlib import Path

import pytest

from cnnvis.core.code_digest import PACKAGE, digest, used_files

SCRIPTS = PACKAGE.parent / "scripts"


@pytest.fixture
def package(tmp_path):
    """Return a package in which one script uses some modules and not others."""
    files = {
        "pack/__init__.py": "def __getattr__(name):\n    from pack.lazy import thing\n",
        "pack/used.py": "import numpy\nfrom pack import deeper\n",
        "pack/deeper.py": "def f():\n    import pack.late.end\n",
        "pack/late/__init__.py": "from .beside import x\n",
        "pack/late/end.py": "",
        "pack/late/beside.py": "x = 1\n",
        "pack/late/page.html": "<p>",
        "pack/late/more/style.css": "p {}",
        "pack/late/inner/__init__.py": "",
        "pack/late/inner/unused.html": "<p>",
        "pack/lazy.py": "thing = 1\n",
        "pack/unused.py": "",
        "script.py": "from pack.used import f\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "pack"


def names(package, script="script.py"):
    files = used_files(package.parent / script, package)
    return [path.relative_to(package).as_posix() for path in files]


def test_imports_are_followed_late_ones_and_relative_ones_too(package):
    assert names(package) == [
        "__init__.py",
        "deeper.py",
        "late/__init__.py",
        "late/beside.py",
        "late/end.py",
        "late/more/style.css",
        "late/page.html",
        "used.py",
    ]


def test_late_imports_of_functions_that_are_not_used_do_not_count(package):
    (package / "facade.py").write_text(
        "def f():\n    return g()\n"
        "def g():\n    from pack import used\n"
        "def h():\n    from pack import unused\n"
    )
    (package.parent / "some.py").write_text("from pack.facade import f\n")
    (package.parent / "whole.py").write_text("from pack import facade\n")
    assert "used.py" in names(package, "some.py")
    assert "unused.py" not in names(package, "some.py")
    assert "unused.py" in names(package, "whole.py")


def test_modules_found_by_name_count(package):
    (package / "engines.py").write_text(
        "import importlib\nENGINES = {'a': 'pack.deeper', 'b': 'pack.unused'}\n"
        "def start(name):\n    return importlib.import_module(ENGINES[name])\n"
        "def run():\n    return 'lazy.py'\n"
    )
    (package.parent / "some.py").write_text("from pack.engines import start\n")
    assert {"deeper.py", "unused.py"} <= set(names(package, "some.py"))
    assert "lazy.py" not in names(package, "some.py")
    (package.parent / "other.py").write_text("from pack.engines import run\n")
    assert names(package, "other.py") == ["__init__.py", "engines.py", "lazy.py"]
    found = used_files(package.parent / "some.py", package, without=["pack.unused"])
    assert package / "unused.py" not in found
    assert package / "deeper.py" in found


def test_a_package_that_imports_by_a_table_brings_the_named_module(package):
    (package / "__init__.py").write_text(
        "from importlib import import_module\n_HOMES = {'one': 'lazy', 'two': 'unused'}\n"
        "def __getattr__(name):\n    return import_module(f'pack.{_HOMES[name]}')\n"
    )
    (package.parent / "some.py").write_text("from pack import one\n")
    assert names(package, "some.py") == ["__init__.py", "lazy.py"]


def test_a_lazy_name_of_the_package_brings_its_module(package):
    (package.parent / "lazily.py").write_text("from pack import thing\n")
    assert names(package, "lazily.py") == ["__init__.py", "lazy.py"]


@pytest.mark.parametrize("changed", ["used.py", "deeper.py", "late/beside.py", "late/page.html"])
def test_the_digest_changes_with_what_is_used(package, changed, fresh):
    before = digest(package.parent / "script.py", package)
    with (package / changed).open("a") as file:
        file.write("\n# changed\n")
    fresh()
    assert digest(package.parent / "script.py", package) != before


@pytest.mark.parametrize("changed", ["unused.py", "lazy.py", "late/inner/unused.html"])
def test_the_digest_ignores_what_is_not_used(package, changed, fresh):
    before = digest(package.parent / "script.py", package)
    (package / changed).write_text("# changed\n")
    fresh()
    assert digest(package.parent / "script.py", package) == before


def test_the_digest_changes_with_the_script(package):
    before = digest(package.parent / "script.py", package)
    (package.parent / "script.py").write_text("from pack.used import f  # changed\n")
    assert digest(package.parent / "script.py", package) != before


@pytest.fixture
def fresh():
    """Return what a new start of the workflow does: forget all files."""
    from cnnvis.core import code_digest

    def forget():
        for function in (
            code_digest._imports,
            code_digest._file_digest,
            code_digest._data_files,
            code_digest._parse,
        ):
            function.cache_clear()

    return forget


def test_scripts_use_what_one_expects():
    used = {path.relative_to(PACKAGE).as_posix() for path in used_files(SCRIPTS / "make_volume.py")}
    assert {"volumes.py", "orderings.py", "jobs.py", "files.py"} <= used
    assert not {"config.py", "grids.py", "engines/__init__.py", "pages/__init__.py"} & used


def test_scripts_that_run_networks_use_the_engine():
    used = {path.name for path in used_files(SCRIPTS / "make_gradients.py")}
    assert {"network.py", "passes.py", "convolution.py", "prototxt.py", "caffemodel.py"} <= used
    assert {"pycaffe.py", "pycaffe_worker.py"} <= used


def test_scripts_that_make_pages_use_their_templates():
    used = {path.suffix for path in used_files(SCRIPTS / "make_index.py")}
    assert {".py", ".html", ".js"} <= used


def test_every_script_is_thin_and_runs_as_a_job():
    for script in sorted(SCRIPTS.glob("make_*.py")):
        text = Path(script).read_text()
        assert len(text.splitlines()) < 35, script
        assert "with job(snakemake):" in text, script
        assert "snakemake.config" not in text, script
