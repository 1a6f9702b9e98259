"""The frozen judges as extractors: what their last layer is given, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.extractors.base import EXTRACTORS, Extractor, Loading, Reader, Seen
from metrics import JUDGES, Judge
from metrics.judges.network import FEATURES


@dataclass(frozen=True)
class Judged(Extractor):
    """The features of a judge."""

    judge: Judge = field(kw_only=True)

    @property
    def tag(self) -> str:
        return self.judge.tag

    def load(self, loading: Loading) -> Reader:
        network = self.judge.network(torch.device(loading.device))

        def read(images: Tensor) -> Seen:
            seen = network.features(images.contiguous(memory_format=torch.channels_last))
            return Seen(seen, network.head(seen).softmax(1))

        return read


for _entry in JUDGES.entries():
    EXTRACTORS.register(_entry.name, paper=_entry.paper, summary=f"48 features. {_entry.summary}")(
        Judged(size=_entry.facts.size, channels=1, dims=FEATURES, judge=_entry.part)
    )
