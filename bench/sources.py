"""A digest of the source files that make a number: a module and all of ours it imports.

Read from the files' import statements, so that a new loss beside the others changes no
other model's digest. Standard library only.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PLUMBING = frozenset(
    f"bench.{name}" for name in ("errors", "files", "registry", "sources", "tomlsuites", "usercode")
)
"""Modules that carry no number: a better message in one makes no finished cell stale."""


@cache
def _file(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


@cache
def _imports(module: str) -> tuple[str, ...]:
    """The modules of ours that a module's file imports, itself left out."""
    path = _file(module)
    if path is None:
        return ()
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(sorted(name for name in found if _ours(name) and name != module))


def _ours(module: str) -> bool:
    if module.partition(".")[0] not in ("bench", "attacks", "generative", "metrics", "results"):
        return False
    path = _file(module)
    return path is not None and path.name != "__init__.py" and module not in PLUMBING


@cache
def source_digest(modules: tuple[str, ...]) -> str:
    """A sha256 over the modules' files and every file of ours they import, in name order."""
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in seen and _file(module) is not None:
            seen.add(module)
            waiting.extend(_imports(module))
    digest = hashlib.sha256()
    for module in sorted(seen):
        path = _file(module)
        assert path is not None
        digest.update(f"{module}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def digest_of(modules: Iterable[str]) -> str:
    """`source_digest` of modules in any order."""
    return source_digest(tuple(sorted(set(modules))))
