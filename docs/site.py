"""What of the site is made and not written: the first page, reference pages, the gallery, files."""

from __future__ import annotations

import inspect
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

HOME = Path(__file__).resolve().parents[1]
DOCS = HOME / "docs"
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)]*)?\))")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
ABOVE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Documents at the top, and their places in the site."""
FILES = "files/"
"""Where files lie in the site that are no documents."""


def on_files(files: Files, config: Any) -> Files:
    """Add what is made."""
    for name, place in ABOVE.items():
        files.append(File.generated(config, place, content=_from_above(HOME / name)))
    for path in sorted(_linked()):
        place = FILES + path.relative_to(HOME).as_posix()
        files.append(File.generated(config, place, abs_src_path=str(path)))
    for place, text in _reference():
        files.append(File.generated(config, place, content=text))
    files.append(File.generated(config, "gallery.md", content=_gallery()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links that lead out of the documents lead to their places in the site."""
    here = page.file.src_uri
    source = HOME / here.removeprefix(FILES) if here.startswith(FILES) else DOCS / here

    def inside(found: re.Match[str]) -> str:
        begin, target, end = found.groups()
        there = (source.parent / target).resolve()
        if "://" in target or not there.exists() or not there.is_relative_to(HOME):
            return found.group()
        return begin + posixpath.relpath(_place(there), posixpath.dirname(here) or ".") + end

    return LINK.sub(inside, markdown)


def _place(path: Path) -> str:
    """Where a file of the repository is in the site."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(HOME).as_posix()
    return ABOVE.get(name, FILES + name)


def _from_above(path: Path) -> str:
    """A document of the top, as one of `docs`."""

    def moved(found: re.Match[str]) -> str:
        begin, target, end = found.groups()
        if "://" in target or target.startswith("#"):
            return found.group()
        if target.startswith("docs/"):
            return begin + target.removeprefix("docs/") + end
        return begin + ABOVE.get(target, FILES + target) + end

    return LINK.sub(moved, path.read_text(encoding="utf-8"))


def _linked() -> set[Path]:
    """Files outside `docs` that documents lead to."""
    found = set()
    for path in [*DOCS.glob("*.md"), *(HOME / name for name in ABOVE)]:
        for _, target, _ in LINK.findall(path.read_text(encoding="utf-8")):
            whole = (path.parent / target).resolve()
            top = whole.parent == HOME and whole.name in ABOVE
            if (
                "://" not in target
                and whole.is_file()
                and not whole.is_relative_to(DOCS)
                and not top
            ):
                found.add(whole)
    return found


def _reference() -> Iterator[tuple[str, str]]:
    """A page for each kind of part, and one that leads to them."""
    from bench import api
    from bench.catalogue.index import FREE, listed

    kinds = [*api.REGISTRIES, *FREE]
    lines = [
        "# Reference",
        "",
        "What `bench list KIND` shows, with what each part says of itself.",
        "",
    ]
    for kind in kinds:
        table = listed(kind)
        lines.append(f"- [{kind}]({kind}.md): {len(table)}")
        yield f"reference/{kind}.md", _page(kind, table)
    yield "reference/index.md", "\n".join(lines)


def _page(kind: str, table: Any) -> str:
    if kind == "published":
        shown = table[["table", "dataset", "model", "metric", "value", "paper", "source"]]
        return f"# {kind}\n\n{_rows(shown)}\n"
    if kind in ("suites", "zoo"):
        return f"# {kind}\n\n{_rows(table.drop(columns=['tiers'], errors='ignore'))}\n"
    parts = [f"# {kind}", ""]
    for row in sorted(table.to_dict("records"), key=lambda row: row["name"]):
        name = row.pop("name")
        parts += [f"## {name}", "", str(row.pop("summary", "") or ""), ""]
        if text := _docstring(kind, name):
            parts += [text, ""]
        facts = {k: v for k, v in row.items() if _said(v)}
        parts += [
            f"- {key.replace('_', ' ')}: {_value(key, value)}" for key, value in facts.items()
        ]
        parts.append("")
    return "\n".join(parts)


def _docstring(kind: str, name: str) -> str:
    from bench import api

    registry = api.REGISTRIES.get(kind)
    names = {entry.name for entry in registry.entries()} if registry else set()
    if registry is None or name not in names:
        return ""
    part = registry[name].part
    known = inspect.isfunction(part) or inspect.isclass(part)
    text = inspect.getdoc(part if known else type(part)) or ""
    return _escaped(text)


def _escaped(text: str) -> str:
    """Prose whose brackets and stars are no markup; what stands in backquotes stays as it is."""
    parts = text.split("`")
    for place in range(0, len(parts), 2):
        parts[place] = re.sub(r"([\[\]<>*_|])", r"\\\1", parts[place])
    return "`".join(parts)


def _said(value: Any) -> bool:
    return value is not None and value == value and value not in ("", (), [], False)


def _value(key: str, value: Any) -> str:
    if key == "paper" and str(value).startswith("arXiv:"):
        number = str(value).removeprefix("arXiv:")
        return f"[{value}](https://arxiv.org/abs/{number})"
    if key == "paper" and str(value).startswith("doi:"):
        return f"[{value}](https://doi.org/{str(value).removeprefix('doi:')})"
    if value is True:
        return "yes"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return _escaped(text)


def _rows(table: Any) -> str:
    """A table in Markdown."""
    heads = [str(name) for name in table.columns]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in table.itertuples(index=False):
        lines.append("| " + " | ".join(_escaped(str(v)).replace("\n", " ") for v in row) + " |")
    return "\n".join(lines)


def _gallery() -> str:
    """Every picture of the documents, with the page that it is from."""
    parts = ["# Gallery", ""]
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        title = text.partition("\n")[0].lstrip("# ").strip()
        for said, target in PICTURE.findall(text):
            if "://" not in target:
                parts += [f"![{said}]({target})", "", f"{said}: [{title}]({path.name})", ""]
    return "\n".join(parts)
