"""A trial's images under an attack: radius by radius, for any class or for targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attacks import MinimalNorm, Model
from attacks.best import Best, nearest
from attacks.engine import logits_of, search, traced
from attacks.goals import Goal
from attacks.norms import size
from bench.tasks.robustness.base import Trial
from bench.tasks.robustness.settings import ChosenAttack
from bench.tasks.robustness.targets import aims_of, counted


@dataclass(frozen=True, eq=False)
class Perturbed:
    """Images attacked within a radius, or by a search. finders: which member of several attacks
    misled each, -1 for none. apart: the images of each of several searches. reached: of each image
    the share of its targets that it is taken for; NaN where it has none.
    """

    radius: float | None
    images: Tensor
    finders: Int[Tensor, " n"] | None = None
    apart: tuple[Tensor, ...] = ()
    reached: Float[Tensor, " n"] | None = None


def perturb(chosen: ChosenAttack, model: Model, trial: Trial) -> Iterator[Perturbed]:
    """Each radius with its attacked images; a search has one, without a radius. With targets of all
    classes the images are those that mislead most clearly of each one's, of a search the nearest.
    """
    text = chosen.settings.targets
    logits = logits_of(model, trial.images) if text != "none" else torch.empty(0, 0)
    aims = aims_of(text, logits, trial.labels, trial.seeds)
    if not aims:
        yield from _perturbed(chosen, model, trial, None)
        return
    norm = chosen.settings.norm if isinstance(chosen.attack, MinimalNorm) else ""
    ways = [_perturbed(chosen, model, trial, targets) for targets in aims]
    for steps in zip(*ways, strict=True):
        yield _worst(model, trial, aims, steps, counted(text, trial.labels), norm)


def _perturbed(
    chosen: ChosenAttack, model: Model, trial: Trial, targets: Tensor | None
) -> Iterator[Perturbed]:
    settings, attack = chosen.settings, chosen.attack
    images, labels = trial.images, trial.labels
    given = {"norm": settings.norm, "box": settings.box, "seeds": trial.seeds, "targets": targets}
    if isinstance(attack, Best):
        members = attack.members(settings.norm)
        apart = tuple(search(member, model, images, labels, **given) for _, member in members)
        attacked, finders = nearest(images, apart, settings.norm)
        yield Perturbed(None, attacked, finders, apart)
        return
    if isinstance(attack, MinimalNorm):
        yield Perturbed(None, search(attack, model, images, labels, **given))
        return
    radii = chosen.radii
    found = traced(attack, model, images, labels, radii=radii, stop=settings.stop, **given)
    for radius, (attacked, finders) in zip(radii, found, strict=True):
        yield Perturbed(radius, attacked, finders)


def _worst(
    model: Model,
    trial: Trial,
    aims: list[Tensor],
    steps: tuple[Perturbed, ...],
    has: Tensor,
    norm: str,
) -> Perturbed:
    """Of every target's images those that mislead most clearly, of a search the nearest that do;
    and how many reached theirs.
    """
    best, images = torch.full_like(trial.seeds, -torch.inf, dtype=torch.double), trial.images
    reached = torch.zeros_like(best)
    for targets, step in zip(aims, steps, strict=True):
        logits = logits_of(model, step.images)
        lead = Goal(trial.labels).lead(logits).double()
        if norm:
            far = size(step.images.double() - trial.images.double(), norm)
            lead = torch.where(lead > 0, -far, -torch.inf)
        clearer = (lead > best).reshape(-1, *[1] * (images.ndim - 1))
        images, best = torch.where(clearer, step.images, images), torch.maximum(lead, best)
        reached += Goal(trial.labels, targets).reached(logits)
    shares = torch.where(has, reached / len(aims), torch.nan)
    return Perturbed(steps[0].radius, images, steps[0].finders, reached=shares)
