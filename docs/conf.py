"""How Sphinx builds the documentation (`make docs`): from Markdown and docstrings."""

import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cnnvis.version import __version__  # noqa: E402


def package_of(module):
    """Return cnnvis.PACKAGE of cnnvis.PACKAGE.MODULE."""
    return ".".join(module.split(".")[:2])


def imports_of_packages():
    """Return a table of the packages, each below those that it imports from."""
    graph, counts = grimp.build_graph("cnnvis", cache_dir=None), {}
    packages = sorted(name for name in graph.find_children("cnnvis") if graph.find_children(name))
    for package in packages:
        modules = map(graph.find_modules_directly_imported_by, graph.find_descendants(package))
        imported = [other for names in modules for other in {*map(package_of, names)}]
        counts[package] = {name: imported.count(name) for name in packages if name != package}
        counts[package] = {name: count for name, count in counts[package].items() if count}
    # Where packages import each other in a circle there is no such order, and the build fails.
    order = TopologicalSorter(counts).static_order()
    rows = ["| package | imports from (by so many of its modules) |", "| --- | --- |"]
    for name in order:
        others = (f"{other} ({count})" for other, count in counts[name].items())
        rows.append(f"| {name} | {', '.join(others)} |".replace("cnnvis.", ""))
    return "\n".join(rows)


project, author = "cnnvis", "the authors of cnnvis"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# The whole checkout, so that links between pages are those that work in the repository, too.
root_doc = "docs/index"
include_patterns = ["*.md", "config/*.md", "models/*/*.md", "docs/*.md"]
exclude_patterns = [".*", "build", "results", "logs", "study", "tests", "cnnvis"]

# Headings are linked to by the names that GitHub gives them. A link may lead to any file, which is
# then copied; to one that does not exist is a warning, with which `make docs` fails.
myst_heading_anchors = 4
myst_enable_extensions = ["substitution"]
myst_substitutions = {"imports": imports_of_packages()}
default_role = "py:obj"
highlight_language = "none"
# Types are prose ("ndarray, (filters, pixels)"), in which Sphinx would look for names to link.
napoleon_google_docstring = napoleon_use_param = napoleon_use_rtype = False

html_theme = "furo"
html_title = f"cnnvis {__version__}"
# A page that is opened from a disk may not read others to show their text among what was found.
html_show_search_summary = False
html_copy_source = html_show_sourcelink = html_show_copyright = html_show_sphinx = False
