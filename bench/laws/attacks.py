"""What holds for every attack, in each of its norms."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor

from attacks import ATTACKS, UNIT, FixedBudget, MinimalNorm, Ray
from attacks.contracts import Model
from attacks.engine import Counted, frozen, run
from attacks.norms import NORMS
from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from bench.laws.examples import raises
from bench.laws.scenes import (
    IMAGES,
    Odd,
    answer_for_nothing,
    answer_with_a_graph,
    assert_as_found,
    leads,
    linear,
    misled,
    pictures,
    scene,
    sizes,
    state_of,
)

QUICK = {
    "queries": 16,
    "steps": 8,
    "iterations": 40,
    "searches": 1,
    "looks": 1,
    "tolerance": 1e-2,
}
FEWER = {"classes": 2, "restarts": 2, "l1_restarts": 2, "l1_classes": 2}
"""Settings of attacks, under the names that they have wherever an attack has them; and those that
are at most so many.
"""
RADIUS = {"linf": 0.05, "l2": 0.4, "l1": 2.0, "l0": 5.0}
BOXES = [UNIT, (-0.5, 1.25), None]


def _norms(*more: Any) -> Callable[[Entry], base.Cases]:
    return lambda entry: each(entry.part.norms, *more)


def _is(*kinds: type) -> Callable[[Entry], bool]:
    return lambda entry: isinstance(entry.part, kinds)


about = partial(base.law, ATTACKS.kind)
law = partial(about, cases=_norms())
fixed_law = partial(law, where=_is(FixedBudget))
ray_law = partial(law, where=_is(Ray))
search_law = partial(law, where=_is(MinimalNorm))


@dataclass(frozen=True)
class Trial:
    """An attack in one of its norms, with a radius and seeds unless given; in few steps by rule."""

    entry: Entry
    norm: str
    quick: bool = True

    @property
    def part(self) -> Any:
        part: Any = self.entry.part
        known = {field.name for field in fields(part)} if is_dataclass(part) else set()
        fewer = {name: value for name, value in QUICK.items() if name in known}
        fewer |= {
            name: min(most, usual)
            for name, most in FEWER.items()
            if name in known and isinstance(usual := getattr(part, name), int)
        }
        if not (self.quick and fewer):
            return part
        return replace(part, **fewer)  # pyright: ignore[reportArgumentType]

    @property
    def radius(self) -> float:
        return RADIUS[self.norm]

    def __call__(self, model: Model, images: Tensor, labels: Tensor, **given: Any) -> Tensor:
        given = {"norm": self.norm, "seeds": torch.arange(len(images)) + 7, **given}
        if isinstance(self.entry.part, FixedBudget):
            given = {"radius": self.radius, **given}
        return self.part(model, images, labels, **given)


@about()
def an_attack_names_its_norms(attack: Entry) -> None:
    """One or more of the known ones, each once; and noise asks for no gradients."""
    norms, facts = attack.part.norms, attack.facts
    assert 0 < len(norms) == len(set(norms))
    assert set(norms) <= set(NORMS)
    assert not (facts.gradients and facts.noise)


@fixed_law()
def an_attack_stays_in_the_ball_and_the_box(attack: Entry, norm: str) -> None:
    """In the ball to 1e-5, in the box to the last bit, whatever the radius; and it moves."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    for box, factor in product(BOXES, (0.1, 1.0, 20.0)):
        radius = factor * trial.radius
        found = trial(model, images, labels, radius=radius, box=box)
        distances = sizes(found - images, norm)
        assert found.isfinite().all()
        assert (distances <= radius + 1e-5 * max(1, radius)).all()
        assert (found != images).flatten(1).any(1).all()
        assert box is None or found.min() >= box[0]
        assert box is None or found.max() <= box[1]


