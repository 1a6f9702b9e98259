"""A classifier of the user's own, from code or from a file, without running a pickle's code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attacks.certificates.chain import INSTEAD, Cast, Steps, refused, steps
from attacks.certificates.layers import Scale, Shape
from bench.core import usercode
from bench.core.asfound import AsFound
from bench.core.errors import UsageError, one_line
from bench.core.files import user_path
from bench.models.files import PROGRAMS, WEIGHTS, load_program
from bench.models.weights import fit, read_weights
from bench.models.zoo import ZOOS, maker_of, shaped

FORMS = (
    "module:callable, an exported program (.pt2), a TorchScript file (.pt), torchvision:NAME or "
    "timm:NAME with `weights`, or a registered name (`bench list classifiers`)"
)
FILES = (*PROGRAMS, *WEIGHTS)


@dataclass(frozen=True)
class Preparation:
    """What a classifier expects of its inputs. low, high: the range that [0, 1] is stretched to;
    mean, std: of each channel, subtracted and divided by after that; none where empty.
    """

    low: float = 0.0
    high: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def refuse(self) -> None:
        """Raise UsageError where the numbers make no sense."""
        if not np.isfinite([self.low, self.high, *self.mean, *self.std]).all():
            raise UsageError("`range`, `mean`, `std`: expected finite numbers")
        if not self.low < self.high:
            raise UsageError(
                f"`range`: expected two rising numbers, got {self.low:g},{self.high:g}"
            )
        if len(self.mean) != len(self.std):
            raise UsageError(
                f"`mean` and `std`: expected as many numbers of both, got {len(self.mean)} and "
                f"{len(self.std)}"
            )
        if any(not s > 0 for s in self.std):
            raise UsageError(f"`std`: expected numbers above 0, got {min(self.std):g}")


class Prepared(nn.Module):
    """A classifier of images in [0, 1]: the preparation, then the model."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: Callable[[Tensor], Any], preparation: Preparation, name: str = "the model"
    ) -> None:
        super().__init__()
        self.model = model
        self.name, self.classes = name, 0
        self.found: AsFound | None = None
        self.stretch = preparation.high - preparation.low
        self.low = preparation.low
        self.register_buffer("mean", _channels(preparation.mean or (0.0,)))
        self.register_buffer("std", _channels(preparation.std or (1.0,)))

    def put_back(self) -> None:
        """The user's network as it was before it was prepared."""
        if self.found is not None:
            self.found.put_back()

    def forward(self, images: Tensor) -> Tensor:
        stretched = images * self.stretch + self.low
        logits = self.model((stretched - self.mean) / self.std)
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
            raise UsageError(f"{self.name}: {expected_logits(logits, len(images))}")
        self.classes = self.classes or logits.shape[1]
        if logits.shape[1] != self.classes:
            raise UsageError(
                f"{self.name}: expected as many classes for all images, got {self.classes} of some "
                f"and {logits.shape[1]} of others"
            )
        return logits


@steps.register(Prepared)
def _prepared(module: Prepared, name: str, shape: Shape, cast: Cast) -> Steps:
    """For certificates: the preparation as a factor and a bias, then the network."""
    mean, std = cast(module.mean), cast(module.std)
    given = {"weight": module.stretch / std, "bias": (module.low - mean) / std}
    yield Scale(inputs=shape, outputs=shape, **given)
    if not isinstance(module.model, nn.Module):
        raise refused(module, name, f"holds no torch.nn.Module: {INSTEAD}")
    yield from steps(module.model, f"{name}.model" if name else "model", shape, cast)


def expected_logits(logits: Any, n: int) -> str:
    """What is wrong with an answer that is no table of logits."""
    got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    return (
        f"expected logits [n, classes], got {got} for {n} images: wrap the model in one that "
        "returns them, for two classes at least"
    )


def _channels(numbers: Sequence[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None]


def load_model(
    name: str, weights: str | None, preparation: Preparation, trust: bool = False
) -> Prepared:
    """A classifier of the user's in evaluation mode. trust: whether a file may run code that it
    holds. Raises UsageError where it can't be had.
    """
    preparation.refuse()
    return prepare(_load(name, weights, trust), preparation, name, exported=name.endswith(".pt2"))


def prepare(
    model: Callable[[Tensor], Any], preparation: Preparation, name: str, exported: bool = False
) -> Prepared:
    """A classifier in evaluation mode, behind its preparation; `found` says how it was before. An
    exported program keeps the mode it was exported in, and so does frozen TorchScript.
    """
    found = AsFound(model)
    if isinstance(model, nn.Module) and hasattr(model, "training") and not exported:
        model.eval()
    prepared = Prepared(model, preparation, name)
    prepared.training, prepared.found = False, found
    return prepared


def is_users(name: str) -> bool:
    """Whether a name is of a form that `load_model` takes, and no registered one."""
    return ":" in name or Path(name).suffix in FILES


def _load(name: str, weights: str | None, trust: bool) -> Callable[[Tensor], Any]:
    zoo, _, rest = name.partition(":")
    if zoo in ZOOS and rest:
        make = maker_of(zoo, rest)
        if weights is None:
            raise UsageError(
                f"{name} has random weights: name its weights' file by `weights` (.pth or "
                ".safetensors); nothing is downloaded"
            )
        state = read_weights(user_path(weights))
        return fit(shaped(make, state), state, weights)
    if Path(name).suffix in FILES:
        if weights is not None:
            raise UsageError(f"`weights`: {name} has its own")
        return load_program(user_path(name), trust)
    made = _from_code(name)
    if weights is None:
        return made
    if not isinstance(made, nn.Module):
        raise UsageError(f"`weights`: {name} is no torch.nn.Module that could take them")
    return fit(made, read_weights(user_path(weights)), weights)


def _from_code(name: str) -> Callable[[Tensor], Any]:
    """`module:callable`: a module as it stands, or what a class or a function returns."""
    found = usercode.load(name)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise UsageError(f"{name} is a {type(found).__name__}: expected {FORMS}")
    try:
        made = found()
    except (Exception, SystemExit) as error:
        text = one_line(f"{type(error).__name__}: {error}", 150)
        raise UsageError(
            f"{name}() failed: {text}; expected a call that returns a model"
        ) from error
    if not callable(made):
        raise UsageError(f"{name}() returned a {type(made).__name__}: expected a torch.nn.Module")
    return made
