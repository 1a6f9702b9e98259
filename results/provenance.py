"""Where a number comes from: versions, commit, machine. No host name, no user name."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parent.parent
PACKAGES = ("minimax-bench", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of the packages that make numbers."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ""
    return found


UNKNOWN = "unknown"


@cache
def commit() -> tuple[str, bool]:
    """The commit of our source and whether it was changed since; ("", False) outside git, and
    (UNKNOWN, True) where git can't say: what is not known to be clean counts as changed.
    """
    if not (HOME / ".git").exists():
        return "", False
    try:
        return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain", "-uno"))
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN, True


def _git(*arguments: str) -> str:
    """What git says, without taking its locks: another git may be at work here."""
    done = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(HOME), *arguments],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout.strip()


def source() -> dict[str, Any]:
    """The software, under the names of a record."""
    revision, dirty = commit()
    return {"versions": versions(), "commit": revision, "dirty": dirty}


def environment() -> dict[str, Any]:
    """The machine and the software, for a manifest."""
    return {
        **source(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
