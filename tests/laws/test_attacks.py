"""What holds for every attack, and for what attacks are made of: norms, streams, objectives.

An attack whose `known_issue` names one of these laws is a strict xfail of it; one that declares
itself `batchwise` is exempt from those on batch mates.
"""

import inspect
import re
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, linprog
from scipy.stats import chi2, kstest
from torch import nn

from attacks import ATTACKS, UNIT, FixedBudget, MinimalNorm, Ray
from attacks.engine import Counted, chunk_of, frozen, measure, run, search, softmax
from attacks.gradients import ascent
from attacks.norms import NORMS, into_box, project, size, spread, steepest, unit
from attacks.objectives import entropy, lead, margin, towards
from attacks.streams import FIRST, GAMMA, SECOND, _mix, bits, integers, normal, signs, uniform
from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.models.classifiers import Victim
from bench.tasks.robustness.attack import attack_values
from bench.tasks.robustness.base import Trial
from bench.tasks.robustness.settings import AttackSettings, ChosenAttack

QUICK = {"queries": 16, "steps": 8, "searches": 1, "looks": 1, "tolerance": 1e-2}
RADIUS = {"linf": 0.05, "l2": 0.4, "l1": 2.0, "l0": 5.0}
BOXES = [UNIT, (-0.5, 1.25), None]
CONVEX = ("linf", "l2", "l1")
IMAGES = 8
ENROLLED = {
    "attack": lambda part, facts: True,
    "per_image": lambda part, facts: not facts.batchwise,
    "fixed": lambda part, facts: isinstance(part, FixedBudget),
    "stepwise": lambda part, facts: isinstance(part, FixedBudget) and not isinstance(part, Ray),
    "ray": lambda part, facts: isinstance(part, Ray),
    "minimal": lambda part, facts: isinstance(part, MinimalNorm),
    "guided": lambda part, facts: facts.gradients,
    "climber": lambda part, facts: facts.gradients and isinstance(part, FixedBudget),
    "asking": lambda part, facts: not facts.noise,
    "noise": lambda part, facts: facts.noise,
}


@dataclass(frozen=True)
class Case:
    """An attack in one of its norms, with a radius and seeds unless given; in few steps by rule."""

    name: str
    norm: str
    quick: bool = True

    @property
    def part(self):
        part = ATTACKS[self.name].part
        return _quick(part) if self.quick else part

    @property
    def radius(self):
        return RADIUS[self.norm]

    def __call__(self, model, images, labels, **given):
        given = {"norm": self.norm, "seeds": torch.arange(len(images)) + 7, **given}
        if isinstance(self.part, FixedBudget):
            given = {"radius": self.radius, **given}
        return self.part(model, images, labels, **given)


def _quick(part):
    known = {field.name for field in fields(part)} if is_dataclass(part) else set()
    return replace(part, **{k: v for k, v in QUICK.items() if k in known}) if known else part


def pytest_generate_tests(metafunc):
    """Enrol every registered attack in each of its norms, by what it is and declares."""
    law = metafunc.function.__name__
    for fixture in ENROLLED.keys() & set(metafunc.fixturenames):
        chosen = [e for e in ATTACKS.entries() if ENROLLED[fixture](e.part, e.facts)]
        params = [_param(entry, norm, law) for entry in chosen for norm in entry.part.norms]
        metafunc.parametrize(fixture, params)


def _param(entry, norm, law):
    issue = entry.facts.known_issue
    marks = [pytest.mark.xfail(reason=issue, strict=True)] if law in issue else []
    return pytest.param(Case(entry.name, norm), id=f"{entry.name}-{norm}", marks=marks)


