"""How long work tells of itself."""

from __future__ import annotations

from collections.abc import Callable

Notify = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and of how much (0: nobody knows)."""


def tell_nobody(what: str, done: int, total: int) -> None:
    """A `Notify` for those who do not wait."""
