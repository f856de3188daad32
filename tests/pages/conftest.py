"""A browser for the tests of pages."""

import pytest

from tests.browser import NAMES, Browser, find_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if find_browser() is None:
        pytest.skip(f"no browser found, looked for {', '.join(NAMES)}")
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened
