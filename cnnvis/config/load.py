"""The configuration: read, checked against ``config/schema.yaml``, completed with its defaults.

Everything that is wrong is collected and shown at once, one line each.
"""

import contextlib
from pathlib import Path

import yaml

from cnnvis.config import checks
from cnnvis.config.collections import check_collections, resolve_collections
from cnnvis.config.defaults import complete, fit
from cnnvis.config.files import check_recover, place_files, resolve_recover
from cnnvis.config.lesions import check_lesions, resolve_lesions
from cnnvis.config.maximisation import check_maximisation, resolve_maximisation
from cnnvis.config.networks import read_networks
from cnnvis.config.orderings import check_orderings
from cnnvis.config.own_images import check_images
from cnnvis.config.published_gradients import (
    check_published,
    published_arrays,
    resolve_published,
)
from cnnvis.config.reproduction import check_verify, resolve_verify
from cnnvis.config.responses import resolve_responses
from cnnvis.config.tables import resolve, resolve_pages
from cnnvis.config.what_if import resolve_what_if
from cnnvis.core.checkout import ROOT
from cnnvis.core.errors import ConfigError, UserError
from cnnvis.core.schema_errors import check_extent, schema_errors

SCHEMA = ROOT / "config" / "schema.yaml"


def load_config(config, files=()):
    """Check a configuration and complete it.

    Parameters
    ----------
    config : dict
        The configuration as Snakemake merged it from its files and ``--config``.
    files : iterable of path
        The YAML files it came from, read again for keys that they hold twice.

    Returns
    -------
    dict
        A new configuration with every default filled in, and the tables the workflow looks things
        up in (see `cnnvis.config.tables.resolve`).

    Raises
    ------
    ConfigError
        With one line per mistake.
    """
    check_extent(config, "config")
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    errors = list(schema_errors(config, schema))
    lines = [line for file in files for line in _duplicates(file)]
    lines += [line for _, line in errors]
    # What the schema forbids is left out, so that the rest is still checked in the same run.
    config = config if isinstance(config, dict) else {}
    valid = _without(config, [path for path, _ in errors])
    completed = {"networks": {}, "images": {}, **complete(valid, schema)}
    published = published_arrays(completed)
    planned, mistakes = place_files(completed, [array.address for array in published])
    models, more = read_networks(completed, planned)
    infos = {name: model.info for name, model in models.items()}
    running = {name: model for name, model in models.items() if checks.runs(completed, name)}
    completed = fit(completed, valid.get("slices", {}), infos)
    named = {key: config.get(key) for key in ("networks", "images")}
    names = {key: list(map(str, x)) if isinstance(x, dict) else [] for key, x in named.items()}
    lines += [
        *mistakes,
        *more,
        *checks.check(completed, names, planned, models),
        *check_orderings(completed, names, models),
        *check_collections(completed, names, running),
        *check_images(completed, "responses"),
        *check_lesions(completed, running),
        *check_maximisation(completed, names, running),
        *check_published(completed, published, planned, infos),
        *check_recover(completed, planned),
        *check_verify(completed, names),
    ]
    if lines:
        raise ConfigError([f"config: {line}" for line in dict.fromkeys(lines)])
    runnable = {name: infos[name] for name in running}
    tables = {**resolve(completed, infos), **resolve_collections(completed, runnable)}
    for key, arrange in (("responses", resolve_responses), ("lesions", resolve_lesions)):
        tables[key] = arrange(completed, runnable, tables["collections"])
    tables["what_if"] = resolve_what_if(completed, models)
    verify = resolve_verify(completed, infos, tables["orderings"])
    return {
        **tables,
        **resolve_pages(completed, tables),
        "maximisation": resolve_maximisation(completed, running),
        "published": resolve_published(completed, published),
        **planned,
        "downloads": {**planned["downloads"], **verify["downloads"]},
        "recover": resolve_recover(completed),
        "verify": verify,
    }


def check_readable(path):
    """Raise a `UserError` for a file that is no YAML: Snakemake itself would print a traceback."""
    with _content(path) as text:
        yaml.safe_load(text)


@contextlib.contextmanager
def _content(path):
    """Give the text of a YAML file; what is wrong with it becomes a `UserError`."""
    try:
        yield Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"config: {path}: cannot be read as YAML ({reason})") from error


def _duplicates(path):
    """Return a line for each duplicate key of a YAML file, of which YAML takes the later one."""
    with _content(path) as text:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    return [f"{path}: {line}" for line in _repeated_keys(root, "", set())]


def _repeated_keys(node, place, visited):
    """Yield a line for each duplicate key; what anchors repeat is looked at once."""
    if id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, place, visited)
    elif isinstance(node, yaml.MappingNode):
        seen = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                yield f"duplicate key {place}{name} (lines {seen[name]} and {line}); keep one"
            seen[name] = line
            yield from _repeated_keys(value, f"{place}{name}.", visited)


def _without(config, wrong):
    """Return `config` without what is wrong: whole networks, images, comparisons, other keys."""
    remove = {path[:2] if path[0] in _NAMED else path[:1] for path in wrong if path}
    return {
        key: {name: item for name, item in value.items() if (key, name) not in remove}
        if key in _NAMED and isinstance(value, dict)
        else value
        for key, value in config.items()
        if (key,) not in remove
    }


_NAMED = {"networks", "images", "comparisons", "collections", "recover"}
