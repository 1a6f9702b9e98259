"""The 2015 Inception network whose 2,048 features the Frechet Inception distance is defined by.

Its weights are those of Google's inception-2015-12-05 graph, ported to PyTorch; torchvision's are
another network's, and so is every distance over them. It differs from the network of Szegedy et al.
2016 as that graph does: averages leave the padding out, and the last block takes a maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, max_pool2d

from bench.extractors.base import EXTRACTORS, Extractor, Loading, Reader, Seen
from bench.extractors.weightfiles import WeightFile, Weights

FILE = WeightFile(
    "inception",
    "the 2015 weights",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    "6726825d",
    91,
    "only those of inception-2015-12-05 give FID",
)
"""Of its sha256 the first letters are known, which its name has."""
SIDE = 299
EPSILON = 0.001

Pair = tuple[int, int]


@dataclass(frozen=True)
class Inception(Extractor):
    """Eight-bit images, resized as TensorFlow 1 does, scaled to (x - 128) / 128."""

    file: WeightFile = FILE

    @property
    def tag(self) -> str:
        return "inception"

    @property
    def resize(self) -> str:
        return "bilinear as in TensorFlow 1, without antialiasing"

    def resized(self, images: Tensor, size: Pair) -> Tensor:
        return tensorflow_bilinear((images * 255).round(), size) / 255

    def load(self, loading: Loading) -> Reader:
        weights = self.file.tensors(loading)
        placed = {name: tensor.to(loading.device) for name, tensor in weights.items()}

        def read(images: Tensor) -> Seen:
            seen = pooled((images * 255 - 128) / 128, placed)
            return Seen(seen, torch.softmax(seen @ placed["fc.weight"].T, 1))

        return read


def tensorflow_bilinear(images: Tensor, size: Pair) -> Tensor:
    """`tf.image.resize_bilinear` of TensorFlow 1 with align_corners=False: the source of pixel i
    is i times the ratio of the sizes, without the half pixel that others add.
    """
    for axis, wanted in zip((-2, -1), size, strict=True):
        length = images.shape[axis]
        at = torch.arange(wanted, dtype=torch.float32, device=images.device) * (length / wanted)
        low = at.floor().long().clamp(max=length - 1)
        high = (low + 1).clamp(max=length - 1)
        share = (at - low).reshape([-1] + [1] * (-axis - 1))
        first, second = images.index_select(axis, low), images.index_select(axis, high)
        images = first + (second - first) * share
    return images


def pooled(images: Tensor, weights: Weights) -> Tensor:
    """Images [n, 3, 299, 299] in [-1, 1] to 2,048 features each."""
    net = Blocks(weights)
    x = net.conv("Conv2d_1a_3x3", images, stride=2)
    x = net.conv("Conv2d_2b_3x3", net.conv("Conv2d_2a_3x3", x), padding=1)
    x = net.conv("Conv2d_4a_3x3", net.conv("Conv2d_3b_1x1", max_pool2d(x, 3, 2)))
    x = max_pool2d(x, 3, 2)
    for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = net.fine(name, x)
    deep = net.chain("Mixed_6a", x, ("branch3x3dbl_1", 0), ("branch3x3dbl_2", 1))
    deep = net.conv("Mixed_6a.branch3x3dbl_3", deep, stride=2)
    x = torch.cat([net.conv("Mixed_6a.branch3x3", x, stride=2), deep, max_pool2d(x, 3, 2)], 1)
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = net.medium(name, x)
    wide = net.conv("Mixed_7a.branch3x3_2", net.conv("Mixed_7a.branch3x3_1", x), stride=2)
    steps = (("branch7x7x3_1", 0), ("branch7x7x3_2", (0, 3)), ("branch7x7x3_3", (3, 0)))
    deep = net.conv("Mixed_7a.branch7x7x3_4", net.chain("Mixed_7a", x, *steps), stride=2)
    x = torch.cat([wide, deep, max_pool2d(x, 3, 2)], 1)
    x = net.coarse("Mixed_7b", x, net.average("Mixed_7b", x))
    x = net.coarse("Mixed_7c", x, net.conv("Mixed_7c.branch_pool", max_pool2d(x, 3, 1, 1)))
    return x.mean((2, 3))


@dataclass(frozen=True)
class Blocks:
    """What the network is built of, over its weights by name: each from [n, c, h, w] to the same
    with other channels.
    """

    weights: Weights

    def conv(self, name: str, x: Tensor, stride: int = 1, padding: int | Pair = 0) -> Tensor:
        """A convolution, its batch norm and a ReLU."""
        x = conv2d(x, self.weights[f"{name}.conv.weight"], None, stride, padding)
        norm = (self.weights[f"{name}.bn.{part}"] for part in _NORM)
        return batch_norm(x, *norm, training=False, eps=EPSILON).relu_()

    def chain(self, name: str, x: Tensor, *steps: tuple[str, int | Pair]) -> Tensor:
        """One convolution after another, each with its padding."""
        for step, padding in steps:
            x = self.conv(f"{name}.{step}", x, padding=padding)
        return x

    def average(self, name: str, x: Tensor) -> Tensor:
        """The branch of a block that averages."""
        pool = avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return self.conv(f"{name}.branch_pool", pool)

    def fine(self, name: str, x: Tensor) -> Tensor:
        """A block at 35 x 35."""
        wide = self.chain(name, x, ("branch5x5_1", 0), ("branch5x5_2", 2))
        steps = (("branch3x3dbl_1", 0), ("branch3x3dbl_2", 1), ("branch3x3dbl_3", 1))
        deep = self.chain(name, x, *steps)
        first = self.conv(f"{name}.branch1x1", x)
        return torch.cat([first, wide, deep, self.average(name, x)], 1)

    def medium(self, name: str, x: Tensor) -> Tensor:
        """A block at 17 x 17."""
        steps = (("branch7x7_1", 0), ("branch7x7_2", (0, 3)), ("branch7x7_3", (3, 0)))
        wide = self.chain(name, x, *steps)
        paddings: tuple[int | Pair, ...] = (0, (3, 0), (0, 3), (3, 0), (0, 3))
        deep = self.chain(name, x, *((f"branch7x7dbl_{i}", p) for i, p in enumerate(paddings, 1)))
        first = self.conv(f"{name}.branch1x1", x)
        return torch.cat([first, wide, deep, self.average(name, x)], 1)

    def coarse(self, name: str, x: Tensor, pool: Tensor) -> Tensor:
        """A block at 8 x 8."""
        wide = self._split(f"{name}.branch3x3_2", self.conv(f"{name}.branch3x3_1", x))
        deep = self.chain(name, x, ("branch3x3dbl_1", 0), ("branch3x3dbl_2", 1))
        deep = self._split(f"{name}.branch3x3dbl_3", deep)
        return torch.cat([self.conv(f"{name}.branch1x1", x), wide, deep, pool], 1)

    def _split(self, name: str, x: Tensor) -> Tensor:
        """Along and across, side by side."""
        return torch.cat([self.conv(f"{name}{end}", x, padding=p) for end, p in _SPLIT], 1)


_NORM = ("running_mean", "running_var", "weight", "bias")
_SPLIT: tuple[tuple[str, Pair], ...] = (("a", (0, 1)), ("b", (1, 0)))


EXTRACTORS.register(
    "inception",
    paper="arXiv:1512.00567",
    summary="2,048 features of the 2015 Inception network: FID; its weights are to be downloaded",
)(Inception(size=(SIDE, SIDE), channels=3, dims=2_048, published="FID", fetches=True))
