"""Orderings over images: what is wrong with them, and which layers have which."""

import pytest

from cnnvis.config.load import load_config
from tests.config.test_load import COMPARISON, _in_the_root, config, lines  # noqa: F401

OVER = {"method": "shortest", "over": ["cat", "moon"]}
BY_GRADIENTS = {"method": "pca", "by": "gradients", "neuron": 1}
CRAMPED = {"path": "photonet:moon", "cls": 0, "limit": 3}


@pytest.mark.parametrize(
    ("expected", "ordering"),
    [
        ("over: 'cta' is not one of the images; did you mean cat?", {"over": ["cta"]}),
        ("over: 'cat' is not one of the collections", {"over": "cat"}),
        ("over: expected a list of names from images, or a name from collections", {"over": 3}),
        ("over: expected a list of names from images, or a name", {"over": []}),
        ("by: 'maps' is not allowed; expected feature_maps or gradients", {"by": "maps"}),
        ("neuron: missing; expected the class number", {"by": "gradients"}),
        ("neuron: applies to orderings by gradients only", {"neuron": 1}),
        ("neuron: class 10 is outside score blob 'fc8'", {**BY_GRADIENTS, "neuron": 10}),
        ("over: gradients are compared over images", {**BY_GRADIENTS, "over": "moons"}),
    ],
)
def test_what_is_wrong_is_one_line(expected, ordering):
    wrong = config(orderings={"x": {"method": "pca", **ordering}}, collections={"moons": CRAMPED})
    found = lines(wrong)
    assert len(found) == 1, found
    assert expected.split(":")[0] in found[0]
    for words in expected.split(": ", 1)[1:]:
        assert words in found[0]


def test_images_that_a_network_does_not_see():
    wrong = config(orderings={"x": OVER}, images__moon__networks=["thin"])
    assert load_config(wrong)
    wrong["networks"]["other"] = wrong["networks"]["thin"]
    expected = "config: orderings.x.over: 'moon' is not shown to network other"
    assert lines(wrong) == [expected]


def test_layers_and_their_orderings():
    orderings = {
        "pca": {},
        "maps": {"method": "pca", "by": "feature_maps"},
        "own": BY_GRADIENTS,
        "together": OVER,
        "towards": {**BY_GRADIENTS, "over": ["cat"]},
    }
    gradients = {"layers": ["conv1", "fc8"], "orderings": ["pca", "maps", "own"]}
    layers = load_config(config(orderings=orderings, gradients=gradients))["layers"]["thin"]
    assert layers["conv1"]["orderings"] == list(orderings)
    assert layers["conv1"]["gradient_orderings"] == [*gradients["orderings"], "together", "towards"]
    # Without gradients there is no order by them; without feature maps none by these.
    assert layers["conv2"]["orderings"] == ["pca", "maps", "together"]
    assert layers["conv2"]["gradient_orderings"] == []
    assert layers["conv2"]["shared"] == ["together"]
    assert layers["fc8"]["orderings"] == []
    assert layers["fc8"]["gradient_orderings"] == ["pca", "own", "towards"]
    assert layers["fc8"]["shared"] == ["towards"]


@pytest.mark.parametrize(
    ("expected", "ordering", "layers"),
    [
        ("'pca' is not one of the orderings with the key over; did you mean x?", "pca", None),
        ("'x' compares feature maps, and layer fc8 of thin has none", "x", ["fc8"]),
        ("'x' compares feature maps, and layer fc8 of thin has none", "x", ["conv1", "fc8"]),
    ],
)
def test_a_comparison_in_an_order_that_is_not_shared(expected, ordering, layers):
    comparison = COMPARISON | {"ordering": ordering} | ({"layers": layers} if layers else {})
    wrong = config(
        comparisons={"c": comparison},
        orderings={"pca": {}, "x": OVER},
        gradients__layers=["conv1", "fc8"],
    )
    if layers is None:
        wrong["gradients"]["layers"] = ["conv1"]
    assert expected.split(";")[0] in "\n".join(lines(wrong))


def test_a_comparison_knows_its_order():
    right = config(comparisons={"c": COMPARISON | {"ordering": "x"}}, orderings={"x": OVER})
    assert load_config(right)["comparisons"]["thin"]["c"]["ordering"] == "x"
