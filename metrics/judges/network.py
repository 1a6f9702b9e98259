"""The judges' network: four convolutions, global mean, one linear layer; 67,000 weights."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, max_pool2d

FEATURES = 48
CLASSES = 10


class JudgeNetwork(nn.Module):
    """Grey images in [0, 1], [n, 1, h, w] of at least 8 x 8, to 48 features and 10 logits.

    The first convolution has stride 2 and a maximum is taken after the second: four fifths of the
    time of a reading go into the second and third.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(1, 24, 5, stride=2, padding=2, bias=False),
                nn.Conv2d(24, 48, 3, padding=1, bias=False),
                nn.Conv2d(48, 64, 3, padding=1, bias=False),
                nn.Conv2d(64, FEATURES, 3, padding=1, bias=False),
            ]
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in (24, 48, 64, FEATURES))
        self.head = nn.Linear(FEATURES, CLASSES)

    def features(self, images: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 48"]:
        """What the last convolution sees, averaged over the image."""
        x = images - 0.5
        for index, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = layer(x)
            x = max_pool2d(x, 2) if index == 1 else x
            x = leaky_relu(norm(x), 0.1)
        return x.mean(dim=(2, 3))

    def forward(self, images: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 10"]:
        return self.head(self.features(images))
