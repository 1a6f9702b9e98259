"""Pages in a browser, for tests: Playwright (extra `browser`) with the machine's own Chromium."""

from __future__ import annotations

import importlib.util
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
THERE = CHROMIUM is not None and importlib.util.find_spec("playwright") is not None
needs_a_browser = pytest.mark.skipif(
    not THERE, reason="no browser: Playwright (extra `browser`) and a Chromium on PATH"
)
READY = "document.documentElement.dataset.ready === 'yes'"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Opened:
    """A page, and all that it said and asked for."""

    def __init__(self, browser, address, width=1440, dark=False):
        scheme = "dark" if dark else "light"
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page, self.said, self.asked = self.context.new_page(), [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)
        self.page.wait_for_function(READY)

    def names(self):
        return self.page.eval_on_selector_all(
            "tbody th .more", "nodes => nodes.map(node => node.textContent)"
        )

    def drawn(self):
        """Go to the end, so that every chart is drawn."""
        for chart in self.page.query_selector_all(".chart"):
            chart.scroll_into_view_if_needed()
            self.page.wait_for_function("figure => figure.dataset.drawn === 'yes'", arg=chart)
