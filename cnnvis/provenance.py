"""Which code a script runs, as one digest: it changes when that code does, and not otherwise.

The digest covers the script, every module of this package that it imports, directly or through
others, at the top or late inside functions, and the data files (templates, say) in the folders of
the subpackages it imports. Packages from elsewhere are not looked into.
"""

import ast
import functools
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def digest(script, package=PACKAGE):
    """Return a digest of all the code that a script runs.

    Parameters
    ----------
    script : str or Path
        A Python file.
    package : Path
        The package's folder; imports from elsewhere are ignored.

    Returns
    -------
    str
        Twelve hexadecimal digits.
    """
    total = hashlib.sha256(Path(script).read_bytes())
    for path in used_files(script, package):
        total.update(f"{path.relative_to(package)} {_file_digest(path)}".encode())
    return total.hexdigest()[:12]


def used_files(script, package=PACKAGE):
    """Return the package's files that a script uses: modules and data, sorted.

    A package on the way to a module (``cnnvis`` for ``cnnvis.files``) runs too, but only its
    top-level imports do: what its functions import counts where it is imported from by name.
    """
    found, todo = {}, list(_imports(Path(script), package, late=True))
    while todo:
        path, late = todo.pop()
        if path in found and found[path] >= late:
            continue
        found[path] = late or found.get(path, False)
        todo += _imports(path, package, late)
    data = [
        file
        for path in found
        if path.name == "__init__.py" and path.parent != package
        for file in _data_files(path.parent)
    ]
    return sorted({*found, *data})


@functools.cache
def _file_digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _imports(path, package, late):
    """Return (file, whether its late imports count) for everything a file imports."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    found = []
    for node in ast.walk(tree) if late else _top_level(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found += _files(alias.name.split("."), [], package)
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            found += _files(_origin(node, path, package), names, package)
    return found


def _top_level(tree):
    """Yield the statements that run on import: all but what functions hold."""
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        todo += [child for child in ast.iter_child_nodes(node) if not isinstance(child, functions)]


def _origin(node, path, package):
    """Return the parts of the module's full name that ``from ... import`` names."""
    named = node.module.split(".") if node.module else []
    if not node.level:
        return named
    folder = path.parents[node.level - 1]
    inside = folder == package or package in folder.parents
    return [package.name, *folder.relative_to(package).parts, *named] if inside else []


def _files(module, names, package):
    """Return (file, whether its late imports count) for one import of a module or of names."""
    if module[:1] != [package.name]:
        return []
    folders = [package.joinpath(*module[1:end]) for end in range(1, len(module) + 1)]
    files = [(folder / "__init__.py", False) for folder in folders[:-1]]
    submodules = [found for name in names if (found := _module_file(folders[-1] / name))]
    whole = len(submodules) < len(names) or not names
    files += [(file, True) for file in submodules]
    own = _module_file(folders[-1])
    return files + ([(own, whole)] if own else [])


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
