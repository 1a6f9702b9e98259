"""The engine: a model is left as it was found, cost is counted, results are measured."""

import inspect
import re

import pytest
import torch

from attacks import ATTACKS, UNIT
from attacks.engine import Counted, chunk_of, frozen, measure, run, search
from bench.core.errors import UsageError
from bench.laws.attacks import Trial, stopped
from bench.laws.scenes import IMAGES, Odd, assert_as_found, misled, pictures, scene, sizes, state_of


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
    model, images = Odd(), pictures()
    before = state_of(model)
    try:
        with frozen(model):
            mischief(model, images)
            if fails:
                raise ArithmeticError("the attack is out of order")
    except ArithmeticError:
        assert fails
    assert_as_found(before, model)


def test_a_model_that_is_no_module_is_left_alone():
    """A plain function has nothing to freeze."""
    with frozen(torch.sin) as model:
        assert model is torch.sin


def test_what_an_attack_costs():
    """FGSM: one gradient for all radii; PGD: one more forward than steps for each."""
    model, images, labels = scene()
    seeds, wanted = torch.arange(IMAGES), {"fgsm": (1, 1), "pgd": (3 * 9, 3 * 8)}
    wanted |= {"sign-noise": (0, 0), "square": (3 * 16, 0), "bim": (3 * 8, 3 * 8)}
    for name, cost in wanted.items():
        counted, part = Counted(model), Trial(ATTACKS[name], "linf").part
        given = {"norm": "linf", "seeds": seeds, "box": UNIT}
        list(run(part, counted, images, labels, radii=[0.01, 0.02, 0.03], **given))
        assert (counted.forwards, counted.backwards) == tuple(IMAGES * n for n in cost), name


def test_images_are_attacked_in_parts(monkeypatch):
    """Which changes nothing; a search too."""
    model, images, labels = scene()
    seeds = torch.arange(IMAGES) + 7
    pgd, lbfgs = Trial(ATTACKS["pgd"], "linf"), Trial(ATTACKS["lbfgs"], "l2")
    whole, nearest = pgd(model, images, labels), lbfgs(model, images, labels)
    monkeypatch.setattr("attacks.engine.CHUNK_VALUES", 3 * 64)
    assert chunk_of(images) == 3
    given = {"seeds": seeds, "box": UNIT}
    (parts,) = run(pgd.part, model, images, labels, radii=[pgd.radius], norm="linf", **given)
    assert torch.equal(misled(model, parts, labels), misled(model, whole, labels))
    found = search(lbfgs.part, model, images, labels, norm="l2", **given)
    torch.testing.assert_close(
        sizes(found - images, "l2"), sizes(nearest - images, "l2"), rtol=1e-5, atol=1e-5
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


def test_the_engine_never_stops_early_unless_asked():
    """A frozen model is the same one, without gradients."""
    assert inspect.signature(run).parameters["stop"].default == "never"
    model = Odd()
    with frozen(model) as same:
        assert same is model
        assert not any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("name", ["bim", "mi-fgsm", "pgd", "pgd-last", "square"])
def test_attacks_that_can_stop_do(name):
    """Their images are others where they were told to."""
    for norm in ATTACKS[name].part.norms:
        *_, never, early = stopped(Trial(ATTACKS[name], norm))
        assert not torch.equal(never, early), norm


@pytest.mark.parametrize("name", ["pgd", "pgd-last", "square"])
def test_random_starts_are_every_images_own(name):
    """Other seeds, another result for every image in every norm."""
    model, images, labels = scene()
    for norm in ATTACKS[name].part.norms:
        attack = Trial(ATTACKS[name], norm)
        first, other = (
            attack(model, images, labels, seeds=torch.arange(IMAGES) + start) for start in (0, 50)
        )
        assert (first != other).flatten(1).any(1).all(), norm


@pytest.mark.parametrize("name", ["fgsm", "sign-noise"])
def test_a_ray_at_no_radius_takes_no_gradient(name):
    """By itself and by the engine."""
    model, images, labels = scene()
    counted, seeds = Counted(model), torch.arange(IMAGES)
    given = {"norm": "linf", "seeds": seeds, "box": UNIT}
    (found,) = run(ATTACKS[name].part, counted, images, labels, radii=[0.0], **given)
    assert torch.equal(found, images)
    assert torch.equal(ATTACKS[name].part(counted, images, labels, radius=0.0, **given), images)
    assert counted.forwards == 0


def test_weights_of_inference_mode_are_refused():
    """In one line; images made there are copied."""
    model, images, labels = scene()
    given = {"radii": [0.1], "norm": "linf", "seeds": torch.arange(IMAGES), "box": UNIT}
    with torch.inference_mode():
        made, told = images.clone(), labels.clone()
        other = scene()[0]
        with frozen(model):
            found = list(run(ATTACKS["fgsm"].part, model, made, told, **given))
        refused = pytest.raises(UsageError, match=r"made in torch\.inference_mode.*outside it")
        with refused, frozen(other):
            pass
    assert torch.equal(*found, *run(ATTACKS["fgsm"].part, model, images, labels, **given))
