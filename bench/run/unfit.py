"""Points of a grid that `*` made and whose parts do not go together: skipped, and told why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.core.errors import SettingError, UnknownError, UsageError
from bench.suites.grid import Choice
from bench.tasks import Resolved, Task


def resolved_or_skipped(
    task: Task, choice: Choice, definition: Mapping[str, Any] | None
) -> Resolved:
    """A point of a grid, resolved. Raises UsageError for one that can't be measured, where its
    parts were named one by one, or where what the command sets or varies has a value that is wrong.

    `*` asks for every part that fits: a point with another one is skipped for the reason that the
    error gives, and the others are measured.
    """
    own = None if definition is None else dict(definition)
    try:
        return task.resolve(choice.parts, choice.settings, own)
    except UsageError as error:
        if not choice.starred or _is_of_the_command(error, task, choice, own):
            raise
        return Resolved({}, {}, "", (), seconds=0.0, skip=str(error))


def _is_of_the_command(
    error: UsageError, task: Task, choice: Choice, definition: dict[str, Any] | None
) -> bool:
    """Whether a wrong value, or an unknown name, is gone with what the command sets and varies."""
    if not isinstance(error, SettingError | UnknownError):
        return False
    try:
        task.resolve(choice.parts, choice.usual, definition)
    except UsageError:
        return False
    return True
