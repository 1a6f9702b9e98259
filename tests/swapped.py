"""A classifier that no seed and no data train, and digits with one thing of theirs swapped: what a
task reads changes its rows, and nothing else does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from attacks.classifiers import Ready
from bench.datasets.digits import digits8
from bench.datasets.labelled import Labelled


def means(start: int = 0) -> Tensor:
    """Of every fifth training digit, from one of them on, the mean of each class, [10, 64]."""
    images, labels = (x[start::5] for x in (digits8().images, digits8().labels))
    found = [images[labels == label].reshape(-1, 64).mean(0) / 255 for label in range(10)]
    return torch.tensor(np.array(found)).float()


def nearest(start: int = 0) -> nn.Linear:
    """Logits by the distance to each mean."""
    layer = nn.Linear(64, 10)
    layer.weight.data = 2 * means(start)
    layer.bias.data = -layer.weight.data.square().sum(1) / 4
    return layer


class Nearest(Ready):
    """The nearest mean; `then` is what its logits go through."""

    missing = ""

    def __init__(self, start: int = 0, *then: nn.Module) -> None:
        self.start, self.then = start, then

    def load(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nearest(self.start), *self.then).eval()


def digits(name: str, **arrays) -> Labelled:
    """8 x 8 digits with some arrays replaced, each a function of what there is."""
    return Labelled(
        name, lambda: replace(digits8(), **{k: f(digits8()) for k, f in arrays.items()})
    )


usual = Labelled("usual", digits8)
others = digits("others", held_images=lambda s: s.held_images // 2)
permuted = digits("permuted", held_labels=lambda s: np.roll(s.held_labels, 1))
retrained = digits("retrained", images=lambda s: s.images[::-1], labels=lambda s: s.labels[::-1])
