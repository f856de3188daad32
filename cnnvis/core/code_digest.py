"""Which code a script runs, as one digest: it changes when that code does, and not otherwise.

The digest covers the script, every module of this package that it imports, directly or through
others, at the top or late in a function, and the data files (templates, colour tables) in the
folders of those modules. The engine is opened by name: where ``cnnvis.engines`` is imported, the
modules of the engine in use count. Packages from elsewhere are not looked into, nor is the
package's own ``__init__.py``, which only passes names on to people.
"""

import ast
import functools
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def digest(script, engine, package=PACKAGE):
    """Return a digest of all the code that a script runs.

    Parameters
    ----------
    script : str or Path
        A Python file.
    engine : str
        The engine in use: its files are ``engines/{engine}*``.
    package : Path
        The package's folder.

    Returns
    -------
    str
        Twelve hexadecimal digits.
    """
    total = hashlib.sha256(Path(script).read_bytes())
    for path in used_files(script, engine, package):
        total.update(f"{path.relative_to(package)} {_file_digest(path)}".encode())
    return total.hexdigest()[:12]


def used_files(script, engine, package=PACKAGE):
    """Return the package's files that a script uses: modules and data, sorted."""
    modules, todo = set(), list(_imports(Path(script), package))
    while todo:
        path = todo.pop()
        if path not in modules:
            modules.add(path)
            todo += _imports(path, package)
            if path == package / "engines" / "__init__.py":
                todo += [file for part in path.parent.glob(f"{engine}*") for file in _python(part)]
    folders = {path.parent for path in modules} - {package}
    return sorted(modules.union(*map(_data_files, folders)))


@functools.cache
def _imports(path, package):
    """Return the package's modules that a file imports, with the packages they are in."""
    names = []
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = []
    for name in names:
        first, *parts = name.split(".")
        places = [package.joinpath(*parts[:end]) for end in range(len(parts) + 1)]
        if first == package.name:
            files += [place / "__init__.py" for place in places[1:]]
            files.append(places[-1].with_suffix(".py"))
    return [file for file in dict.fromkeys(files) if file.is_file()]


def _python(path):
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


@functools.cache
def _file_digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _data_files(folder):
    """Return the files of a package's folder that are not Python, also in plain subfolders."""
    files = [path for path in folder.iterdir() if path.suffix not in (".py", ".pyc")]
    plain = [path for path in files if path.is_dir() and not any(path.rglob("*.py"))]
    inside = [path for part in plain for path in part.rglob("*") if path.is_file()]
    return {path for path in [*files, *inside] if path.is_file() and path.name[0] != "."}
