"""What the schema forbids, in one line each that names the key, the value and what to write."""

import math

from jsonschema import Draft202012Validator, validators

from cnnvis.core.errors import suggest

_KINDS = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false"}
_REASONS = {
    "minItems": "is too short",
    "maxItems": "is too long",
    "uniqueItems": "names something twice",
    "minimum": "is too small",
    "maximum": "is too large",
    "minLength": "is empty",
    "minProperties": "is empty",
    "pattern": "cannot be used as a name in paths",
}


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
        yield (), f"the file holds {kind(config)}; expected {schema['expected']}"
        return
    yield from _wrong_keys(config, ())
    for error in _validator()(schema).iter_errors(_with_texts_as_keys(config)):
        for deepest in _deepest(error):
            yield from _explain(deepest, schema)


def resolved(schema, root):
    """Follow the schema's ``$ref``, keeping what stands beside it."""
    if "$ref" not in schema:
        return schema
    target = root
    for step in schema["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def kind(value):
    """Say what a value is, in words.

    >>> kind(None), kind([]), kind(2.5)
    ('nothing', 'a list', 'a number')
    """
    return "nothing" if value is None else _KINDS.get(type(value), "a number")


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
    """Make a validator for which 1.0 and true are no integers and not-a-number is no number."""
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: type(value) is int,
            "number": lambda _, value: type(value) in (int, float) and math.isfinite(value),
        }
    )
    return validators.extend(Draft202012Validator, type_checker=checker)


def _wrong_keys(value, path):
    """Find keys that YAML did not read as texts, such as 1 or on."""
    items = value.items() if isinstance(value, dict) else ()
    for key, item in items:
        if isinstance(key, str):
            yield from _wrong_keys(item, (*path, key))
        else:
            yield (*path, key), f"{dotted(*path)}key {key!r} is {kind(key)}; write it in quotes"


def _with_texts_as_keys(value):
    """Return a copy without the keys of `_wrong_keys`, which the validator cannot take."""
    if not isinstance(value, dict):
        return value
    texts = {key: item for key, item in value.items() if isinstance(key, str)}
    return {key: _with_texts_as_keys(item) for key, item in texts.items()}


def _deepest(error):
    """Of alternatives, follow the one whose type fits: its complaint is the one that helps."""
    if error.validator != "anyOf":
        yield error
        return
    branches = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    fitting = [errors for errors in branches.values() if not any(map(_is_another_kind, errors))]
    for inner in fitting[0] if fitting else []:
        yield from _deepest(inner)
    if not fitting:
        yield error


def _is_another_kind(error):
    if error.path:
        return False
    if error.validator == "anyOf":
        branches = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(_is_another_kind(inner))
        return all(any(found) for found in branches.values())
    return error.validator in ("type", "enum")


def _explain(error, schema):
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in [key for key in error.instance if key not in known]:
            yield (*path, key), f"{dotted(*path, key)}unknown key; {suggest(key, known)}"
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
