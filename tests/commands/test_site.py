"""The documents as a site: links lead somewhere, every part has its entry, nothing is fetched."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from bench import api

HOME = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*HOME.glob("*.md"), *HOME.glob("docs/*.md"), HOME / "results/baselines/README.md"]
)
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ADDRESS = re.compile(r'\b(?:src|href)="([^"]+)"')


def _anchors(path):
    """The anchors of a document's heads, as they are made of them."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()).strip() for head in heads)
    return {head.replace(" ", "-") for head in plain}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(path):
    for target in LINK.findall(CODE.sub("", path.read_text(encoding="utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in _anchors(there), target


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed (extra `dev`)")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_it_is_built_without_a_warning_and_every_page_is_reached(site):
    """From the first page, by the links of pages."""
    pages, todo = set(), ["index.html"]
    while todo:
        page = todo.pop()
        if page not in pages:
            pages.add(page)
            text = (site / page).read_text(encoding="utf-8")
            for address in ADDRESS.findall(text):
                name = unescape(address).partition("#")[0]
                if "://" in name or not name or name.startswith(("data:", "mailto:")):
                    continue
                there = (site / page).parent.joinpath(name).resolve()
                assert there.exists(), (page, address)
                if there.suffix == ".html":
                    todo.append(there.relative_to(site.resolve()).as_posix())
    written = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert pages >= written - {"404.html"}


def test_every_part_has_its_entry(site):
    for kind in ("models", "attacks", "metrics"):
        text = (site / f"reference/{kind}.html").read_text(encoding="utf-8")
        for name in api.list(kind)["name"]:
            assert f">{name}<" in text, (kind, name)


def test_nothing_is_fetched(site):
    """Scripts, styles, fonts and pictures are the site's own."""
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", text):
            found = re.search(r'\b(?:src|href)="(?:https?:)?//', tag)
            assert found is None or 'rel="canonical"' in tag, tag