@search_law()
def a_search_stays_in_the_box(attack: Entry, norm: str) -> None:
    """To the last bit; what it returns is misclassified."""
    trial, (model, images, labels) = Trial(attack, norm), scene(4)
    for box in BOXES:
        found = trial(model, images, labels, box=box)
        won = misled(model, found, labels)
        assert found.isfinite().all()
        assert won.all()
        assert box is None or found.min() >= box[0]
        assert box is None or found.max() <= box[1]


@law()
def without_a_box_pixels_leave_it(attack: Entry, norm: str) -> None:
    """Or the box was there all the same."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    found = trial(model, images, labels, box=None)
    boxed = trial(model, images, labels)
    assert found.min() < 0 or found.max() > 1
    assert not torch.equal(found, boxed)


@fixed_law()
def a_radius_of_0_gives_the_clean_images(attack: Entry, norm: str) -> None:
    """To the bit, as a number or as a tensor."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    for radius, box in product((0.0, torch.zeros(IMAGES)), BOXES):
        found = trial(model, images, labels, radius=radius, box=box)
        assert torch.equal(found, images)


@fixed_law(unless="batchwise")
def each_image_may_have_its_own_radius(attack: Entry, norm: str) -> None:
    """To the bit what it gets when all have that one."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    radii = trial.radius * torch.tensor([0.0, 0.5, 1.0, 2.0] * (IMAGES // 4))
    together = trial(model, images, labels, radius=radii)
    for radius in radii.unique():
        alike = trial(model, images, labels, radius=radius.item())
        assert torch.equal(together[radii == radius], alike[radii == radius])
        assert torch.equal(trial(model, images, labels, radius=radius), alike)


@law(unless="batchwise")
def batch_mates_do_not_matter(attack: Entry, norm: str) -> None:
    """Alone, in another order or before more were there: same success bits, norms to 1e-5."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    seeds = torch.arange(IMAGES) + 7
    found = trial(model, images, labels, seeds=seeds)
    won, far = misled(model, found, labels), sizes(found - images, norm)
    for rows in ([0], [7], [3, 1], [0, 1, 2, 3, 4], [7, 6, 5, 4, 3, 2, 1, 0]):
        some = trial(model, images[rows], labels[rows], seeds=seeds[rows])
        moved, again = sizes(some - images[rows], norm), misled(model, some, labels[rows])
        assert torch.equal(again, won[rows])
        torch.testing.assert_close(moved, far[rows], rtol=1e-5, atol=1e-5)


@law()
def seeds_decide_everything(attack: Entry, norm: str) -> None:
    """Same seeds, same bits; the global generator changes nothing and is left alone."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    first = trial(model, images, labels)
    torch.manual_seed(5)
    untouched = torch.get_rng_state()
    again = trial(model, images, labels)
    assert torch.equal(again, first)
    assert torch.equal(torch.get_rng_state(), untouched)


@law(only="noise")
def other_seeds_are_other_noise(attack: Entry, norm: str) -> None:
    """Everywhere; the same seed is the same noise for every image."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    first = trial(model, images, labels, box=None) - images
    other = trial(model, images, labels, seeds=torch.arange(IMAGES) + 99, box=None) - images
    same = trial(model, images, labels, seeds=torch.full((IMAGES,), 3), box=None) - images
    assert (first != other).flatten(1).any(1).all()
    for one, two in pairwise(first):
        assert (one - two).abs().max() > 1e-4
    torch.testing.assert_close(same, same[:1].expand_as(same), rtol=0, atol=1e-6)


@law(only="noise")
def noise_sees_neither_model_nor_label(attack: Entry, norm: str) -> None:
    """No call of the model, whatever the labels."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    counted = Counted(model)
    found = trial(counted, images, labels)
    other = trial(counted, images, (labels + 3) % 10)
    assert counted.forwards == 0
    assert torch.equal(other, found)


@law(only="draws")
def attacks_that_draw_draw_from_the_seeds(attack: Entry, norm: str) -> None:
    """Other seeds, another result."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    first, other = (
        trial(model, images, labels, seeds=torch.arange(IMAGES) + start) for start in (0, 50)
    )
    assert not torch.equal(first, other)


