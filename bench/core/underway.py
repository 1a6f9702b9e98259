"""What a long piece of work says of itself on the way, to whoever asked to be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Teller = Callable[[int, int, Any], None]
"""Is told how many steps are done, of how many, and what is drawn now (an array or tensor), if
anything.
"""
_TELLER: ContextVar[Teller | None] = ContextVar("teller", default=None)


@contextmanager
def telling(teller: Teller) -> Iterator[None]:
    """Inside, `tell` reaches this one."""
    token = _TELLER.set(teller)
    try:
        yield
    finally:
        _TELLER.reset(token)


def tell(done: int, steps: int, drawn: Any = None) -> None:
    """Say how far a training is; nobody may be listening."""
    if (teller := _TELLER.get()) is not None:
        teller(done, steps, drawn)
