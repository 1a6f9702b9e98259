"""What is to be trained: everything that decides a model, and the streams that it draws from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.core.digests import digest_of
from bench.models.filming import Film
from bench.models.store import artifact_key
from generative import RECIPES, Training

KIND = "generator"
KEEPING = "bench.models.generators"
"""The module that decides, with those that it imports, what is kept of a training."""


@dataclass(frozen=True)
class TrainingOrder:
    """Everything that decides what is trained. modules: whose source makes the data. fixed_noise:
    samples on the way are drawn with the same noise every time, so that they can be watched. film:
    how many frames of one noise are kept beside them; they change nothing else. beside: the seeds
    that are trained side by side, its own among them; none for a training by itself.
    """

    recipe: str
    training: Training
    fingerprint: str
    seed: int
    evaluations: int
    modules: tuple[str, ...] = ()
    fixed_noise: bool = False
    film: int = 0
    beside: tuple[int, ...] = ()

    def identity(self, device: str) -> dict[str, Any]:
        """Of what is kept: trainings side by side are kept together."""
        recipe = RECIPES[self.recipe]
        alone = {"seed": self.seed}
        return {
            **({"fixed_noise": True} if self.fixed_noise else {}),
            **({"film": self.film} if self.film else {}),
            "recipe": self.recipe,
            "settings": recipe.part.relevant(self.training),
            "dataset": self.fingerprint,
            **({"beside": list(self.beside)} if self.beside else alone),
            "evaluations": self.evaluations,
            "device": device,
            "code": digest_of(
                (
                    __name__,
                    KEEPING,
                    *([Film.__module__] if self.film else []),
                    recipe.origin,
                    *recipe.part.modules(self.training),
                    *self.modules,
                )
            ),
        }

    def key(self, device: str) -> str:
        """The artifact's key."""
        return artifact_key(KIND, self.identity(device))

    def described(self, done: int, steps: int) -> dict[str, Any]:
        """What a checkpoint says of itself."""
        settings = RECIPES[self.recipe].part.relevant(self.training)
        return {
            "model": self.recipe,
            "settings": settings,
            "seed": self.seed,
            "dataset": self.fingerprint,
            "step": done,
            "steps": steps,
        }

    def purpose(self) -> tuple[str | int, ...]:
        """What its random streams derive from: the recipe, the protocol, the settings that differ
        from it, the seed. A new setting with a default changes no stream.
        """
        recipe = RECIPES[self.recipe].part
        usual = recipe.relevant(Training(self.training.protocol))
        chosen = recipe.relevant(self.training)
        differing = sorted((k, v) for k, v in chosen.items() if usual.get(k) != v)
        protocol = self.training.protocol if chosen else ""
        return ("artifact", self.recipe, protocol, str(differing), self.seed)
