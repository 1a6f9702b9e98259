"""What a pyramid, a coder and a blend promise, and their registries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from bench.core.registry import NoFacts, Registry

BURT_CODE, BURT_BLEND = "doi:10.1109/TCOM.1983.1095851", "doi:10.1145/245.247"
DEPTH = 5
"""How often images are halved, where nothing else is asked."""


@dataclass(frozen=True)
class Asked:
    """What a decomposition or a coder may be asked. levels: how often the sides are halved. a: of
    the kernel. border: beyond the edges. orientations: of a steerable pyramid. step: between the
    values to which coefficients are rounded, of 255. quality: of JPEG, 1 to 95.
    """

    levels: int = DEPTH
    a: float = 0.4
    border: str = "reflect1"
    orientations: int = 4
    step: float = 8.0
    quality: int = 75


@dataclass(frozen=True)
class PyramidFacts:
    """tight: the squares of the coefficients sum to those of the pixels."""

    tight: bool = False


class Pyramid(ABC):
    """Images to bands and back. reads: the fields of `Asked` that decide its bands."""

    reads: tuple[str, ...] = ()

    @abstractmethod
    def most(self, size: Sequence[int]) -> int:
        """The most levels of images of (h, w) pixels."""

    @abstractmethod
    def bands(self, images: Tensor, asked: Asked) -> list[list[Tensor]]:
        """Of images [n, c, h, w] the bands of each level, finest first, each [n, c, h', w'].

        Raises UsageError for a size or depth that it can't take.
        """

    @abstractmethod
    def images(self, bands: Sequence[Sequence[Tensor]], asked: Asked) -> Tensor:
        """What `bands` were made of."""


@dataclass(frozen=True, eq=False)
class Coded:
    """decoded: images [n, c, h, w] as the decoder has them, floats that may leave [0, 255].
    symbols: what an entropy coder is given, int64 [n, coefficients] for each set of coefficients
    that has a code of its own. bits: of real files, float64 [n], in the place of symbols.
    """

    decoded: Tensor
    symbols: tuple[Tensor, ...] = ()
    bits: Tensor | None = None


class Coder(ABC):
    """Images to what is sent and what comes out. reads: the fields of `Asked` that decide it."""

    reads: tuple[str, ...] = ()

    def most(self, size: Sequence[int]) -> int | None:
        """The most levels of images of (h, w) pixels; None where it has no levels."""
        return None

    @abstractmethod
    def code(self, images: Tensor, asked: Asked) -> Coded:
        """Grey images, float64 [n, 1, h, w] in [0, 255]. Raises UsageError for a size, depth or
        step that it can't take.
        """


@dataclass(frozen=True)
class BlendFacts:
    """truth: it blends nothing, and shows the first image as it is."""

    truth: bool = False


class Blend(ABC):
    """Two images and a mask to one. reads: "levels" where they decide it."""

    reads: tuple[str, ...] = ()

    def most(self, size: Sequence[int]) -> int | None:
        """The most levels of images of (h, w) pixels; None where any number will do."""
        return None

    @abstractmethod
    def blend(self, one: Tensor, other: Tensor, mask: Tensor, levels: int) -> Tensor:
        """Images [n, c, h, w], and a mask [n or 1, 1, h, w] that is 1 where the first is wanted.
        2^levels pixels is how wide the seam may be. Raises UsageError for a size or depth that it
        can't take.
        """


PYRAMIDS: Registry[Pyramid, PyramidFacts] = Registry("pyramid", PyramidFacts, listed_as="pyramids")
CODERS: Registry[Coder, NoFacts] = Registry("coder", NoFacts, listed_as="coders")
BLENDS: Registry[Blend, BlendFacts] = Registry("blend", BlendFacts, listed_as="blends")
