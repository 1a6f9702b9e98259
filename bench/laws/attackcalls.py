"""What holds for attacks wherever they are called, whatever a model answers in, or does not."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import partial
from itertools import cycle

import torch
from torch import Tensor

from attacks import UNIT, FixedBudget
from attacks.contracts import Model
from attacks.engine import Counted, frozen, run, search
from bench.core.registry import Entry
from bench.laws import base
from bench.laws.attacks import Trial, law
from bench.laws.base import each
from bench.laws.scenes import IMAGES, leads, scene

COUNTS = ("steps", "queries")
USUAL = {"seeds": torch.arange(IMAGES) + 7, "box": UNIT}
TYPES = (torch.float16, torch.bfloat16, torch.float64)
ODD = (torch.nan, torch.inf, -torch.inf)


def _climbs(entry: Entry) -> bool:
    """Whether it takes several steps, under a name that settings have."""
    return is_dataclass(entry.part) and bool({f.name for f in fields(entry.part)} & {*COUNTS})


@law(where=lambda entry: isinstance(entry.part, FixedBudget) and _climbs(entry))
def a_radius_of_0_costs_nothing(attack: Entry, norm: str) -> None:
    """No call of the model; where some images have one, none about the others."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    for radius in (0.0, torch.zeros(IMAGES)):
        counted = Counted(model)
        trial(counted, images, labels, radius=radius)
        list(run(trial.part, counted, images, labels, radii=[0.0], norm=norm, **USUAL))
        assert (counted.forwards, counted.backwards) == (0, 0)
    few, all_ = Counted(model), Counted(model)
    trial(few, images, labels, radius=trial.radius * (torch.arange(IMAGES) % 2))
    trial(all_, images, labels)
    assert (2 * few.forwards, 2 * few.backwards) == (all_.forwards, all_.backwards)


@law()
def the_mode_of_the_caller_does_not_matter(attack: Entry, norm: str) -> None:
    """Under torch.no_grad and inference_mode, with images made there, to the bit what it is
    outside; called as it stands and by the engine.
    """
    trial, (model, images, labels) = Trial(attack, norm), scene()
    wanted = trial(model, images, labels)
    with torch.no_grad():
        assert torch.equal(trial(model, images, labels), wanted)
    with torch.inference_mode():
        made, told = images.clone(), labels.clone()
        found = trial(model, made, told)
        with frozen(model):
            again = _by_the_engine(trial, model, made, told)
    assert torch.equal(found, wanted)
    assert torch.equal(again, _by_the_engine(trial, model, images, labels))


def _by_the_engine(trial: Trial, model: Model, images: Tensor, labels: Tensor) -> Tensor:
    given = {"norm": trial.norm, "seeds": torch.arange(len(images)) + 7, "box": UNIT}
    if isinstance(trial.entry.part, FixedBudget):
        return next(run(trial.part, model, images, labels, radii=[trial.radius], **given))
    return search(trial.part, model, images, labels, **given)


@law(cases=lambda entry: each(entry.part.norms, TYPES))
def logits_of_another_type_serve_as_well(attack: Entry, norm: str, kind: torch.dtype) -> None:
    """What they are as float32 decides: the same images."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    given = {"labels": labels, "images": images}
    found = trial(lambda x: model(x).to(kind), **given)
    wide = torch.float64 if kind == torch.float64 else torch.float32
    wanted = trial(lambda x: model(x).to(kind).to(wide), **given)
    assert found.dtype == images.dtype
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@law(where=_climbs)
def logits_that_are_not_finite_are_no_success(attack: Entry, norm: str) -> None:
    """Where a model answers with one whatever leads by nine tenths of what the attack reaches: a
    search and an attack that keeps the best of its iterates return an image that is answered.
    """
    if getattr(attack.part, "keep", "best") != "best":
        raise base.Skipped("it keeps its last iterate, whatever that is: the harness refuses it")
    trial, (model, images, labels) = Trial(attack, norm), scene()
    reached = 0.9 * leads(model, trial(model, images, labels), labels)
    for odd, row in zip(cycle(ODD), range(IMAGES - 1)):  # each of them for two images or more
        if reached[row] > 0:
            image, label = images[row : row + 1], labels[row : row + 1]
            one = partial(_beyond, model, label, reached[row].item(), odd)
            found = trial(one, image, label, seeds=torch.tensor([7 + row]))
            assert one(found).isfinite().all()


def _beyond(model: Model, label: Tensor, far: float, odd: float, x: Tensor) -> Tensor:
    """A model's logits; where a wrong class leads by more than `far`, other numbers."""
    logits = model(x)
    silent = leads(model, x, label.expand(len(x))) > far
    return torch.where(silent[:, None], odd, logits)
