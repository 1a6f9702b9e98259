"""A generator of styles: a constant, and convolutions that a style modulates."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.contracts import Codes
from generative.growing.networks import Growing, Size, leaky, sizes_of
from generative.networks import Affine, Network, Shape
from generative.pyramids.box import doubled
from generative.styles.mapping import Mapping, Styles
from generative.styles.mixing import LayerStyles, everywhere, mixed
from generative.styles.modulation import ModulatedConv
from generative.styles.noise import Noise, noise_size, planes


def noise_sizes(sizes: Sequence[Size]) -> list[Size]:
    """Of the planes of each convolution: one at the coarsest level, two at every finer one."""
    return [sizes[0], *(size for size in sizes[1:] for _ in range(2))]


class StyledConv(nn.Module):
    """A modulated 3 x 3 convolution, noise, a bias, a leaky ReLU that keeps the spread."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.conv, self.noise = ModulatedConv(inputs, outputs, 3, width), Noise()
        self.bias, self.activation = nn.Parameter(torch.zeros(outputs, 1, 1)), leaky()

    def forward(self, x: Tensor, styles: Styles, plane: Tensor) -> Tensor:
        return 2**0.5 * self.activation(self.noise(self.conv(x, styles), plane) + self.bias)


class StyleGenerator(nn.Module):
    """Codes [n, width + noise] to images in [0, 1]: the first `width` numbers are z, the others the
    noise of every convolution, so that an image is its code. Colours of every level are added up,
    the coarser ones by repeating pixels (Karras et al. 2020, figure 7b). There are two layers of
    styles a level: colours have that of the convolution after them, the last ones their own.
    centre: the mean of styles, for truncation; estimated once weights stand.
    """

    centre: Tensor

    def __init__(
        self, width: int, depth: int, channels: int, sizes: Sequence[Size], widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.sizes, self.width, self.layers = sizes, width, 2 * len(sizes)
        self.mapping = Mapping(width, depth)
        self.constant = nn.Parameter(torch.randn(1, widths[0], *sizes[0]))
        pairs = [(widths[0], widths[0])]
        for before, own in itertools.pairwise(widths):
            pairs += [(before, own), (own, own)]
        self.convs = nn.ModuleList(StyledConv(*pair, width) for pair in pairs)
        self.colours = nn.ModuleList(
            ModulatedConv(own, channels, 1, width, demodulates=False) for own in widths
        )
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.end = nn.Sequential(nn.Tanh(), Affine(0.5, 0.5))
        self.register_buffer("centre", torch.zeros(width))

    def forward(
        self,
        codes: Codes,
        other: Float[Tensor, "n width"] | None = None,
        cuts: Int[Tensor, " n"] | None = None,
    ) -> Tensor:
        """other, cuts: codes z [n, width] whose styles are those of layers from the cuts on."""
        z, noise = self.parts(codes)
        styles = everywhere(self.mapping(z), self.layers)
        if other is not None and cuts is not None:
            styles = mixed(styles, everywhere(self.mapping(other), self.layers), cuts)
        return self.drawn(styles, noise)

    def parts(self, codes: Codes) -> tuple[Tensor, Tensor]:
        """z and the noise of codes."""
        return codes[:, : self.width], codes[:, self.width :]

    def drawn(self, styles: LayerStyles, noise: Tensor) -> Tensor:
        """Images of a style for each layer, and noise."""
        own, at = planes(noise, noise_sizes(self.sizes)), 0
        x, image = self.constant.expand(len(noise), -1, -1, -1), self.bias
        for level, size in enumerate(self.sizes):
            x = x if level == 0 else doubled(x, size)
            for _ in range(1 if level == 0 else 2):
                x = self.convs[at](x, styles[:, at], own[at])
                at += 1
            colour = self.colours[level](x, styles[:, at])
            image = image + colour if level == 0 else doubled(image, size) + colour
        return self.end(image)


@dataclass(frozen=True)
class Style(Network):
    """The layers of such a generator. width: dimensions of z and of styles; depth: layers of the
    mapping, 8 in the papers. widths: channels of each level, coarsest first. As an encoder it is a
    critic that grows, without the minibatch standard deviation. Deviations: images end in tanh,
    and pixels are repeated where theirs are filtered.
    """

    width: int
    depth: int
    widths: tuple[int, ...]

    def latent(self, shape: Shape) -> int:
        """How many numbers a code is."""
        return self.width + noise_size(noise_sizes(sizes_of(shape, len(self.widths))))

    def generator(self, latent: int, shape: Shape) -> nn.Module:
        """Codes [n, latent], of which latent is that of `latent(shape)`, to images."""
        sizes = sizes_of(shape, len(self.widths))
        return StyleGenerator(self.width, self.depth, shape[0], sizes, self.widths)

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        return Growing(self.widths, compares=False).encoder(shape, outputs)

    @property
    def mixes(self) -> bool:
        return False

    def unmixed(self) -> Style:
        return self