@pytest.fixture(autouse=True)
def _seeded():
    """What draws from the global generator draws the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _net(classes=10):
    """A small network of images 8 x 8, its weights far enough apart to be sure of some."""
    with forked(0):
        first, second = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 8, 3, stride=2, padding=1)
        layers = [first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(128, classes)]
    model = nn.Sequential(*layers).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2.5)
    return model


def _images(count=IMAGES, side=8):
    """Images with a fifth of their pixels at either end of the box."""
    drawn = torch.rand(count, 1, side, side, generator=stream("images", side))
    return (1.6 * drawn - 0.3).clamp(0, 1)


def _scene(count=IMAGES, classes=10):
    """A model, images, and labels that it agrees with, but for the last one."""
    model, images = _net(classes), _images(count)
    labels = model(images).argmax(1)
    labels[-1] = (labels[-1] + 1) % classes
    return model, images, labels


def _misled(model, images, labels):
    with torch.no_grad():
        return model(images).argmax(1) != labels


def _leads(model, images, labels):
    with torch.no_grad():
        return lead(model(images), labels)


def _sizes(difference, norm):
    flat = difference.double().flatten(1).abs()
    known = {"linf": flat.amax(1), "l2": flat.square().sum(1).sqrt(), "l1": flat.sum(1)}
    return known[norm] if norm in known else (flat > 0).sum(1).double()


def test_every_known_issue_names_a_law():
    """An issue that names no law would exempt an attack from nothing, or from everything."""
    laws = [name for name in globals() if name.startswith("test_")]
    issues = [entry.facts.known_issue for entry in ATTACKS.entries() if entry.facts.known_issue]
    assert all(any(law in issue for law in laws) for issue in issues)


def test_every_attack_names_its_norms():
    """One or more of the known ones, each once."""
    for entry in ATTACKS.entries():
        assert 0 < len(entry.part.norms) == len(set(entry.part.norms)), entry.name
        assert set(entry.part.norms) <= set(NORMS), entry.name
        assert entry.facts.gradients <= (not entry.facts.noise), entry.name


def test_an_attack_stays_in_the_ball_and_the_box(fixed):
    """In the ball to 1e-5, in the box to the last bit, whatever the radius; and it moves."""
    model, images, labels = _scene()
    for box, factor in product(BOXES, (0.1, 1.0, 20.0)):
        radius = factor * fixed.radius
        found = fixed(model, images, labels, radius=radius, box=box)
        assert found.isfinite().all()
        assert (_sizes(found - images, fixed.norm) <= radius + 1e-5 * max(1, radius)).all()
        assert (found != images).flatten(1).any(1).all()
        if box is not None:
            assert found.min() >= box[0]
            assert found.max() <= box[1]


def test_a_search_stays_in_the_box(minimal):
    """To the last bit; what it returns is misclassified."""
    model, images, labels = _scene(4)
    for box in BOXES:
        found = minimal(model, images, labels, box=box)
        assert found.isfinite().all()
        assert _misled(model, found, labels).all()
        if box is not None:
            assert found.min() >= box[0]
            assert found.max() <= box[1]


def test_without_a_box_pixels_leave_it(attack):
    """Or the box was there all the same."""
    model, images, labels = _scene()
    found = attack(model, images, labels, box=None)
    assert found.min() < 0 or found.max() > 1
    assert not torch.equal(found, attack(model, images, labels))


def test_a_radius_of_0_gives_the_clean_images(fixed):
    """To the bit, as a number or as a tensor."""
    model, images, labels = _scene()
    for radius, box in product((0.0, torch.zeros(IMAGES)), BOXES):
        assert torch.equal(fixed(model, images, labels, radius=radius, box=box), images)


def test_each_image_may_have_its_own_radius(fixed):
    """To the bit what it gets when all have that one."""
    model, images, labels = _scene()
    radii = fixed.radius * torch.tensor([0.0, 0.5, 1.0, 2.0] * (IMAGES // 4))
    together = fixed(model, images, labels, radius=radii)
    for radius in radii.unique():
        alike = fixed(model, images, labels, radius=radius.item())
        assert torch.equal(together[radii == radius], alike[radii == radius])
    assert torch.equal(fixed(model, images, labels, radius=radii[-1]), alike)


def test_batch_mates_do_not_matter(per_image):
    """Alone, in another order or before more were there: same success bits, norms to 1e-5."""
    model, images, labels = _scene()
    seeds = torch.arange(IMAGES) + 7
    found = per_image(model, images, labels, seeds=seeds)
    won, sizes = _misled(model, found, labels), _sizes(found - images, per_image.norm)
    for rows in ([0], [7], [3, 1], [0, 1, 2, 3, 4], [7, 6, 5, 4, 3, 2, 1, 0]):
        some = per_image(model, images[rows], labels[rows], seeds=seeds[rows])
        moved = _sizes(some - images[rows], per_image.norm)
        assert torch.equal(_misled(model, some, labels[rows]), won[rows])
        torch.testing.assert_close(moved, sizes[rows], rtol=1e-5, atol=1e-5)


def test_seeds_decide_everything(attack):
    """Same seeds, same bits; the global generator changes nothing and is left alone."""
    model, images, labels = _scene()
    first = attack(model, images, labels)
    torch.manual_seed(5)
    untouched = torch.get_rng_state()
    assert torch.equal(attack(model, images, labels), first)
    assert torch.equal(torch.get_rng_state(), untouched)


def test_other_seeds_are_other_noise(noise):
    """Everywhere; the same seed is the same noise for every image."""
    model, images, labels = _scene()
    first = noise(model, images, labels, box=None) - images
    other = noise(model, images, labels, seeds=torch.arange(IMAGES) + 99, box=None) - images
    same = noise(model, images, labels, seeds=torch.full((IMAGES,), 3), box=None) - images
    assert (first != other).flatten(1).any(1).all()
    assert all((a - b).abs().max() > 1e-4 for a, b in pairwise(first))
    torch.testing.assert_close(same, same[:1].expand_as(same), rtol=0, atol=1e-6)


def test_noise_sees_neither_model_nor_label(noise):
    """No call of the model, whatever the labels."""
    model, images, labels = _scene()
    counted = Counted(model)
    found = noise(counted, images, labels)
    assert counted.forwards == 0
    assert torch.equal(noise(counted, images, (labels + 3) % 10), found)


@pytest.mark.parametrize("name", ["pgd", "pgd-last", "square"])
def test_attacks_that_draw_draw_from_the_seeds(name):
    """Other seeds, another result for every image in every norm."""
    model, images, labels = _scene()
    for norm in ATTACKS[name].part.norms:
        attack = Case(name, norm)
        first, other = (
            attack(model, images, labels, seeds=torch.arange(IMAGES) + start) for start in (0, 50)
        )
        assert (first != other).flatten(1).any(1).all(), norm


def test_an_attack_leaves_its_arguments_alone(attack):
    """Values as they came; the result is of their type and shape and wants no gradient."""
    model, images, labels = _scene()
    seeds = torch.arange(IMAGES)
    kept = images.clone(), labels.clone(), seeds.clone()
    found = attack(model, images, labels, seeds=seeds)
    assert all(torch.equal(*pair) for pair in zip(kept, (images, labels, seeds), strict=True))
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert not found.requires_grad
    assert not images.requires_grad
    found.zero_()
    assert torch.equal(images, kept[0])


def test_images_of_double_precision_stay_so(attack):
    """With a model of theirs."""
    model, images, labels = _scene(3)
    found = attack(model.double(), images.double(), labels)
    assert found.dtype == torch.float64
    assert (found != images).flatten(1).any(1)[:2].all()


def test_no_images_are_no_problem(attack):
    """An empty batch in, an empty batch out."""
    model, images, labels = _scene()
    assert attack(model, images[:0], labels[:0]).shape == (0, 1, 8, 8)


class Odd(nn.Module):
    """A model in mixed modes: a frozen bias, a gradient from before, statistics on the move."""

    def __init__(self, fails=False):
        super().__init__()
        with forked(1):
            self.linear, self.head = nn.Linear(64, 12), nn.Linear(12, 4)
        self.norm, self.fails = nn.BatchNorm1d(12), fails
        self.register_buffer("seen", torch.zeros(()))
        self.eval()
        self.norm.train()
        self.head.bias.requires_grad_(False)
        self.linear.weight.grad = torch.ones(12, 64)

    def forward(self, images):
        logits = self.head(self.norm(self.linear(images.flatten(1))).relu())
        self.seen.add_(len(images))
        if self.fails:
            raise ArithmeticError("the model is out of order")
        return logits


def _state(model):
    """All that an attack could leave behind: tensors by identity and value, flags, modes."""
    tensors = [*model.parameters(), *model.buffers()]
    held = [(id(tensor), tensor.requires_grad, id(tensor.grad)) for tensor in tensors]
    values = [tensor.detach().clone() for tensor in tensors]
    values += [tensor.grad.clone() for tensor in tensors if tensor.grad is not None]
    return values, held, [module.training for module in model.modules()]


def _assert_as_found(before, model):
    values, held, modes = _state(model)
    assert all(torch.equal(*pair) for pair in zip(before[0], values, strict=True))
    assert held == before[1]
    assert modes == before[2]


def test_the_model_is_left_as_it_was_found(attack):
    """Weights, flags, gradients, modes and statistics, bit for bit."""
    model, images = Odd(), _images()
    before = _state(model)
    with frozen(model) as same:
        assert same is model
        assert not any(weight.requires_grad for weight in model.parameters())
        attack(model, images, torch.arange(IMAGES) % 4)
    _assert_as_found(before, model)


def test_the_model_is_left_as_it_was_found_by_an_attack_that_fails(asking):
    """Whatever was raised goes on to the caller."""
    model, images = Odd(fails=True), _images()
    before = _state(model)
    with pytest.raises(ArithmeticError, match="out of order"), frozen(model):
        asking(model, images, torch.arange(IMAGES) % 4)
    _assert_as_found(before, model)


def test_no_gradient_reaches_a_weight(attack):
    """Of a model that is not frozen, either."""
    model, images, labels = _scene()
    attack(model, images, labels)
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


def _another_mode(model, images):
    model.train()
    model.linear.eval()


def _other_flags(model, images):
    model.requires_grad_(True)


def _gradients(model, images):
    model.requires_grad_(True)
    model(images).square().sum().backward()


def _gradients_zeroed(model, images):
    model.zero_grad(set_to_none=False)


def _statistics(model, images):
    model.norm.reset_running_stats()


def _another_buffer(model, images):
    model.seen = model.seen + 1


@pytest.mark.parametrize(
    "mischief",
    [_another_mode, _other_flags, _gradients, _gradients_zeroed, _statistics, _another_buffer],
)
@pytest.mark.parametrize("fails", [False, True])
def test_whatever_an_attack_does_to_the_model_is_undone(mischief, fails):
    """Also where it fails afterwards."""
    model, images = Odd(), _images()
    before = _state(model)
    try:
        with frozen(model):
            mischief(model, images)
            if fails:
                raise ArithmeticError("the attack is out of order")
    except ArithmeticError:
        assert fails
    _assert_as_found(before, model)


def test_a_model_that_is_no_module_is_left_alone():
    """A plain function has nothing to freeze."""
    with frozen(torch.sin) as model:
        assert model is torch.sin


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_scale_of_two_logits_does_not_matter(guided, scale):
    """Success bits are the same, however sure a model of two classes is.

    With more classes the scale decides how much of the margin's direction is that of each wrong
    class: see the law on the likeliest of them. Where logits or their gradients leave the numbers
    of float32 nothing is promised.
    """
    model, images, labels = _scene(10, classes=2)
    found = _misled(model, guided(model, images, labels), labels)
    scaled = guided(lambda x: scale * model(x), images, labels)
    assert torch.equal(_misled(model, scaled, labels), found)


@pytest.mark.parametrize("shift", [-100.0, 30.0])
def test_a_constant_on_all_logits_does_not_matter(attack, shift):
    """The classifier is the same: so are the success bits."""
    model, images, labels = _scene()
    found = _misled(model, attack(model, images, labels), labels)
    shifted = attack(lambda x: model(x) + shift, images, labels)
    assert torch.equal(_misled(model, shifted, labels), found)


def _linear(classes, pixels=16, name="linear"):
    """A linear model in float64, and images with labels that it agrees with."""
    weights = torch.randn(pixels, classes, generator=stream(name, classes), dtype=torch.float64)
    images = _images(6, side=round(pixels**0.5)).double()

    def model(x):
        return x.flatten(1) @ weights

    return model, images, model(images).argmax(1), weights


def _best_by_programming(slope, image, norm, radius, box):
    """The most that slope @ r can be, by a linear program over r = up - down."""
    n = len(slope)
    up, down = ([None] * n,) * 2 if box is None else (box[1] - image, image - box[0])
    if norm == "linf":
        rows, limit = np.hstack([np.eye(n), np.eye(n)]), np.full(n, radius)
    else:
        rows, limit = np.ones((1, 2 * n)), [radius]
    bounds = [(0, end) for end in (*up, *down)]
    found = linprog(np.concatenate([-slope, slope]), rows, limit, bounds=bounds)
    assert found.success
    return -found.fun


@pytest.mark.parametrize("radius", [0.02, 0.3, 2.5])
@pytest.mark.parametrize(
    ("norm", "box"), [("linf", None), ("linf", UNIT), ("l2", None), ("l1", None), ("l1", UNIT)]
)
def test_fgsm_is_optimal_on_a_linear_model(norm, box, radius):
    """Of two classes, to 1e-6: against a linear program, or the closed form in l2."""
    model, images, labels, weights = _linear(2)
    found = ATTACKS["fgsm"].part(
        model, images, labels, radius=radius, norm=norm, seeds=labels, box=box
    )
    gained = _leads(model, found, labels) - _leads(model, images, labels)
    for image, label, gain in zip(images, labels, gained, strict=True):
        slope = (weights[:, 1 - label] - weights[:, label]).numpy()
        if norm == "l2":
            best = radius * np.linalg.norm(slope)
        else:
            best = _best_by_programming(slope, image.flatten().numpy(), norm, radius, box)
        assert gain.item() == pytest.approx(best, abs=1e-6)


def test_climbers_reach_the_optimum_of_a_linear_model(climber):
    """Of two classes, without a box, to 3 %: a random start is left behind step by step in l2."""
    model, images, labels, weights = _linear(2)
    found = replace(climber, quick=False)(model, images, labels, box=None)
    gained = _leads(model, found, labels) - _leads(model, images, labels)
    slope = weights[:, :1] - weights[:, 1:]
    dual = {"linf": "l1", "l2": "l2", "l1": "linf"}[climber.norm]
    best = climber.radius * _sizes(slope.T, dual)
    assert (gained <= best * (1 + 1e-6)).all()
    assert (gained >= 0.97 * best).all()


def test_success_along_a_ray_grows_on_a_linear_model(ray):
    """Without a box the lead is convex in the radius: once over 0 it stays there."""
    model, images, labels, _ = _linear(10)
    radii = [factor * ray.radius for factor in (0, 0.3, 1, 3, 10, 100)]
    bits = [
        _misled(model, ray(model, images, labels, radius=radius, box=None), labels)
        for radius in radii
    ]
    assert not bits[0].any()
    assert all((few <= more).all() for few, more in pairwise(bits))


def _values(case, model, images, labels, radii):
    """What the task makes of an attack's curve: metric to values, in the order of the radii."""
    chosen = ChosenAttack(AttackSettings(norm=case.norm, radii=radii), case.part, {})
    seeds = torch.arange(len(images)) + 7
    trial = Trial(Victim(model, softmax, ""), images, labels, seeds, "ids")
    found, wrong, _ = attack_values(chosen, trial)
    assert wrong == ""
    table = {}
    for value in found:
        table.setdefault(value.metric.partition("@")[0], []).append(value.value)
    return table


