"""A segmenter: a frozen network that reads the class of every pixel of a scene.

What a generator makes of a label map is scored by how well the map can be read back (Isola et al.
2017, section 4.1, with an FCN-8s on Cityscapes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from bench.core.registry import Registry
from metrics.judges.frozen import FOLDER, FrozenFile

SEGMENTS = 11
WIDTHS = (24, 48, 64)
FEATURES = WIDTHS[-1]
CHUNK = 250


class SegmenterNetwork(nn.Module):
    """Images in [0, 1], [n, 3, h, w], with sides that are multiples of 4, to logits of 11 classes
    of every pixel. Two strides down and up again, with what was seen on the way down beside it.
    """

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = WIDTHS
        self.down = nn.ModuleList(
            [
                nn.Sequential(_layer(3, fine), _layer(fine, fine)),
                nn.Sequential(_layer(fine, middle, 2), _layer(middle, middle)),
                nn.Sequential(_layer(middle, coarse, 2), _layer(coarse, coarse)),
            ]
        )
        self.up = nn.ModuleList([_layer(coarse + middle, middle), _layer(middle + fine, fine)])
        self.head = nn.Conv2d(fine, SEGMENTS, 1)

    def features(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 64"]:
        """The coarsest layer, averaged over the image."""
        return self._seen(images)[-1].mean((2, 3))

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 11 h w"]:
        fine, middle, coarse = self._seen(images)
        x = self.up[0](torch.cat([interpolate(coarse, scale_factor=2), middle], 1))
        return self.head(self.up[1](torch.cat([interpolate(x, scale_factor=2), fine], 1)))

    def _seen(self, images: Tensor) -> list[Tensor]:
        x, seen = images - 0.5, []
        for layer in self.down:
            x = layer(x)
            seen.append(x)
        return seen


class _Leaky(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(x, 0.1)


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), _Leaky())


@dataclass(frozen=True)
class Segmenter(FrozenFile):
    """Two files, as a judge's; made by `python -m bench.models.makejudges <name>`."""

    def network(self, device: torch.device) -> SegmenterNetwork:
        """The verified network, in evaluation mode."""
        with torch.device("meta"):
            network = SegmenterNetwork()
        network.load_state_dict(load(self.verify()), assign=True)
        return network.eval().to(device)

    def read(self, images: Float[Tensor, "n 3 h w"]) -> Int[np.ndarray, "n h w"]:
        """The likeliest class of every pixel of images in [0, 1]."""
        network = self.network(images.device)
        with torch.inference_mode():
            found = [network(part).argmax(1).cpu() for part in images.split(CHUNK)]
        return torch.cat(found).numpy()


@dataclass(frozen=True)
class SegmenterFacts:
    """size: of the images it reads, height and width."""

    size: tuple[int, int]
    licence: str = ""


SEGMENTERS: Registry[Segmenter, SegmenterFacts] = Registry(
    "segmenter", SegmenterFacts, listed_as="judges"
)

SEGMENTERS.register(
    "scenes-fcn",
    summary="Reads the class of every pixel of scenes@digits; made from its training digits",
    size=(32, 32),
)(Segmenter("scenes-fcn", FOLDER, ("sha256", "confusion")))
