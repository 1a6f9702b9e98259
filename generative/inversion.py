"""A conditional generator with two encoders: of the code of an image, and of its class."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.contracts import Codes, Contested, Editor, Labeller, Labels, Logits
from generative.samplers import ConditionalGeneratorSampler

CODES, CLASSES = "of_codes", "of_classes"
"""The names of both encoders."""
LEAST = 1e-6
"""What a class's share counts at least."""


class InvertingSampler(Editor, Contested, Labeller):
    """A trained conditional generator and its encoders, one of codes and one of classes: an
    example's code does not depend on its class, and its class is read. own: the generator.
    """

    def __init__(
        self, own: ConditionalGeneratorSampler, of_codes: nn.Module, of_classes: nn.Module
    ) -> None:
        self._own, self.prior, self.classes = own, own.prior, own.classes
        self._of_codes, self._of_classes = of_codes.eval(), of_classes.eval()

    def sample(self, n: int, rng: torch.Generator, condition: Labels | None = None) -> Tensor:
        return self._own.sample(n, rng, condition)

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self._own.codes(n, rng)

    def decode(self, z: Codes, condition: Labels | None = None) -> Tensor:
        return self._own.decode(z, condition)

    def logits(self, x: Tensor, condition: Labels | None = None) -> Logits:
        return self._own.logits(x, condition)

    def encode(self, x: Tensor, labels: Labels) -> Codes:
        with torch.inference_mode():
            return self._of_codes(x).clone()

    def classify(self, x: Tensor) -> Float[Tensor, "n classes"]:
        """The encoder's outputs, each a millionth at least, as shares."""
        with torch.inference_mode():
            shares = self._of_classes(x).clamp(min=LEAST)
            return (shares / shares.sum(1, keepdim=True)).log().clone()

    def tensors(self) -> dict[str, Tensor]:
        parts = {CODES: self._of_codes, CLASSES: self._of_classes}
        found = {
            f"{name}.{key}": value.detach()
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }
        return {**self._own.tensors(), **found}