def test_success_within_a_radius_grows(fixed):
    """From 0 on, with the literal success below it; robust accuracy falls by as much."""
    model, images, labels = _scene(16)
    radii = ",".join(f"{factor * fixed.radius:g}" for factor in (0, 0.3, 1, 3))
    table = _values(fixed, model, images, labels, radii)
    within, robust = table["attack_success_within"], table["robust_accuracy"]
    assert within[0] == 0
    assert robust[0] == 1 - table["clean_error"][0] == 15 / 16
    assert within == sorted(within)
    assert all(a <= b for a, b in zip(table["attack_success"], within, strict=True))
    assert robust == pytest.approx([15 / 16 * (1 - share) for share in within])


def test_one_direction_serves_every_radius(ray):
    """To the bit the images of separate calls, by hand and by the engine."""
    model, images, labels = _scene()
    seeds = torch.arange(IMAGES) + 7
    radii = [factor * ray.radius for factor in (0.0, 0.5, 1.0, 4.0)]
    for box in BOXES:
        apart = [ray(model, images, labels, radius=radius, box=box) for radius in radii]
        given = {"norm": ray.norm, "seeds": seeds}
        way = ray.part.direction(model, images, labels, **given)
        along = [
            ray.part.along(images, way, radius=radius, norm=ray.norm, box=box) for radius in radii
        ]
        engine = run(ray.part, model, images, labels, radii=radii, box=box, **given)
        for found in (along, engine):
            assert all(torch.equal(*pair) for pair in zip(found, apart, strict=True))


