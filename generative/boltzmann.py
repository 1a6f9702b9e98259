"""Restricted Boltzmann machines: energies, conditional means, contrastive divergence.

A layer of visible and one of hidden units, joined by weights, with none inside a layer. Logistic
units are 0 or 1; linear ones are Gaussian with variance 1. Learned by contrastive divergence
(Hinton 2002, doi:10.1162/089976602760128018).
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from generative.contracts import PerExample

Units = Literal["logistic", "linear"]
Visible = Float[Tensor, "n visible"]
Hidden = Float[Tensor, "n hidden"]


class Layer(nn.Module):
    """Weights [hidden, visible] and a bias for each unit, at 0. units: those below and above."""

    def __init__(self, visible: int, hidden: int, units: tuple[Units, Units]) -> None:
        super().__init__()
        self.below: Units = units[0]
        self.above: Units = units[1]
        self.weight = nn.Parameter(torch.zeros(hidden, visible))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))

    def begin(self, spread: float, rng: torch.Generator) -> None:
        """Draw the weights from N(0, spread^2)."""
        nn.init.normal_(self.weight, std=spread, generator=rng)

    def inputs(self, v: Visible) -> Hidden:
        """What each hidden unit receives."""
        return linear(v, self.weight, self.hidden_bias)

    def up(self, v: Visible) -> Hidden:
        """The hidden units' means given visible values."""
        return _mean(self.inputs(v), self.above)

    def down(self, h: Hidden) -> Visible:
        """The visible units' means given hidden values."""
        return _mean(linear(h, self.weight.T, self.visible_bias), self.below)

    def energy(self, v: Visible, h: Hidden) -> PerExample:
        """E(v, h) = -v W' h - b v - c h of logistic units; a linear unit has (x - bias)^2 / 2 in
        the place of -bias x.
        """
        own = _energy(v, self.visible_bias, self.below) + _energy(h, self.hidden_bias, self.above)
        return own - (linear(v, self.weight) * h).sum(1)

    def free_energy(self, v: Visible) -> PerExample:
        """-log of the sum of exp(-E(v, h)) over all h, [n]; of Gaussian ones the integral, without
        its constant log(2 pi) / 2 a unit.
        """
        own, inputs = _energy(v, self.visible_bias, self.below), self.inputs(v)
        if self.above == "logistic":
            return own - softplus(inputs).sum(1)
        return own + (self.hidden_bias.square() - inputs.square()).sum(1) / 2


def contrast(
    layer: Layer, v: Visible, steps: int, sampled: bool, rng: torch.Generator
) -> PerExample:
    """F(v) - F(v'), where v' is what `steps` of a Gibbs chain make of v, and is held fast: its
    gradient is contrastive divergence's, and for many steps that of the mean -log p(v).

    Hidden units are drawn; visible ones, too, where `sampled`, and else they are their means, as
    Hinton & Salakhutdinov (2006) have it.
    """
    fantasy = v
    with torch.no_grad():
        for _ in range(steps):
            hidden = _drawn(layer.up(fantasy), layer.above, rng)
            fantasy = layer.down(hidden)
            fantasy = _drawn(fantasy, layer.below, rng) if sampled else fantasy
    return layer.free_energy(v) - layer.free_energy(fantasy)


def _mean(inputs: Tensor, units: Units) -> Tensor:
    return inputs.sigmoid() if units == "logistic" else inputs


def _drawn(mean: Tensor, units: Units, rng: torch.Generator) -> Tensor:
    if units == "linear":
        return mean + torch.randn(mean.shape, generator=rng, device=mean.device)
    return (torch.rand(mean.shape, generator=rng, device=mean.device) < mean).to(mean.dtype)


def _energy(x: Tensor, bias: Tensor, units: Units) -> PerExample:
    return -(x @ bias) if units == "logistic" else (x - bias).square().sum(1) / 2
