"""The weights of a registered model in a file, as `bench sample` writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from bench.core.errors import UsageError, one_line
from bench.datasets.images import shown
from bench.models.generatorfiles import FromFile, version_of
from generative import RECIPES, Data, Recipe, Sampler, Training
from generative.recipes.ready import Ready


@dataclass(frozen=True)
class Weights(FromFile):
    """The tensors of a registered model, as `bench sample` writes them. recipe: its name, empty
    where the file says it.
    """

    recipe: str

    @property
    def once(self) -> bool:
        return False

    def relevant(self, training: Training) -> dict[str, Any]:
        """Of what the training says, what decides the networks where the file does not say it."""
        path = next(iter(self.places()))
        told = self._training(training, _facts_of_weights(path))
        found = self._of(path).relevant(told)
        return {name: found[name] for name in ("protocol", "latent") if name in found}

    def load(self, training: Training, data: Data, seed: int) -> Sampler:
        path = self.place(seed)
        recipe, told = self._of(path), self._training(training, _facts_of_weights(path))
        tensors = {k: v.to(data.device) for k, v in _tensors(path).items()}
        try:
            found = recipe.trainer(told, tuple(data.shape)).restore(data, tensors)
        except (KeyError, RuntimeError) as error:
            raise UsageError(
                f"{shown(path)}: the weights are not those of such a model: {one_line(error, 100)}"
            ) from error
        if not isinstance(found, Sampler):
            raise UsageError(f"{shown(path)}: a {type(found).__name__} draws no samples")
        return found

    def refuse(self, training: Training, shape: tuple[int, ...], samples: int) -> None:
        for path in self.places():
            told = self._training(training, _facts_of_weights(path))
            self._of(path).trainer(told, shape)

    def drawn_as(self, seed: int) -> str:
        return _facts_of_weights(self.place(seed)).get("cell", "")

    def modules(self, training: Training) -> tuple[str, ...]:
        path = next(iter(self.places()))
        return (
            __name__,
            *self._of(path).modules(self._training(training, _facts_of_weights(path))),
        )

    def _of(self, path: Path) -> Recipe:
        """The registered recipe. Raises UsageError where nobody says which."""
        name = self.recipe or _facts_of_weights(path).get("model", "")
        if not name:
            raise UsageError(
                f"{shown(path)} does not say which model's weights it holds: name it before the "
                f"file, such as nsgan:{path.name}"
            )
        part = RECIPES[name].part
        if isinstance(part, Ready):
            raise UsageError(f"{shown(path)}: '{name}' is no registered model")
        return part

    def _training(self, training: Training, about: Mapping[str, str]) -> Training:
        """With what the file says of its training in the place of what is usual."""
        try:
            said = json.loads(about.get("settings", "{}"))
        except ValueError:
            said = {}
        if not isinstance(said, dict) or not said.get("protocol"):
            return training
        recipe = self.recipe or about.get("model", "")
        known = RECIPES[recipe].part.relevant(Training(str(said["protocol"])))
        return Training(**{name: value for name, value in said.items() if name in known})


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unread(path, error) from error


def _facts_of_weights(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself. Raises UsageError for what is none."""
    return _kept_facts(path, *version_of(path))


@cache
def _kept_facts(path: Path, *version: int) -> dict[str, str]:
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise _unread(path, error) from error


def _unread(path: Path, error: Exception) -> UsageError:
    there = "is not there" if not path.exists() else "can't be read"
    return UsageError(f"{shown(path)} {there}: expected a safetensors file ({one_line(error, 80)})")
