"""What an extractor of features promises: a size, channels, and features of images in [0, 1]."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn.functional import interpolate

from bench.core.registry import NoFacts, Registry


class Seen(NamedTuple):
    """What an extractor sees in images: features [n, d], and class probabilities [n, classes]
    where it is a classifier.
    """

    features: Tensor
    probabilities: Tensor | None = None


Reader = Callable[[Tensor], Seen]
"""Images float32 [n, c, h, w] in [0, 1], of the extractor's size and channels, to what it sees."""


@dataclass(frozen=True)
class Loading:
    """How weights are come by: a file of the user's, or a download where it is asked for."""

    device: str = "cpu"
    weights: str | None = None
    download: bool = False


CROWDED = 32
"""What images are brought to that an extractor with a longest side can't take as they are."""


@dataclass(frozen=True)
class Extractor(ABC):
    """size: the height and width that images are brought to, None for as they come. channels: 1
    or 3, 0 for as they come. dims: how many features, 0 where it depends on the images. published:
    what its Frechet distance may be called. fetches: whether weights are a file or a download.
    largest: the longest side of images that come as they are; 0 for any.
    """

    size: tuple[int, int] | None = None
    channels: int = 0
    dims: int = 0
    published: str = ""
    fetches: bool = False
    largest: int = 0

    @property
    def missing(self) -> str:
        """Why it can't be had and how to get it; empty where it is here."""
        return ""

    @property
    def network(self) -> Any:
        """What of the user's own it calls, to be left as it was found; None where it is ours."""
        return None

    def usual_size(self, sizes: Collection[tuple[int, int]]) -> tuple[int, int] | None:
        """What images of these heights and widths are brought to where nothing else is asked for;
        None: they come as they are.
        """
        if self.size is not None:
            return self.size
        if self.largest and (len(sizes) > 1 or max(map(max, sizes)) > self.largest):
            return (CROWDED, CROWDED)
        least = min(map(min, sizes))
        return (least, least) if len(sizes) > 1 else None

    @property
    @abstractmethod
    def tag(self) -> str:
        """What stands behind the @ of every metric that rests on it."""

    @property
    def resize(self) -> str:
        """How images are brought to the size, in words."""
        return "bicubic with antialiasing"

    def resized(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Images [n, c, h, w] in [0, 1] at a size."""
        if tuple(images.shape[-2:]) == size:
            return images
        found = interpolate(images, size, mode="bicubic", antialias=True, align_corners=False)
        return found.clamp(0, 1)

    @property
    def weights(self) -> str:
        """What tells its weights from others where its tag does not; empty where it does."""
        return ""

    @abstractmethod
    def load(self, loading: Loading) -> Reader:
        """Ready to read. Raises UsageError where the weights are missing or not those it names."""


EXTRACTORS: Registry[Extractor, NoFacts] = Registry("features", NoFacts, listed_as="features")
