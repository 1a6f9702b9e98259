"""The rows that text to image needs: real pairs as the ceiling, shuffled captions as the floor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.errors import UsageError
from generative.conditioning import captioned
from generative.contracts import RECIPES, Captioned, Captions, CaptionSampler, Data, Sampler
from generative.recipes.references import Fixed
from generative.samplers import captions_for
from generative.trainers.fit import FitTrainer


class RealPairs(CaptionSampler):
    """Held-out images of the captions that are asked for, or, shuffled, of any. Those of a caption
    come each once before any comes again, in an order of the generator's.
    """

    def __init__(self, data: Captioned, shuffled: bool) -> None:
        self._data, self._shuffled = data, shuffled

    def sample(self, n: int, rng: torch.Generator, captions: Captions | None = None) -> Tensor:
        """`n` of them, [n, c, h, w]; without captions, of those of held-out images in turn. Raises
        UsageError for a caption that no held-out image has.
        """
        data = self._data
        if captions is None:
            captions = data.held_captions[torch.arange(n, device=data.device) % len(data.held_out)]
        wanted = data.numbers(captions_for(n, captions, data))
        known = data.numbers(data.held_captions)
        if self._shuffled:
            wanted, known = torch.zeros_like(wanted), torch.zeros_like(known)
        found = torch.empty(n, dtype=torch.int64, device=data.device)
        for number in wanted.unique().tolist():
            places = (wanted == number).nonzero()[:, 0]
            pool = (known == number).nonzero()[:, 0]
            if not len(pool):
                said = captions[places[0]].tolist()
                raise UsageError(f"no held-out image has the caption {said}: ask for another")
            order = torch.randperm(len(pool), generator=rng, device=rng.device).to(data.device)
            found[places] = pool[order.repeat(-(-len(places) // len(pool)))[: len(places)]]
        return data.held_out[found]

    def tensors(self) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class PairsTrainer(FitTrainer):
    """Nothing is trained."""

    shuffled: bool

    def fit(self, data: Data, seed: int) -> Sampler:
        return RealPairs(captioned(data), self.shuffled)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Sampler:
        return self.fit(data, 0)


RECIPES.register(
    "real-pairs",
    summary="Held-out images of the captions asked for: the best a score can show",
    role="ceiling",
    captioned=True,
    images_only="its captions are of images",
)(Fixed(PairsTrainer(shuffled=False)))

RECIPES.register(
    "shuffled-captions",
    summary="Held-out images, whatever the caption: the floor of every match",
    role="floor",
    captioned=True,
    images_only="its captions are of images",
)(Fixed(PairsTrainer(shuffled=True)))
