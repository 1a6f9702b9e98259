"""Attacks of foolbox under `foolbox:NAME`: any of its classes or aliases, as an attack of ours.

What is guarded: the model's parameters are out of foolbox's reach (eagerpy leaves gradients in
them); its random numbers come from the seeds, in a fork of the global generators, and so depend
on the batch; a minimal-norm attack sees only images that are not misclassified yet, and where it
fails (Carlini-Wagner and EAD return black, which may well be misclassified), or gives anything not
finite, the original is returned.
What is not: results are returned as foolbox gives them, with its own clipping to a fixed radius
and none of ours, for the harness to measure. Nothing stops early: foolbox passes its `early_stop`
to every attack and uses it in none. Its defaults are its own: PGD takes 40 steps of 1/30 of the
radius in linf, 50 of 1/40 in l2 and l1, and the last iterate (ours: 40 of 1/16, the best).
"""

from __future__ import annotations

import inspect
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from attacks.contracts import (
    UNIT,
    Attack,
    AttackFacts,
    Box,
    FixedBudget,
    Images,
    Labels,
    MinimalNorm,
    Model,
    Radius,
    Seeds,
    Stop,
)
from attacks.gradients import ask, differentiable, look, misled, ordinary
from attacks.norms import NORMS, refuse
from attacks.objectives import answered
from bench.core.errors import UsageError, one_line, unknown
from bench.core.randomness import forked, stream_seed
from bench.core.registry import Entry

PREFIX = "foolbox:"
PAPER = "doi:10.21105/joss.02607"
WIDE = (-1e6, 1e6)
"""What foolbox is told where there is no box: it can't do without."""
NOT_SETTINGS = ("distance", "tensorboard")
"""Of the constructors: a norm comes with the call, and an attack writes no files."""

NO_NORM = "it rotates and shifts, which no norm measures"
NO_TARGET = "it needs a target class, which an attack of a fixed budget is not given"
NO_START = "it refines the result of another attack, and is given none"
NO_NUMBA = "it needs numba, which is not installed"

# By class, or by a class it derives from.
REASONS = {
    "SpatialAttack": NO_NORM,
    "GenAttack": NO_TARGET,
    "BinarizationRefinementAttack": NO_START,
}
ISSUES = {
    "L2FMNAttack": "its projection divides a norm by itself and projects nothing (foolbox 3.3.4)",
    "DatasetAttack": "draws from the images of its own batch alone (foolbox 3.3.4)",
    "L1AdamBasicIterativeAttack": "takes plain steps: its Adam is never used (foolbox 3.3.4)",
    "L2AdamBasicIterativeAttack": "takes plain steps: its Adam is never used (foolbox 3.3.4)",
    "SparseL1DescentAttack": "its projection moves points out of the ball (foolbox 3.3.4)",
}
NOISE = {"BaseAdditiveNoiseAttack", "L2ContrastReductionAttack"}
SEARCHES = {
    "BinarySearchContrastReductionAttack",
    "GaussianBlurAttack",
    "InversionAttack",
    "LinearSearchContrastReductionAttack",
}
BLACK_BOXES = (NOISE | SEARCHES) | {
    "BaseRepeatedAdditiveNoiseAttack",
    "BoundaryAttack",
    "DatasetAttack",
    "HopSkipJumpAttack",
    "LinearSearchBlendedUniformNoiseAttack",
    "PointwiseAttack",
    "SaltAndPepperNoiseAttack",
}
IMAGE_BY_IMAGE = SEARCHES | {
    "BaseGradientDescent",
    "DeepFoolAttack",
    "FMNAttackLp",
    "L2ContrastReductionAttack",
    "NewtonFoolAttack",
}
SCALED_BY_BOX = {
    "BinarySearchContrastReductionAttack",
    "BoundaryAttack",
    "BrendelBethgeAttack",
    "HopSkipJumpAttack",
    "InversionAttack",
    "L2CarliniWagnerAttack",
    "L2ClippingAwareMixin",
    "L2ContrastReductionAttack",
    "LinearSearchBlendedUniformNoiseAttack",
    "LinearSearchContrastReductionAttack",
    "PointwiseAttack",
    "SaltAndPepperNoiseAttack",
}
BY_CHANCE = ("random_start", "init_attack")
BLACK_IF_FAILED = {"EADAttack", "L2CarliniWagnerAttack"}
UNTARGETED = {"DeepFoolAttack", "NewtonFoolAttack"}


