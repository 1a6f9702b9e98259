"""foolbox's attacks as ours: what each does to images and models, and its faults, guarded."""

import inspect
import sys
from functools import cache

import numpy as np
import pytest
import torch

from attacks.contracts import FixedBudget, MinimalNorm
from attacks.fgsm import Fgsm
from attacks.foolbox_adapter import SCALED_BY_BOX, _is, _kinds, _library, adapt, names
from attacks.goals import Goal
from attacks.iterative import Steps, climb
from attacks.norms import NORMS, size
from bench.core.errors import UsageError
from bench.core.randomness import forked
from bench.datasets.digits import mnist5k
from bench.laws.scenes import scene

FOOLBOX = _library()
VERSION = sys.modules["foolbox"].__version__
FAST = {
    "steps": 5,
    "binary_search_steps": 3,
    "repeats": 3,
    "directions": 10,
    "initial_gradient_eval_steps": 5,
    "l2_binary_search": False,
}
RADIUS = {"linf": 0.1, "l2": 1.5, "l1": 15.0}
USABLE = [name for name, reason in names().items() if not reason]
NOT_ALIASES = [name for name in USABLE if name == f"foolbox:{_kinds()[name[8:]].__name__}"]
OBSERVED = pytest.mark.skipif(VERSION != "3.3.4", reason="seen in foolbox 3.3.4")


