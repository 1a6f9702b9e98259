"""Errors a user can act on: what was expected, what came, what to do, and the exit code.

Standard library only: every layer may raise these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from unicodedata import category

LONGEST = 1_000
"""Letters of a message; what a user named can be longer than any screen."""


class BenchError(Exception):
    """An error with a one-line message and the exit code of the command line."""

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message, LONGEST))


class UsageError(BenchError):
    """The request can't be carried out as it stands; nothing was measured or written."""

    exit_code = 2


class UnknownError(UsageError):
    """A name that nothing answers to. kind: of what. known: the names that there are."""

    def __init__(
        self,
        message: object = "",
        kind: str = "",
        name: str = "",
        known: Iterable[str] = (),
    ) -> None:
        super().__init__(message)
        self.kind, self.name, self.known = kind, name, tuple(known)


class SettingError(UsageError):
    """A setting has a value that it can't have, whatever it is a setting of."""


class UnaskedError(UsageError):
    """A file names code of somebody's, and nobody asked for it to be run."""


class StoreError(BenchError):
    """The run directory can't take a result (a full disk, say); what was finished is kept."""

    exit_code = 1


class Notice(UserWarning):
    """What a user should be told of a cell while others are still measured."""


class PipeClosedError(Exception):
    """Whoever read our output has stopped reading: nothing is wrong."""


def one_line(text: object, limit: int = 300) -> str:
    """Any text as one line of at most `limit` characters, nothing in it obeyed by a terminal."""
    try:
        line = visible(" ".join(str(text).split()))
    except Exception:
        line = f"({type(text).__name__} without a readable text)"
    return line if len(line) <= limit else line[: limit - 1] + "…"


def visible(text: object) -> str:
    """A text with what a terminal or a viewer would obey written out: control characters, ends of
    lines, marks that turn the direction of writing, halves of characters.
    """
    return "".join(
        letter if letter.isprintable() or category(letter) == "Zs" else _escaped(letter)
        for letter in str(text)
    )


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def uncapital(text: str) -> str:
    """A sentence inside another one: its first letter small, the rest as it is."""
    return text[:1].lower() + text[1:]


def nearest(name: str, known: Iterable[str], alike: float = 0.5) -> str | None:
    """The known name that `name` was probably meant to be, or None. alike: how much of them has to
    be the same, 0 to 1.
    """
    names = list(known)
    small = {one.lower(): one for one in reversed(names)}
    matches = difflib.get_close_matches(name, names, n=1, cutoff=alike)
    if not matches or name.lower() in small:
        lower = difflib.get_close_matches(name.lower(), small, n=1, cutoff=alike)
        matches = [small[one] for one in lower] or matches
    return matches[0] if matches else None


def unknown(kind: str, name: str, known: Iterable[str], advice: str = "") -> UnknownError:
    """The error for a name that nothing answers to; offers the nearest known one."""
    names = sorted(known)
    guess = nearest(name, names)
    if guess is not None:
        hint = f"did you mean '{guess}'?"
    elif names:
        hint = f"known: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}"
    else:
        hint = "none is registered"
    said = one_line(f"unknown {kind} '{name}': {hint}{' ' + advice if advice else ''}")
    return UnknownError(said, kind, name, names)
