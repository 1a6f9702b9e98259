"""Rotations and shifts: the worst of a grid, for each image.

Not an attack of `ATTACKS`: what it does is within no ball of a norm (a shift by one pixel may
change most of them by all of the range), so it has a contract of its own, in degrees and pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from attacks.contracts import Images, Labels, Model, Seeds, Stop
from attacks.gradients import look
from attacks.norms import PerImage
from attacks.objectives import lead
from attacks.pixels import as_pixels
from attacks.streams import integers
from attacks.warps import warped
from bench.core.errors import UsageError


@dataclass(frozen=True, eq=False)
class Warped:
    """Images, and what was done to each: turned clockwise by `degrees`, then moved by `down` and
    `across` pixels.
    """

    images: Images
    degrees: PerImage
    down: PerImage
    across: PerImage


@dataclass(frozen=True)
class Spatial:
    """Engstrom et al. 2019, section 3: all of a grid of `angles` rotations within `degrees` and
    `shifts` translations within `pixels` down and as many across; the worst of them by the lead of
    a wrong class. A black box that asks angles x shifts x shifts times, the image as it is first.

    tries: of the grid as many as that, drawn for each image by its seed, with repetition (their
    worst of k; 1 is a random warp, which nobody searched for); None for all of it.
    Their grid is 31 x 5 x 5 within 30 degrees and a tenth of the side, about 3 pixels of a digit.
    Raises UsageError for counts that are even, so that no change at all is not among them.
    """

    degrees: float = 30.0
    pixels: float = 3.0
    angles: int = 31
    shifts: int = 5
    tries: int | None = None

    def __post_init__(self) -> None:
        for name, count in (("angles", self.angles), ("shifts", self.shifts)):
            if count < 1 or count % 2 == 0:
                raise UsageError(f"{name}: expected an odd number, got {count}")
        if self.tries is not None and self.tries < 1:
            raise UsageError(f"tries: expected 1 or more, or None for all, got {self.tries}")

    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        seeds: Seeds,
        stop: Stop = "never",
    ) -> Warped:
        """The worst warp of each image; with tries, of those that were drawn, and not of the image
        as it is. With `stop="first_success"` an image leaves with its first one that is
        misclassified.
        """
        pixels = as_pixels(images, "a spatial attack")
        best, leads = images.clone(), lead(look(model, images), labels)
        if self.tries is not None:
            leads = torch.full_like(leads, -torch.inf)
        chosen = torch.zeros(3, len(images), dtype=leads.dtype, device=images.device)
        going = torch.arange(len(images), device=images.device)
        for numbers in self._asked(seeds):
            if stop == "first_success":
                going = going[leads[going] <= 0]
            if not len(going):
                break
            asked = numbers.to(chosen)[:, going]
            tried = warped(pixels[going], *asked.to(images.dtype)).reshape(-1, *images.shape[1:])
            found = lead(look(model, tried), labels[going])
            better = found > leads[going]
            won = going[better]
            best[won], leads[won], chosen[:, won] = tried[better], found[better], asked[:, better]
        return Warped(best, *chosen)

    def _asked(self, seeds: Seeds) -> Iterator[Tensor]:
        """Degrees, down and across for each image, [3, batch], one warp after another."""
        if self.tries is None:
            for numbers in self.grid():
                yield torch.tensor(numbers)[:, None].expand(3, len(seeds))
            return
        every = torch.tensor([(0.0, 0.0, 0.0), *self.grid()], device=seeds.device)
        for number in range(self.tries):
            yield every[integers(seeds, len(every), number)].T

    def grid(self) -> Iterator[tuple[float, float, float]]:
        """Degrees, pixels down, pixels across, but for no change at all."""
        turns = _evenly(self.degrees, self.angles)
        moves = _evenly(self.pixels, self.shifts)
        return (each for each in product(turns, moves, moves) if any(each))


def _evenly(most: float, count: int) -> list[float]:
    """From -most to most, 0 in the middle."""
    half = count // 2
    return [most * step / max(half, 1) for step in range(-half, half + 1)]
