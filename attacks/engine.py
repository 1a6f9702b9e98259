"""Running attacks on a model that is left as it was found, and measuring them from outside.

Nothing here believes an attack: distances, box, finiteness and success are measured again, the
distances in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attacks.contracts import (
    Box,
    FixedBudget,
    Images,
    Labels,
    MinimalNorm,
    Model,
    Ray,
    Seeds,
    Stop,
)
from attacks.ensemble import NOBODY, Ensemble, Finders
from attacks.goals import Goal
from attacks.gradients import differentiable, look, ordinary
from attacks.norms import size
from attacks.objectives import answered
from bench.core.asfound import inference_tensors, left_as_found
from bench.core.errors import UsageError

CHUNK_VALUES = 2**19
ACCELERATED = 16
RADIUS_TOLERANCE = 1e-5
BOX_TOLERANCE = 1e-6


class Counted:
    """A model that counts the images it was asked about, forwards and backwards. silent: those that
    it answered with a logit that is not finite.
    """

    def __init__(self, model: Model) -> None:
        self.forwards = self.backwards = self.silent = 0
        self._model = model

    def __call__(self, images: Tensor) -> Tensor:
        self.forwards += len(images)
        logits = self._model(images)
        self.silent += int((~answered(logits.detach())).sum())
        if logits.requires_grad:
            logits.register_hook(self._count)
        return logits

    def _count(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


@contextmanager
def frozen(model: Model) -> Iterator[Model]:
    """The model, its parameters without gradients, and gradients recorded whatever mode the caller
    is in (torch.no_grad, inference_mode); afterwards all of it is as it was: `AsFound` says what.

    A model that is no module is left alone. Raises UsageError for weights that no gradient can
    pass, those made in torch.inference_mode.
    """
    if inference_tensors(model):
        raise UsageError(
            "the model's weights were made in torch.inference_mode, and no gradient passes such "
            "tensors: expected a model that is made or loaded outside it"
        )
    with differentiable(), left_as_found(model):
        for weight in model.parameters() if isinstance(model, nn.Module) else ():
            weight.requires_grad_(False)
        yield model


_AT_ONCE: ContextVar[int] = ContextVar("at_once", default=0)


@contextmanager
def at_once(count: int) -> Iterator[None]:
    """In here `count` images are attacked at once; 0: as many as is usual."""
    token = _AT_ONCE.set(count)
    try:
        yield
    finally:
        _AT_ONCE.reset(token)


def chunk_of(images: Images) -> int:
    """How many images are attacked at once: as `at_once` says, else as many as fit a fixed number
    of values, which is larger on a GPU.
    """
    if count := _AT_ONCE.get():
        return count
    values = CHUNK_VALUES * (1 if images.device.type == "cpu" else ACCELERATED)
    return max(1, values // max(1, images[0].numel())) if len(images) else 1


def logits_of(model: Model, images: Images) -> Float[Tensor, "batch classes"]:
    """The model's logits, in parts, without gradients; in float32 at least."""
    return torch.cat([look(model, part) for part in images.split(chunk_of(images))])


Confidences = Callable[[Tensor], Tensor]


def softmax(logits: Float[Tensor, "n classes"]) -> Float[Tensor, " n"]:
    """The probability of the likeliest class among all, in float64."""
    return logits.double().softmax(1).amax(1)