@cache
def _trained():
    """A network on 4,000 digits, with batch normalisation, a frozen layer and mixed modes."""
    data = mnist5k()
    images = torch.tensor(data.images).float().reshape(-1, 1, 28, 28) / 255
    labels = torch.tensor(data.labels)
    with forked(0):
        model = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(784, 32),
            torch.nn.BatchNorm1d(32),
            torch.nn.ReLU(),
            torch.nn.Linear(32, 10),
            torch.nn.Dropout(0.0),
        )
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(120):
            some = torch.randint(len(images), (128,))
            loss = torch.nn.functional.cross_entropy(model(images[some]), labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    model.eval()
    model[1].bias.requires_grad_(False)
    model[5].train()
    return model


def _digits(count, dtype=torch.float32):
    data = mnist5k()
    chosen = np.linspace(0, len(data.held_images) - 1, count).astype(int)
    images = torch.tensor(data.held_images[chosen]).reshape(-1, 1, 28, 28).to(dtype) / 255
    return images, torch.tensor(data.held_labels[chosen])


def _misled(model, images, labels):
    with torch.no_grad():
        return model(images).argmax(1) != labels


def _fast(name, **settings):
    known = inspect.signature(_kinds()[name.removeprefix("foolbox:")]).parameters
    return adapt(name, **{key: FAST[key] for key in FAST if key in known} | settings)


def _attack(entry, model, images, labels, **given):
    norm = given.pop("norm", entry.part.norms[0])
    if isinstance(entry.part, FixedBudget):
        given = {"radius": RADIUS[norm]} | given
    given = {"seeds": torch.arange(len(images))} | given
    return entry.part(model, images, labels, norm=norm, **given)


def _state(model):
    """All that an attack could leave behind in a model, and in the global generators."""
    numbers = [value.clone() for value in model.state_dict().values()]
    flags = [(p.requires_grad, p.grad is None) for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    generators = torch.get_rng_state(), np.random.get_state()[1].tolist()
    return numbers, flags, modes, generators


def _assert_untouched(before, after):
    assert all(torch.equal(*pair) for pair in zip(before[0], after[0], strict=True))
    assert before[1:3] == after[1:3]
    assert torch.equal(before[3][0], after[3][0])
    assert before[3][1] == after[3][1]


def test_every_attack_of_foolbox_is_listed():
    """Classes and aliases, and a reason for each that can't be used."""
    listed = names()
    assert len(listed) >= 64
    assert {"foolbox:LinfPGD", "foolbox:FGSM", "foolbox:L2CarliniWagnerAttack"} <= set(USABLE)
    refused = {name.removeprefix("foolbox:") for name, reason in listed.items() if reason}
    others = {"SpatialAttack", "GenAttack", "BinarizationRefinementAttack"}
    assert refused - {f"{norm}BrendelBethgeAttack" for norm in ("L0", "L1", "L2", "Linfinity")} == (
        others
    )


@pytest.mark.parametrize("name", sorted(set(names()) - set(USABLE)))
def test_an_attack_that_cannot_be_used_says_why(name):
    """With the reason that the list gives."""
    with pytest.raises(UsageError, match=f"{name} can't be used here: {names()[name]}"):
        adapt(name)


@pytest.mark.parametrize("name", USABLE)
def test_every_attack_keeps_its_promises(name):
    """Shape, box, finiteness, norm; images, model and generators as before; twice the same."""
    model, (images, labels) = _trained(), _digits(6)
    entry, before, given = _fast(name), _state(model), images.clone()
    assert entry.name == name
    assert entry.summary
    found = _attack(entry, model, images, labels)
    _assert_untouched(before, _state(model))
    assert torch.equal(images, given)
    assert found.shape == images.shape
    assert found.isfinite().all()
    assert found.min() >= -1e-6
    assert found.max() <= 1 + 1e-6
    assert torch.equal(found, _attack(entry, model, images, labels))
    moved = (found != images).flatten(1).any(1)
    if isinstance(entry.part, FixedBudget):
        norm = entry.part.norms[0]
        assert (size(found - images, norm) <= RADIUS[norm] * (1 + 1e-5)).all()
    else:
        assert isinstance(entry.part, MinimalNorm)
        assert _misled(model, found, labels)[moved].all()
        assert not moved[_misled(model, images, labels)].any()
    _fails_gracefully(entry, images)


def _fails_gracefully(entry, images):
    """A model that can't be misled, and has no gradient."""

    def stubborn(x):
        return torch.nn.functional.one_hot(torch.zeros(len(x)).long(), 10).to(x)

    labels = torch.zeros(len(images)).long()
    if "VirtualAdversarial" in entry.name:
        return  # raises that the gradient vanished
    found = _attack(entry, stubborn, images, labels)
    assert found.isfinite().all()
    assert isinstance(entry.part, FixedBudget) or torch.equal(found, images)


@pytest.mark.parametrize("name", NOT_ALIASES)
def test_what_is_image_by_image_is_so(name):
    """Attacks without the fact `batchwise` do to an image alone what they do to it in a batch."""
    entry = _fast(name)
    if entry.facts.batchwise:
        return
    model, (images, labels) = _trained().double(), _digits(4, torch.float64)
    try:
        found = _attack(entry, model, images, labels)
        for i in range(4):
            one = slice(i, i + 1)
            assert torch.allclose(
                _attack(entry, model, images[one], labels[one]), found[one], atol=1e-7
            )
    finally:
        model.float()


@pytest.mark.parametrize("name", NOT_ALIASES)
def test_no_box_where_none_is_needed(name):
    """Attacks that scale by the box refuse to do without."""
    model, (images, labels) = _trained(), _digits(4)
    entry = _fast(name)
    if _is(type(entry.part.attack), SCALED_BY_BOX):
        with pytest.raises(UsageError, match="measures its steps by the box"):
            _attack(entry, model, images, labels, box=None)
        return
    found = _attack(entry, model, images, labels, box=None)
    assert found.isfinite().all()
    if "GradientAttack" in name or entry.facts.noise:
        assert found.min() < 0


@pytest.mark.parametrize("name", NOT_ALIASES)
def test_only_black_boxes_do_without_gradients(name):
    """The fact `gradients`, as the model sees it."""
    model, (images, labels) = _trained(), _digits(4)
    asked = []

    def watched(x):
        asked.append(x.requires_grad)
        return model(x)

    entry = _fast(name)
    _attack(entry, watched, images, labels)
    assert any(asked) == entry.facts.gradients
    if entry.facts.noise:
        assert torch.equal(
            _attack(entry, model, images, labels),
            _attack(entry, lambda x: -model(x), images, labels),
        )


@pytest.mark.parametrize(("ours", "theirs"), [("linf", "FGSM"), ("l2", "FGM")])
def test_our_fast_gradient_succeeds_on_the_same_images(ours, theirs):
    """Image by image at every radius; no gradient underflows on this network."""
    model, (images, labels) = _trained(), _digits(300)
    entry, wins = adapt(f"foolbox:{theirs}"), []
    for share in (0.1, 0.3, 0.5, 1.0, 2.0):
        radius = share * RADIUS[ours]
        given = {"radius": radius, "norm": ours, "seeds": torch.arange(300)}
        won = _misled(model, Fgsm()(model, images, labels, **given), labels)
        assert torch.equal(won, _misled(model, entry.part(model, images, labels, **given), labels))
        wins.append(won.float().mean().item())
    assert wins[0] < 0.3
    assert wins[-1] > 0.9


@pytest.mark.parametrize(("norm", "name"), [("linf", "LinfPGD"), ("l2", "L2PGD")])
def test_our_descent_succeeds_on_the_same_images(norm, name):
    """From the image itself, with the last iterate and steps of the same length."""
    model, (images, labels) = _trained(), _digits(200)
    entry = adapt(f"foolbox:{name}", steps=10, rel_stepsize=0.2, random_start=False)
    assert not entry.facts.batchwise
    for share in (0.3, 0.5, 1.0):
        given = {"radius": share * RADIUS[norm], "norm": norm}
        steps = Steps(10, 0.2, keep="last")
        ours = climb(model, images, Goal(labels), images, steps, box=(0.0, 1.0), **given)
        theirs = entry.part(model, images, labels, seeds=torch.arange(200), **given)
        assert torch.equal(_misled(model, ours, labels), _misled(model, theirs, labels))
        assert torch.allclose(size(ours - images, norm), size(theirs - images, norm), atol=1e-3)


def test_each_image_may_have_its_own_radius():
    """A radius of 0 leaves the image alone."""
    model, (images, labels) = _trained(), _digits(6)
    radius = torch.tensor([0.0, 0.1, 0.2, 0.1, 0.2, 0.0])
    found = _attack(adapt("foolbox:FGSM"), model, images, labels, radius=radius)
    for one in (0.0, 0.1, 0.2):
        same = _attack(adapt("foolbox:FGSM"), model, images, labels, radius=one)
        assert torch.allclose(found[radius == one], same[radius == one], atol=1e-6)
    assert torch.equal(found[radius == 0], images[radius == 0])


def test_seeds_decide_the_random_numbers():
    """And the global generators do not."""
    model, (images, labels) = _trained(), _digits(4)
    entry = _fast("foolbox:LinfPGD")
    first = _attack(entry, model, images, labels)
    torch.manual_seed(7)
    assert torch.equal(first, _attack(entry, model, images, labels))
    assert not torch.equal(first, _attack(entry, model, images, labels, seeds=torch.arange(4) + 1))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("DDNAttack", {}),
        ("L2FMNAttack", {}),
        ("L2CarliniWagnerAttack", {"initial_const": 10.0, "stepsize": 0.1}),
        ("EADAttack", {"initial_const": 10.0}),
        ("BoundaryAttack", {}),
    ],
)
def test_targets_are_reached_or_the_original_returned(name, settings):
    """Whoever is taken for the target already stays as well."""
    model, (images, labels) = _trained(), _digits(8)
    targets = (labels + 1) % 10
    entry = _fast(f"foolbox:{name}", **{"steps": 20} | settings)
    found = _attack(entry, model, images, labels, targets=targets)
    moved = (found != images).flatten(1).any(1)
    assert torch.equal(moved, ~_misled(model, found, targets) & _misled(model, images, targets))
    assert moved.any() or name == "BoundaryAttack"


