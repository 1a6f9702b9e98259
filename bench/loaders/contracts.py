"""What sets of images promise, wherever they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from bench.errors import UsageError, one_line


def shown(name: object) -> str:
    """A name as one line that any output can hold."""
    return one_line(name, 200)


class Unreadable(UsageError):
    """An image that can't be read."""


class Images(ABC):
    """n images, some grey, some in colour, of any sizes."""

    origin: str

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def sizes(self) -> set[tuple[int, int]]:
        """Heights and widths that occur."""

    @property
    @abstractmethod
    def grey(self) -> bool:
        """Whether none is in colour."""

    @property
    def coloured(self) -> int:
        """How many are in colour."""
        return 0 if self.grey else len(self)

    @property
    def kinds(self) -> set[str]:
        """File formats, by suffix; empty for arrays."""
        return set()

    @property
    def notes(self) -> list[str]:
        """What a reader of the scores should know of them."""
        return []

    @property
    def broken(self) -> list[str]:
        """Files that are known not to be images."""
        return []

    @abstractmethod
    def read(self, index: int) -> Tensor:
        """float32 [c, h, w] in [0, 1]. Raises Unreadable, by name."""
