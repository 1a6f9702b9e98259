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

OURS = ("bench", "attacks", "generative", "metrics", "results")
PLUMBING = frozenset(
    f"bench.{name}"
    for name in (
        *(
            f"core.{plain}"
            for plain in (
                "arguments",
                "digests",
                "errors",
                "files",
                "leases",
                "registry",
                "usercode",
            )
        ),
        "run.worker",
        "suites.builtin",
    )
)
"""Modules that carry no number: a better message in one makes no finished cell stale."""


@cache
def _file(module: str) -> Path | None:
    if module.endswith(".py"):
        path = Path(module).expanduser().resolve()
        return path if path.is_file() else None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


@cache
def _imports(module: str) -> tuple[str, ...]:
    """The modules of ours, or of the user's own, that a module's file imports."""
    path = _file(module)
    if path is None:
        return ()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            homes = _reexports(base)
            found.add(base)
            found.update(homes.get(alias.name, f"{base}.{alias.name}") for alias in node.names)
    counted = (name for name in found if _ours(name) or _users(name, module))
    return tuple(sorted(name for name in counted if name != module))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that a `from` statement names, relative ones resolved."""
    if not node.level:
        return node.module or ""
    steps = package.split(".")
    base = steps[: len(steps) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _users(module: str, importer: str) -> bool:
    """Whether a module belongs to the user's code that imports it: under the same folder, and not
    installed there.
    """
    if importer.partition(".")[0] in OURS or module.partition(".")[0] in OURS:
        return False
    first = importer if importer.endswith(".py") else importer.partition(".")[0]
    path, top = _file(module), _file(first)
    if path is None or top is None:
        return False
    if "site-packages" in path.parts and "site-packages" not in top.parts:
        return False
    return path.is_relative_to(top.parent)


@cache
def _reexports(package: str) -> dict[str, str]:
    """Where the names come from that a package of ours hands on."""
    path = _file(package) if package.partition(".")[0] in OURS else None
    if path is None or path.name != "__init__.py":
        return {}
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
    }


def _ours(module: str) -> bool:
    if module.partition(".")[0] not in OURS:
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


@cache
def whole_digest() -> str:
    """A sha256 over every source file of ours and what they read beside them, by name: what two
    machines have in common that measure the same.
    """
    home, digest = Path(__file__).resolve().parents[2], hashlib.sha256()
    kept = (path for name in OURS for path in (home / name).rglob("*"))
    for path in sorted(path for path in kept if path.suffix in (".py", ".toml")):
        digest.update(f"{path.relative_to(home)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
