"""EfficientNet-lite0 as an extractor: 1,280 features, from weights that come as a package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from attacks.classifiers import CLASSIFIERS
from attacks.classifiers.photos import EfficientNetLite
from bench.extractors.base import EXTRACTORS, Extractor, Loading, Reader, Seen

CLASSIFIER = "efficientnet-lite0"
SIDE = 128
"""A multiple of 32, as its static padding asks for. At 224, its own, it is 3 times as slow."""


@dataclass(frozen=True)
class Lite(Extractor):
    """The mean over the image of what its last convolution gives."""

    @property
    def _classifier(self) -> EfficientNetLite:
        return cast(EfficientNetLite, CLASSIFIERS[CLASSIFIER].part)

    @property
    def missing(self) -> str:
        return self._classifier.missing

    @property
    def tag(self) -> str:
        return "lite0"

    def load(self, loading: Loading) -> Reader:
        whole: Any = self._classifier.load().to(loading.device).requires_grad_(False)

        def read(images: Tensor) -> Seen:
            seen = whole.network.extract_features(whole.normalised(images)).mean((2, 3))
            return Seen(seen, torch.softmax(whole.network._fc(seen), 1))

        return read


EXTRACTORS.register(
    "lite0",
    paper="arXiv:1905.11946",
    summary=f"1,280 features of EfficientNet-lite0 at {SIDE} x {SIDE} (extra `imagenet`)",
)(Lite(size=(SIDE, SIDE), channels=3, dims=1_280))
