"""Autoregressive probabilities of pixels: mixtures of logistics between half steps (Salimans et al.
2017, PixelCNN++, equation 2).
"""

from __future__ import annotations

from math import log1p, prod
from typing import Protocol, final

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from generative.contracts import Images, PerExample
from generative.networks import Shape
from generative.pixels import PixelNetwork, levels_of, steps_of

SAME = 1e-3
"""The share of each pixel's probability that all levels have alike: none is impossible."""


class Conditional(Protocol):
    """A network whose outputs for value j are a function of the values before it."""

    components: int

    def raw(self, x: Tensor, of: slice = slice(None)) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of weights, means and log widths of all values of x [n, d], or of some of them:
        [n, of, components] each. As 0 they change nothing of how they begin.
        """
        ...


@final
class Discretised(PixelNetwork):
    """The probability of a pixel's level is what a mixture of logistic distributions has between
    half a step below and half a step above, at black and at white all that lies beyond, too; and a
    thousandth is every level's alike. It begins as every pixel by itself: components lie at the
    quantiles that training images have there.
    """

    body: Conditional
    places: Tensor
    log_widths: Tensor

    def __init__(self, body: nn.Module, shape: Shape, components: int) -> None:
        super().__init__(shape)
        self.add_module("body", body)
        for name in ("places", "log_widths"):
            self.register_buffer(name, torch.zeros(prod(shape), components))

    def begin(self, rng: torch.Generator) -> None:
        """Nothing is drawn."""

    def fit(self, examples: Tensor) -> None:
        """Take the levels of training images, their units, and how each pixel is distributed."""
        super().fit(examples)
        self.levels.fill_(levels_of(examples))
        x, (_, count) = self.inner(examples).sort(0).values, self.places.shape
        at = ((torch.arange(count) + 0.5) / count * len(x)).long().to(x.device)
        self.places.copy_(x[at].T)
        widths = (x.std(0) / count).clamp(min=float(self._half) / 2)
        self.log_widths.copy_(widths.log()[:, None].expand_as(self.log_widths))

    @property
    def _half(self) -> Tensor:
        """Half a step in the network's units."""
        return 0.5 / (self.levels - 1) / self.scale

    @property
    def passes(self) -> int:
        return len(self.centre)

    def _mixtures(self, x: Tensor, of: slice = slice(None)) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, means and log widths of every value, or of some, [n, of, components]."""
        weights, means, widths = self.body.raw(x, of)
        return weights.log_softmax(2), means + self.places[of], widths + self.log_widths[of]

    def likelihood(self, x: Tensor, rng: torch.Generator) -> PerExample:
        """The log probability of images [n, d] in the network's units."""
        weights, means, widths = self._mixtures(x)
        steps = steps_of(x * self.scale + self.centre, int(self.levels))[:, :, None]
        sharp, half = (-widths).exp(), self._half
        above, below = ((x[:, :, None] - means + side) * sharp for side in (half, -half))
        inside = logsigmoid(above) + logsigmoid(-below) + (-(below - above).expm1()).log()
        black, white = logsigmoid(above), logsigmoid(-below)
        each = torch.where(steps == 0, black, torch.where(steps == self.levels - 1, white, inside))
        own = (weights + each).logsumexp(2) + log1p(-SAME)
        alike = (SAME / self.levels).log().to(own.dtype).expand_as(own)
        return torch.logaddexp(own, alike).sum(1)

    def log_mass(self, x: Images, rng: torch.Generator, draws: int) -> PerExample:
        """Exact: nothing is drawn."""
        return self.likelihood(self.inner(x), rng)

    def draw(self, n: int, rng: torch.Generator) -> Images:
        """One pass for each value."""
        x, last = torch.zeros(n, self.passes, device=rng.device), int(self.levels) - 1
        for j in range(self.passes):
            weights, means, widths = (each[:, 0] for each in self._mixtures(x, slice(j, j + 1)))
            chosen = torch.multinomial(weights.exp(), 1, generator=rng)
            u, alike, level = torch.rand(3, n, generator=rng, device=rng.device)
            noise = u.clamp(1e-6, 1 - 1e-6).logit()
            drawn = means.gather(1, chosen)[:, 0] + widths.gather(1, chosen)[:, 0].exp() * noise
            steps = ((drawn * self.scale + self.centre[j]).clamp(0, 1) * last).round()
            steps = torch.where(alike < SAME, (level * (last + 1)).floor(), steps)
            x[:, j] = (steps / last - self.centre[j]) / self.scale
        return self.outer(x).clamp(0, 1)
