"""What an attack did to each image: looked at from outside, radius by radius, nothing averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attacks.engine import Answers, Counted, Measured, frozen, measure
from bench.models.precision import in_precision
from bench.tasks.robustness.base import Trial
from bench.tasks.robustness.perturbing import Perturbed, perturb
from bench.tasks.robustness.settings import ChosenAttack
from metrics.robustness import AfterAttack, Clean


@dataclass(frozen=True, eq=False)
class Seen:
    """The images before the attack, and after it at each radius, or after the search (None).
    attacked: those of the last radius. forwards, backwards: what the attack asked of the classifier
    in all. wrong: what the attack did that it may not, or why nothing can be measured; or empty.
    """

    clean: Clean | None
    steps: tuple[tuple[float | None, AfterAttack], ...]
    attacked: Tensor
    forwards: int = 0
    backwards: int = 0
    wrong: str = ""


def observe(
    chosen: ChosenAttack, trial: Trial, notify: Callable[[int], None] = lambda done: None
) -> Seen:
    """Attack a trial's images and look at them; `notify` is told how many radii are done."""
    model = in_precision(trial.against.model, trial.precision, trial.images.device)
    counted, images = Counted(model), trial.images
    before = trial.against.classify(images)
    if before.wrong:
        return Seen(None, (), images, wrong=f"before the attack {before.wrong}")
    clean = clean_of(before, trial.labels)
    norm, box = chosen.settings.norm, chosen.settings.box
    within, steps, attacked = np.zeros(len(images), bool), [], images
    notify(0)
    with frozen(trial.against.model):
        for done, step in enumerate(perturb(chosen, counted, trial), 1):
            attacked = step.images
            notify(done)
            measured = measure(images, attacked, norm=norm, radius=step.radius, box=box)
            if measured.wrong:
                return Seen(None, (), attacked, wrong=measured.wrong)
            answers = trial.against.classify(attacked)
            if answers.wrong:
                return Seen(None, (), attacked, wrong=f"after the attack {answers.wrong}")
            fake = after(step, answers, measured, clean, within)
            if step.apart:
                fake = replace(fake, apart=_apart(trial, step.apart, norm, box))
            within = fake.within
            steps.append((step.radius, fake))
    if not steps:
        return Seen(None, (), images, wrong="the attack gave no images")
    return Seen(clean, tuple(steps), attacked, counted.forwards, counted.backwards)


def _apart(
    trial: Trial, found: Sequence[Tensor], norm: str, box: tuple[float, float] | None
) -> np.ndarray:
    """How far each of several searches moved each image, infinite where that misled nobody."""
    columns = []
    for images in found:
        measured = measure(trial.images, images, norm=norm, radius=None, box=box)
        misled = trial.against.classify(images).predictions != trial.labels
        columns.append(torch.where(misled, measured.distances.double(), torch.inf))
    return _array(torch.stack(columns, 1))


def clean_of(answers: Answers, labels: Tensor) -> Clean:
    """What a classifier makes of the images before an attack."""
    return Clean(_array(labels), _array(answers.predictions), _array(answers.confidences))


def after(
    step: Perturbed, answers: Answers, measured: Measured, clean: Clean, within: np.ndarray
) -> AfterAttack:
    """What a classifier makes of images after a step; `within`: which were misled before it."""
    predictions = _array(answers.predictions)
    return AfterAttack(
        predictions,
        _array(answers.confidences),
        _array(measured.distances),
        _array(measured.rms),
        within | (clean.right & (predictions != clean.labels)),
        reached=None if step.reached is None else _array(step.reached),
        finders=None if step.finders is None else _array(step.finders),
    )


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()


def joined(parts: Sequence[Seen]) -> Seen:
    """Parts of one trial as the whole; the first that has something wrong where one has."""
    broken = next((part for part in parts if part.wrong), None)
    if broken is not None or len(parts) == 1:
        return broken or parts[0]
    steps = zip(*(part.steps for part in parts), strict=True)
    return Seen(
        _joined([part.clean for part in parts]),
        tuple((at[0][0], _joined([fake for _, fake in at])) for at in steps),
        torch.cat([part.attacked for part in parts]),
        sum(part.forwards for part in parts),
        sum(part.backwards for part in parts),
    )


def _joined(records: Sequence[Any]) -> Any:
    """Records of arrays, end to end; what is no array is as it is in the first."""
    arrays = _arrays(records[0])
    return replace(
        records[0],
        **{name: np.concatenate([getattr(one, name) for one in records]) for name in arrays},
    )


def _arrays(record: Any) -> dict[str, np.ndarray]:
    held = ((field.name, getattr(record, field.name)) for field in fields(record))
    return {name: value for name, value in held if isinstance(value, np.ndarray)}


def as_tree(seen: Seen) -> dict[str, Any]:
    """What was seen as a tree of tensors (`bench.core.trees`); for what has nothing wrong."""
    return {
        "clean": _tensors(seen.clean),
        "radii": [radius for radius, _ in seen.steps],
        "steps": [_tensors(fake) for _, fake in seen.steps],
        "attacked": seen.attacked,
        "passes": [seen.forwards, seen.backwards],
    }


def _tensors(record: Any) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in _arrays(record).items()}


def of_tree(tree: dict[str, Any], device: torch.device) -> Seen:
    """What `as_tree` made a tree of. Raises KeyError, TypeError for what is none."""
    forwards, backwards = tree["passes"]
    steps = [AfterAttack(**_numpy(fake)) for fake in tree["steps"]]
    return Seen(
        Clean(**_numpy(tree["clean"])),
        tuple(zip(tree["radii"], steps, strict=True)),
        tree["attacked"].to(device),
        forwards,
        backwards,
    )


def _numpy(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {name: value.numpy() for name, value in tensors.items()}