@cache
def _library() -> ModuleType:
    """foolbox.attacks, imported late: it takes a second."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
        import foolbox.attacks
    return foolbox.attacks


def names() -> dict[str, str]:
    """Every `foolbox:NAME`, and why it can't be used here: empty where it can."""
    return {PREFIX + name: _reason(kind) for name, kind in _kinds().items()}


def rows() -> list[dict[str, Any]]:
    """A listing of every `foolbox:NAME`, with its known issue or why it can't be used."""
    found = []
    for short, kind in _kinds().items():
        summary, issue = _summary(kind), _reason(kind) or _first(kind, ISSUES)
        row = {"name": PREFIX + short, "summary": summary, "paper": PAPER}
        found.append(row | ({"known_issue": issue} if issue else {}))
    return found


def adapt(name: str, **settings: Any) -> Entry[Attack, AttackFacts]:
    """The attack that foolbox has under a name such as `foolbox:LinfPGD`.

    settings: of foolbox's constructor, whose defaults hold for the others. Raises UsageError for a
    name or a setting that foolbox does not know, for one it refuses or misses, and for an attack
    that can't be used here (`names` says why).
    """
    kinds = {PREFIX + short: kind for short, kind in _kinds().items()}
    if name not in kinds:
        raise unknown("attack", name, kinds)
    kind = kinds[name]
    if _reason(kind):
        raise UsageError(f"{name} can't be used here: {_reason(kind)}")
    attack = _build(name, kind, settings)
    fixed = isinstance(attack, _library().base.FixedEpsilonAttack)
    bound = inspect.signature(kind).bind_partial(**settings)
    bound.apply_defaults()
    shown = {key: value for key, value in bound.arguments.items() if key not in NOT_SETTINGS}
    part = (FoolboxBudget if fixed else FoolboxMinimal)(name, attack, _norms(attack), shown)
    alone = _is(kind, IMAGE_BY_IMAGE) and not _is(kind, {"SparseL1DescentAttack"})
    facts = AttackFacts(
        gradients=not _is(kind, BLACK_BOXES),
        noise=_is(kind, NOISE),
        batchwise=not alone or any(getattr(attack, way, None) for way in BY_CHANCE),
    )
    issues = tuple(filter(None, [_first(kind, ISSUES)]))
    summary = _summary(kind)
    return Entry(name, part, PAPER, summary, kind.__module__, facts, known_issue=issues)


@dataclass(frozen=True)
class FoolboxBudget(FixedBudget):
    """A FixedEpsilonAttack: its `clipped` result. A batch with several radii is run by radius;
    where the radius is 0 or the result is not finite, the image stays as it is. `stop` is ignored.
    """

    name: str
    attack: Any
    norms: tuple[str, ...]  # pyright: ignore[reportIncompatibleVariableOverride]
    settings: Mapping[str, Any]

    @differentiable()
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
        refuse(norm, self.norms, self.name)
        if targets is not None:
            raise UsageError(f"{self.name} can't aim at targets: leave them out")
        images, labels, seeds = map(ordinary, (images, labels, seeds))
        victim = _victim(self.name, self.attack, model, images, box)
        result = images.clone()
        radii = torch.as_tensor(radius, dtype=torch.float64, device=images.device)
        with _seeded(seeds):
            for value in radii.unique().tolist():
                chosen = (radii == value).expand(len(images))
                if value > 0 and chosen.any():
                    _, found, _ = self.attack(
                        victim, images[chosen], labels[chosen], epsilons=value
                    )
                    index = chosen.nonzero()[:, 0][_finite(found)]
                    result[index] = found[_finite(found)]
        return result


@dataclass(frozen=True)
class FoolboxMinimal(MinimalNorm):
    """A MinimizationAttack: what it returns where that is misclassified, the original elsewhere.

    Attacks without a norm of their own stop at the first success on a path: they serve every norm.
    """

    name: str
    attack: Any
    norms: tuple[str, ...]  # pyright: ignore[reportIncompatibleVariableOverride]
    settings: Mapping[str, Any]

    @differentiable()
    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        targets: Labels | None = None,
    ) -> Images:
        refuse(norm, self.norms, self.name)
        if targets is not None and _is(type(self.attack), UNTARGETED):
            raise UsageError(f"{self.name} can't aim at targets: leave them out")
        images, labels, seeds = map(ordinary, (images, labels, seeds))
        victim = _victim(self.name, self.attack, model, images, box)

        def reached(candidates: Tensor, index: Tensor) -> Tensor:
            logits = look(model, candidates)
            if targets is None:
                return misled(logits, labels[index])
            return (logits.argmax(1) == targets[index]) & answered(logits)

        index = torch.arange(len(images), device=images.device)
        index, result = index[~reached(images, index)], images.clone()
        with _seeded(seeds):
            found, index = self._run(victim, images, labels, targets, index)
        if len(index):
            good = _finite(found) & reached(found, index)
            if _is(type(self.attack), BLACK_IF_FAILED):
                good &= (found != 0).flatten(1).any(1)
            result[index[good]] = found[good]
        return result

    def _run(
        self, victim: Any, images: Images, labels: Labels, targets: Labels | None, index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What foolbox finds for some of the images, and for which of them: fewer, in order."""
        attack, options = self.attack, {}
        if _is(type(attack), {"DatasetAttack"}):
            attack, index = _fed(self.name, victim, images)
        start = _starter(attack)
        if start is not None and len(index):
            begun = start.run(victim, images[index], _criterion(labels, targets, index))
            outputs = victim(begun)
            usable = _criterion(labels, targets, index)(begun, outputs)
            index, options = index[usable], {"starting_points": begun[usable]}
        if not len(index):
            return images[index], index
        criterion = _criterion(labels, targets, index)
        return attack.run(victim, images[index], criterion, **options), index


def _kinds() -> dict[str, type]:
    base = _library().base.Attack
    found = {name: kind for name, kind in vars(_library()).items() if inspect.isclass(kind)}
    return {name: kind for name, kind in found.items() if issubclass(kind, base) and kind != base}


def _reason(kind: type) -> str:
    if _is(kind, {"BrendelBethgeAttack"}) and _library().brendel_bethge.NUMBA_IMPORT_ERROR:
        return NO_NUMBA
    return _first(kind, REASONS)


def _summary(kind: type) -> str:
    """The first sentence of foolbox's documentation, without its references."""
    paragraph = (inspect.getdoc(kind) or "").split("\n\n")[0]
    return re.split(r"\. |\.? *\[", " ".join(paragraph.split()))[0].rstrip(".")


def _is(kind: type, known: set[str]) -> bool:
    return any(base.__name__ in known for base in kind.__mro__)


def _first(kind: type, texts: dict[str, str]) -> str:
    return next((texts[base.__name__] for base in kind.__mro__ if base.__name__ in texts), "")


def _build(name: str, kind: Callable[..., Any], settings: dict[str, Any]) -> Any:
    """foolbox's own instance; its settings are checked by name here, and by value there."""
    parameters = [
        parameter
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.name not in NOT_SETTINGS
    ]
    for given in settings:
        if given not in [parameter.name for parameter in parameters]:
            raise unknown("setting", given, [p.name for p in parameters], f"({name} has these)")
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in settings]
    if missing:
        raise UsageError(f"{name} has no default for {', '.join(missing)}: give it as a setting")
    try:
        return kind(**settings)
    except (AssertionError, NotImplementedError, TypeError, ValueError) as error:
        raise UsageError(one_line(f"{name} refuses the settings {settings}: {error}")) from error


def _norms(attack: Any) -> tuple[str, ...]:
    if isinstance(attack, _library().base.FlexibleDistanceMinimizationAttack):
        return NORMS
    return ({0: "l0", 1: "l1", 2: "l2", torch.inf: "linf"}[attack.distance.p],)


def _victim(name: str, attack: Any, model: Model, images: Images, box: Box) -> Any:
    """foolbox's view of the model. Raises UsageError for a box or images the attack can't take."""
    kind = type(attack)
    if box is None and _is(kind, SCALED_BY_BOX):
        raise UsageError(f"{name} measures its steps by the box: it can't do without one")
    if box != UNIT and _is(kind, {"HopSkipJumpAttack"}):
        raise UsageError(f"{name} clips to [0, 1] whatever the box: expected (0, 1), got {box}")
    if images.ndim != 4 and _is(kind, {"GaussianBlurAttack"}):
        raise UsageError(
            f"{name} expected images [batch, channels, height, width], got {list(images.shape)}"
        )
    low, high = WIDE if box is None else box
    if len(images) and not (low <= images.min() and images.max() <= high):
        raise UsageError(
            f"{name} expected pixels from {low:g} to {high:g}, got some from "
            f"{images.min():g} to {images.max():g}"
        )
    from foolbox.models.pytorch import PyTorchModel

    return PyTorchModel(_Shielded(model).eval(), (low, high), device=images.device)


class _Shielded(nn.Module):
    """A model whose parameters foolbox can't reach: to move, to put into a mode, or to derive."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._unregistered = (model,)

    def forward(self, images: Tensor) -> Tensor:
        model = self._unregistered[0]
        return _Shield.apply(images, model) if images.requires_grad else ask(model, images)


class _Shield(torch.autograd.Function):
    """The model with a backward pass to its images alone."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, model: Model) -> Tensor:
        with torch.enable_grad():
            ctx.images = images.detach().requires_grad_()
            ctx.logits = ask(model, ctx.images)
        return ctx.logits.detach()

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None]:
        if not ctx.logits.requires_grad:
            return torch.zeros_like(ctx.images), None
        (gradient,) = torch.autograd.grad(ctx.logits, ctx.images, outputs, allow_unused=True)
        return (torch.zeros_like(ctx.images) if gradient is None else gradient), None


@contextmanager
def _seeded(seeds: Seeds) -> Iterator[None]:
    """foolbox's random numbers from the seeds, and without the warnings it gives in passing."""
    with forked(stream_seed("foolbox", *seeds.tolist())), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*failed to draw sufficient random", UserWarning)
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        yield


def _criterion(labels: Labels, targets: Labels | None, index: Tensor) -> Any:
    from foolbox.criteria import Misclassification, TargetedMisclassification

    if targets is None:
        return Misclassification(labels[index])
    return TargetedMisclassification(targets[index])


def _starter(attack: Any) -> Any:
    """What finds the starting points of an attack that gives up if it lacks one; None elsewhere."""
    library, kind = _library(), type(attack)
    if not _is(
        kind, {"BoundaryAttack", "BrendelBethgeAttack", "HopSkipJumpAttack", "PointwiseAttack"}
    ):
        return None
    if attack.init_attack is not None:
        return attack.init_attack
    if _is(kind, {"PointwiseAttack"}):
        return library.SaltAndPepperNoiseAttack()
    return library.LinearSearchBlendedUniformNoiseAttack(steps=50)


def _fed(name: str, victim: Any, images: Images) -> tuple[Any, Tensor]:
    """A fresh DatasetAttack that holds the batch, and the index of it all, which it counts on."""
    if len(images) < 2:
        raise UsageError(
            f"{name} draws from the other images of its batch: expected at least 2, got "
            f"{len(images)}"
        )
    attack = _library().DatasetAttack()
    attack.feed(victim, images)
    return attack, torch.arange(len(images), device=images.device)


def _finite(images: Images) -> Tensor:
    return images.isfinite().flatten(1).all(1)
