"""The audit of a classifier under attack: every diagnostic, and which of them fire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from attacks.contracts import ATTACKS, Box, FixedBudget, Images, Labels, MinimalNorm, Model, Seeds
from attacks.diagnostics import DIAGNOSTICS, Scene, Tools
from attacks.engine import Counted, frozen, logits_of
from attacks.gradients import ordinary
from attacks.objectives import answered
from bench.core.errors import UsageError

USUAL = ("fgsm", "apgd-restarts", "square", "sign-noise", "fab")
"""A single step, the strongest white box, a black box, noise, a search."""
TRANSFER = "substitute"


@dataclass(frozen=True)
class Finding:
    """A diagnostic's value. fires: whether it says that something is wrong. blamed: the causes
    that explain a symptom, which then does not fire by itself.
    """

    name: str
    value: float
    fires: bool
    blamed: tuple[str, ...] = ()


def tools(single: str, iterative: str, black_box: str, noise: str, search: str) -> Tools:
    """The attacks of an audit, by name. Raises UsageError for one without a radius, and for a
    search that has one.
    """
    parts = [ATTACKS[name].part for name in (single, iterative, black_box, noise)]
    fixed = [part for part in parts if isinstance(part, FixedBudget)]
    if len(fixed) < len(parts):
        raise UsageError("an audit needs attacks that take a radius")
    nearest = ATTACKS[search].part
    if not isinstance(nearest, MinimalNorm):
        raise UsageError(f"an audit needs a search for the smallest perturbation, got '{search}'")
    surrogate = ATTACKS[TRANSFER].part
    assert isinstance(surrogate, FixedBudget)
    return Tools(fixed[0], fixed[1], fixed[2], fixed[3], nearest, surrogate)


def usual() -> Tools:
    """The attacks of an audit, in linf, l2 and l1 the same."""
    return tools(*USUAL)


def audit(
    model: Model,
    images: Images,
    labels: Labels,
    *,
    seeds: Seeds,
    norm: str,
    radii: Sequence[float],
    box: Box,
    using: Tools,
    given: Images | None = None,
    abstains: int | None = None,
    tell: Callable[[int, int], None] = lambda begun, of: None,
) -> list[Finding]:
    """Every diagnostic of a classifier that its tools allow, on those of the images that it gets
    right.

    radii: in rising order; the last is the one that a robustness figure is claimed for. given: the
    images that the attack behind that figure made. abstains: the class that stands for no answer,
    if there is one. tell: is told which diagnostic of how many
    begins. The model is left as it was found. Raises UsageError where no image is right.
    """
    with frozen(model):
        images, labels, seeds = map(ordinary, (images, labels, seeds))
        counted = Counted(model)
        logits = logits_of(counted, images)
        right = (logits.argmax(1) == labels) & answered(logits)
        if not bool(right.any()):
            raise UsageError("the audit needs images that the classifier gets right: it has none")
        kept, known, drawn = (values[right] for values in (images, labels, seeds))
        made = None if given is None else ordinary(given)[right]
        asked = (norm, tuple(radii), _reach(kept, norm, box), box, using, made)
        scene = Scene(counted, kept, known, drawn, *asked, abstains)
        found = {
            entry.name: float(entry.part(scene))
            for entry in _told(DIAGNOSTICS.entries(), tell)
            if not entry.facts.needs or getattr(using, entry.facts.needs) is not None
        }
    return judged(found)


def _told(entries: list[Any], tell: Callable[[int, int], None]) -> Iterator[Any]:
    """The diagnostics; `tell` is told which of how many comes next."""
    for begun, entry in enumerate(entries, 1):
        tell(begun, len(entries))
        yield entry


def judged(found: dict[str, float]) -> list[Finding]:
    """Values as findings: a symptom yields to the causes that fire."""
    facts = {entry.name: entry.facts for entry in DIAGNOSTICS.entries()}
    loud = {
        name
        for name, value in found.items()
        if (above := facts[name].above) is not None and value > above
    }
    causes = tuple(name for name in found if name in loud and facts[name].kind == "cause")
    findings = []
    for name, value in found.items():
        blamed = causes if name in loud and facts[name].kind == "symptom" else ()
        findings.append(Finding(name, value, name in loud and not blamed, blamed))
    return findings


def _reach(images: Images, norm: str, box: Box) -> float:
    """A radius that reaches every image of the box from any other."""
    low, high = box or (float(images.min()), float(images.max()))
    across = torch.full_like(images[:1], high - low)
    return float({"linf": across.amax(), "l2": across.norm(), "l1": across.sum()}[norm])
