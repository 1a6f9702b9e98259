"""The sets of samples that are scored, and the looks at all of them that several scores share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bench.core.errors import UsageError
from bench.score.kept import Kept
from metrics.copying import Nearest, cells_of, nearest
from metrics.features import Apply
from metrics.neighbours import survey

QUERIES = 2_000
SHIFTED_QUERIES = 1_000


@dataclass(frozen=True, eq=False)
class Sets:
    """The samples of both, in the order of their content, and what takes a look at all of them."""

    real: Kept
    fake: Kept
    train: Kept | None
    apply: Apply = field(default=map)

    @property
    def seen(self) -> Kept:
        """What the sampler may have copied from."""
        return self.train or self.real

    @property
    def has_thumbnails(self) -> bool:
        return all(kept.thumbnails is not None for kept in (self.seen, self.real, self.fake))

    @cached_property
    def surveyed(self) -> tuple:
        return survey(self.real.features, self.fake.features)

    @cached_property
    def _distinct(self) -> np.ndarray:
        """Which of the seen are not the same as an earlier one."""
        ids = self.seen.ids
        if ids is None:
            return np.arange(self.seen.features.n)
        return np.sort(np.unique(ids, return_index=True)[1])

    @cached_property
    def nearest(self) -> tuple[Nearest, Nearest]:
        """In the space of the features."""
        seen = self.seen.features.exact[self._distinct]
        held = (self.real.features.exact if self.train else seen)[:QUERIES]
        made = self.fake.features.exact[:QUERIES]
        return self._both(seen, [held], [made])

    @cached_property
    def shifted(self) -> tuple[Nearest, Nearest]:
        """On thumbnails, the smallest over shifts by one pixel."""
        seen = _thumbnails(self.seen)[self._distinct]
        held = (_thumbnails(self.real) if self.train else seen)[:SHIFTED_QUERIES]
        made = _thumbnails(self.fake)[:SHIFTED_QUERIES]
        flat = seen.reshape(len(seen), -1).astype(np.float64)
        return self._both(flat, shifts(held), shifts(made))

    def _both(self, seen: np.ndarray, held: Sequence, made: Sequence) -> tuple[Nearest, Nearest]:
        cells = cells_of(seen)
        own = None if self.train else np.arange(len(held[0]))
        return (
            nearest(held, seen, cells, own, self.apply),
            nearest(made, seen, cells, None, self.apply),
        )


def _thumbnails(kept: Kept) -> np.ndarray:
    if kept.thumbnails is None:
        raise UsageError("there are no images to shift")
    return kept.thumbnails


def shifts(images: np.ndarray) -> list[np.ndarray]:
    """Images [n, h, w] moved by one pixel or none in either direction, each [n, h w] float64."""
    grown = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge").astype(np.float64)
    n, height, width = images.shape
    return [
        grown[:, i : i + height, j : j + width].reshape(n, -1) for i in range(3) for j in range(3)
    ]
