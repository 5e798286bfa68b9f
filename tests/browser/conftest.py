"""The app on the demo, and visitors to it."""

import pytest

from tests.browser.running_app import chromium, running_app

LONGEST = ("every_page", "studies_journey", "import_page", "cohorts_journey", "scripts_in_names")


def pytest_collection_modifyitems(items):
    """The longest files first, so that none is left over for one process at the end."""
    place = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem.removeprefix("test_"), len(place)))


@pytest.fixture(scope="session")
def served(demo_workspace):
    with running_app(demo_workspace.folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield page.context.browser


@pytest.fixture
def visit(browser, served):
    """Open an address as a new visitor: visit(query, width, scheme)."""
    pages = []

    def open_page(query: str = "", width: int = 1440, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(60_000)
        page.goto(served + query)
        page.wait_for_selector("input[type=file]", state="attached")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
