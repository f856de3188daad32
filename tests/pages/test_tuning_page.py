"""The page on the tuning of a first layer: what it names, and its table that sorts."""

import numpy as np
import pytest

from cnnvis.activations.layer_tuning import REFERENCE, LayerTuning
from cnnvis.activations.tuning import tune
from cnnvis.activations.tuning_figure import draw_tuning
from cnnvis.caffe.caffemodel import read_caffemodel
from cnnvis.core.places import Places
from cnnvis.pages.tuning import tuning_page
from tests.browser import Browser, find_browser
from tests.pages.test_pages import Page


def make(folder, weights, error=None):
    """Write the page of a layer; return it, parsed."""
    filters, files = tune(weights), Places(folder, network="net")
    draw_tuning(files("tuning picture", layer="a-b"), filters, layer="a/b", network="net")
    tuning_page(files, LayerTuning("a/b", "net", weights, "BGR", filters, error))
    return Page(files("tuning page", layer="a-b"))


@pytest.fixture(scope="module")
def edges(tmp_path_factory):
    """Five filters: a vertical and a horizontal grey edge, a red one, one constant, one dead."""
    vertical = np.tile(np.sign(np.arange(6) - 2.5), (3, 6, 1))
    weights = np.zeros((5, 3, 6, 6))
    weights[0], weights[1] = vertical, vertical.swapaxes(1, 2)
    weights[2, 2] = 0.5 * vertical[0]
    weights[3] = 0.1
    return make(tmp_path_factory.mktemp("edges"), weights)


def test_the_best_filters_are_named(edges):
    assert edges.faults == []
    vertical, horizontal = (
        edges.prose.index(f"{name} edges ") for name in ("Vertical", "Horizontal")
    )
    assert vertical < edges.prose.index("0: 1.00") < horizontal < edges.prose.index("1: 1.00")
    assert "The three filters that the study named" not in edges.prose
    assert "–" in edges.prose


def test_the_filters_of_the_study_are_named_where_they_are(tmp_path):
    page = make(tmp_path, read_caffemodel(REFERENCE)["conv1"][0], error=0.0)
    assert page.faults == []
    for words in (
        "Vertical edge detection: filter 2",
        "Horizontal edge detection: filter 25",
        "Foreground-background separation: filter 10",
        "is 0.54, rank 5 of 96; with a horizontal one 0.62, rank 3 of 96",
        "its weights do not prefer the direction that it was named after",
        "83 % of its energy is one colour over the whole kernel, rank 2 of 96",
    ):
        assert words in page.prose


def test_small_kernels_have_no_columns_of_gabor_functions(tmp_path):
    page = make(tmp_path, np.random.default_rng(0).normal(size=(3, 3, 3, 3)))
    assert page.faults == []
    assert "at least 5 × 5 weights" in page.prose
    assert "Phase" not in page.prose and "Selectivity" in page.prose


@pytest.mark.skipif(find_browser() is None, reason="no browser")
def test_headings_sort_and_keep_what_is_missing_last(edges, tmp_path):
    with Browser(tmp_path) as browser:
        session = browser.open(edges.path.as_uri())
        browser.wait(session, "document.body && document.body.dataset.ready")
        orders = browser.run(
            session,
            """
            const table = document.querySelector('table.sortable');
            const headings = [...table.tHead.rows[0].cells];
            const order = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
            const found = [order().join('')];
            const names = ['Vertical edge', 'Vertical edge', 'Orientation (°)', 'Filter', 'Filter'];
            for (const name of names) {
              const heading = headings.find((cell) => cell.textContent === name);
              heading.querySelector('button').click();
              const marked = table.tHead.querySelectorAll('[aria-sort]').length;
              found.push(order().join(''), heading.ariaSort, marked);
            }
            return found;
            """,
        )
        reached = browser.run(
            session,
            """
            const buttons = [...document.querySelectorAll('table.sortable button')];
            return buttons.every((button) => {
              button.focus();
              return document.activeElement === button && button.tabIndex === 0;
            });
            """,
        )
        assert not browser.errors
    assert orders == [
        "01234",
        *("02134", "descending", 1),
        *("13204", "ascending", 1),
        *("20134", "descending", 1),
        *("43210", "descending", 1),
        *("01234", "ascending", 1),
    ]
    assert reached is True
