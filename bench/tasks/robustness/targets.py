"""What attacked images are to be taken for: a target each, as the setting says."""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.objectives import Logits
from attacks.streams import integers
from bench.core.errors import UsageError

TARGETS = ("none", "random", "likeliest", "least-likely", "all")
"""The words; a number stands for the class itself."""


def known(text: str) -> bool:
    """Whether a text is a word of `TARGETS` or the number of a class."""
    return text in TARGETS or (text.isascii() and text.isdecimal())


def aims_of(text: str, logits: Logits, labels: Tensor, seeds: Tensor) -> list[Tensor]:
    """A class for each image, one attack after another; none where images are attacked for any.

    random: a wrong class by the image's seed. likeliest, least-likely: of the wrong ones by its
    clean logits. all: every wrong class in turn. A number: that class; images of it are aimed at
    the next one, and are not counted (`counted`). Raises UsageError for a class that there is not.
    """
    classes = logits.shape[1]
    if text == "none":
        return []
    if text == "random":
        return [(labels + 1 + integers(seeds, classes - 1)) % classes]
    if text == "likeliest":
        return [logits.scatter(1, labels[:, None], -torch.inf).argmax(1)]
    if text == "least-likely":
        return [logits.scatter(1, labels[:, None], torch.inf).argmin(1)]
    if text == "all":
        return [(labels + shift) % classes for shift in range(1, classes)]
    target = int(text)
    if target >= classes:
        raise UsageError(
            f"`targets`: expected a class from 0 to {classes - 1}, got {text}: the classifier has "
            f"{classes}"
        )
    aimed = torch.full_like(labels, target)
    return [torch.where(labels == target, (labels + 1) % classes, aimed)]


def counted(text: str, labels: Tensor) -> Tensor:
    """Which images have a target: all but those of the class that is asked for."""
    if not text.isdecimal():
        return torch.ones_like(labels, dtype=torch.bool)
    return labels != int(text)
