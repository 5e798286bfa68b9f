"""How far pages jump while they load, as web.dev sums it: movements that no click or key explains."""

from collections.abc import Iterator

from tests.browser.running_app import settled

MOST = 0.1  # web.dev: good
PHONE = {"width": 390, "height": 844}
_WATCH = """(() => {
  window.shifted = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((e) => e.hadRecentInput || (window.shifted += e.value)))
    .observe({ type: 'layout-shift', buffered: true });
})()"""


def shifts(windows: list, address: str, paths: list[str]) -> Iterator[tuple[str, list[float]]]:
    """Layout shift of each page when its address is opened, with its path: a number a window, which are opened together
    so that they wait together. Each page stays open until the next is asked for."""
    for window in windows:
        window.add_init_script(_WATCH)  # from here on in every document
    for path in paths:
        for window in windows:
            window.goto(f"{address}/{path}")
        for window in windows:
            window.wait_for_selector("h1")
            settled(window)
        windows[-1].wait_for_timeout(1500)
        yield path or "ecg", [round(window.evaluate("() => window.shifted"), 3) for window in windows]


def paths(page) -> list[str]:
    """Addresses of all pages in the order of the sidebar."""
    page.wait_for_selector("[data-testid=stSidebarNavLink]")
    links = page.evaluate("() => [...document.querySelectorAll('[data-testid=stSidebarNavLink]')].map((a) => a.href)")
    return [link.split("/", 3)[3].split("?")[0] for link in links]
