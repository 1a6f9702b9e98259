"""How two players move: a game of two numbers, step by step beside its closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets.named import entry_named, names_with
from bench.models.generators import Trained, trained_as
from bench.models.orders import KIND, TrainingOrder
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, Task
from bench.tasks.generation.facts import describe_model, modules_of
from bench.tasks.generation.settings import (
    DrawingSettings,
    Evaluations,
    Target,
    models_for,
    read_settings,
    recipe_of,
    resolve_drawing,
    settings_of_parts,
)
from bench.tasks.values import facts_of, scored_by, value_of
from generative import PROTOCOLS, Sampler, Training
from generative.games.adversarial import Adversarial
from generative.penalties.r1 import R1
from generative.penalties.r2 import R2
from generative.protocols.base import LAYERS
from generative.protocols.duels import TwoNumbers
from generative.trainers.game import GameTrainer

DUEL = frozenset({"duel"})
TAKES = ("orbit",)
SHAPE = (1,)


class DynamicsSettings(DrawingSettings):
    """Of a game of two numbers, of which every step is looked at, up to a thousand."""

    protocol: str = "dirac-near"
    evaluations: Evaluations = 1_000


class DynamicsTask(Task):
    """Axes: dataset, which is one point, and model, a GAN whose players are two numbers."""

    axes = ("dataset", "model")
    needs = DUEL

    def every(self, axis: str) -> list[str]:
        if axis == "dataset":
            return names_with(DUEL)
        return [name for name in models_for("points") if not _unknown(name, {})]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        entry = entry_named(parts["dataset"], DUEL, "task dynamics")
        asked = read_settings(DynamicsSettings, settings)
        protocol = PROTOCOLS[asked.protocol].part
        if not isinstance(protocol.generator, TwoNumbers):
            raise UsageError(
                f"protocol '{asked.protocol}': task dynamics is for games of two numbers, expected "
                "one of dirac, dirac-near, salimans, salimans-near"
            )
        if said := [name for name in LAYERS if getattr(asked, name)]:
            raise UsageError(
                f"setting '{said[0]}': the players of task dynamics are two numbers, those of its "
                "protocols: leave it out"
            )
        target = Target(
            shape=SHAPE,
            fingerprint=entry.part.fingerprint,
            modules=(__name__,),
            data_modules=modules_of(entry),
            takes=TAKES,
            seconds=1.0,
            skip=_unknown(parts["model"], asked.training().settings),
        )
        found = resolve_drawing(target, parts["model"], asked, DynamicsSettings())
        return replace(found, gives=frozenset(entry.name for entry in scored_by(TAKES)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, TAKES), "name": name}

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        order, source = _order(cell), _data(cell).source(cell.seed, bench.device)
        trained = trained_as(Sampler, order, source, bench.artifacts, _numbers)
        played, known = _orbits(order, trained)
        if trained.diverged:
            return Measurement([], trained.diverged, trained.key, {"orbit": played})
        values = [
            value_of(entry.name, entry.part(known, played), trained.total_steps)
            for entry in scored_by(TAKES)
        ]
        return Measurement(values, "", trained.key, {"orbit": played, "closed_form": known})

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        entry = entry_named(cell.part("dataset"), DUEL, "task dynamics")
        data = {"summary": entry.summary, "papers": [entry.paper], "modes": 0, "duel": True}
        return {"dataset": data, "model": describe_model(cell)}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return None if cell.skip else (KIND, _order(cell).key(cell.device))


def _data(cell: Cell) -> Any:
    return entry_named(cell.part("dataset"), DUEL, "task dynamics").part


def _order(cell: Cell) -> TrainingOrder:
    """What is played: every step is looked at."""
    recipe_of(cell.part("model"))
    known = {*DynamicsSettings.model_fields, *settings_of_parts("drawing")}
    asked = DynamicsSettings(**{k: v for k, v in cell.settings.items() if k in known})
    modules = modules_of(entry_named(cell.part("dataset"), DUEL, "task dynamics"))
    told = (asked.training(), cell.fingerprint, cell.seed, asked.evaluations)
    return TrainingOrder(cell.part("model"), *told, modules)


def _numbers(fitted: Sampler, step: int) -> Tensor:
    """The critic's and the generator's."""
    drawn, judged = (float(value) for value in fitted.tensors().values())
    return torch.tensor([judged, drawn], dtype=torch.float64)


def _trainer(model: str, training: Training) -> GameTrainer:
    trainer = recipe_of(model).part.trainer(training, SHAPE)
    assert isinstance(trainer, GameTrainer)
    return trainer


def _unknown(model: str, settings: Mapping[str, Any]) -> str:
    """Why the game of a model has no closed form here, or empty."""
    try:
        training = Training(**{"protocol": "dirac-near", **settings})
        trainer = recipe_of(model).part.trainer(training, SHAPE)
        if not isinstance(trainer, GameTrainer) or not isinstance(trainer.game, Adversarial):
            return f"model '{model}' is no game of a generator against a critic"
        field = _field(trainer.game)
        known = trainer.dynamics.linear(field, 0.1)
    except UsageError as error:
        return str(error)
    return "" if known is not None else "these dynamics have no closed form"


def _field(game: Adversarial) -> np.ndarray:
    """The gradients of critic and generator where nobody gains, by both numbers. Raises UsageError
    where they are not those of a logit alone, or of a penalty whose slope is known.
    """
    pure = not (game.view or game.terms or game.critic_form or game.constraint or game.conditioning)
    damping = 0.0
    for penalty, weight in game.penalties:
        pure = pure and isinstance(penalty, R1 | R2)
        damping += weight
    at = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    still = torch.zeros(1, dtype=torch.float64)
    (falls,) = torch.autograd.grad(game.loss.critic(still, at).sum(), at)
    (rises,) = torch.autograd.grad(game.loss.generator(still, at).sum(), at)
    if not pure or float(falls) <= 0 or float(rises) >= 0:
        raise UsageError("its players' gradients are no linear game near where nobody gains")
    network: Any = game.protocol.generator
    slope = network.slope
    # A penalty is of the critic's slope, which is its number less where nobody gains.
    return np.array([[damping, slope * float(falls)], [slope * float(rises), 0.0]])


def _orbits(order: TrainingOrder, trained: Trained[Sampler]) -> tuple[np.ndarray, np.ndarray]:
    """As played, and in closed form: [steps + 1, 2], the critic's number and the generator's, less
    where nobody gains.
    """
    trainer = _trainer(order.recipe, order.training)
    game: Any = trainer.game
    making, judging = game.protocol.generator, game.protocol.critic
    start = np.array([judging.start - judging.still, making.start - making.still])
    steps = trained.snapshots.reshape(-1, 2) - making.still
    matrix = trainer.dynamics.linear(_field(game), game.protocol.generator_adam.lr)
    assert matrix is not None
    known = [start]
    for _ in range(len(steps)):
        known.append(matrix @ known[-1])
    return np.concatenate([start[None], steps]), np.array(known)


TASKS.register("dynamics")(DynamicsTask())
