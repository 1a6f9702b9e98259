"""What is in an image of either of two domains, to a network that is learnt before a translator and
then fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.networks import Network, Shape
from generative.training import Bounds

CONTENT = "content"
"""The player that learns it."""
GREY = 1
Images = Float[Tensor, "n c h w"]


@dataclass(frozen=True)
class Beforehand:
    """content_share: the share of the training, at its beginning, in which the content is learnt
    and nothing else is; afterwards it stands still. content_size: numbers that say what is in an
    image.
    """

    content_share: Annotated[float, Bounds(0, 1)] = 0.25
    content_size: Annotated[int, Bounds(1, 10_000)] = 128

    @property
    def learnt(self) -> tuple[float, float]:
        """From which share of the training to which the content moves."""
        return 0.0, self.content_share

    @property
    def used(self) -> tuple[float, float]:
        """From which share to which all others move."""
        return self.content_share, 1.0


class Content(nn.Module):
    """f, and what it is taught by. `forward`: what the head makes of f(x); `seen`: f(x), [n, size]
    in [-1, 1], without batch norm, so that it is an image's own. A grey image is seen as one of
    equal channels.
    """

    def __init__(self, body: nn.Module, head: nn.Module, channels: int) -> None:
        super().__init__()
        self.body, self.head, self.channels = body, head, channels

    def seen(self, x: Images) -> Float[Tensor, "n size"]:
        return self.body(coloured(x, self.channels))

    def forward(self, x: Images) -> Tensor:
        return self.head(self.seen(x))


def content_of(player: nn.Module) -> Content:
    """The player that it is."""
    assert isinstance(player, Content)
    return player


def recognising(layers: Network, shapes: tuple[Shape, Shape], size: int, classes: int) -> Content:
    """One that is taught the classes of images. Raises UsageError for images of two sizes."""
    shape = seen_as(*shapes)
    return Content(_body(layers, shape, size), nn.Linear(size, classes), shape[0])


def rebuilding(layers: Network, shapes: tuple[Shape, Shape], size: int) -> Content:
    """One that is taught to rebuild images, grey ones in equal channels. Raises UsageError for
    images of two sizes.
    """
    shape = seen_as(*shapes)
    head = layers.unmixed().generator(size, shape)
    return Content(_body(layers, shape, size), head, shape[0])


def _body(layers: Network, shape: Shape, size: int) -> nn.Module:
    return nn.Sequential(layers.unmixed().encoder(shape, size), nn.Tanh())


def coloured(x: Images, channels: int) -> Float[Tensor, "n all h w"]:
    """Grey images in as many equal channels, others as they are."""
    return x.expand(-1, channels, -1, -1) if x.shape[1] == GREY else x


def seen_as(first: Shape, second: Shape) -> Shape:
    """The shape in which images of both domains are seen. Raises UsageError where there is none."""
    channels = {first[0], second[0]}
    if first[1:] != second[1:] or len(channels - {GREY}) > 1:
        raise UsageError(
            "a network that sees both domains needs images of one size, in as many channels or "
            f"grey, got {list(first)} to {list(second)}: bring them to another size"
        )
    return max(channels), *first[1:]
