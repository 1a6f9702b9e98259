"""The networks of Unrolled GAN's stacked MNIST (Metz et al. 2017), as PacGAN's code has them.

Small on purpose: the critic has a half or a quarter of the generator's channels, so that it
collapses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from bench.core.errors import UsageError
from generative.networks import Affine, Initialisation, Network, Shape
from generative.protocols.base import PROTOCOLS, Adam, Protocol

SIDE = 28


@dataclass(frozen=True)
class StackedCnn(Network):
    """Three 3 x 3 layers of stride 2 on images of 28 x 28, channels in the order of the paper's
    generator and of its critic at full width, 8, 16, 32; `share` scales the critic's.
    """

    share: float = 1.0
    batch_norm: bool = True

    def generator(self, latent: int, shape: Shape) -> nn.Module:
        _check(shape)
        return nn.Sequential(
            nn.Linear(latent, 4 * 4 * 64, bias=not self.batch_norm),
            nn.Unflatten(1, (64, 4, 4)),
            *self._norm(64),
            nn.ReLU(),
            *self._up(64, 32, 0),
            *self._up(32, 16, 1),
            *self._up(16, 8, 1),
            nn.Conv2d(8, shape[0], 3, padding=1),
            nn.Tanh(),
            Affine(0.5, 0.5),
        )

    def _up(self, inputs: int, outputs: int, extra: int) -> list[nn.Module]:
        layer = nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, extra, bias=not self.batch_norm)
        return [layer, *self._norm(outputs), nn.ReLU()]

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        _check(shape)
        widths = [max(1, round(width * self.share)) for width in (8, 16, 32)]
        layers: list[nn.Module] = [Affine(2.0, -1.0)]
        for index, width in enumerate(widths):
            inputs = widths[index - 1] if index else shape[0]
            normed = index > 0 and self.batch_norm
            layers.append(nn.Conv2d(inputs, width, 3, 2, 1, bias=not normed))
            layers += self._norm(width) if normed else []
            layers.append(nn.LeakyReLU(0.3))
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 4 * widths[-1], outputs))

    def _norm(self, width: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(width)] if self.batch_norm else []

    @property
    def mixes(self) -> bool:
        return self.batch_norm

    def unmixed(self) -> StackedCnn:
        return replace(self, batch_norm=False)


def _check(shape: Shape) -> None:
    if len(shape) != 3 or shape[1:] != (SIDE, SIDE):
        raise UsageError(
            f"these networks are for images of {SIDE} x {SIDE}, got examples of shape "
            f"{list(shape)}: choose another protocol, or images of another size"
        )


for _name, _share, _words in (("half", 0.5, "half"), ("quarter", 0.25, "a quarter")):
    PROTOCOLS.register(
        f"stacked-unrolled-{_name}",
        paper="arXiv:1611.02163",
        summary=f"Stacked MNIST with a critic of {_words} of the channels, 500,000 steps",
    )(
        Protocol(
            generator=StackedCnn(),
            critic=StackedCnn(share=_share),
            initialisation=Initialisation(),
            generator_adam=Adam(1e-4, (0.5, 0.99)),
            critic_adam=Adam(2e-4, (0.5, 0.99)),
            latent=256,
            batch=128,
            steps=500_000,
            milliseconds=45.0,
            deviations="as PacGAN's code has it; the initialisation is PyTorch's",
        )
    )