@law(unless="draws")
def attacks_that_draw_say_so(attack: Entry, norm: str) -> None:
    """Other seeds, the same result, to the bit; noise declares itself."""
    if attack.facts.noise:
        return
    trial, (model, images, labels) = Trial(attack, norm), scene()
    first, other = (
        trial(model, images, labels, seeds=torch.arange(IMAGES) + start) for start in (0, 50)
    )
    assert torch.equal(first, other)


@law()
def an_attack_leaves_its_arguments_alone(attack: Entry, norm: str) -> None:
    """Values as they came; the result is of their type and shape and wants no gradient."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    seeds = torch.arange(IMAGES)
    kept = images.clone(), labels.clone(), seeds.clone()
    found = trial(model, images, labels, seeds=seeds)
    for before, after in zip(kept, (images, labels, seeds), strict=True):
        assert torch.equal(before, after)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert not found.requires_grad
    assert not images.requires_grad
    found.zero_()
    assert torch.equal(images, kept[0])


@law()
def images_of_double_precision_stay_so(attack: Entry, norm: str) -> None:
    """With a model of theirs."""
    trial, (model, images, labels) = Trial(attack, norm), scene(3)
    found = trial(model.double(), images.double(), labels)
    assert found.dtype == torch.float64
    assert (found != images).flatten(1).any(1)[:2].all()


@law()
def no_images_are_no_problem(attack: Entry, norm: str) -> None:
    """An empty batch in, an empty batch out."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    found = trial(model, images[:0], labels[:0])
    assert found.shape == (0, 1, 8, 8)


@law()
def the_model_is_left_as_it_was_found(attack: Entry, norm: str) -> None:
    """Weights, flags, gradients, modes and statistics, bit for bit."""
    model, images = Odd(), pictures()
    before = state_of(model)
    with frozen(model):
        Trial(attack, norm)(model, images, torch.arange(IMAGES) % 4)
    assert_as_found(before, model)


@law(unless="noise")
def the_model_is_left_as_it_was_found_by_an_attack_that_fails(attack: Entry, norm: str) -> None:
    """Whatever was raised goes on to the caller."""
    model, images = Odd(fails=True), pictures()
    before = state_of(model)
    with raises(ArithmeticError, "out of order"), frozen(model):
        Trial(attack, norm)(model, images, torch.arange(IMAGES) % 4)
    assert_as_found(before, model)


@law()
def no_gradient_reaches_a_weight(attack: Entry, norm: str) -> None:
    """Of a model that is not frozen, either."""
    model, images, labels = scene()
    Trial(attack, norm)(model, images, labels)
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


@law(cases=_norms([0.01, 100.0]), only="gradients")
def the_scale_of_two_logits_does_not_matter(attack: Entry, norm: str, scale: float) -> None:
    """Success bits are the same, however sure a model of two classes is.

    With more classes the scale decides how much of the margin's direction is that of each wrong
    class. Where logits or their gradients leave the numbers of float32 nothing is promised.
    """
    trial, (model, images, labels) = Trial(attack, norm), scene(10, classes=2)
    found = misled(model, trial(model, images, labels), labels)
    scaled = misled(model, trial(lambda x: scale * model(x), images, labels), labels)
    assert torch.equal(scaled, found)


