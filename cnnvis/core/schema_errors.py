"""Violations of a JSON schema in one line each: the key, the value and what was expected."""

import datetime
import math

from jsonschema import Draft202012Validator, validators

from cnnvis.core.errors import UserError, suggest

_KINDS = {dict: "a mapping", list: "a list", str: "a string", bool: "a boolean"}
_KINDS |= {datetime.date: "a date", datetime.datetime: "a date", set: "a set", bytes: "binary data"}
DEEPEST, MOST = 20, 500_000
"""How deep values may be nested, and how many there may be: anchors of YAML make any number."""
LARGEST = 2**63 - 1
_REASONS = {
    "minItems": "is too short",
    "maxItems": "is too long",
    "uniqueItems": "contains duplicates",
    "minimum": "is too small",
    "maximum": "is too large",
    "minLength": "is empty",
    "minProperties": "is empty",
}


def check_extent(config, name):
    """Raise a `UserError` if values are nested too deep, contain themselves, are too many or large.

    Parameters
    ----------
    config : object
        Whatever the configuration files held.
    name : str or Path
        Begins the message.
    """
    left, count = [((), config)], 0
    while left:
        path, value = left.pop()
        items = value.items() if isinstance(value, dict) else ()
        items = enumerate(value) if isinstance(value, list) else items
        items = list(items)
        count += len(items)
        if type(value) is int and abs(value) > LARGEST:
            raise UserError(f"{name}: {dotted(*path)}a whole number of more than 19 digits")
        if len(path) > DEEPEST:
            place = dotted(*path[:4])
            raise UserError(f"{name}: {place}nested more than {DEEPEST} deep, or contains itself")
        if count > MOST:
            raise UserError(f"{name}: has more than {MOST} values; expected fewer")
        left += [((*path, key), item) for key, item in items]


def schema_errors(config, schema):
    """Yield (path of the wrong value, line) for everything the schema forbids.

    Parameters
    ----------
    config : object
        Whatever the configuration files held.
    schema : dict
        A JSON schema whose ``expected`` annotations end the lines.
    """
    if not isinstance(config, dict):
        yield (), f"the content is {kind(config)}; expected {schema['expected']}"
        return
    yield from _wrong_keys(config, ())
    for error in _validator()(schema).iter_errors(_with_string_keys(config)):
        for cause in _causes(error):
            yield from _explain(cause, schema)


def resolved(schema, root):
    """Follow the schema's ``$ref``, keeping the keys beside it."""
    if "$ref" not in schema:
        return schema
    target = root
    for step in schema["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def kind(value):
    """Return the type of a value in words.

    >>> kind(None), kind([]), kind(2.5)
    ('null', 'a list', 'a number')
    """
    return "null" if value is None else _KINDS.get(type(value), "a number")


def short(value):
    """Return the value as Python writes it, cut where it is long.

    >>> short("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
    """
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}..."


def dotted(*path):
    """Return the place of a value, as it opens a line.

    >>> dotted("images", "cat", "crop", 2)
    'images.cat.crop[2]: '
    """
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"{text.removeprefix('.')}: " if text else ""


def _validator():
    """Return a validator for which 1.0 and true are not integers, and NaN is not a number."""
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: type(value) is int,
            "number": lambda _, value: type(value) in (int, float) and math.isfinite(value),
        }
    )
    return validators.extend(Draft202012Validator, type_checker=checker)


def _wrong_keys(value, path):
    """Find keys that YAML did not read as strings, such as 1 or on."""
    items = value.items() if isinstance(value, dict) else ()
    for key, item in items:
        if isinstance(key, str):
            yield from _wrong_keys(item, (*path, key))
        else:
            yield (*path, key), f"{dotted(*path)}key {key!r} is {kind(key)}; write it in quotes"


def _with_string_keys(value):
    """Return a copy without the keys of `_wrong_keys`, which the validator cannot take."""
    if not isinstance(value, dict):
        return value
    strings = {key: item for key, item in value.items() if isinstance(key, str)}
    return {key: _with_string_keys(item) for key, item in strings.items()}


def _causes(error):
    """Return the errors of the alternative that was meant: the first one whose type fits."""
    alternatives = {}
    if error.validator == "anyOf":
        for inner in error.context:
            alternatives.setdefault(inner.schema_path[0], []).extend(_causes(inner))
    for causes in alternatives.values():
        # An error of the value itself, not of something in it, says that it is of another type.
        places = [c.absolute_path for c in causes if c.validator in ("type", "enum", "anyOf")]
        if error.absolute_path not in places:
            return causes
    return [error]


def _explain(error, schema):
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        options = list(error.schema.get("properties", {}))
        for key in [key for key in error.instance if key not in options]:
            yield (*path, key), f"{dotted(*path, key)}unknown key; {suggest(key, options)}"
    elif error.validator == "required":
        key = error.message.split("'")[1]
        expected = error.schema["properties"][key].get("expected", "a value")
        yield path, f"{dotted(*path, key)}missing; expected {expected}"
    else:
        wrong = f"{short(error.instance)} {_reason(error)}; expected {_expected(error, schema)}"
        if "propertyNames" in error.absolute_schema_path:
            yield (*path, error.instance), f"{dotted(*path)}key {wrong}"
        else:
            yield path, f"{dotted(*path)}{wrong}"


def _reason(error):
    value = error.instance
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    if error.validator == "type":
        whole = type(value) is float and "integer" in error.validator_value
        return "is not a whole number" if whole else f"is {kind(value)}"
    if "propertyNames" in error.absolute_schema_path:
        return "cannot be used as a name in paths"
    return _REASONS.get(error.validator, "is not allowed")


def _expected(error, schema):
    """Return the innermost ``expected`` on the way through the schema to the broken rule."""
    node, expected = schema, ""
    for step in error.absolute_schema_path:
        node = node[step]
        if isinstance(node, dict):
            node = resolved(node, schema)  # jsonschema leaves $ref out of the way it tells
            expected = node.get("expected", expected)
    return expected
