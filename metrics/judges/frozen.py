"""A judge: a frozen classifier that reads samples, verified before it is believed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Registry
from metrics.judges.network import FEATURES, JudgeNetwork

CHUNK = 500
DECISIVE = ("sha256", "gate", "confusion_of_passing", "pass_rates")
FOLDER = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class Reading:
    """What a judge makes of images: the likeliest class of each, its probability, whether that is
    at least the judge's gate, and the input of its last layer.
    """

    labels: Int[np.ndarray, " n"]
    confidences: Float[np.ndarray, " n"]
    passed: Bool[np.ndarray, " n"]
    features: Float[np.ndarray, "n 48"]


@dataclass(frozen=True)
class FrozenFile:
    """Two files: `<name>.safetensors`, and the card `<name>.json` that says what it is.

    decisive: the entries of the card that decide a score.
    """

    name: str
    folder: Path = FOLDER
    decisive: tuple[str, ...] = DECISIVE

    @cached_property
    def card(self) -> dict[str, Any]:
        """sha256, images it was made from, accuracy, confusion matrices and what else it has.

        Raises UsageError where the file is damaged.
        """
        path = self.folder / f"{self.name}.json"
        try:
            card = json.loads(path.read_text())
            missing = [name for name in self.decisive if name not in card]
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"judge '{self.name}': its card can't be read ({error})") from error
        if missing:
            raise UsageError(
                f"judge '{self.name}': its card lacks {missing[0]}: reinstall it, or restore {path}"
            )
        return card

    @cached_property
    def digest(self) -> str:
        """A sha256 over all that decides a score: the weights' hash and the card's numbers."""
        decisive = [self.card[name] for name in self.decisive]
        return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()

    @property
    def tag(self) -> str:
        """The name with the first letters of the digest: part of the name of every score by it."""
        return f"{self.name}:{self.digest[:4]}"

    def verify(self) -> bytes:
        """The weights' file. Raises UsageError where it is not the one of the card."""
        path = self.folder / f"{self.name}.safetensors"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"judge '{self.name}': can't read {path}: {error.strerror}") from error
        found, wanted = hashlib.sha256(content).hexdigest(), self.card["sha256"]
        if found != wanted:
            raise UsageError(
                f"judge '{self.name}': expected weights with sha256 {wanted[:12]}..., got "
                f"{found[:12]}...: a judge is a fixed file; reinstall it, or restore {path}"
            )
        return content


@dataclass(frozen=True)
class Judge(FrozenFile):
    """A frozen classifier.

    Made by `python -m bench.models.makejudges <name>`, never trained at run time: the same script on
    another machine gives weights that differ in their last bits, and every score with them.
    """

    def network(self, device: torch.device) -> JudgeNetwork:
        """The verified network, in evaluation mode."""
        with torch.device("meta"):
            network = JudgeNetwork()
        network.load_state_dict(load(self.verify()), assign=True)
        return network.eval().to(device).to(memory_format=torch.channels_last)

    def read(self, images: Float[Tensor, "n 1 h w"]) -> Reading:
        """What it makes of images in [0, 1]."""
        network = self.network(images.device)
        with torch.inference_mode():
            seen = [network.features(part) for part in _parts(images)]
            judged = [network.head(part).softmax(1).max(1) for part in seen]
        confidences = _joined([c for c, _ in judged], np.empty(0, "f4"))
        labels = _joined([g for _, g in judged], np.empty(0, "i8"))
        features = _joined(seen, np.empty((0, FEATURES), "f4"))
        return Reading(labels, confidences, confidences >= self.card["gate"], features)

    def features(self, images: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 48"]:
        """The input of its last layer, for images in [0, 1]."""
        network = self.network(images.device)
        with torch.inference_mode():
            return torch.cat([network.features(part) for part in _parts(images)]).clone()


def _joined(parts: list[Tensor], none: np.ndarray) -> np.ndarray:
    return np.concatenate([part.cpu().numpy() for part in parts] or [none])


def _parts(images: Tensor) -> list[Tensor]:
    chunks = images.split(CHUNK) if len(images) else ()
    return [part.contiguous(memory_format=torch.channels_last) for part in chunks]


@dataclass(frozen=True)
class JudgeFacts:
    """size: of the images it reads, height and width."""

    size: tuple[int, int]
    licence: str = ""


JUDGES: Registry[Judge, JudgeFacts] = Registry("judge", JudgeFacts, listed_as="judges")

JUDGES.register(
    "digits-cnn",
    summary="Reads MNIST digits; made from the 4,000 training digits of mnist5k",
    size=(28, 28),
)(Judge("digits-cnn"))

JUDGES.register(
    "optdigits-cnn",
    summary="Reads 8 x 8 digits; made from the 1,497 training digits of optdigits",
    size=(8, 8),
)(Judge("optdigits-cnn"))

JUDGES.register(
    "fashion-cnn",
    paper="arXiv:1708.07747",
    summary="Reads Fashion-MNIST; made from 10,000 of its training images",
    size=(28, 28),
)(Judge("fashion-cnn"))
