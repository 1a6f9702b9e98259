"""Spectral normalisation (Miyato et al. 2018), by PyTorch's parametrisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import register_parametrization

from generative.contracts import CONSTRAINTS, RECIPES, Constraint
from generative.recipes.adversarial import Adversarial
from generative.training import Bounds


class Scaled(nn.Module):
    """A weight times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        return self.factor * weight


@dataclass(frozen=True)
class SpectralNorm(Constraint):
    """Each layer's weight over its largest singular value, by one power iteration a pass.

    A convolution's weight is the matrix [out, in * h * w], as in the paper. spectral_factor: that
    singular value is this and not 1, as `factor` of the authors' layers (sngan_projection); so the
    critic's Lipschitz constant is its power by the number of layers. None is 1. Their
    configurations, for images, leave it out; 3 on points is of our pilot (docs/pilot.md): a critic
    of dense layers of norm 1 has slopes of a tenth there at most, and can't tell modes apart.
    """

    spectral_factor: Annotated[float | None, Bounds(gt=0, le=1e6)] = None

    def prepare(self, critic: nn.Module) -> None:
        for layer in [*critic.modules()]:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                spectral_norm(layer)
                if self.spectral_factor is not None:
                    scaled = Scaled(self.spectral_factor)
                    # Unsafe: a check would be a pass, which iterates.
                    register_parametrization(layer, "weight", scaled, unsafe=True)

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
)(Adversarial("hinge", constraint="spectral-norm", on_points={"spectral_factor": 3.0}))
