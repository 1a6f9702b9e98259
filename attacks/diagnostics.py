"""What can be wrong with a robustness figure, measured from outside: one number a diagnostic.

A diagnostic fires above its threshold. A cause says why attacks may fail (gradients that are
zero, outputs that are random); a symptom (a black box that beats the white box) says that they
do, and is blamed on the causes where one fires. After Carlini et al. 2019 and Croce et al. 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attacks.contracts import Box, FixedBudget, Images, Labels, Model, Seeds, Stop
from attacks.engine import chunk_of, logits_of
from attacks.gradients import ascent
from attacks.norms import into_box
from attacks.objectives import entropy
from attacks.streams import signs
from bench.core.registry import Registry

CARLINI, CROCE = "arXiv:1902.06705", "arXiv:2003.01690"
REPEATS = 5
PAIRS = 25
SAME = 1e-4
TINY = (1e-4, 1e-5, 1e-6)
STEPPED = 0.05
Bits = Bool[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class Tools:
    """The attacks that the diagnostics use, by what they are for; None where there is none."""

    single: FixedBudget
    iterative: FixedBudget
    black_box: FixedBudget | None
    noise: FixedBudget


@dataclass(eq=False)
class Scene:
    """A classifier, images that it gets right, and an attack's setting; everything that several
    diagnostics need is computed once.

    A smallest radius comes first in `radii`, the one of interest last; `reach` is the radius at
    which nothing limits the attack but the box.
    """

    model: Model
    images: Images
    labels: Labels
    seeds: Seeds
    norm: str
    radii: tuple[float, ...]
    reach: float
    box: Box
    tools: Tools
    _misled: dict[tuple[str, float], Bits] = field(default_factory=dict)

    @property
    def radius(self) -> float:
        return self.radii[-1]

    def attack(self, kind: str, radius: float, stop: Stop = "never") -> Images:
        """The images that one of the tools makes."""
        part: FixedBudget = getattr(self.tools, kind)
        size = chunk_of(self.images)
        batches = zip(
            self.images.split(size), self.labels.split(size), self.seeds.split(size), strict=True
        )
        return torch.cat(
            [
                part(
                    self.model,
                    x,
                    y,
                    seeds=s,
                    radius=radius,
                    norm=self.norm,
                    box=self.box,
                    stop=stop,
                )
                for x, y, s in batches
            ]
        )

    def misled(self, kind: str, radius: float) -> Bits:
        """Which images one of the tools misleads at a radius."""
        if (kind, radius) not in self._misled:
            attacked = self.attack(kind, radius, "first_success")
            self._misled[kind, radius] = logits_of(self.model, attacked).argmax(1) != self.labels
        return self._misled[kind, radius]

    @cached_property
    def logits(self) -> Float[Tensor, "n classes"]:
        return logits_of(self.model, self.images)

    @cached_property
    def slopes(self) -> Images:
        """The gradient of the margin, at the images."""
        size = chunk_of(self.images)
        batches = zip(self.images.split(size), self.labels.split(size), strict=True)
        return torch.cat([ascent(self.model, x, y)[0] for x, y in batches])

    @cached_property
    def flat(self) -> Bits:
        """Where the slope is zero."""
        return (self.slopes == 0).flatten(1).all(1)

    @cached_property
    def still(self) -> Bits:
        """Where a step of some tiny length in a random direction changes no logit.

        Several lengths: the longest may cross an edge of a fine grid, the shortest may be lost in
        the rounding of an image that lies on none.
        """
        way = signs(self.seeds, tuple(self.images.shape[1:]), 17).to(self.images.dtype)
        same = [
            (logits_of(self.model, into_box(self.images + step * way, self.box)) == self.logits)
            for step in TINY
        ]
        return torch.stack([bits.all(1) for bits in same]).any(0)


Kind = Literal["cause", "symptom", "note"]


@dataclass(frozen=True)
class DiagnosticFacts:
    """above: it fires where the value is larger; None: it is a number to know and never fires.
    kind: a cause, a symptom that any cause explains, or a note. needs: the tool without which it is
    left out, if any. percent, digits: how it is printed.
    """

    title: str
    kind: Kind
    above: float | None
    needs: str = ""
    percent: bool = True
    digits: int = 1


Diagnostic = Callable[[Scene], float]

DIAGNOSTICS: Registry[Diagnostic, DiagnosticFacts] = Registry(
    "diagnostic", DiagnosticFacts, listed_as="diagnostics"
)


def _share(bits: Tensor) -> float:
    return float(bits.double().mean()) if len(bits) else 0.0


@DIAGNOSTICS.register("probabilities", paper=CROCE, title="probabilities", kind="cause", above=0.99)
def probabilities(scene: Scene) -> float:
    """Share of outputs that are non-negative and sum to 1: probabilities, not logits."""
    total = scene.logits.double().sum(1)
    return _share((scene.logits >= 0).all(1) & ((total - 1).abs() < SAME))


@DIAGNOSTICS.register("random_outputs", paper=CROCE, title="random", kind="cause", above=0.01)
def random_outputs(scene: Scene) -> float:
    """Share of images whose logits change when the same batch is asked about again."""
    again = [logits_of(scene.model, scene.images) for _ in range(REPEATS - 1)]
    return _share(torch.stack([_apart(scene.logits, other) for other in again]).any(0))


@DIAGNOSTICS.register("batch_dependent", title="batch-dependent", kind="cause", above=0.01)
def batch_dependent(scene: Scene) -> float:
    """Share of images whose logits depend on their batch mates: batch norm left in training mode.

    0 where the outputs are random anyway.
    """
    again = logits_of(scene.model, scene.images)
    pairs = min(len(scene.images) // 2, PAIRS)
    if not pairs or bool(_apart(scene.logits, again).any()):
        return 0.0
    few = scene.images[: 2 * pairs]
    paired = torch.cat([logits_of(scene.model, pair) for pair in few.split(2)])
    return _share(_apart(scene.logits[: 2 * pairs], paired))


def _apart(first: Tensor, second: Tensor) -> Bits:
    """Where two readings differ by more than rounding, against the size of the logits."""
    scale = first.abs().amax(1).clamp_min(1)
    return (first - second).abs().amax(1) > SAME * scale


@DIAGNOSTICS.register("steps_in_outputs", title="quantised", kind="cause", above=STEPPED)
def steps_in_outputs(scene: Scene) -> float:
    """Share of images where a step of a ten-thousandth of the range, or less, changes no logit."""
    return _share(scene.still)


@DIAGNOSTICS.register(
    "zero_gradients", paper=CARLINI, title="zero gradients", kind="cause", above=0.05
)
def zero_gradients(scene: Scene) -> float:
    """Share of images where the gradient is exactly zero; 0 where inputs are quantised anyway."""
    return 0.0 if _share(scene.still) > STEPPED else _share(scene.flat)


@DIAGNOSTICS.register(
    "hidden_by_underflow", paper=CARLINI, title="underflow", kind="cause", above=0.5
)
def hidden_by_underflow(scene: Scene) -> float:
    """Share of images where float32's cross-entropy is exactly zero, and the margin's slope is not.

    The label's probability rounds to 1 there, and attacks on cross-entropy lose their way; ours
    don't. A sound model may be as sure of some images.
    """
    return _share((entropy(scene.logits, scene.labels) == 0) & ~scene.flat)


@DIAGNOSTICS.register("not_finite", title="not finite", kind="cause", above=0.0)
def not_finite(scene: Scene) -> float:
    """Share of images with a logit or a slope that is not finite."""
    logits = ~scene.logits.isfinite().all(1)
    return _share(logits | ~scene.slopes.isfinite().flatten(1).all(1))


@DIAGNOSTICS.register(
    "unbounded_failures", paper=CARLINI, title="unbounded fails", kind="symptom", above=0.05
)
def unbounded_failures(scene: Scene) -> float:
    """Share of images that the iterative attack does not mislead where only the box limits it."""
    return _share(~scene.misled("iterative", scene.reach))


@DIAGNOSTICS.register(
    "black_box_wins",
    paper=CARLINI,
    title="black box wins",
    kind="symptom",
    above=0.05,
    needs="black_box",
)
def black_box_wins(scene: Scene) -> float:
    """Share of images that the black box misleads and the iterative white box does not."""
    white = scene.misled("iterative", scene.radius)
    return _share(scene.misled("black_box", scene.radius) & ~white)


@DIAGNOSTICS.register(
    "single_step_wins", paper=CARLINI, title="single step wins", kind="symptom", above=0.05
)
def single_step_wins(scene: Scene) -> float:
    """Share of images that one step misleads and the iterative attack does not."""
    iterative = scene.misled("iterative", scene.radius)
    return _share(scene.misled("single", scene.radius) & ~iterative)


@DIAGNOSTICS.register("noise_wins", paper=CARLINI, title="noise wins", kind="symptom", above=0.05)
def noise_wins(scene: Scene) -> float:
    """Share of images that noise of the same radius misleads and the iterative attack does not."""
    iterative = scene.misled("iterative", scene.radius)
    return _share(scene.misled("noise", scene.radius) & ~iterative)


@DIAGNOSTICS.register("success_at_zero", title="success at 0", kind="symptom", above=0.0)
def success_at_zero(scene: Scene) -> float:
    """Share of images, all of them right before, that are misled at radius 0."""
    return _share(scene.misled("iterative", 0.0))


@DIAGNOSTICS.register(
    "not_monotone", paper=CARLINI, title="not monotone", kind="symptom", above=0.05
)
def not_monotone(scene: Scene) -> float:
    """Share of images that the iterative attack misleads at a radius and not at a larger one."""
    found = torch.stack([scene.misled("iterative", radius) for radius in scene.radii])
    return _share(_lost(found))


@DIAGNOSTICS.register(
    "single_step_not_monotone",
    paper=CARLINI,
    title="single step not monotone",
    kind="note",
    above=None,
)
def single_step_not_monotone(scene: Scene) -> float:
    """The same of the single step, which need not be monotone on a sound model."""
    return _share(_lost(torch.stack([scene.misled("single", radius) for radius in scene.radii])))


def _lost(found: Bool[Tensor, "radii n"]) -> Bits:
    """Which images were misled at a radius and not at a larger one."""
    before = found.int().cummax(0).values.bool()
    return (before & ~found).any(0)


@DIAGNOSTICS.register("noise_success", title="noise success", kind="note", above=None)
def noise_success(scene: Scene) -> float:
    """Share of images that noise of the same radius misleads."""
    return _share(scene.misled("noise", scene.radius))


@DIAGNOSTICS.register("iterative_success", title="iterative success", kind="note", above=None)
def iterative_success(scene: Scene) -> float:
    """Share of images that the iterative attack misleads."""
    return _share(scene.misled("iterative", scene.radius))


@DIAGNOSTICS.register("iterative_gain", title="iterative minus single", kind="note", above=None)
def iterative_gain(scene: Scene) -> float:
    """Success of the iterative attack minus that of the single step."""
    return _share(scene.misled("iterative", scene.radius)) - _share(
        scene.misled("single", scene.radius)
    )


@DIAGNOSTICS.register("lost_to_rounding", title="lost to 8 bits", kind="symptom", above=0.5)
def lost_to_rounding(scene: Scene) -> float:
    """Share of the misled images that are right again when they are saved with 8 bits a value."""
    found = scene.misled("iterative", scene.radius)
    if not bool(found.any()):
        return 0.0
    attacked = scene.attack("iterative", scene.radius)
    rounded = (attacked * 255).round() / 255
    again = logits_of(scene.model, rounded).argmax(1) != scene.labels
    return _share(~again[found])
