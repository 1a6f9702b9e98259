"""Spectral normalisation (Miyato et al. 2018), by PyTorch's parametrisation."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from generative.contracts import CONSTRAINTS, RECIPES, Constraint
from generative.recipes.adversarial import Adversarial


class SpectralNorm(Constraint):
    """Each layer's weight over its largest singular value, by one power iteration a pass.

    A convolution's weight is the matrix [out, in * h * w], as in the paper.
    """

    def prepare(self, critic: nn.Module) -> None:
        for layer in critic.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                spectral_norm(layer)

    def project(self, critic: nn.Module) -> None:
        """Nothing is left to do: the parametrisation holds at every pass."""


CONSTRAINTS.register(
    "spectral-norm",
    paper="arXiv:1802.05957",
    summary="Each layer divided by its largest singular value",
)(SpectralNorm())

RECIPES.register(
    "sngan",
    paper="arXiv:1802.05957",
    summary="Hinge GAN with spectral normalisation (Miyato et al. 2018)",
    parts=("hinge", "spectral-norm"),
)(Adversarial("hinge", constraint="spectral-norm"))
