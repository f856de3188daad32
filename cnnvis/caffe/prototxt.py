"""Read the text description of a network (`.prototxt`)."""

from google.protobuf import text_format

from cnnvis.caffe.schema import messages
from cnnvis.caffe.upgrades import upgrade
from cnnvis.core.errors import UserError
from cnnvis.core.files import open_regular

_TEXT_CONTROLS = b"\t\n\v\f\r\x1b"
_BINARY = bytes(set(range(32)) - set(_TEXT_CONTROLS)) + b"\x7f"


def read_prototxt(path, phase="TEST", level=0, stages=()):
    """Read a network as Caffe sets it up for one phase.

    Legacy forms are upgraded (see `cnnvis.caffe.upgrades`), so that only ``layer`` remains and
    inputs are Input layers. Layers that the include and exclude rules drop are left out.

    Parameters
    ----------
    path : str or Path
    phase : {"TEST", "TRAIN"}
    level : int
    stages : sequence of str
        Together with `phase`, the state that the rules are evaluated for; stages are added to those
        in the file.

    Returns
    -------
    NetParameter

    Raises
    ------
    UserError
        If the file cannot be read or is not a network, naming the line that is wrong.
    """
    try:
        with open_regular(path) as file:
            content = file.read(4096)
            _check_text(content, path)
            content += file.read()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return parse_prototxt(content, path, phase, level, stages)


def parse_prototxt(text, name="prototxt", phase="TEST", level=0, stages=()):
    """Parse the text of a network; see `read_prototxt`.

    Parameters
    ----------
    text : str or bytes
    name : str or Path
        Its name in error messages.
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
    net.state.MergeFrom(messages.NetState(phase=phase, level=level, stage=stages))
    keep_included(net, name)
    return net


def _check_text(content, name):
    if content.translate(None, _BINARY) != content:
        raise UserError(
            f"{name}: is not text, expected a network's prototxt "
            "(a .caffemodel holds weights: name it under weights)"
        )


def _decode(content):
    """Return `content` as text; comments may be in an encoding other than UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _describe(error, name):
    """Return protobuf's error message as one line that starts with file, line and column."""
    line, column = error.GetLine(), error.GetColumn()
    reason = " ".join(str(error).split())
    if "has no field named" in reason:
        reason += " BVLC Caffe 1.0 has none either: is it a fork's, or misspelt?"
    if line is None:
        return f"{name}: {reason}"
    return f"{name}:{line}:{column}: {reason.removeprefix(f'{line}:{column} : ')}"


def keep_included(net, name):
    """Remove the layers that ``net.state`` excludes, in place (Caffe's ``Net::FilterNet``)."""
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

    The phase must be that of the rule and the level within its bounds; the state must have every
    ``stage`` of the rule and no ``not_stage``. What the rule leaves out does not matter.
    """
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )
