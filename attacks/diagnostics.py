"""What can be wrong with a robustness figure, measured from outside: one number a diagnostic.

A diagnostic fires above its threshold. A cause says why attacks may fail (gradients that are
zero, outputs that are random); a symptom (a black box that beats the white box) says that they
do, and is blamed on the causes where one fires. A pitfall holds back other attacks than those of
the audit: it fires, and explains nothing. After Carlini et al. 2019 and Croce et al. 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import comb
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attacks.contracts import (
    Box,
    FixedBudget,
    Images,
    Labels,
    MinimalNorm,
    Seeds,
    Stop,
)
from attacks.engine import RADIUS_TOLERANCE, Counted, chunk_of, logits_of
from attacks.gradients import ascent, misled
from attacks.norms import into_box, size
from attacks.objectives import answered, entropy
from attacks.slopes import wrong_slopes
from attacks.streams import signs
from bench.core.registry import Registry

CARLINI, CROCE = "arXiv:1902.06705", "arXiv:2003.01690"
REPEATS = 5
PAIRS = 25
SAME = 1e-4
TINY = (1e-4, 1e-5, 1e-6)
LONGEST = 0.1
ROUNDINGS = 4
WHERE_FLOAT32_ENDS = 2e-6
CHANCE = 0.05
STEPPED = 0.05
Bits = Bool[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class Tools:
    """The attacks that the diagnostics use, by what they are for; None where there is none."""

    single: FixedBudget
    iterative: FixedBudget
    black_box: FixedBudget | None
    noise: FixedBudget
    search: MinimalNorm | None = None
    transfer: FixedBudget | None = None


@dataclass(eq=False)
class Scene:
    """A classifier, images that it gets right, and an attack's setting; everything that several
    diagnostics need is computed once.

    A smallest radius comes first in `radii`, the one of interest last; `reach` is the radius at
    which nothing limits the attack but the box. given: the images that the attack in question
    made within the last radius, if there is one. abstains: the class that stands for no answer, if
    there is one: an image that is answered by it is not misled.
    """

    model: Counted
    images: Images
    labels: Labels
    seeds: Seeds
    norm: str
    radii: tuple[float, ...]
    reach: float
    box: Box
    tools: Tools
    given: Images | None = None
    abstains: int | None = None
    _misled: dict[tuple[str, float], Bits] = field(default_factory=dict)
    _silent: dict[tuple[str, float], Bits] = field(default_factory=dict)

    @property
    def radius(self) -> float:
        return self.radii[-1]

    def attack(
        self, kind: str, radius: float, stop: Stop = "never", chosen: Bits | None = None
    ) -> Images:
        """The images that one of the tools makes, of all or of the chosen."""
        everyone = torch.ones(len(self.images), dtype=torch.bool, device=self.images.device)
        chosen = everyone if chosen is None else chosen
        return self._attacked(kind, chosen, radius=radius, stop=stop)

    def _attacked(self, kind: str, chosen: Bits, **given: Any) -> Images:
        """What one of the tools makes of some images."""
        part, size = getattr(self.tools, kind), chunk_of(self.images)
        some = (values[chosen].split(size) for values in (self.images, self.labels, self.seeds))
        given = {"norm": self.norm, "box": self.box, **given}
        return torch.cat(
            [part(self.model, x, y, seeds=s, **given) for x, y, s in zip(*some, strict=True)]
        )

    def misled(self, kind: str, radius: float) -> Bits:
        """Which images one of the tools misleads at a radius."""
        if (kind, radius) not in self._misled:
            logits = logits_of(self.model, self.attack(kind, radius, "first_success"))
            self._misled[kind, radius] = self.fooled(logits, self.labels)
            self._silent[kind, radius] = self.silent(logits)
        return self._misled[kind, radius]

    def fooled(self, logits: Tensor, labels: Labels) -> Bits:
        """Which images are taken for another class; no answer is none."""
        return misled(logits, labels) & ~self.silent(logits)

    def silent(self, logits: Tensor) -> Bits:
        """Which images have no answer: the class that stands for none, or one not finite."""
        none = ~answered(logits)
        return none if self.abstains is None else none | (logits.argmax(1) == self.abstains)

    def abstained(self, kind: str, radius: float) -> Bits:
        """Which images have no answer after one of the tools."""
        self.misled(kind, radius)
        return self._silent[kind, radius]

    def _won_by(self, kind: str) -> Bits:
        """Of the images that withstand the iterative attack those that another tool misleads within
        the radius. The others are not tried: what is asked is who finds more; but a surrogate
        learns of all.
        """
        left = ~self.misled("iterative", self.radius)
        if not bool(left.any()):
            return left
        if kind == "transfer":
            return left & self.misled(kind, self.radius)
        search = isinstance(getattr(self.tools, kind), MinimalNorm)
        given = {} if search else {"radius": self.radius, "stop": "first_success"}
        attacked = self._attacked(kind, left, **given)
        near = size(attacked.double() - self.images[left].double(), self.norm) <= (
            self.radius * (1 + RADIUS_TOLERANCE) + RADIUS_TOLERANCE
        )
        won = torch.zeros_like(left)
        won[left] = near & self.fooled(logits_of(self.model, attacked), self.labels[left])
        return won

    @cached_property
    def found(self) -> Bits:
        """Which images any of the tools misleads within the radius."""
        others = ("black_box", "search", "transfer")
        kinds = [kind for kind in others if getattr(self.tools, kind) is not None]
        wins = [self.wins(kind) for kind in kinds]
        return torch.stack([self.misled("iterative", self.radius), *wins]).any(0)

    def wins(self, kind: str) -> Bits:
        """The images that a tool misleads within the radius and the iterative attack does not."""
        if (kind, -1.0) not in self._misled:
            self._misled[kind, -1.0] = self._won_by(kind)
        return self._misled[kind, -1.0]

    @cached_property
    def logits(self) -> Float[Tensor, "n classes"]:
        return logits_of(self.model, self.images)

    @cached_property
    def resolution(self) -> float:
        """The rounding of the type that the model counts with, as far as its answers tell: the
        coarsest that has a number for every logit. It may count in halves and answer in float32.
        """
        for kind in (torch.bfloat16, torch.float16):
            if bool((self.logits.to(kind).to(self.logits.dtype) == self.logits).all()):
                return torch.finfo(kind).eps
        return torch.finfo(torch.float32).eps

    @property
    def rounding(self) -> float:
        """What two readings of a logit may differ by, as a share of the largest."""
        return max(SAME, ROUNDINGS * self.resolution)

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
    def unsteady(self) -> Bits:
        """Where the logits change when the same batch is asked about again."""
        again = [logits_of(self.model, self.images) for _ in range(REPEATS - 1)]
        return torch.stack([_apart(self, self.logits, other) for other in again]).any(0)

    @cached_property
    def mixed(self) -> Bits:
        """Of the first images, whose logits depend on their batch mates; none where they change
        anyway.
        """
        pairs = min(len(self.images) // 2, PAIRS)
        if not pairs or bool(self.unsteady.any()):
            return torch.zeros(0, dtype=torch.bool)
        few = self.images[: 2 * pairs]
        paired = torch.cat([logits_of(self.model, pair) for pair in few.split(2)])
        return _apart(self, self.logits[: 2 * pairs], paired)

    @cached_property
    def still(self) -> Bits:
        """Where a step of some tiny length in a random direction changes no logit.

        Several lengths: the longest may cross an edge of a fine grid, the shortest may be lost in
        the rounding of an image that lies on none. They are longer, up to a tenth of the range, the
        coarser the numbers are that the model counts with.
        """
        way = signs(self.seeds, tuple(self.images.shape[1:]), 17).to(self.images.dtype)
        coarser = max(1.0, self.resolution / torch.finfo(torch.float32).eps)
        steps = sorted({min(step * coarser, LONGEST) for step in TINY})
        same = [
            (logits_of(self.model, into_box(self.images + step * way, self.box)) == self.logits)
            for step in steps
        ]
        return torch.stack([bits.all(1) for bits in same]).any(0)


Kind = Literal["cause", "pitfall", "symptom", "note"]


@dataclass(frozen=True)
class DiagnosticFacts:
    """above: it fires where the value is larger; None: it is a number to know and never fires.
    kind: a cause, a pitfall, a symptom that any cause explains, or a note. needs: the tool without
    which it is left out, if any. percent, digits: how it is printed. version: rises when what is
    measured is another thing.
    """

    title: str
    kind: Kind
    above: float | None
    needs: str = ""
    percent: bool = True
    digits: int = 1
    version: int = 1


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
    return _share((scene.logits >= 0).all(1) & ((total - 1).abs() < scene.rounding))


@DIAGNOSTICS.register("random_outputs", paper=CROCE, title="random", kind="cause", above=0.01)
def random_outputs(scene: Scene) -> float:
    """Share of images whose logits change when the same batch is asked about again."""
    return _share(scene.unsteady)


@DIAGNOSTICS.register("batch_dependent", title="batch-dependent", kind="cause", above=0.01)
def batch_dependent(scene: Scene) -> float:
    """Share of images whose logits depend on their batch mates: batch norm left in training mode.

    0 where the outputs are random anyway.
    """
    return _share(scene.mixed)


def _apart(scene: Scene, first: Tensor, second: Tensor) -> Bits:
    """Where two readings differ by more than rounding, against the size of the logits."""
    scale = first.abs().amax(1).clamp_min(1)
    return (first - second).abs().amax(1) > scene.rounding * scale


@DIAGNOSTICS.register("steps_in_outputs", title="quantised", kind="cause", above=STEPPED, version=2)
def steps_in_outputs(scene: Scene) -> float:
    """Share of images where the gradient is zero, and a step of a ten-thousandth of the range, or
    less, changes no logit; of a model that counts in half precision, a step as much longer as its
    numbers are coarser.
    """
    return _share(scene.still & scene.flat)


@DIAGNOSTICS.register(
    "zero_gradients", paper=CARLINI, title="zero gradients", kind="cause", above=0.05
)
def zero_gradients(scene: Scene) -> float:
    """Share of images where the gradient is exactly zero; 0 where inputs are quantised anyway."""
    return 0.0 if _share(scene.still & scene.flat) > STEPPED else _share(scene.flat)


@DIAGNOSTICS.register(
    "wrong_gradients", paper=CARLINI, title="wrong gradients", kind="cause", above=0.05
)
def wrong_gradients(scene: Scene) -> float:
    """Share of images where the gradient of the lead is not its slope: finite differences along
    it are less than a third, or more than three times, of what it says, at every step from a
    hundred-thousandth to a tenth of the range. 0 where answers are random or depend on batch mates.
    """
    if bool(scene.unsteady.any()) or bool(scene.mixed.any()):
        return 0.0
    size = chunk_of(scene.images)
    parts = (values.split(size) for values in (scene.images, scene.labels, scene.seeds))
    rounding = max(WHERE_FLOAT32_ENDS, ROUNDINGS * scene.resolution)
    given = {"box": scene.box, "rounding": rounding}
    found = [
        wrong_slopes(scene.model, x, y, seeds=s, **given) for x, y, s in zip(*parts, strict=True)
    ]
    return _share(torch.cat(found))


@DIAGNOSTICS.register(
    "hidden_by_underflow", paper=CARLINI, title="underflow", kind="pitfall", above=0.5, version=2
)
def hidden_by_underflow(scene: Scene) -> float:
    """Share of images where the gradient of float32's cross-entropy is exactly zero, and the
    margin's is not: the label leads by 100 or so. Attacks on cross-entropy have nowhere to go
    there; ours do.
    """
    size = chunk_of(scene.images)
    batches = zip(scene.images.split(size), scene.labels.split(size), strict=True)
    slopes = torch.cat([ascent(scene.model, x, y, entropy)[0] for x, y in batches])
    return _share((slopes == 0).flatten(1).all(1) & ~scene.flat)


@DIAGNOSTICS.register("not_finite", title="not finite", kind="cause", above=0.0)
def not_finite(scene: Scene) -> float:
    """Share of images with a logit or a slope that is not finite; or of such answers that attacks
    met on their way within the radius, whichever is more.
    """
    for kind in ("iterative", "single", "noise"):
        scene.misled(kind, scene.radius)
    broken = ~answered(scene.logits) | ~scene.slopes.isfinite().flatten(1).all(1)
    return max(_share(broken), scene.model.silent / scene.model.forwards)


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
    return _share(scene.wins("black_box"))


@DIAGNOSTICS.register(
    "search_wins",
    paper=CROCE,
    title="search wins",
    kind="symptom",
    above=0.05,
    needs="search",
)
def search_wins(scene: Scene) -> float:
    """Share of images that the search for the smallest perturbation misleads within the radius and
    the iterative attack does not.
    """
    return _share(scene.wins("search"))


@DIAGNOSTICS.register(
    "transfer_wins",
    paper="arXiv:1802.00420",
    title="transfer wins",
    kind="symptom",
    above=0.05,
    needs="transfer",
)
def transfer_wins(scene: Scene) -> float:
    """Share of images that what misleads another network misleads here too, and the iterative
    attack does not: a surrogate, fitted to the answers around the images, or a network that is
    given.
    """
    return _share(scene.wins("transfer"))


@DIAGNOSTICS.register(
    "stronger_attacks", paper=CARLINI, title="stronger attacks", kind="symptom", above=0.03
)
def stronger_attacks(scene: Scene) -> float:
    """Share of images that the audit's attacks mislead and the attack in question does not, less
    the share of the reverse; 0 where chance explains it (a sign test, one-sided, at 5 %), and where
    no attack is in question.
    """
    if scene.given is None:
        return 0.0
    own, found = scene.fooled(logits_of(scene.model, scene.given), scene.labels), scene.found
    more, fewer = int((found & ~own).sum()), int((own & ~found).sum())
    tail = sum(comb(more + fewer, k) for k in range(more, more + fewer + 1))
    return 0.0 if tail > CHANCE * 2 ** (more + fewer) else (more - fewer) / len(own)


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


@DIAGNOSTICS.register("abstentions", title="abstentions", kind="note", above=None)
def abstentions(scene: Scene) -> float:
    """Share of images that have no answer after the iterative attack: the class that stands for
    none, or a logit that is not finite. They are neither misled nor robust.
    """
    return _share(scene.abstained("iterative", scene.radius))


@DIAGNOSTICS.register("lost_to_rounding", title="lost to 8 bits", kind="symptom", above=0.5)
def lost_to_rounding(scene: Scene) -> float:
    """Share of the misled images that are right again when they are saved with 8 bits a value."""
    found = scene.misled("iterative", scene.radius)
    if not bool(found.any()):
        return 0.0
    attacked = scene.attack("iterative", scene.radius, chosen=found)
    rounded = (attacked * 255).round() / 255
    return _share(~scene.fooled(logits_of(scene.model, rounded), scene.labels[found]))
