"""Players that grow: one block for each level of sizes, coarsest first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.contracts import Codes
from generative.growing.deviation import MinibatchDeviation
from generative.growing.equalised import GAIN, EqualisedConv, EqualisedLinear
from generative.growing.fading import Fading
from generative.growing.pixelnorm import PixelNorm
from generative.networks import Affine, Network, Shape
from generative.pyramids.box import doubled, halved

SLOPE = 0.2
Size = tuple[int, int]


def leaky() -> nn.Module:
    """The rectifier of both players."""
    return nn.LeakyReLU(SLOPE)


def sizes_of(shape: Shape, levels: int) -> list[Size]:
    """Height and width of each level, coarsest first. Raises UsageError for what is no image, or
    can't be halved so often.
    """
    if len(shape) != 3 or min(shape[1:]) < 2 ** (levels - 1):
        raise UsageError(
            f"players that grow over {levels} levels need images of {2 ** (levels - 1)} pixels a "
            f"side at least, got examples of shape {list(shape)}: choose another model"
        )
    sizes = [(shape[1], shape[2])]
    for _ in range(levels - 1):
        sizes.insert(0, (-(-sizes[0][0] // 2), -(-sizes[0][1] // 2)))
    return sizes


class GrowingGenerator(nn.Module):
    """Codes [n, latent] to images in [0, 1]. The last level is mixed with the one before as
    `Fading` says, as colours, before the nonlinearity at the end.
    """

    def __init__(self, latent: int, channels: int, sizes: Sequence[Size], widths: Sequence[int]):
        super().__init__()
        self.sizes, (height, width), first = sizes, sizes[0], widths[0]
        norm = PixelNorm()
        dense = EqualisedLinear(latent, first * height * width, GAIN / 4)
        start = [norm, dense, nn.Unflatten(1, (first, height, width)), leaky(), norm]
        self.blocks = nn.ModuleList(
            [nn.Sequential(*start, EqualisedConv(first, first, 3), leaky(), norm)]
        )
        for before, own in itertools.pairwise(widths):
            convs = (EqualisedConv(before, own, 3), EqualisedConv(own, own, 3))
            layers = [layer for conv in convs for layer in (conv, leaky(), norm)]
            self.blocks.append(nn.Sequential(*layers))
        last = len(widths) - 1
        self.colours = nn.ModuleDict(
            {
                f"{at}": EqualisedConv(widths[at], channels, 1, 1.0)
                for at in (last - 1, last)
                if at >= 0
            }
        )
        self.fading, self.end = Fading(), nn.Sequential(nn.Tanh(), Affine(0.5, 0.5))

    def forward(self, z: Codes) -> Tensor:
        before = x = self.blocks[0](z)
        for block, size in zip(self.blocks[1:], self.sizes[1:], strict=True):
            before, x = x, block(doubled(x, size))
        last = len(self.sizes) - 1
        image = self.colours[f"{last}"](x)
        if last:
            old = doubled(self.colours[f"{last - 1}"](before), self.sizes[-1])
            image = self.fading(old, image)
        return self.end(image)


class GrowingCritic(nn.Module):
    """Images in [0, 1] to features [n, widths[0]]: a mirror of the generator, with the minibatch
    standard deviation before the coarsest level.
    """

    def __init__(
        self, channels: int, sizes: Sequence[Size], widths: Sequence[int], compares: bool
    ) -> None:
        super().__init__()
        (height, width), first, last = sizes[0], widths[0], len(widths) - 1
        end: list[nn.Module] = [MinibatchDeviation()] if compares else []
        end += [EqualisedConv(first + compares, first, 3), leaky(), nn.Flatten()]
        end += [EqualisedLinear(first * height * width, first), leaky()]
        self.blocks = nn.ModuleList([nn.Sequential(*end)])
        for after, own in itertools.pairwise(widths):
            convs = (EqualisedConv(own, own, 3), EqualisedConv(own, after, 3))
            self.blocks.append(nn.Sequential(*[x for conv in convs for x in (conv, leaky())]))
        self.colours = nn.ModuleDict(
            {
                f"{at}": nn.Sequential(EqualisedConv(channels, widths[at], 1), leaky())
                for at in (last - 1, last)
                if at >= 0
            }
        )
        self.start, self.fading = Affine(2.0, -1.0), Fading()

    def forward(self, x: Float[Tensor, "n c h w"]) -> Tensor:
        x, last = self.start(x), len(self.blocks) - 1
        seen = self.colours[f"{last}"](x)
        for level in range(last, 0, -1):
            seen = halved(self.blocks[level](seen))
            if level == last:
                seen = self.fading(self.colours[f"{last - 1}"](halved(x)), seen)
        return self.blocks[0](seen)


@dataclass(frozen=True)
class Growing(Network):
    """The layers of both players (Karras et al. 2018, table 2, at other widths): two 3 x 3
    convolutions a level, nearest neighbours up and means of blocks down, equalised learning rates,
    pixel norm in the generator, leaky ReLU of 0.2. widths: channels of each level, coarsest first.
    compares: whether the critic sees the minibatch standard deviation. Deviation: images end in
    tanh, theirs in nothing.
    """

    widths: tuple[int, ...]
    compares: bool = True

    def generator(self, latent: int, shape: Shape) -> nn.Module:
        sizes = sizes_of(shape, len(self.widths))
        return GrowingGenerator(latent, shape[0], sizes, self.widths)

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        sizes = sizes_of(shape, len(self.widths))
        body = GrowingCritic(shape[0], sizes, self.widths, self.compares)
        return nn.Sequential(body, EqualisedLinear(self.widths[0], outputs, 1.0))

    @property
    def mixes(self) -> bool:
        return self.compares

    def unmixed(self) -> Growing:
        return replace(self, compares=False)
