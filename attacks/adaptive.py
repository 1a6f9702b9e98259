"""Remedies for what holds attacks back: which to try, and the attack that tries them.

A defence has to be attacked with what it does in mind (Athalye et al. 2018, "Obfuscated gradients
give a false sense of security"; Tramer et al. 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from attacks.apgd import Apgd
from attacks.contracts import UNIT, Box, FixedBudget, Images, Labels, Model, Radius, Seeds, Stop
from attacks.goals import Goal
from attacks.gradients import ask, look
from attacks.norms import refuse, spread
from attacks.objectives import Logits
from attacks.radii import moving
from attacks.substitute import Substitute
from bench.core.errors import UsageError

DRAWS = 20
SPREAD = 10.0
"""What the largest logit is rescaled to, from the mean."""


@dataclass(frozen=True)
class Remedy:
    """against: the diagnostics that ask for it. hint: what to try; done: what was."""

    name: str
    against: frozenset[str]
    hint: str
    done: str


REMEDIES = (
    Remedy(
        "average",
        frozenset({"random_outputs"}),
        f"random answers: --adapt averages gradients over {DRAWS} draws",
        f"gradients averaged over {DRAWS} draws",
    ),
    Remedy(
        "rescale",
        frozenset({"hidden_by_underflow", "probabilities"}),
        "gradients vanish: --adapt rescales the logits",
        "logits rescaled",
    ),
    Remedy(
        "bpda",
        frozenset({"steps_in_outputs", "zero_gradients", "wrong_gradients"}),
        "non-differentiable: name the part with --bpda module:callable",
        "gradients passed straight through",
    ),
    Remedy(
        "surrogate",
        frozenset({"steps_in_outputs", "zero_gradients", "wrong_gradients", "transfer_wins"}),
        "no gradient at all, or a wrong one: --adapt attacks a surrogate",
        "a surrogate attacked",
    ),
)
"""In the order in which they are told."""


def remedies(firing: Iterable[str]) -> tuple[Remedy, ...]:
    """Those that the diagnostics which fire ask for."""
    names = frozenset(firing)
    return tuple(remedy for remedy in REMEDIES if remedy.against & names)


def rescaled(model: Model) -> Model:
    """The model with logits whose spread is the same for every image, and no gradient of it; the
    logarithm first where they are probabilities. The order of the classes is as it was.
    """

    def seen(images: Images) -> Logits:
        logits = ask(model, images)
        if bool((logits >= 0).all()) and bool(((logits.sum(1) - 1).abs() < 1e-3).all()):
            logits = logits.clamp_min(torch.finfo(logits.dtype).tiny).log()
        centred = logits - logits.mean(1, keepdim=True)
        peak = centred.detach().abs().amax(1, keepdim=True)
        return centred * torch.where(peak > 0, SPREAD / peak, 1.0)

    return seen


class _Straight(torch.autograd.Function):
    """What a part made of its input; its gradient is the input's."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, made: Tensor) -> Tensor:
        return made.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def straight_through(part: Callable[..., Any]) -> Callable[..., Any]:
    """The part forward, the identity backward (BPDA: Athalye et al. 2018, section 4.1.2). Its first
    argument is the tensor that gradients go to; the result has its shape, or UsageError is raised.
    """

    def through(given: Tensor, *more: Any, **named: Any) -> Tensor:
        with torch.no_grad():
            made = part(given.detach(), *more, **named)
        if not isinstance(made, Tensor) or made.shape != given.shape:
            got = list(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise UsageError(
                f"bpda: expected a part that returns a tensor {list(given.shape)} as it is given, "
                f"got {got}: name one that changes no shape"
            )
        return _Straight.apply(given, made.to(given.dtype))

    return through


@dataclass(frozen=True)
class Adaptive(FixedBudget):
    """Auto-PGD, and a surrogate where one is asked for: of each image the one of the highest lead.

    draws: answers that are averaged at every point (expectation over transformations). rescale:
    whether it climbs logits of one spread. climb: whether the classifier's own gradients are used.
    surrogate: whether one that learns its answers is attacked.
    """

    draws: int = 1
    rescale: bool = False
    climb: bool = True
    surrogate: bool = False
    steps: int = 60
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        radius: Radius,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        stop: Stop = "never",
        targets: Labels | None = None,
    ) -> Images:
        refuse(norm, self.norms, "adaptive")

        def attack(x: Images, goal: Goal, radii: Tensor, drawn: Seeds) -> Images:
            given = {"radius": radii, "norm": norm, "seeds": drawn, "box": box, "stop": stop}
            found = [
                part(seen, x, goal.labels, **given, **goal.aims())
                for part, seen in self._ways(model)
            ]
            return self._best(model, found, goal)

        return moving(attack, images, Goal(labels, targets), radius, seeds)

    def _ways(self, model: Model) -> list[tuple[FixedBudget, Model]]:
        """The attacks, each with what it looks at."""
        climbs = Apgd(
            steps=self.steps,
            classes=4 if self.draws == 1 else 0,
            l1_restarts=5 if self.draws == 1 else 0,
            draws=self.draws,
        )
        ways: list[tuple[FixedBudget, Model]] = []
        if self.climb:
            ways.append((climbs, rescaled(model) if self.rescale else model))
        return [*ways, (Substitute(), model)] if self.surrogate else ways

    def _best(self, model: Model, found: list[Images], goal: Goal) -> Images:
        """Of each image's candidates the one of the highest lead, on average over the draws."""
        best, highest = found[0], self._lead(model, found[0], goal)
        for other in found[1:]:
            lead = self._lead(model, other, goal)
            best = torch.where(spread(lead > highest, best).bool(), other, best)
            highest = torch.maximum(highest, lead)
        return best

    def _lead(self, model: Model, images: Images, goal: Goal) -> Tensor:
        return torch.stack([goal.lead(look(model, images)) for _ in range(self.draws)]).mean(0)


def adaptive(tried: Iterable[Remedy]) -> Adaptive:
    """The attack that tries some remedies. Where a surrogate is one and nothing else is, the
    classifier's own gradients, which are none, are left out.
    """
    names = {remedy.name for remedy in tried}
    return Adaptive(
        draws=DRAWS if "average" in names else 1,
        rescale="rescale" in names,
        climb=names != {"surrogate"},
        surrogate="surrogate" in names,
    )
