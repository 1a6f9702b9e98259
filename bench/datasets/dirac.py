"""One point: the data of games of two numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.datasets.base import DATASETS, Batches, Dataset, Density, Source
from bench.datasets.batches import FreshDraws

POINTS = 1_000
"""A training set of as many, for what wants one."""


class DiracSource(Source):
    """Zeros, whoever asks."""

    def __init__(self, device: str) -> None:
        self.shape, self.device, self.modes, self.classes = (1,), device, 1, 1

    @property
    def training(self) -> Tensor:
        return torch.zeros(POINTS, 1, device=self.device)

    def batches(self) -> Batches:
        rng = torch.Generator(device=self.device).manual_seed(0)
        return FreshDraws(lambda n, rng: torch.zeros(n, 1, device=self.device), rng)

    def fresh(self, n: int, rng: torch.Generator, classes: Sequence[int] | None = None) -> Tensor:
        return torch.zeros(n, 1, device=rng.device)

    @property
    def density(self) -> Density | None:
        return None


@dataclass(frozen=True)
class Dirac(Dataset):
    """All mass at 0, in one dimension."""

    name: str = "dirac"
    modes: int = 1

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"duel"})

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(b"dirac at 0").hexdigest()

    def source(self, seed: int, device: str = "cpu") -> DiracSource:
        return DiracSource(device)


DATASETS.register(
    "dirac",
    paper="arXiv:1801.04406",
    summary="One point, 0: the data of games of two numbers",
    modes=1,
    exempt=(
        "another-seed-has-other-data: there is one point",
        "fresh-data-were-not-trained-on: there is one point",
        "what-is-offered-is-there: two numbers are the protocol's",
    ),
)(Dirac())
