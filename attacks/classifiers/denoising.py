"""Feature denoising: a block that replaces features by means over the whole image."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from attacks.classifiers.cnn import AGAINST_PGD, SCHEDULE, Cnn
from attacks.classifiers.contracts import CLASSIFIERS, Shape
from attacks.classifiers.fitting import PLAIN, Fitted

EMBEDDED = 0.01
"""The standard deviation of the first weights of both embeddings."""


class Gaussian(nn.Module):
    """Non-local means with a softmax of embedded features for weights (Xie et al. 2018, section
    4.1; Wang et al. 2018): y_i = sum_j softmax_j(theta(x_i) . phi(x_j) / sqrt(c/2)) x_j, both
    embeddings linear into half of the channels.

    [batch, c, h, w] in and out, c at least 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.theta = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.phi = nn.Conv2d(channels, channels // 2, 1, bias=False)
        for embedding in (self.theta, self.phi):
            nn.init.normal_(embedding.weight, std=EMBEDDED)

    def forward(self, x: Tensor) -> Tensor:
        theta, phi = (embedding(x).flatten(2) for embedding in (self.theta, self.phi))
        alike = theta.transpose(1, 2) @ phi / math.sqrt(theta.shape[1])
        means = x.flatten(2) @ alike.softmax(2).transpose(1, 2)
        return means.reshape(x.shape)


class DotProduct(nn.Module):
    """Non-local means without embeddings or a softmax (Xie et al. 2018, section 4.1):
    y_i = 1/(h w) sum_j (x_i . x_j) x_j. [batch, c, h, w] in and out.
    """

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        moments = flat @ flat.transpose(1, 2) / flat.shape[2]
        return (moments @ flat).reshape(x.shape)


class Denoised(nn.Module):
    """x + batch norm(convolution 1 x 1(means(x))) (Xie et al. 2018, figure 4). The scale and shift
    of the batch norm begin at 0: untrained it is the identity, bit for bit, for finite x.
    """

    def __init__(self, means: nn.Module, channels: int) -> None:
        super().__init__()
        self.means = means
        self.mixing = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.mixing(self.means(x)))


SMALL = Cnn()


@dataclass(frozen=True)
class DenoisingCnn:
    """The small CNN with a block after its last convolution, on a quarter of the image's side."""

    plain: Cnn = SMALL
    softmax: bool = True

    def __call__(self, shape: Shape, classes: int) -> nn.Module:
        layers = [*self.plain(shape, classes)]
        channels = self.plain.widths[-1]
        means = Gaussian(channels) if self.softmax else DotProduct()
        (flatten,) = (i for i, layer in enumerate(layers) if isinstance(layer, nn.Flatten))
        return nn.Sequential(*layers[:flatten], Denoised(means, channels), *layers[flatten:])


def _register(name: str, summary: str, part: Fitted, against: str = "") -> None:
    facts = {"paper": "arXiv:1812.03411", "summary": summary, "trained_against": against}
    CLASSIFIERS.register(name, **facts)(part)


_register(
    "cnn-denoise",
    "The small CNN with a denoising block, trained against PGD",
    Fitted(DenoisingCnn(), SCHEDULE, AGAINST_PGD, cost=5, milliseconds=14.0),
    "pgd",
)
_register(
    "cnn-denoise-dot",
    "Likewise, with dot products for weights",
    Fitted(DenoisingCnn(softmax=False), SCHEDULE, AGAINST_PGD, cost=5, milliseconds=14.0),
    "pgd",
)
_register(
    "cnn-denoise-plain",
    "The small CNN with a denoising block, trained on clean images",
    Fitted(DenoisingCnn(), SCHEDULE, PLAIN, milliseconds=14.0),
)
