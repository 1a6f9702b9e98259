"""One perturbation for all images, fitted to some and added to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from attacks.contracts import ATTACKS, UNIT
from attacks.norms import into_box
from attacks.universal import Universal, fit
from bench.core.errors import unknown
from bench.suites.cell import Cell
from bench.tasks.base import TASKS
from bench.tasks.robustness.base import Trial
from bench.tasks.robustness.changed import Changed
from bench.tasks.robustness.fitting import FittingSettings, FittingTask
from bench.tasks.robustness.settings import NORM, RADII, parse_radii
from bench.tasks.values import checked


class SharedSettings(FittingSettings):
    """norm: linf or l2. radii: a row each; the usual ones of the norm where empty. steps: of the
    search.
    """

    norm: str = NORM
    radii: str = ""
    steps: int = 100


class SharedTask(FittingTask):
    """Axes: dataset, source_model, model. What `universal` is as an attack is fitted to the very
    images that it is shown with; this one is fitted to training images.
    """

    axes = ("dataset", "source_model", "model")
    kind = "universal"
    shown = ("adversarial_error", "robust_accuracy", "attack_success", "distance")

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        asked = checked(SharedSettings, settings)
        if asked.norm not in Universal.norms:
            raise unknown("norm", asked.norm, Universal.norms)
        radii = asked.radii or RADII[asked.norm]
        parse_radii(radii)
        return {**asked.model_dump(), "radii": radii}

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (ATTACKS["universal"].origin,)

    def passes(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> int:
        return len(self.strengths(settings)) * (1 + 3 * settings["steps"])

    def strengths(self, settings: Mapping[str, Any]) -> list[float]:
        return parse_radii(settings["radii"])

    def fit(self, cell: Cell, strength: float, training: Trial) -> Tensor:
        plan, model = Universal(steps=cell.settings["steps"]), training.against.model
        given = {"radius": strength, "norm": cell.settings["norm"], "seeds": training.seeds}
        return fit(plan, model, training.images, training.labels, **given)

    def show(self, cell: Cell, strength: float, fitted: Tensor, trial: Trial) -> Changed:
        images = into_box(trial.images + fitted, UNIT)
        return Changed(strength, images, norm=cell.settings["norm"])


TASKS.register("shared-perturbation")(SharedTask())