@pytest.mark.parametrize("name", ["L2DeepFoolAttack", "LinfDeepFoolAttack", "NewtonFoolAttack"])
def test_attacks_that_cannot_aim_refuse_targets(name):
    """DeepFool would go to the nearest class all the same."""
    model, (images, labels) = _trained(), _digits(2)
    with pytest.raises(UsageError, match=f"foolbox:{name} can't aim at targets"):
        _attack(adapt(f"foolbox:{name}"), model, images, labels, targets=labels)


def test_norms_come_from_the_attack():
    """Its distance, a setting in one case, or all where it stops at the first success."""
    assert adapt("foolbox:LInfFMNAttack").part.norms == ("linf",)
    assert adapt("foolbox:L0FMNAttack").part.norms == ("l0",)
    assert adapt("foolbox:HopSkipJumpAttack", constraint="linf").part.norms == ("linf",)
    assert adapt("foolbox:InversionAttack").part.norms == NORMS
    model, (images, labels) = _trained(), _digits(2)
    with pytest.raises(UsageError, match=r"unknown norm 'l2'.*foolbox:FGSM"):
        _attack(adapt("foolbox:FGSM"), model, images, labels, norm="l2", radius=1.0)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("foolbox:LinfPDG", {}, "unknown attack 'foolbox:LinfPDG': did you mean 'foolbox:LinfPGD'"),
        (
            "foolbox:LinfPGD",
            {"step": 3},
            r"unknown setting 'step': did you mean 'steps'\?.*LinfPGD",
        ),
        ("foolbox:DatasetAttack", {"distance": 2}, "unknown setting 'distance'"),
        ("foolbox:BoundaryAttack", {"tensorboard": "x"}, "unknown setting 'tensorboard'"),
        ("foolbox:VirtualAdversarialAttack", {}, "has no default for steps: give it as a setting"),
        ("foolbox:EADAttack", {"decision_rule": "L3"}, "refuses the settings.*invalid decision"),
        ("foolbox:HopSkipJumpAttack", {"constraint": "l0"}, "refuses the settings"),
    ],
)
def test_names_and_settings_that_do_not_exist_are_refused(name, settings, message):
    """With the nearest that does."""
    with pytest.raises(UsageError, match=message):
        adapt(name, **settings)


@pytest.mark.parametrize(
    ("name", "shape", "box", "message"),
    [
        ("FGSM", (2, 1, 28, 28), (0.0, 0.5), "expected pixels from 0 to 0.5, got some from 0 to 1"),
        ("GaussianBlurAttack", (2, 784), (0.0, 1.0), r"expected images \[batch, channels, height"),
        ("HopSkipJumpAttack", (2, 784), (-1.0, 1.0), r"clips to \[0, 1\] whatever the box"),
    ],
)
def test_images_an_attack_cannot_take_are_refused(name, shape, box, message):
    """Before foolbox fails on an assertion without a word."""
    model, (images, labels) = _trained(), _digits(2)
    with pytest.raises(UsageError, match=message):
        _attack(adapt(f"foolbox:{name}"), model, images.reshape(shape), labels, box=box)


def _victim(model):
    return sys.modules["foolbox"].PyTorchModel(model, (0, 1), device="cpu")


@OBSERVED
def test_fault_1_the_projection_of_l2_fmn():
    """It projects nothing: foolbox's own result is several times DDN's, though misclassified."""
    model, (images, labels) = _trained(), _digits(30)
    far = images + 1
    attack = FOOLBOX.L2FMNAttack(steps=30)
    same = attack.project(*(FOOLBOX.base.ep.astensor(x) for x in (far, images)), 0.1)
    assert torch.allclose(same.raw, far)
    entry = adapt("foolbox:L2FMNAttack", steps=30)
    assert "projects nothing" in entry.known_issue[0]
    found = _attack(entry, model, images, labels)
    moved = (found != images).flatten(1).any(1)
    assert _misled(model, found, labels)[moved].all()
    ddn = _attack(adapt("foolbox:DDNAttack", steps=30), model, images, labels)
    both = moved & (ddn != images).flatten(1).any(1)
    ratio = size(found - images, "l2")[both] / size(ddn - images, "l2")[both]
    assert ratio.median() > 1.1


