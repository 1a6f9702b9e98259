"""Points of a grid whose parts do not go together: skipped, and told why, where `*` made them or
where others can be measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.errors import SettingError, UnknownError, UsageError
from bench.suites.grid import Choice
from bench.tasks import Resolved, Task


@dataclass
class Resolving:
    """Resolves points of a grid. fits: whether `*` made one that can be measured; unknown: the
    first name that the command sets and some point does not know.
    """

    fits: bool = False
    unknown: list[UnknownError] = field(default_factory=list)

    def __call__(
        self, task: Task, choice: Choice, definition: Mapping[str, Any] | None
    ) -> Resolved:
        """A point, resolved. Raises UsageError for one that can't be measured, where its parts were
        named one by one, or where what the command sets or varies has a value that is wrong.

        `*` asks for every part that fits: a point with another one is skipped for the reason that
        the error gives, and the others are measured.
        """
        own = None if definition is None else dict(definition)
        try:
            found = task.resolve(choice.parts, choice.settings, own)
        except UsageError as error:
            if not choice.starred:
                raise
            if _is_of_the_command(error, task, choice, own):
                if not isinstance(error, UnknownError):
                    raise
                self.unknown.append(error)
            return Resolved({}, {}, "", (), seconds=0.0, skip=str(error))
        self.fits |= choice.starred and not found.skip
        return found

    def refuse(self) -> None:
        """Raise UsageError for a name that no point which `*` made knows."""
        if self.unknown and not self.fits:
            raise self.unknown[0]


def refuse_all_unfit(cells: Iterable[Resolved], asked: bool) -> None:
    """Raise UsageError, with the first reason, where the parts of no cell go together and the
    command asked for such by name: nothing of it could ever be measured. What a suite's own blocks
    name together is told on its rows.
    """
    found = list(cells)
    if asked and found and all(cell.skip and cell.unfit for cell in found):
        raise UsageError(found[0].skip)


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
