"""Networks described as text (`.prototxt`)."""

from pathlib import Path

from google.protobuf import text_format

from cnnvis.caffe.schema import messages
from cnnvis.caffe.upgrades import upgrade
from cnnvis.core.errors import UserError

_TEXT_CONTROLS = b"\t\n\v\f\r\x1b"
_LONGEST = 300  # characters of a message: protobuf quotes whole lines
_BINARY = bytes(set(range(32)) - set(_TEXT_CONTROLS)) + b"\x7f"


def read_prototxt(path, phase="TEST", level=0, stages=()):
    """Read a network as Caffe sees it in one phase.

    Legacy forms are upgraded (see `cnnvis.caffe.upgrades`), so that only ``layer`` remains and
    inputs are Input layers. Layers that the include and exclude rules drop are left out.

    Parameters
    ----------
    path : str or Path
    phase : {"TEST", "TRAIN"}
    level : int
    stages : sequence of str
        With `phase` the state that the rules are compared with; stages are added to the file's own.

    Returns
    -------
    NetParameter

    Raises
    ------
    UserError
        If the file cannot be read or is not a network; with the line where the text is wrong.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(4096)
            _check_text(content, path)
            content += file.read()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return parse_prototxt(content, path, phase, level, stages)


def parse_prototxt(text, name="prototxt", phase="TEST", level=0, stages=()):
    """Read a network from text: `read_prototxt` without the file.

    Parameters
    ----------
    text : str or bytes
    name : str or Path
        What error messages call it.
    phase, level, stages
        As in `read_prototxt`.

    Returns
    -------
    NetParameter

    >>> parse_prototxt('layer { name: "fc8" type: "InnerProduct" }').layer[0].name
    'fc8'
    """
    if isinstance(text, bytes):
        _check_text(text, name)
        text = _decode(text)
    if not text.strip():
        raise UserError(f"{name}: is empty, expected a network")
    net = messages.NetParameter()
    try:
        text_format.Parse(text, net)
    except text_format.ParseError as error:
        raise UserError(_describe(error, name)) from error
    if not net.IsInitialized():
        raise UserError(f"{name}: lacks {', '.join(net.FindInitializationErrors())}")
    upgrade(net, name)
    if not net.layer:
        raise UserError(f"{name}: has no layers, expected a network")
    _set_state(net, phase, level, stages)
    keep_included(net, name)
    return net


def _check_text(content, name):
    if content.translate(None, _BINARY) != content:
        raise UserError(
            f"{name}: is not text, expected a network's prototxt "
            "(a .caffemodel holds its weights and is given as such)"
        )


def _decode(content):
    """Return `content` as text; comments in other encodings than UTF-8 do no harm."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _describe(error, name):
    """Return protobuf's complaint as one line that starts with file, line and column."""
    line, column = error.GetLine(), error.GetColumn()
    reason = " ".join(str(error).split())
    if "has no field named" in reason:
        reason += " BVLC Caffe 1.0 has none either: is it a fork's, or misspelt?"
    if line is None:
        return f"{name}: {reason[:_LONGEST]}"
    return f"{name}:{line}:{column}: {reason.removeprefix(f'{line}:{column} : ')[:_LONGEST]}"


def _set_state(net, phase, level, stages):
    net.state.phase = (
        messages.NetState.DESCRIPTOR.fields_by_name["phase"].enum_type.values_by_name[phase].number
    )
    net.state.level = level
    net.state.stage.extend(stages)


def keep_included(net, name):
    """Drop the layers that ``net.state`` excludes, in place (Caffe's ``Net::FilterNet``)."""
    kept = [layer for layer in net.layer if _is_included(net.state, layer, name)]
    if len(kept) < len(net.layer):
        net.ClearField("layer")
        net.layer.extend(kept)


def _is_included(state, layer, name):
    if layer.include and layer.exclude:
        raise UserError(
            f"{name}: layer {layer.name!r} has include and exclude rules, expected one kind only"
        )
    if layer.include:
        return any(meets_rule(state, rule) for rule in layer.include)
    return not any(meets_rule(state, rule) for rule in layer.exclude)


def meets_rule(state, rule):
    """Return whether a NetState meets a NetStateRule (Caffe's ``Net::StateMeetsRule``).

    The phase must be the rule's, the level within its bounds; all its ``stage`` must be among the
    state's, none of its ``not_stage``. What the rule does not name does not matter.
    """
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )
