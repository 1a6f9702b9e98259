"""Baselines: committed tables of our own or of a user's project, each a run and why it was set."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UsageError

HERE = Path("results") / "baselines"
"""Where a project keeps its baselines, seen from its root."""

SHIPPED = Path(__file__).parent / "baselines"
FOLDERS = (HERE, SHIPPED)


def find(name: str) -> Path | None:
    """The file of a baseline: the project's own before the one that ships with us."""
    if not name or Path(name).name != name:
        return None
    paths = (folder / f"{name}.csv" for folder in FOLDERS)
    return next((path for path in paths if path.is_file()), None)


def names() -> list[str]:
    """The baselines there are."""
    return sorted({path.stem for folder in FOLDERS for path in folder.glob("*.csv")})


def path_of(name: str) -> Path:
    """A baseline by its name or its file. Raises UsageError where there is none."""
    path = find(name)
    if path is None and Path(name).expanduser().is_file():
        path = Path(name).expanduser()
    if path is None:
        raise UsageError(
            f"no baseline '{name}': expected a file, or one of {', '.join(names()) or 'none yet'}"
        )
    return path