@law(cases=_norms([-100.0, 30.0]))
def a_constant_on_all_logits_does_not_matter(attack: Entry, norm: str, shift: float) -> None:
    """The classifier is the same: so are the success bits."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    found = misled(model, trial(model, images, labels), labels)
    shifted = misled(model, trial(lambda x: model(x) + shift, images, labels), labels)
    assert torch.equal(shifted, found)


@fixed_law(only="gradients")
def climbers_reach_the_optimum_of_a_linear_model(attack: Entry, norm: str) -> None:
    """Of two classes, without a box, to 3 %: a random start is left behind step by step in l2."""
    model, images, labels, weights = linear(2)
    trial = Trial(attack, norm, quick=False)
    found = trial(model, images, labels, box=None)
    gained = leads(model, found, labels) - leads(model, images, labels)
    dual = {"linf": "l1", "l2": "l2", "l1": "linf"}[norm]
    best = trial.radius * sizes((weights[:, :1] - weights[:, 1:]).T, dual)
    assert (gained <= best * (1 + 1e-6)).all()
    assert (gained >= 0.97 * best).all()


@fixed_law(only="aims", unless="noise")
def an_attack_aims_at_its_targets(attack: Entry, norm: str) -> None:
    """Most images come nearer to their own target than when they were for another; and, unless the
    attack mixes a batch by design, whatever the targets of their batch mates.
    """
    trial, (model, images, labels) = Trial(attack, norm), scene()
    radius = 2 * trial.radius
    one, other = ((labels + shift) % 10 for shift in (1, 4))
    found, away = (trial(model, images, labels, radius=radius, targets=t) for t in (one, other))
    behind = [leads(model, x, one) for x in (found, away)]
    assert (behind[0] < behind[1]).double().mean() > 0.7
    if attack.facts.batchwise:
        return
    mixed = torch.where(torch.arange(IMAGES) % 2 == 0, one, other)
    both = trial(model, images, labels, radius=radius, targets=mixed)
    torch.testing.assert_close(both[::2], found[::2], rtol=0, atol=1e-5)
    torch.testing.assert_close(both[1::2], away[1::2], rtol=0, atol=1e-5)


@fixed_law(only="aims", unless="noise")
def stopping_early_waits_for_the_target(attack: Entry, norm: str) -> None:
    """An image that is taken for another class than its target is not there yet: as many reach
    their targets as without stopping.
    """
    trial, (model, images, labels) = Trial(attack, norm), scene(16)
    targets = (labels + 3) % 10
    given = {"radius": 4 * trial.radius, "targets": targets}
    never, early = (
        model(trial(model, images, labels, stop=stop, **given)).argmax(1) == targets
        for stop in ("never", "first_success")
    )
    assert (never <= early).all()
    assert torch.equal(never, early) or getattr(trial.part, "keep", "best") != "best"


@ray_law()
def success_along_a_ray_grows_on_a_linear_model(attack: Entry, norm: str) -> None:
    """Without a box the lead is convex in the radius: once over 0 it stays there."""
    trial, (model, images, labels, _) = Trial(attack, norm), linear(10)
    radii = [factor * trial.radius for factor in (0, 0.3, 1, 3, 10, 100)]
    bits = [
        misled(model, trial(model, images, labels, radius=radius, box=None), labels)
        for radius in radii
    ]
    assert not bits[0].any()
    for few, more in pairwise(bits):
        assert (few <= more).all()


@ray_law()
def one_direction_serves_every_radius(attack: Entry, norm: str) -> None:
    """To the bit the images of separate calls, by hand and by the engine."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    given = {"norm": norm, "seeds": torch.arange(IMAGES) + 7}
    radii = [factor * trial.radius for factor in (0.0, 0.5, 1.0, 4.0)]
    for box in BOXES:
        apart = [trial(model, images, labels, radius=radius, box=box) for radius in radii]
        way = trial.part.direction(model, images, labels, **given)
        along = [
            trial.part.along(images, way, radius=radius, norm=norm, box=box) for radius in radii
        ]
        engine = run(trial.part, model, images, labels, radii=radii, box=box, **given)
        for found in (along, engine):
            assert all(torch.equal(*both) for both in zip(found, apart, strict=True))


SILENT = {"_answer_for_nothing": answer_for_nothing, "_answer_with_a_graph": answer_with_a_graph}


