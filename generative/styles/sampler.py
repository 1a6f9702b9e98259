"""A trained generator of styles: images of codes, of styles, of truncated and of mixed ones."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from generative.contracts import Codes
from generative.samplers import GeneratorSampler, WrappingSampler
from generative.styles.mapping import Styles
from generative.styles.mixing import LayerStyles, everywhere, mixed
from generative.styles.networks import StyleGenerator
from generative.styles.truncation import truncated

CENTRED = 4_096
"""Of how many codes the mean style is taken."""


class StyleSampler(WrappingSampler):
    """Codes are z and the noise of every layer; `decode` takes both as they are."""

    def __init__(self, own: GeneratorSampler, network: StyleGenerator) -> None:
        super().__init__(own)
        self.network = network

    @property
    def layers(self) -> int:
        """How many layers have a style of their own."""
        return self.network.layers

    def parts(self, codes: Codes) -> tuple[Tensor, Tensor]:
        """z [n, width] and the noise [n, numbers] of codes."""
        return self.network.parts(codes)

    def styles(self, z: Tensor) -> Styles:
        """Of codes z [n, width] without their noise."""
        with torch.no_grad():
            return self.network.mapping(z)

    def drawn(self, styles: Styles | LayerStyles, noise: Tensor) -> Tensor:
        """Images of styles, one for all layers or one for each, and noise; noise of 0 is none."""
        each = everywhere(styles, self.layers) if styles.ndim == 2 else styles
        with torch.no_grad():
            return self.network.drawn(each, noise)

    def truncated(self, codes: Codes, psi: float) -> Tensor:
        """Images of codes whose styles are brought to their mean: psi 0 to 1, 1 as they are."""
        z, noise = self.parts(codes)
        return self.drawn(truncated(self.styles(z), self.network.centre, psi), noise)

    def mixed(self, codes: Codes, other: Codes, cuts: Int[Tensor, " n"]) -> Tensor:
        """Images with the noise of codes, their styles before the cuts and others' from them on."""
        (z, noise), (fine, _) = self.parts(codes), self.parts(other)
        coarse, others = (everywhere(self.styles(each), self.layers) for each in (z, fine))
        return self.drawn(mixed(coarse, others, cuts), noise)


@torch.no_grad()
def settle(network: StyleGenerator) -> None:
    """Take the mean style of 4,096 codes, always the same ones. Deviation: the authors keep a
    moving average of the styles of training batches, at 0.995.
    """
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(CENTRED, network.width, generator=rng).to(network.centre)
    network.centre.copy_(network.mapping(z).mean(0))