def _answer_for_nothing(images):
    return torch.tensor([5.0, 0.0, 0.0]).expand(len(images), 3)


def _answer_with_a_graph(images):
    return _answer_for_nothing(images) + 0 * images.flatten(1)[:, :1]


@pytest.mark.parametrize("model", [_answer_for_nothing, _answer_with_a_graph])
def test_where_nothing_is_found_the_original_is_returned(minimal, model):
    """By a search: never a black image."""
    images = _images()
    assert torch.equal(minimal(model, images, torch.zeros(IMAGES).long()), images)


@pytest.mark.parametrize("model", [_answer_for_nothing, _answer_with_a_graph])
def test_a_model_that_tells_nothing_is_no_obstacle(fixed, model):
    """The images stay in the ball and are finite."""
    images = _images()
    found = fixed(model, images, torch.zeros(IMAGES).long())
    assert found.isfinite().all()
    assert (_sizes(found - images, fixed.norm) <= fixed.radius + 1e-5).all()


def test_misclassified_images_are_left_alone(minimal):
    """By a search; the others are found as before."""
    model, images, labels = _scene()
    wrong = labels.clone()
    wrong[:3] = (labels[:3] + 1) % 10
    found, fewer = minimal(model, images, labels), minimal(model, images, wrong)
    assert (found[:-1] != images[:-1]).flatten(1).any(1).all()
    assert torch.equal(fewer[:3], images[:3])
    assert torch.equal(fewer[-1], images[-1])
    wanted = _sizes(found - images, minimal.norm)[3:]
    torch.testing.assert_close(_sizes(fewer - images, minimal.norm)[3:], wanted, rtol=1e-5, atol=0)


def test_an_unknown_norm_is_refused(attack):
    """One that nobody knows, and those that others know; the known ones are named."""
    model, images, labels = _scene(2)
    for norm in ("l3", *sorted(set(NORMS) - set(attack.part.norms))):
        with pytest.raises(UsageError, match=rf"unknown norm '{norm}': .*knows these"):
            attack(model, images, labels, norm=norm)


def test_stopping_early_serves_robust_accuracy(fixed):
    """The same success bits; only where the last iterate is kept it may find more."""
    model, images, labels = _scene(16)
    never, early = (
        _misled(model, fixed(model, images, labels, stop=stop), labels)
        for stop in ("never", "first_success")
    )
    assert (never <= early).all()
    if getattr(fixed.part, "keep", "best") == "best":
        assert torch.equal(never, early)


def test_stopping_early_serves_nothing_else(stepwise):
    """It leaves images at the boundary, of which models are less sure: the engine never does. An
    attack that has nothing to stop does the same whatever it is told.
    """
    model, images, labels = _scene(16)
    model[5].weight.data.mul_(4)
    radius, seeds = 5 * stepwise.radius, torch.arange(16) + 7
    given = {"norm": stepwise.norm, "seeds": seeds, "box": UNIT}
    never, early = (
        stepwise(model, images, labels, radius=radius, stop=stop)
        for stop in ("never", "first_success")
    )
    (found,) = run(stepwise.part, model, images, labels, radii=[radius], **given)
    if torch.equal(never, early):
        assert stepwise.name not in ("bim", "mi-fgsm", "pgd", "pgd-last", "square")
        return
    won = _misled(model, never, labels) & _misled(model, early, labels)
    ahead = (_leads(model, never, labels) - _leads(model, early, labels))[won]
    assert won.sum() >= 4
    assert ahead.mean() > 0.5
    assert torch.equal(found, never)
    sure = softmax(model(never).detach())[_misled(model, never, labels)].mean().item()
    table = _values(stepwise, model, images, labels, f"{radius}")
    assert table["confidence_on_errors"] == pytest.approx([sure])
    assert sure > softmax(model(early).detach())[_misled(model, early, labels)].mean() + 0.05


def test_nothing_stops_early_unless_asked(fixed):
    """Whatever calls an attack."""
    for call in (fixed.part.__call__, run):
        assert inspect.signature(call).parameters["stop"].default == "never"


def test_what_an_attack_costs():
    """FGSM: one gradient for all radii; PGD: one more forward than steps for each."""
    model, images, labels = _scene()
    seeds, wanted = torch.arange(IMAGES), {"fgsm": (1, 1), "pgd": (3 * 9, 3 * 8)}
    wanted |= {"sign-noise": (0, 0), "square": (3 * 16, 0), "bim": (3 * 8, 3 * 8)}
    for name, cost in wanted.items():
        counted, part = Counted(model), Case(name, "linf").part
        given = {"norm": "linf", "seeds": seeds, "box": UNIT}
        list(run(part, counted, images, labels, radii=[0.01, 0.02, 0.03], **given))
        assert (counted.forwards, counted.backwards) == tuple(IMAGES * n for n in cost), name


def test_images_are_attacked_in_parts(monkeypatch):
    """Which changes nothing; a search too."""
    model, images, labels = _scene()
    seeds = torch.arange(IMAGES) + 7
    pgd, lbfgs = Case("pgd", "linf"), Case("lbfgs", "l2")
    whole, nearest = pgd(model, images, labels), lbfgs(model, images, labels)
    monkeypatch.setattr("attacks.engine.CHUNK_VALUES", 3 * 64)
    assert chunk_of(images) == 3
    given = {"seeds": seeds, "box": UNIT}
    (parts,) = run(pgd.part, model, images, labels, radii=[pgd.radius], norm="linf", **given)
    assert torch.equal(_misled(model, parts, labels), _misled(model, whole, labels))
    found = search(lbfgs.part, model, images, labels, norm="l2", **given)
    torch.testing.assert_close(
        _sizes(found - images, "l2"), _sizes(nearest - images, "l2"), rtol=1e-5, atol=1e-5
    )


def _moved(images, row, to):
    attacked = images.clone()
    attacked[row, 0, 0, 0] = to
    return attacked


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: _moved(x, 2, torch.nan), r"1 of 4 .*first is 2\) are not finite"),
        (lambda x: _moved(x, 1, torch.inf), r"1 of 4 .*first is 1\) are not finite"),
        (
            lambda x: _moved(x, 3, 0.81),
            r"first is 3\) are farther .* linf of at most 0\.3, got 0\.31",
        ),
        (lambda x: x + 0.3001, r"4 of 4 .*first is 0\) are farther than the radius"),
        (lambda x: _moved(x - 0.29, 1, 0.8).clamp_max(0.79), r"^$"),
        (lambda x: x[:, :, :2], r"expected attacked images \(4, 1, 3, 3\), got \(4, 1, 2, 3\)"),
    ],
)
def test_what_an_attack_did_wrong_is_said(spoil, message):
    """Measured from outside; an empty text where nothing is wrong."""
    images = torch.full((4, 1, 3, 3), 0.5)
    found = measure(images, spoil(images), norm="linf", radius=0.3, box=UNIT)
    assert re.search(message, found.wrong), found.wrong


