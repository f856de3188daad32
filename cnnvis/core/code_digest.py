"""Which code a script runs, as one digest: it changes when that code does, and not otherwise.

The digest covers the script, every module of this package that it imports, directly or through
others, at the top or late inside the functions it uses, and the data files (templates, say) in the
folders of the subpackages it imports. Packages from elsewhere are not looked into.

Texts count as imports where modules are found by name: a module's full name, for `importlib`; the
name of a Python file beside the module, for a process of its own; and in a package whose
``__getattr__`` imports names on first use, what a dictionary gives for that name.
"""

import ast
import functools
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
EVERYTHING = "*"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def digest(script, package=PACKAGE, without=()):
    """Return a digest of all the code that a script runs.

    Parameters
    ----------
    script : str or Path
        A Python file.
    package : Path
        The package's folder; imports from elsewhere are ignored.
    without : iterable of str
        Full names of modules that this run does not use, though the script could.

    Returns
    -------
    str
        Twelve hexadecimal digits.
    """
    total = hashlib.sha256(Path(script).read_bytes())
    for path in used_files(script, package, without):
        total.update(f"{path.relative_to(package)} {_file_digest(path)}".encode())
    return total.hexdigest()[:12]


def used_files(script, package=PACKAGE, without=()):
    """Return the package's files that a script uses: modules and data, sorted.

    Late imports count where the function that holds them is imported by name, or used by one that
    is, or where its module is imported as a whole.
    """
    skipped = {_module_file(package.parent.joinpath(*name.split("."))) for name in without}
    seen, todo = set(), list(_imports(Path(script), EVERYTHING, package))
    while todo:
        reached = todo.pop()
        if reached not in seen and reached[0] not in skipped:
            seen.add(reached)
            todo += _imports(*reached, package)
    modules = {path for path, _ in seen}
    data = [
        file
        for path in modules
        if path.name == "__init__.py" and path.parent != package
        for file in _data_files(path.parent)
    ]
    return sorted({*modules, *data})


@functools.cache
def _file_digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _imports(path, name, package):
    """Return [(file, name in it)] for all that `name` of a file imports; "" is its top level."""
    found = _lazy_imports(path, name)
    for node in _nodes(path, name):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found += _files(alias.name.split("."), [EVERYTHING], package)
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            found += _files(_origin(node, path, package), names, package)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += _named_in_text(node.value, path, package)
    return found


def _nodes(path, name):
    """Return the syntax that runs when a file is imported and `name` of it is used."""
    tree, top, definitions = _parse(path)
    lazy = name not in definitions and "__getattr__" in definitions
    if name == EVERYTHING or (name and lazy):
        return list(ast.walk(tree))
    nodes, todo, seen = list(top), [name], set()
    while todo:
        current = todo.pop()
        if current in seen or current not in definitions:
            continue
        seen.add(current)
        inside = list(ast.walk(definitions[current]))
        nodes += inside
        todo += [node.id for node in inside if isinstance(node, ast.Name)]
    return nodes


def _lazy_imports(path, name):
    """Return where a package's ``__getattr__`` finds a name: ``{name: module}`` in a dictionary."""
    tree, _, definitions = _parse(path)
    if name in definitions or "__getattr__" not in definitions:
        return []
    entries = [
        (key, value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
    ]
    texts = {
        key.value: _module_file(path.parent / value.value)
        for key, value in entries
        if isinstance(key, ast.Constant)
        and isinstance(value, ast.Constant)
        and isinstance(value.value, str)
    }
    return [(file, key) for key, file in texts.items() if file and name in (key, EVERYTHING)]


@functools.cache
def _parse(path):
    """Return a file's syntax tree, what of it runs on import, and {name: its definition}."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    top, definitions, todo = [], {}, [tree]
    while todo:
        node = todo.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _FUNCTIONS[:2] + (ast.ClassDef,)):
                definitions[child.name] = child
            elif isinstance(child, ast.Assign):
                for target in ast.walk(child):
                    if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                        definitions[target.id] = child
            if not isinstance(child, _FUNCTIONS):
                todo.append(child)
                # A text is no import before the function that takes it runs.
                top += [] if isinstance(child, ast.Constant) else [child]
    return tree, top, definitions


def _origin(node, path, package):
    """Return the parts of the module's full name that ``from ... import`` names."""
    named = node.module.split(".") if node.module else []
    if not node.level:
        return named
    folder = path.parents[node.level - 1]
    inside = folder == package or package in folder.parents
    return [package.name, *folder.relative_to(package).parts, *named] if inside else []


def _files(module, names, package):
    """Return [(file, name in it)] for one import of names from a module."""
    if module[:1] != [package.name]:
        return []
    folders = [package.joinpath(*module[1:end]) for end in range(1, len(module) + 1)]
    found = [(folder / "__init__.py", "") for folder in folders[:-1]]
    own = _module_file(folders[-1])
    for name in names:
        submodule = _module_file(folders[-1] / name)
        if submodule:
            found += [(submodule, EVERYTHING), (own, "")]
        elif own:
            found.append((own, name))
    return found


def _named_in_text(text, path, package):
    parts = text.split(".")
    if len(parts) > 1 and parts[0] == package.name and all(map(str.isidentifier, parts)):
        return _files(parts[:-1], parts[-1:], package)
    if text.endswith(".py") and "/" not in text and (path.parent / text).is_file():
        return [(path.parent / text, EVERYTHING)]
    return []


def _module_file(path):
    """Return the file of a module, given without its suffix, or None."""
    choices = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((file for file in choices if file.is_file()), None)


@functools.cache
def _data_files(folder):
    """Return what a package's folder holds besides Python, in subfolders too."""
    files = []
    for path in folder.iterdir():
        if path.name.startswith((".", "__pycache__")):
            continue
        if path.is_dir() and not (path / "__init__.py").exists():
            files += _data_files(path)
        elif path.is_file() and path.suffix not in (".py", ".pyc"):
            files.append(path)
    return files
