"""The frozen segmenters as extractors: their coarsest layer, averaged over the image."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.extractors.base import EXTRACTORS, Extractor, Loading, Reader, Seen
from metrics.judges.segmenter import FEATURES, SEGMENTERS, Segmenter


@dataclass(frozen=True)
class Segmented(Extractor):
    """The features of a segmenter."""

    segmenter: Segmenter = field(kw_only=True)

    @property
    def tag(self) -> str:
        return self.segmenter.tag

    def load(self, loading: Loading) -> Reader:
        network = self.segmenter.network(torch.device(loading.device))

        def read(images: Tensor) -> Seen:
            return Seen(network.features(images))

        return read


for _entry in SEGMENTERS.entries():
    EXTRACTORS.register(_entry.name, summary=f"{FEATURES} features. {_entry.summary}")(
        Segmented(size=_entry.facts.size, channels=3, dims=FEATURES, segmenter=_entry.part)
    )