def test_leaving_the_box_is_wrong_where_there_is_one():
    """By more than a millionth."""
    images = torch.zeros(2, 1, 2, 2)
    out = _moved(images, 1, -0.001)
    given = {"norm": "linf", "radius": 0.1}
    said = measure(images, out, box=UNIT, **given).wrong
    assert said.startswith(
        "1 of 2 attacked images (the first is 1) are outside the box: expected 0"
    )
    assert measure(images, out, box=None, **given).wrong == ""
    assert measure(images, _moved(images, 1, -1e-7), box=UNIT, **given).wrong == ""


def test_distances_are_measured_in_double_precision():
    """In the attack's norm, with the root mean square of a pixel beside it."""
    images = torch.zeros(3, 1, 2, 2)
    attacked = torch.stack([torch.full((1, 2, 2), value) for value in (0.0, 0.1, 0.3)])
    for norm, factor in {"linf": 1, "l2": 2, "l1": 4}.items():
        found = measure(images, attacked, norm=norm, radius=None, box=None)
        exact = torch.tensor([0.0, 0.1, 0.3]).double()
        assert found.distances.dtype == torch.float64
        torch.testing.assert_close(found.distances, factor * exact)
        torch.testing.assert_close(found.rms, exact)
    assert measure(images, attacked, norm="l0", radius=None, box=None).distances.tolist() == [
        0,
        4,
        4,
    ]


def _differences(dtype=torch.float64):
    """A few vectors of the same length, some of their entries 0 or alike."""
    entry = st.one_of(st.floats(-10, 10, width=32), st.sampled_from([0.0, -0.0, 1.0, -1.0]))
    rows = st.integers(1, 9).flatmap(
        lambda n: st.lists(st.lists(entry, min_size=n, max_size=n), min_size=1, max_size=4)
    )
    return rows.map(lambda values: torch.tensor(values, dtype=dtype))


RADII = st.floats(0, 12, width=32)


@pytest.mark.parametrize("norm", CONVEX)
@settings(max_examples=60, deadline=None)
@given(difference=_differences(), radius=RADII)
def test_a_projection_is_the_nearest_point_of_the_ball(norm, difference, radius):
    """Inside; inner points to the bit as they were; no point of the ball lies beyond it.

    The last: the largest product of the ball with what was taken off is had at the projection
    (the variational inequality), and is the radius times the dual norm of what was taken off.
    """
    found = project(difference, radius, norm)
    inside = _sizes(difference, norm) <= radius
    assert (_sizes(found, norm) <= radius * (1 + 1e-9) + 1e-9).all()
    assert torch.equal(found[inside], difference[inside])
    off = difference - found
    dual = {"linf": "l1", "l2": "l2", "l1": "linf"}[norm]
    torch.testing.assert_close(
        (off * found).sum(1), radius * _sizes(off, dual), rtol=1e-7, atol=1e-7
    )


@pytest.mark.parametrize("norm", CONVEX)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=40, deadline=None)
@given(difference=_differences(), radius=RADII)
def test_projecting_twice_is_projecting_once(norm, dtype, difference, radius):
    """To rounding; and in the ball to 1e-5 in single precision too."""
    once = project(difference.to(dtype), radius, norm)
    slack = 1e-5 if dtype == torch.float32 else 1e-9
    assert once.dtype == dtype
    assert (_sizes(once, norm) <= radius + slack).all()
    torch.testing.assert_close(project(once, radius, norm), once, rtol=slack, atol=slack)


@settings(max_examples=60, deadline=None)
@given(difference=_differences(), radius=st.floats(0.015625, 12, width=32))
def test_the_projection_in_l1_is_that_of_scipy(difference, radius):
    """The threshold as the root of what is left over the radius."""
    found = project(difference, radius, "l1")
    for row, projected in zip(difference.numpy(), found.numpy(), strict=True):
        sizes = np.abs(row)
        if sizes.sum() <= radius:
            continue
        left = lambda off: np.maximum(sizes - off, 0).sum() - radius  # noqa: E731, B023
        off = brentq(left, 0, sizes.max(), xtol=1e-14)
        np.testing.assert_allclose(projected, np.sign(row) * np.maximum(sizes - off, 0), atol=1e-7)


def test_each_image_is_projected_by_itself():
    """Into a ball of its own, as if it were alone."""
    difference = torch.randn(5, 1, 4, 4, generator=stream("own"))
    radii = torch.tensor([0.0, 0.5, 1.0, 2.0, 100.0])
    for norm in CONVEX:
        found = project(difference, radii, norm)
        for i, radius in enumerate(radii.tolist()):
            assert torch.equal(project(difference[i : i + 1], radius, norm)[0], found[i])
        assert torch.equal(found[4], difference[4])
        assert not found[0].any()


@pytest.mark.parametrize(("norm", "box"), [*product(CONVEX, [None]), ("linf", UNIT), ("l1", UNIT)])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), radius=st.floats(0, 3, width=32))
def test_the_steepest_step_is_the_best_of_all(norm, box, seed, radius):
    """A linear function grows by the most there is; where its gradient is 0 nothing moves."""
    rng = np.random.default_rng(seed)
    slope = rng.normal(size=(3, 5)) * (rng.random((3, 5)) < 0.8)
    images = torch.tensor(rng.random((3, 5)))
    found = steepest(images, torch.tensor(slope), radius, norm, box) - images
    assert (_sizes(found, norm) <= radius + 1e-9).all()
    assert not found[torch.tensor(slope) == 0].any() or norm == "l2"
    for image, row, moved in zip(images.numpy(), slope, found.numpy(), strict=True):
        if norm == "l2":
            best = radius * np.linalg.norm(row)
        else:
            best = _best_by_programming(row, image, norm, radius, box)
        assert row @ moved == pytest.approx(best, abs=1e-7)


