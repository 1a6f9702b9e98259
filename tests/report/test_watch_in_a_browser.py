"""A live page in a browser: it comes anew by itself, as it was left."""

from __future__ import annotations

import os

from browsing import Opened, browser, needs_a_browser
from unrun import kept, measured, run_of

from bench.report.watch import served
from results.notes import Note, note

pytestmark = needs_a_browser
__all__ = ["browser"]
"""Asked for by name."""


def test_it_comes_anew_as_it_was_left(browser, tmp_path, monkeypatch):
    """A cell that is finished meanwhile is there; what was typed, sorted and switched stays."""
    monkeypatch.setattr("results.pages.live.REST", 0.0)
    run = run_of(tmp_path)
    run.directory.path.mkdir(exist_ok=True)
    run.directory.write_manifest(run.manifest)
    first, *others = run.manifest["cells"]
    for cell in others:
        kept(run, cell)
    with served(str(tmp_path)) as address:
        found = Opened(browser, address)
        page = found.page
        page.click("#theme")
        page.fill(".find", "a")
        page.locator("thead .sort").nth(2).click()
        assert found.names() == ["oracle", "gan", "vae"]
        assert page.inner_text("#underway .grid") == "Nothing is being measured."
        note(tmp_path, Note(first["key"], os.getpid(), 0.0, 30, 40))
        page.wait_for_selector("#underway progress[value='30'][max='40']")
        assert "b · ring · oracle, seed 0" in page.inner_text("#underway")
        run.records[first["key"]]["values"] = [measured("high_quality", 0.2)]
        kept(run, first)
        page.wait_for_selector("tbody td:has-text('59.5')")
        assert page.input_value(".find") == "a"
        assert found.names() == ["oracle", "gan", "vae"]
        assert page.get_attribute("html", "data-theme") == "dark"
        assert page.locator("thead th").nth(2).get_attribute("aria-sort") == "descending"
    page.wait_for_selector(".gone:not([hidden])")
    assert found.names()
    found.context.close()
