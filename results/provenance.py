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


@cache
def commit() -> tuple[str, bool]:
    """The commit of our source and whether it was changed since; ("", False) outside git."""
    if not (HOME / ".git").exists():
        return "", False
    revision = _git("rev-parse", "HEAD")
    return revision, bool(revision and _git("status", "--porcelain", "--untracked-files=no"))


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(HOME), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
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
