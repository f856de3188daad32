"""The configuration: read, checked against ``config/schema.yaml``, completed with its defaults.

Everything that is wrong is collected and shown at once, one line each.
"""

from pathlib import Path

import yaml

from cnnvis.config import checks
from cnnvis.config.collections import check_collections, resolve_collections
from cnnvis.config.files import check_recover, place_files, resolve_recover
from cnnvis.config.reproduction import check_verify, resolve_verify
from cnnvis.config.tables import resolve
from cnnvis.core import schema_errors
from cnnvis.core.checkout import ROOT
from cnnvis.core.errors import ConfigError, UserError

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
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    lines = [line for file in files for line in _duplicates(file)]
    errors = list(schema_errors.schema_errors(config, schema))
    lines += [line for _, line in errors]
    if isinstance(config, dict):
        # What the schema forbids is left out, so that the rest is still checked in the same run.
        completed = complete(_sound(config, [path for path, _ in errors]), schema)
        made, mistakes = place_files(completed)
        lines += mistakes
        infos, mistakes = checks.check(completed, _names(config), made)
        lines += mistakes
        lines += check_collections(completed, _names(config), infos)
        lines += check_recover(completed, made)
        lines += check_verify(completed, _names(config), infos)
    if lines:
        raise ConfigError([f"config: {line}" for line in dict.fromkeys(lines)])
    tables = resolve(completed, infos)
    verify = resolve_verify(completed, infos, tables["orderings"])
    return {
        **tables,
        **resolve_collections(completed, infos),
        **made,
        "downloads": {**made["downloads"], **verify["downloads"]},
        "recover": resolve_recover(completed),
        "verify": verify,
    }


def read_config(path):
    """Read a YAML file the way `load_config` wants it.

    Raises
    ------
    ConfigError
        If it holds a key twice or is not a mapping.
    UserError
        If it cannot be read.
    """
    lines = _duplicates(path)
    config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        lines.append(f"{path} holds {schema_errors.kind(config)}; expected a mapping of keys")
    if lines:
        raise ConfigError([f"config: {line}" for line in lines])
    return config


def complete(value, schema, root=None):
    """Return a copy of `value` with the schema's defaults filled in.

    Of alternatives, the one whose ``type`` fits is followed.

    >>> complete({}, {"properties": {"k": {"default": 7}}})
    {'k': 7}
    """
    root = root or schema
    schema = schema_errors.resolved(schema, root)
    if isinstance(value, list):
        return list(value)
    if not isinstance(value, dict):
        return value
    for branch in schema.get("anyOf", []):
        branch = schema_errors.resolved(branch, root)
        if branch.get("type") == "object":
            schema = branch
    properties = schema.get("properties", {})
    defaults = {key: inner["default"] for key, inner in properties.items() if "default" in inner}
    others = schema.get("additionalProperties") or {}
    return {
        key: complete(item, properties.get(key, others), root)
        for key, item in {**defaults, **value}.items()
    }


def _duplicates(path):
    """Say which keys a YAML file holds twice: YAML lets the later one win without a word."""
    try:
        root = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"config: {path}: cannot be read as YAML ({reason})") from error
    return [f"{path}: {line}" for line in _repeated_keys(root, "")]


def _repeated_keys(node, place):
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, place)
    elif isinstance(node, yaml.MappingNode):
        seen = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                yield f"key {place}{name} stands twice, in lines {seen[name]} and {line}; keep one"
            seen[name] = line
            yield from _repeated_keys(value, f"{place}{name}.")


def _sound(config, wrong):
    """Return `config` without what is wrong: whole networks, images, comparisons, other keys."""
    keys = {path[:2] if path[:1] in _NAMED else path[:1] for path in wrong}
    sound = {}
    for key, value in config.items():
        if (key,) in keys:
            continue
        if (key,) in _NAMED and isinstance(value, dict):
            value = {name: item for name, item in value.items() if (key, name) not in keys}
        sound[key] = value
    return sound


_NAMED = {(key,) for key in ("networks", "images", "comparisons", "collections", "recover")}


def _names(config):
    """Return the names in use, wrong entries included: a reference to those is no second error."""

    def keys(name):
        return list(map(str, config[name])) if isinstance(config.get(name), dict) else []

    return {"networks": keys("networks"), "images": keys("images"), "given": keys("slices")}