def test_a_gradient_of_0_has_no_direction():
    """Not even a tiny one: the images stay as they are, in every norm."""
    images = _images(2)
    for norm, box in product(CONVEX, BOXES):
        assert torch.equal(steepest(images, torch.zeros_like(images), 1.0, norm, box), images)
        assert not unit(torch.zeros_like(images), norm).any()


def test_sizes_and_units():
    """Of every norm; a unit has size 1, however small it was."""
    flat = torch.tensor([[3.0, -4.0, 0.0], [0.0, 0.0, 0.0]]).reshape(2, 1, 3, 1)
    for norm, wanted in {"linf": 4, "l2": 5, "l1": 7, "l0": 2}.items():
        assert size(flat, norm).tolist() == [wanted, 0]
        if norm != "l0":
            for scale in (1e-20, 1.0, 1e15):
                assert size(unit(scale * flat, norm), norm)[0] == pytest.approx(1)


def test_a_ball_that_is_not_convex_is_refused():
    """And a norm that does not exist."""
    images = _images(2)
    with pytest.raises(UsageError, match=r"unknown norm 'l0': .*\(projection knows these\)"):
        project(images, 1.0, "l0")
    with pytest.raises(UsageError, match=r"unknown norm 'l0': .*\(steepest ascent knows these\)"):
        steepest(images, images, 1.0, "l0", None)
    with pytest.raises(UsageError, match=r"unknown norm 'max': .*\(attacks knows these\)"):
        size(images, "max")


def test_numbers_for_images():
    """One for all or one each; a box that is none clips nothing."""
    images = 3 * _images(3) - 1
    assert spread(0.5, images).shape == ()
    assert spread(torch.arange(3), images).shape == (3, 1, 1, 1)
    assert into_box(images, None) is images
    assert torch.equal(into_box(images, UNIT), images.clamp(0, 1))


