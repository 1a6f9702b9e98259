"""What a corruption promises: images in [0, 1] to images in [0, 1], worse with its severity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from attacks.contracts import Seeds
from attacks.pixels import Pixels
from bench.core.errors import UsageError
from bench.core.registry import Registry

SEVERITIES = 5
PAPER = "arXiv:1903.12261"

Corrupt = Callable[[Pixels, Seeds, float], Pixels]
"""Images, their seeds and how strongly, to images that may leave [0, 1]."""


@dataclass(frozen=True)
class Corruption:
    """Of Hendrycks and Dietterich 2019, section 4.1, with strengths of our own: theirs are made for
    224 pixels a side, these for 28 to 32.

    It looks at no model and no label: noise for which nobody searched. levels: how strongly, for
    each severity from 1 to 5, in what unit `corrupt` says. Images are [n, 1 or 3, height, width] in
    [0, 1]; an image's random numbers derive from its own seed.
    """

    corrupt: Corrupt
    levels: tuple[float, ...]

    def __call__(self, images: Pixels, *, severity: int, seeds: Seeds) -> Pixels:
        """The corrupted images. Raises UsageError for another severity and for other shapes."""
        if severity not in range(1, SEVERITIES + 1):
            raise UsageError(f"severity: expected 1 to {SEVERITIES}, got {severity}")
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise UsageError(
                "a corruption expected images [batch, 1 or 3 channels, height, width], got "
                f"{list(images.shape)}"
            )
        if not len(images):
            return images.clone()
        with torch.no_grad():
            return self.corrupt(images, seeds, self.levels[severity - 1]).clamp(0, 1)


@dataclass(frozen=True)
class CorruptionFacts:
    """draws: other seeds give other results."""

    draws: bool = False


CORRUPTIONS: Registry[Corruption, CorruptionFacts] = Registry(
    "corruption", CorruptionFacts, listed_as="corruptions"
)