@OBSERVED
@pytest.mark.parametrize("name", ["L2CarliniWagnerAttack", "EADAttack"])
def test_fault_2_failures_come_back_black(name):
    """And count as successes where black is not taken for the label; ours are the originals."""
    model, (images, labels) = _trained(), _digits(30)
    settings = {"steps": 1, "binary_search_steps": 1, "initial_const": 1e-9}
    attack = getattr(FOOLBOX, name)(**settings)
    safe = ~_misled(model, images, labels)
    raw, _, success = attack(_victim(model), images[safe], labels[safe], epsilons=None)
    model.zero_grad(set_to_none=True)
    assert (raw == 0).all()
    assert success.float().mean() > 0.5
    assert torch.equal(_attack(adapt(f"foolbox:{name}", **settings), model, images, labels), images)


@OBSERVED
def test_fault_3_the_dataset_attack_sees_its_first_batch_alone():
    """However much it is fed: a batch of one can't succeed, and is refused."""
    model, (images, labels) = _trained(), _digits(40)
    attack, victim = FOOLBOX.DatasetAttack(), _victim(model)
    attack.feed(victim, images)
    safe = (~_misled(model, images, labels)).nonzero()[:1, 0]
    assert torch.equal(attack.run(victim, images[safe], labels[safe]), images[safe])
    entry = adapt("foolbox:DatasetAttack")
    assert "its own batch alone" in entry.known_issue[0]
    with pytest.raises(UsageError, match="expected at least 2, got 1"):
        _attack(entry, model, images[safe], labels[safe])
    found = _attack(entry, model, images, labels)
    assert _misled(model, found, labels).all()


@OBSERVED
def test_fault_5_gradients_are_left_in_parameters():
    """foolbox's own call accumulates them; ours does not (as every attack is tested above)."""
    model, (images, labels) = _trained(), _digits(2)
    FOOLBOX.FGSM()(_victim(model), images, labels, epsilons=0.1)
    assert model[1].weight.grad is not None
    model.zero_grad(set_to_none=True)


@OBSERVED
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_a_fault_of_adam_in_two_iterative_attacks(norm):
    """Its optimizer is never asked for: they are the attacks without Adam. linf has its own."""
    model, (images, labels) = _trained(), _digits(6)
    name = norm.upper()
    adam = _fast(f"foolbox:{name}AdamBasicIterativeAttack")
    plain = _fast(f"foolbox:{name}BasicIterativeAttack")
    assert "never used" in adam.known_issue[0]
    assert torch.equal(_attack(adam, model, images, labels), _attack(plain, model, images, labels))


@OBSERVED
def test_a_fault_of_the_projection_of_sparse_descent():
    """A point inside the ball is moved out of it where another one of its batch is outside."""
    attack, astensor = FOOLBOX.SparseL1DescentAttack(), FOOLBOX.base.ep.astensor
    points = torch.zeros(2, 10)
    points[0, :2], points[1, :5] = 0.1, 1.0
    moved = attack.project(astensor(points), astensor(torch.zeros(2, 10)), 1.0).raw
    assert moved[0].abs().sum() > 1
    entry = adapt("foolbox:SparseL1DescentAttack")
    assert entry.facts.batchwise
    assert "out of the ball" in entry.known_issue[0]


@pytest.mark.parametrize("name", ["foolbox:LinfPGD", "foolbox:L2DeepFoolAttack"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_mode_of_the_caller_does_not_matter(name, mode):
    """Attacked as outside, with images that were made there, and logits of half precision."""
    attack, (model, images, labels) = adapt(name).part, scene()
    given = {"norm": attack.norms[0], "seeds": torch.arange(len(images))}
    given |= {"radius": 0.05} if isinstance(attack, FixedBudget) else {}
    wanted = attack(model, images, labels, **given)
    with mode():
        assert torch.equal(attack(model, images.clone(), labels.clone(), **given), wanted)
    halves = attack(lambda x: model(x).half(), images, labels, **given)
    rounded = attack(lambda x: model(x).half().float(), images, labels, **given)
    assert torch.equal(halves, rounded)