def test_the_hash_is_splitmix64():
    """Its first outputs from the seed 1234567, and each other by Python's integers."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    states = [(1234567 + (k + 1) * GAMMA) % 2**64 for k in range(4)]
    signed = torch.tensor([s - 2**64 if s >= 2**63 else s for s in states])
    assert [int(z) % 2**64 for z in _mix(signed)] == known
    assert bits(torch.tensor([5, -9]), (3,), 4).tolist() == [
        [_by_hand(seed, 4, k) for k in (1, 2, 3)] for seed in (5, -9)
    ]


def _by_hand(seed, purpose, count):
    def mix(z):
        z = ((z ^ (z >> 30)) * FIRST) % 2**64
        z = ((z ^ (z >> 27)) * SECOND) % 2**64
        return z ^ (z >> 31)

    state = mix((mix(seed % 2**64) + GAMMA * (purpose + 1)) % 2**64)
    z = mix((state + count * GAMMA) % 2**64)
    return z - 2**64 if z >= 2**63 else z


def _likely(counts):
    """Whether counts of equally likely bins pass a chi-square test at a thousandth on each side."""
    counts = np.asarray(counts, dtype=float).ravel()
    statistic = ((counts - counts.mean()) ** 2).sum() / counts.mean()
    return chi2.ppf(1e-3, counts.size - 1) < statistic < chi2.ppf(1 - 1e-3, counts.size - 1)


def _together(first, second, bins=16):
    """Counts of pairs of numbers in (0, 1)."""
    return np.histogram2d(first.ravel(), second.ravel(), bins, [[0, 1], [0, 1]])[0]


@pytest.mark.parametrize("start", [0, -500, 2**62])
def test_streams_are_uniform(start):
    """Over an image, over images, bit by bit; 0 and 1 never come."""
    seeds = torch.arange(1000) + start
    drawn = uniform(seeds, (100,))
    assert drawn.dtype == torch.float32
    assert drawn.min() > 0
    assert drawn.max() < 1
    assert _likely(np.histogram(drawn, 256, (0, 1))[0])
    assert _likely(np.histogram(drawn[:, 0], 32, (0, 1))[0])
    assert _likely(np.histogram(uniform(seeds[:1], (20_000,)), 64, (0, 1))[0])
    words = bits(seeds, (20,)).numpy().view(np.uint64).ravel()
    ones = np.array([((words >> np.uint64(k)) & np.uint64(1)).sum() for k in range(64)])
    scores = (ones - len(words) / 2) / np.sqrt(len(words) / 4)
    assert np.abs(scores).max() < 4.5
    assert chi2.ppf(1e-3, 64) < (scores**2).sum() < chi2.ppf(1 - 1e-3, 64)


@pytest.mark.parametrize(
    "pair",
    [
        lambda s: (uniform(s, (50,)), uniform(s + 1, (50,))),
        lambda s: (uniform(s, (50,)), uniform(s + 2**32, (50,))),
        lambda s: (uniform(s, (50,)), uniform(s, (50,), 0)),
        lambda s: (uniform(s, (50,), 0), uniform(s, (50,), 1)),
        lambda s: (uniform(s, (50,), 0, 1), uniform(s, (50,), 1, 0)),
        lambda s: (uniform(s, (50,), 3), uniform(s, (50,), 3, 0)),
        lambda s: (uniform(s, (50,))[:, :-1], uniform(s, (50,))[:, 1:]),
        lambda s: (uniform(s, (50,), 1), uniform(s + 1, (50,), 0)),
    ],
    ids=["next seed", "far seed", "purpose", "number", "order", "longer", "counter", "both"],
)
def test_streams_are_independent(pair):
    """Of neighbours in seed, purpose and place: pairs fill the square evenly."""
    first, second = (drawn.numpy() for drawn in pair(torch.arange(1000)))
    assert (first == second).mean() < 1e-3
    assert _likely(_together(first, second))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / np.sqrt(first.size)


@pytest.mark.parametrize("draw", [bits, uniform, signs, normal])
def test_a_stream_is_the_images_own(draw):
    """Alone, in a batch, in another order; a longer one begins alike, a shape is only a shape."""
    seeds = torch.tensor([3, 10**18, -4, 0, 3])
    drawn = draw(seeds, (2, 3, 4), 1)
    assert drawn.shape == (5, 2, 3, 4)
    assert all(torch.equal(draw(seeds[i : i + 1], (2, 3, 4), 1)[0], drawn[i]) for i in range(5))
    assert torch.equal(draw(seeds.flip(0), (2, 3, 4), 1), drawn.flip(0))
    assert torch.equal(drawn[0], drawn[4])
    assert torch.equal(draw(seeds, (24,), 1), drawn.flatten(1))
    assert torch.equal(draw(seeds, (30,), 1)[:, :24], drawn.flatten(1))
    assert draw(seeds, ()).shape == (5,)


def test_normal_numbers_are_normal():
    """Their moments, their distribution, and none that is not finite."""
    drawn = normal(torch.arange(200), (500,)).double()
    n = drawn.numel()
    assert drawn.isfinite().all()
    assert abs(drawn.mean()) < 4 / n**0.5
    assert abs(drawn.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs((drawn**3).mean()) < 4 * (15 / n) ** 0.5
    assert abs((drawn**4).mean() - 3) < 4 * (96 / n) ** 0.5
    assert kstest(drawn.flatten().numpy(), "norm").pvalue > 1e-3
    assert _likely(np.histogram(torch.special.ndtr(drawn), 64, (0, 1))[0])


def test_signs_are_a_fair_coin():
    """And nothing else."""
    drawn = signs(torch.arange(300), (100,))
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    assert abs(drawn.mean()) < 4 / drawn.numel() ** 0.5
    assert _likely(torch.bincount((drawn[:, :8] > 0).long() @ 2 ** torch.arange(8)))


def test_integers_are_in_range():
    """From 0 to below their end, each as likely; every seed may have an end of its own."""
    seeds = torch.arange(9_000)
    for high in (1, 2, 9, 1000):
        drawn = integers(seeds, high, 5)
        assert drawn.dtype == torch.int64
        assert drawn.min() == 0
        assert drawn.max() == high - 1
        assert high == 1 or _likely(torch.bincount(drawn, minlength=high))
    ends = torch.arange(1, 9_001)
    own = integers(seeds, ends)
    assert ((own >= 0) & (own < ends)).all()
    assert _likely(np.histogram(own / ends, 30, (0, 1))[0])
    assert torch.equal(integers(seeds[70:80], ends[70:80]), own[70:80])
    assert integers(torch.arange(10**5), 2**24 - 1).max() < 2**24 - 1


def _logits(scale=1.0, classes=5):
    drawn = torch.randn(6, classes, generator=stream("logits"), dtype=torch.float64)
    return scale * drawn, torch.arange(6) % classes


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_the_margin_is_the_log_odds_of_the_label(scale):
    """log((1 - p) / p), unchanged by a constant; `towards` is its opposite."""
    logits, labels = _logits(scale)
    p = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(margin(logits, labels), ((1 - p) / p).log())
    torch.testing.assert_close(margin(logits + 50, labels), margin(logits, labels))
    assert torch.equal(towards(logits, labels), -margin(logits, labels))
    torch.testing.assert_close(entropy(logits, labels), -p.log())


def test_a_lead_is_positive_where_the_label_is_not_the_likeliest():
    """And is the distance to the best of the others."""
    logits, labels = _logits()
    leads = lead(logits, labels)
    assert torch.equal(leads > 0, logits.argmax(1) != labels)
    for row, label, ahead in zip(logits.tolist(), labels.tolist(), leads, strict=True):
        assert ahead.item() == max(row[:label] + row[label + 1 :]) - row[label]


def test_the_margin_ascends_where_cross_entropy_does():
    """Its gradient is that of cross-entropy over 1 - p, also where the latter is 0 in float32."""
    model, images, labels = _scene()
    double = model.double()
    ours, logits = ascent(double, images.double(), labels)
    theirs, _ = ascent(double, images.double(), labels, entropy)
    missed = 1 - logits.softmax(1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(ours * spread(missed, images.double()), theirs)
    single = model.float()
    hidden, _ = ascent(lambda x: 5000 * single(x), images, labels, entropy)
    seen, _ = ascent(lambda x: 5000 * single(x), images, labels)
    assert (hidden[:-1] == 0).flatten(1).all(1).sum() >= 5
    assert (seen != 0).flatten(1).any(1).all()


def test_a_large_scale_leaves_the_likeliest_of_the_wrong_classes():
    """There the margin's gradient is the lead's: what scaling more than two logits changes."""
    model, images, labels = _scene()
    sure, _ = ascent(lambda x: 1e4 * model(x), images, labels)
    likeliest, _ = ascent(model, images, labels, lead)
    torch.testing.assert_close(sure, 1e4 * likeliest, rtol=1e-4, atol=1e-2)
    mixed, _ = ascent(model, images, labels)
    assert (mixed - likeliest).abs().max() > 1e-2


def test_a_model_that_cuts_the_graph_has_no_slope():
    """Zeros, with the logits; nothing is raised."""
    model, images, labels = _scene()
    for cut in (lambda x: model(x.detach()).detach(), lambda x: model(x.detach())):
        slope, logits = ascent(cut, images, labels)
        assert not slope.any()
        assert torch.equal(logits, model(images).detach())
