"""What holds for every summand of a player beside its loss."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from generative import LOSSES, TERMS, Sight
from generative.networks import filters_of

BATCH, LATENT = 8, 3
DTYPES = [torch.float32, torch.float64]
law = partial(base.law, TERMS.kind)


class Place:
    """A generator and a critic with features, and a batch of each."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        torch.manual_seed(3)
        self.generator = nn.Sequential(nn.Linear(LATENT, 8), nn.Tanh(), nn.Linear(8, 2)).to(dtype)
        self.body = nn.Sequential(nn.Linear(2, 8), nn.Tanh()).to(dtype)
        self.head = nn.Linear(8, 1).to(dtype)
        self.real = torch.randn(BATCH, 2, dtype=dtype)
        self.codes = torch.randn(BATCH, LATENT, dtype=dtype)
        self.twisted = False

    def judged(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features; twisted ones are others, with the same logits."""
        features = self.body(x)
        shown = 2 * features + x.mean(1, keepdim=True) if self.twisted else features
        return self.head(features).flatten(0), shown

    def sight(self, epoch: int = 3) -> Sight:
        """What a term sees here."""
        fake = self.generator(self.codes)
        loss = LOSSES["nonsaturating"].part()
        return Sight(
            loss,
            lambda: self.real,
            lambda: fake,
            lambda: self.codes,
            lambda: self.judged(self.real),
            lambda: self.judged(fake),
            lambda: epoch,
            lambda sight: loss.generator(sight.of_fake[0], sight.of_fake[0]),
            lambda: filters_of(self.generator),
            lambda: (torch.arange(BATCH) % 3,),
            lambda: (torch.arange(BATCH) % 8,),
        )


def _slopes(term: Entry, place: Place) -> list[Tensor]:
    """Of a term, by the weights of its player."""
    player = [place.generator] if term.facts.player == "generator" else [place.body, place.head]
    weights = [weight for part in player for weight in part.parameters()]
    value = term.part(place.sight()).mean()
    return list(torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True))


@law(cases=each(DTYPES))
def a_term_is_a_number_or_one_for_each(term: Entry, dtype: torch.dtype) -> None:
    """Finite, in the type of the data; unreduced, or a scalar where it is one for the batch."""
    value = term.part(Place(dtype).sight())
    assert value.ndim in (0, 1)
    assert value.isfinite().all()
    assert value.dtype == dtype


@law()
def a_term_teaches_its_player(term: Entry) -> None:
    """Its slope is that of finite differences, and not zero."""
    place, step = Place(), 1e-6
    slopes = _slopes(term, place)
    assert sum(float(slope.abs().sum()) for slope in slopes) > 1e-8
    player = place.generator if term.facts.player == "generator" else place.body
    weight, slope = next(player.parameters()), slopes[0]
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[0, 0] += sign * step
            ends.append(float(term.part(place.sight()).mean()))
            weight[0, 0] -= sign * step
    difference = (ends[0] - ends[1]) / (2 * step)
    assert abs(difference - float(slope[0, 0])) < 1e-5 * (1 + abs(difference))


@law()
def a_term_counts_by_its_weight(term: Entry) -> None:
    """Which is finite and not below 0."""
    assert 0 <= term.part.weight < float("inf")


@law()
def features_are_asked_for_where_they_are_declared(term: Entry) -> None:
    """A term that says it looks at features depends on them, and no other does."""
    place = Place()
    plain = term.part(place.sight()).mean()
    place.twisted = True
    assert term.facts.features == (not torch.equal(term.part(place.sight()).mean(), plain))
