import numpy as np
import pytest

from cnnvis.caffe.matching import match_weights
from cnnvis.core.errors import UserError


def zeros(*shapes):
    return [np.zeros(shape, np.float32) for shape in shapes]


def message(source, expected, **options):
    with pytest.raises(UserError) as caught:
        match_weights(source, expected, path="w.caffemodel", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_matches_are_views_in_the_networks_order():
    source = {"b": zeros((2, 3)), "a": zeros((4, 1, 2, 2), (4,))}
    matched = match_weights(source, {"a": [(4, 1, 2, 2), (4,)], "b": [(2, 3)]}, path="x")
    assert list(matched) == ["a", "b"]
    assert all(np.shares_memory(matched[k][0], source[k][0]) for k in matched)


def test_legacy_shapes_are_padded_in_front():
    source = {"fc": zeros((1, 1, 10, 4), (1, 1, 1, 10))}
    matched = match_weights(source, {"fc": [(10, 4), (10,)]}, path="x")
    assert [array.shape for array in matched["fc"]] == [(10, 4), (10,)]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((10, 4, 1, 1), (10, 4)),
        ((1, 1, 4, 10), (10, 4)),
        ((1, 10), (10,)),
        ((10,), (1, 1, 1, 10)),
        ((1, 1, 1, 1, 10), (10,)),
        ((1, 1, 1, 10), (1, 1, 1, 1, 10)),
        ((10,), ()),
    ],
)
def test_other_shapes_do_not_match(found, expected):
    text = message({"fc": zeros(found)}, {"fc": [expected]})
    assert text == f"w.caffemodel: layer 'fc' blob 0: expected {expected}, found {found}"


def test_number_of_blobs():
    text = message({"a": zeros((4, 2), (4,))}, {"a": [(4, 2)]})
    assert text == "w.caffemodel: layer 'a': expected (4, 2), found (4, 2), (4,)"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(value):
    arrays = zeros((4, 2), (4,))
    arrays[1][2] = value
    text = message({"a": arrays}, {"a": [(4, 2), (4,)]})
    assert text == "w.caffemodel: layer 'a' blob 1: 1 of 4 values are NaN or infinite"


def test_missing_layer():
    text = message({"a": zeros((1,))}, {"a": [(1,)], "b": [(2,)]})
    assert text == "w.caffemodel: layer 'b': expected (2,), found no weights"


def test_surplus_layers():
    source = {"a": zeros((1,)), "b": zeros((1,))}
    text = message(source, {"a": [(1,)]})
    assert "named 'b' (to ignore them, as Caffe does, set surplus_weights: ignore)" in text
    assert list(match_weights(source, {"a": [(1,)]}, path="x", surplus="ignore")) == ["a"]


def test_weights_for_a_layer_that_has_none_are_wrong_even_if_surplus_is_ignored():
    text = message({"relu": zeros((1,))}, {"relu": []}, surplus="ignore")
    assert text == "w.caffemodel: layer 'relu': expected no weights, found (1,)"
    assert match_weights({}, {"relu": []}, path="x") == {}


def test_all_problems_in_one_line():
    expected = {f"layer{i}": [(i,)] for i in range(9)}
    text = message({"surplus": zeros((1,))}, expected)
    assert text.endswith("layer 'layer3': expected (3,), found no weights; and 6 more")


def test_plain_lists_match_too():
    assert match_weights({"a": [[1, 2]]}, {"a": [(2,)]}, path="x")["a"][0].tolist() == [1, 2]
