"""Everything that looks at samples of captions: attributes, nearest captions, spreads, a critic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets.captioned import Captioned, CaptionedSource, cuts
from bench.datasets.captions import DIGITS, attributes_of, combinations_of, tokens_of
from bench.datasets.pixels import to_bytes, to_unit
from bench.tasks.generation.featurescores import Named
from bench.tasks.generation.imagescores import reading_of
from bench.tasks.values import scored_by
from generative import CaptionDecoder, CaptionSampler
from metrics import JUDGES, METRICS, Score
from metrics.judges.towers import TOWERS
from metrics.matching import CLASS, Paired, Spreads, Told

SPREAD_OF, SPREAD_MOST = 4, 10
"""Held-out images of a caption, at least, of which the spread is compared; samples, at most."""
INTERVAL = 1.96


@dataclass(frozen=True, eq=False)
class CaptionScores:
    """The scores of samples of captions of one seed's data."""

    data: Captioned
    source: CaptionedSource

    def right(self, images: Tensor, captions: Tensor) -> np.ndarray:
        """Which attributes of their captions images uint8 [n, 1, h, w] have, bool [n, 3]."""
        asked = attributes_of(captions.cpu().numpy())
        found = cuts().read(images[:, 0].cpu().numpy(), asked[:, CLASS])
        read = reading_of(self.data.judge, to_unit(images)).labels
        return np.column_stack([found[:, :CLASS] == asked[:, :CLASS], read == asked[:, CLASS]])

    def told(self, images: Tensor, captions: Tensor) -> Told:
        """What becomes of captions."""
        wanted = self.source.numbers(captions)
        towers = TOWERS[self.data.towers].part
        near = towers.images(to_unit(images)) @ towers.texts(self.source.prompts).T
        return Told(
            self.right(images, captions),
            self.source.seen[wanted].cpu().numpy(),
            wanted.cpu().numpy(),
            near.argmax(1).cpu().numpy(),
        )

    @cached_property
    def real(self) -> np.ndarray:
        """Of the held-out images beside their own captions, bool [n, 3]."""
        return self.right(to_bytes(self.source.held_out), self.source.held_captions)

    def of(self, told: Told, fitted: CaptionSampler, rng: torch.Generator) -> Iterator[Named]:
        """Of the final samples, and of the model."""
        judge, towers = JUDGES[self.data.judge].part, TOWERS[self.data.towers].part
        tags = {"told": f"@{judge.tag}", "measured": "", "told_apart": f"@{towers.tag}"}
        for entry in scored_by(tags):
            yield entry.name, entry.part(None, told), tags[entry.facts.takes]
        for entry in scored_by(("excess",)):
            yield entry.name, entry.part(self.real, told.right), tags["told"]
        spreads = self.spreads(fitted, rng)
        for entry in scored_by(("spreads",)):
            yield entry.name, entry.part(None, spreads), ""
        if isinstance(fitted, CaptionDecoder):
            paired = self.paired(fitted)
            for entry in scored_by(("paired",)):
                yield entry.name, entry.part(None, paired), ""

    def glance(self, images: Tensor, captions: Tensor) -> list[Named]:
        """On the way: how often the caption is matched."""
        name, tag = "caption_match", JUDGES[self.data.judge].part.tag
        return [(name, METRICS[name].part(None, self.told(images, captions)), f"@{tag}")]

    def paired(self, fitted: CaptionDecoder) -> Paired:
        """The critic's logits of held-out images beside their captions, and beside the same with
        another digit, every other one in turn.
        """
        x, captions = self.source.held_out, self.source.held_captions
        asked = attributes_of(captions.cpu().numpy())
        steps = 1 + np.arange(len(asked)) % (len(DIGITS) - 1)
        asked[:, CLASS] = (asked[:, CLASS] + steps) % len(DIGITS)
        others = torch.from_numpy(tokens_of(asked)).to(captions.device)
        own, other = (fitted.matching(x, each).cpu().numpy() for each in (captions, others))
        return Paired(own, other)

    def spreads(self, fitted: CaptionSampler, rng: torch.Generator) -> Spreads:
        """Of every caption that enough held-out images have."""
        held = combinations_of(attributes_of(self.source.held_captions.cpu().numpy()))
        counts = np.bincount(held, minlength=len(self.source.prompts))
        made, real = [], []
        for number in np.flatnonzero(counts >= SPREAD_OF).tolist():
            n = min(SPREAD_MOST, int(counts[number]))
            captions = self.source.prompts[number].expand(n, -1)
            made.append(mean_distance(fitted.sample(n, rng, captions)))
            real.append(mean_distance(to_unit(self.source.kin[number])))
        if not made:
            raise UsageError("no caption has enough held-out images for its spread")
        return Spreads(np.array(made), np.array(real))


def mean_distance(images: Tensor) -> float:
    """The mean Euclidean distance between pairs of different images [n, ...]."""
    return float(torch.pdist(images.flatten(1).double()).mean())


def over_matching(excess: Score | float) -> str:
    """What to say of a model that matches more often than the data; empty of every other."""
    if not isinstance(excess, Score) or excess.std_error is None:
        return ""
    if excess.value <= INTERVAL * excess.std_error:
        return ""
    return (
        f"over-matching: samples have all that their captions say {100 * excess.value:.1f} points "
        "more often than real images: a critic that is aware of matching has that as its optimum"
    )
