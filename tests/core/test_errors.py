import doctest

from cnnvis.core import errors
from cnnvis.core.errors import ConfigError, UserError, suggest


def test_a_config_error_is_its_lines():
    error = ConfigError(["config: a: wrong", "config: b: wrong"])
    assert str(error) == "config: a: wrong\nconfig: b: wrong"
    assert error.lines == ["config: a: wrong", "config: b: wrong"]


def test_the_nearest_name_is_suggested_or_all_of_them_or_twelve():
    assert suggest("pol1", ["conv1", "pool1"]) == "did you mean pool1? Expected one of conv1, pool1"
    assert suggest("fc8", ["conv1", 7]) == "expected one of conv1, 7"
    assert suggest("fc8", []) == "expected none"
    names = ", ".join(map(str, range(12)))
    assert suggest("fc8", range(13)) == f"expected one of {names}, ..."


def test_examples():
    assert doctest.testmod(errors) == (0, 1)


def test_a_name_with_line_breaks_stays_one_line():
    assert str(UserError("a.npz: no blob 'b\n\x1b[2J\u202e'")) == "a.npz: no blob 'b  [2J '"
    error = ConfigError(["config: a\nb", "config: c"])
    assert str(error) == "config: a b\nconfig: c"
    assert error.lines == ["config: a b", "config: c"]


def test_the_middle_of_a_long_message_is_left_out():
    message = str(UserError(f"{'a' * 5000}.png: there is no such image"))
    assert message == f"{'a' * 500} ... {'a' * (300 - 28)}.png: there is no such image"
    assert str(UserError("b" * 800)) == "b" * 800