def independent(logits: Float[Tensor, "n classes"]) -> Float[Tensor, " n"]:
    """The probability of the likeliest class by itself, where a logit is its log, in float64."""
    return logits.double().amax(1).exp()


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model makes of images: the likeliest class and its probability. wrong: which images it
    answers with logits that are not finite, in words, or empty; of these there is no prediction.
    """

    predictions: Int[Tensor, " n"]
    confidences: Float[Tensor, " n"]
    wrong: str = ""


def classify(model: Model, images: Images, confidences: Confidences = softmax) -> Answers:
    """What a model makes of images."""
    logits = logits_of(model, images)
    return Answers(logits.argmax(1), confidences(logits), unanswered(logits))


def unanswered(logits: Float[Tensor, "n classes"]) -> str:
    """Which images are answered with a logit that is not finite, in words, or empty.

    Such an image is neither misled nor robust: what it is counted as would be the figure of nobody.
    """
    broken = ~answered(logits)
    if not bool(broken.any()):
        return ""
    first = int(broken.nonzero()[0, 0])
    return (
        f"the classifier answers {int(broken.sum())} of {len(broken)} images (the first is {first})"
        " with a logit that is not finite: neither misled nor robust"
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """An attack's images from outside. distances: in the attack's norm; rms: the root of the mean
    squared difference of a pixel; wrong: what the attack did that it may not, or empty.
    """

    distances: Float[Tensor, " n"]
    rms: Float[Tensor, " n"]
    wrong: str


def measure(
    images: Images, attacked: Images, *, norm: str, radius: float | None, box: Box
) -> Measured:
    """Measure attacked images against the originals, in float64."""
    if attacked.shape != images.shape:
        text = f"expected attacked images {tuple(images.shape)}, got {tuple(attacked.shape)}"
        return Measured(torch.empty(0), torch.empty(0), text)
    difference = attacked.double() - images.double()
    distances = size(difference, norm)
    rms = difference.flatten(1).square().mean(1).sqrt()
    return Measured(distances, rms, _wrong(attacked, distances, norm, radius, box))


def _wrong(attacked: Images, distances: Tensor, norm: str, radius: float | None, box: Box) -> str:
    broken = ~attacked.isfinite().flatten(1).all(1)
    if bool(broken.any()):
        return f"{_some(broken)} not finite"
    if radius is not None:
        far = distances > radius * (1 + RADIUS_TOLERANCE) + RADIUS_TOLERANCE
        if bool(far.any()):
            return (
                f"{_some(far)} farther than the radius: expected {norm} of at most {radius:g}, got "
                f"{float(distances.max()):.6g}"
            )
    if box is None:
        return ""
    low, high = box
    flat = attacked.flatten(1)
    outside = ((flat < low - BOX_TOLERANCE) | (flat > high + BOX_TOLERANCE)).any(1)
    if bool(outside.any()):
        span = f"{float(flat.min()):.6g} to {float(flat.max()):.6g}"
        return f"{_some(outside)} outside the box: expected {low:g} to {high:g}, got {span}"
    return ""


def _some(bad: Bool[Tensor, " n"]) -> str:
    first = int(bad.nonzero()[0, 0])
    return f"{int(bad.sum())} of {len(bad)} attacked images (the first is {first}) are"


def run(
    attack: FixedBudget,
    model: Model,
    images: Images,
    labels: Labels,
    *,
    radii: Sequence[float],
    norm: str,
    seeds: Seeds,
    box: Box,
    stop: Stop = "never",
    targets: Labels | None = None,
) -> Iterator[Images]:
    """The attacked images of each radius in turn; a ray's gradient is taken once for all. With
    `stop="first_success"` and radii that rise an image that has been misled keeps what misled it,
    and only the others are attacked further away.
    """
    given = {"radii": radii, "norm": norm, "seeds": seeds, "box": box, "stop": stop}
    for attacked, _ in traced(attack, model, images, labels, targets=targets, **given):
        yield attacked


def traced(
    attack: FixedBudget,
    model: Model,
    images: Images,
    labels: Labels,
    *,
    radii: Sequence[float],
    norm: str,
    seeds: Seeds,
    box: Box,
    stop: Stop = "never",
    targets: Labels | None = None,
) -> Iterator[tuple[Images, Finders | None]]:
    """The same, with which member of an ensemble reached the goal; None of an attack that is
    none.
    """
    goal, images, seeds = Goal(labels, targets).ordinary(), ordinary(images), ordinary(seeds)
    if isinstance(attack, Ray) and any(radii):
        yield from ((x, None) for x in _along(attack, model, images, goal, radii, norm, seeds, box))
        return
    found, finders = images, None
    left = torch.arange(len(images), device=images.device)
    for radius in radii:
        given = {"radius": radius, "norm": norm, "box": box, "stop": stop}
        parts = [
            _once(attack, model, x, g, {"seeds": s, **given})
            for x, g, s in _parts(images[left], goal[left], seeds[left])
        ]
        if not parts:
            yield found, finders
            continue
        some, by = (list(column) for column in zip(*parts, strict=True))
        found, finders = _put(found, left, _joined(some)), _put_finders(finders, left, by, labels)
        yield found, finders
        if stop == "first_success":
            left = left[~goal[left].reached(logits_of(model, found[left]))]


def _parts(images: Images, goal: Goal, seeds: Seeds) -> Iterator[tuple[Images, Goal, Seeds]]:
    """As many images at once as are attacked together."""
    every = torch.arange(len(images), device=images.device)
    for kept in every.split(chunk_of(images)) if len(images) else ():
        yield images[kept], goal[kept], seeds[kept]


def _along(
    attack: Ray,
    model: Model,
    images: Images,
    goal: Goal,
    radii: Sequence[float],
    norm: str,
    seeds: Seeds,
    box: Box,
) -> Iterator[Images]:
    """A ray's images, its directions taken once."""
    parts = list(_parts(images, goal, seeds))
    ways = [
        attack.direction(model, x, g.labels, norm=norm, seeds=s, **g.aims()) for x, g, s in parts
    ]
    for radius in radii:
        given = {"radius": radius, "norm": norm, "box": box}
        yield _joined(
            [attack.along(x, way, **given) for (x, _, _), way in zip(parts, ways, strict=True)]
        )


def _once(
    attack: FixedBudget, model: Model, images: Images, goal: Goal, given: dict[str, Any]
) -> tuple[Images, Finders | None]:
    if isinstance(attack, Ensemble):
        return attack.found(model, images, goal, **given)
    return attack(model, images, goal.labels, **given, **goal.aims()), None


def _put(whole: Images, places: Tensor, some: Images) -> Images:
    """The images, some of them replaced."""
    if len(places) == len(whole):
        return some
    whole = whole.clone()
    whole[places] = some
    return whole


def _put_finders(
    whole: Finders | None, places: Tensor, some: list[Finders | None], labels: Labels
) -> Finders | None:
    known = [each for each in some if each is not None]
    if not known:
        return None
    return _put(torch.full_like(labels, NOBODY) if whole is None else whole, places, _joined(known))


def _joined(parts: list[Images]) -> Images:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def search(
    attack: MinimalNorm,
    model: Model,
    images: Images,
    labels: Labels,
    *,
    norm: str,
    seeds: Seeds,
    box: Box,
    targets: Labels | None = None,
) -> Images:
    """The attacked images of a search for the smallest perturbation."""
    size_, (images, labels, seeds) = chunk_of(images), map(ordinary, (images, labels, seeds))
    aims = [None] * len(images.split(size_)) if targets is None else targets.split(size_)
    parts = zip(images.split(size_), labels.split(size_), seeds.split(size_), aims, strict=True)
    return torch.cat(
        [attack(model, x, y, norm=norm, seeds=s, box=box, targets=t) for x, y, s, t in parts]
    )
