"""What turns captions into the vectors that models are told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from bench.core.registry import NoFacts, Registry
from bench.datasets.captions import in_words
from metrics.judges.towers import TOWERS

Told = Float[Tensor, "n told"]


class CaptionEncoder(ABC):
    """Frozen: the same vectors of the same captions, whatever is trained."""

    @property
    @abstractmethod
    def missing(self) -> str:
        """Why it is not here and what to do, or empty."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """A sha256 over all that decides a vector; known where it is missing, too."""

    @abstractmethod
    def vectors(self, tokens: Int[Tensor, "n words"]) -> Told:
        """Of captions, on their device. Raises UsageError where it is missing or damaged."""


@dataclass(frozen=True)
class OfTowers(CaptionEncoder):
    """The text half of frozen towers, by their name."""

    name: str

    @property
    def missing(self) -> str:
        return ""

    @property
    def digest(self) -> str:
        return TOWERS[self.name].part.digest

    def vectors(self, tokens: Int[Tensor, "n words"]) -> Told:
        return TOWERS[self.name].part.texts(tokens)


def said(tokens: Int[Tensor, "n words"]) -> Sequence[str]:
    """Captions as a person reads them."""
    return [in_words(each) for each in tokens.cpu().numpy()]


ENCODERS: Registry[CaptionEncoder, NoFacts] = Registry("encoder", NoFacts, listed_as="encoders")

ENCODERS.register(
    "captions-towers",
    paper="arXiv:1711.10485",
    summary="64 numbers: the text half of towers made from the training pairs of captions@digits",
)(OfTowers("captions-towers"))
