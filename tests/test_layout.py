"""The layout of the package: imports run one way, and functions take few parameters."""

import ast
import re

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "cnnvis"
# A module imports from its own room and from rooms named before it.
ROOMS = (
    *("version", "core", "caffe", "inputs", "engines", "config"),
    *("activations", "gradients", "importance", "checks", "pages"),
)
MOST_PARAMETERS = 10


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path, late=True):
    """Return the modules of the package that a file imports, at its top or anywhere."""
    tree = ast.parse(path.read_text())
    names = {name_of(other) for other in modules()}
    for node in ast.walk(tree) if late else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in names or node.module in names:
                    yield full if full in names else node.module


def room_of(module):
    return module.split(".")[1]


def test_every_room_is_known():
    rooms = {room_of(name_of(path)) for path in modules() if path.parent != PACKAGE}
    assert rooms == set(ROOMS) - {"version"}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_run_one_way(path):
    if path.parent == PACKAGE and path.stem in ("__init__", "__main__"):
        return
    order = ROOMS.index(room_of(name_of(path)))
    for module in imports_of(path):
        assert ROOMS.index(room_of(module)) <= order, f"{name_of(path)} imports {module}"


def test_there_are_no_import_circles():
    graph = {name_of(path): set(imports_of(path)) - {name_of(path)} for path in modules()}
    done, entered = set(), []

    def visit(module):
        assert module not in entered, f"circle: {' -> '.join([*entered, module])}"
        if module not in done:
            entered.append(module)
            for other in sorted(graph[module]):
                visit(other)
            entered.pop()
            done.add(module)

    for module in sorted(graph):
        visit(module)


def test_packages_hide_no_modules():
    for path in modules():
        assert "__getattr__" not in path.read_text(), path


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_functions_take_few_parameters(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            count = len([argument for argument in names if argument.arg != "self"])
            assert count <= MOST_PARAMETERS, f"{node.name} has {count} parameters"


def test_every_rule_runs_the_script_whose_code_it_depends_on():
    """The name stands twice in each rule; a wrong copy would leave results outdated."""
    pairs = []
    for path in sorted((ROOT / "workflow").glob("*.smk")):
        for rule in re.split(r"^ *(?:use )?(?:rule|checkpoint)\b", path.read_text(), flags=re.M)[
            1:
        ]:
            code = re.search(r'code=code\(\s*"([^"]+)"', rule)
            script = re.search(r'script:\s*"\.\./scripts/([^"]+)"', rule)
            if script and code:
                pairs.append((path.name, code[1], script[1]))
    assert len(pairs) >= 15
    assert [pair for pair in pairs if pair[1] != pair[2]] == []


def test_rules_that_run_a_network_run_where_its_engine_is():
    """Scripts that open a network with the configured engine need the environment with Caffe."""
    seen = set()
    for path in sorted((ROOT / "workflow").glob("*.smk")):
        for rule in re.split(r"^ *rule\b", path.read_text(), flags=re.M)[1:]:
            script = re.search(r'script:\s*"\.\./scripts/([^"]+)"', rule)
            if script and script[1] in ENGINE_SCRIPTS:
                seen.add(script[1])
                conda = re.search(r"conda:\s*(\S+)", rule)
                assert conda and conda[1] == "environment", f"{path.name}: {script[1]}"
    assert seen == set(ENGINE_SCRIPTS)


ENGINE_SCRIPTS = (
    *("make_activations.py", "make_gradients.py", "make_class_sums.py", "make_pruning.py"),
    *("make_ordering_over_collection.py", "make_responses.py", "make_lesions.py"),
    *("make_pruned_networks.py", "make_filter_effects.py"),
)


def test_scripts_are_all_used_and_thin():
    text = "".join(path.read_text() for path in (ROOT / "workflow").glob("*.smk"))
    for script in sorted((ROOT / "scripts").glob("*.py")):
        assert f"../scripts/{script.name}" in text, script.name
        assert len(script.read_text().splitlines()) <= 36, script.name