@search_law(cases=_norms(SILENT))
def where_nothing_is_found_the_original_is_returned(attack: Entry, norm: str, model: Model) -> None:
    """By a search: never a black image."""
    images = pictures()
    found = Trial(attack, norm)(model, images, torch.zeros(IMAGES).long())
    assert torch.equal(found, images)


@fixed_law(cases=_norms(SILENT))
def a_model_that_tells_nothing_is_no_obstacle(attack: Entry, norm: str, model: Model) -> None:
    """The images stay in the ball and are finite."""
    trial, images = Trial(attack, norm), pictures()
    found = trial(model, images, torch.zeros(IMAGES).long())
    assert found.isfinite().all()
    assert (sizes(found - images, norm) <= trial.radius + 1e-5).all()


@search_law()
def misclassified_images_are_left_alone(attack: Entry, norm: str) -> None:
    """By a search; the others are found as before."""
    trial, (model, images, labels) = Trial(attack, norm), scene()
    wrong = labels.clone()
    wrong[:3] = (labels[:3] + 1) % 10
    found, fewer = trial(model, images, labels), trial(model, images, wrong)
    assert (found[:-1] != images[:-1]).flatten(1).any(1).all()
    assert torch.equal(fewer[:3], images[:3])
    assert torch.equal(fewer[-1], images[-1])
    wanted, got = sizes(found - images, norm)[3:], sizes(fewer - images, norm)[3:]
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=0)


@law()
def an_unknown_norm_is_refused(attack: Entry, norm: str) -> None:
    """One that nobody knows, and those that others know; the known ones are named."""
    trial, (model, images, labels) = Trial(attack, norm), scene(2)
    for other in ("l3", *sorted(set(NORMS) - set(attack.part.norms))):
        with raises(UsageError, rf"unknown norm '{other}': .*knows these"):
            trial(model, images, labels, norm=other)


@fixed_law()
def stopping_early_serves_robust_accuracy(attack: Entry, norm: str) -> None:
    """The same success bits; only where the last iterate is kept it may find more."""
    trial, (model, images, labels) = Trial(attack, norm), scene(16)
    never, early = (
        misled(model, trial(model, images, labels, stop=stop), labels)
        for stop in ("never", "first_success")
    )
    assert (never <= early).all()
    assert torch.equal(never, early) or getattr(trial.part, "keep", "best") != "best"


def stopped(trial: Trial) -> tuple[Any, Tensor, Tensor, float, Tensor, Tensor]:
    """A model that is surer further away, 16 images with their labels, a wide radius, and what an
    attack makes of them within it: never stopping, and stopping early.
    """
    model, images, labels = scene(16)
    model.get_submodule("5").get_parameter("weight").data.mul_(4)
    radius = 5 * trial.radius
    never, early = (
        trial(model, images, labels, radius=radius, stop=stop)
        for stop in ("never", "first_success")
    )
    return model, images, labels, radius, never, early


@fixed_law(where=lambda entry: _is(FixedBudget)(entry) and not _is(Ray)(entry))
def stopping_early_serves_nothing_else(attack: Entry, norm: str) -> None:
    """It leaves images at the boundary, of which models are less sure: the engine never does. An
    attack that has nothing to stop does the same whatever it is told.
    """
    trial = Trial(attack, norm)
    model, images, labels, radius, never, early = stopped(trial)
    given = {"norm": norm, "seeds": torch.arange(16) + 7, "box": UNIT}
    (found,) = run(trial.part, model, images, labels, radii=[radius], **given)
    assert torch.equal(found, never)
    if torch.equal(never, early):
        return
    won = misled(model, never, labels) & misled(model, early, labels)
    ahead = (leads(model, never, labels) - leads(model, early, labels))[won]
    assert won.sum() >= 4
    assert ahead.mean() > 0.5


@about(where=_is(FixedBudget))
def nothing_stops_early_unless_asked(attack: Entry) -> None:
    """Whatever calls an attack."""
    default = inspect.signature(attack.part.__call__).parameters["stop"].default
    assert default == "never"
