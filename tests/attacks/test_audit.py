"""What holds for the audit: every broken defence is found out by its own diagnostic, and no sound
model by any.
"""

import copy
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import pytest
import torch
from torch import nn

from attacks import UNIT, FixedBudget
from attacks.apgd import Apgd
from attacks.audit import audit, judged, tools, usual
from attacks.bim import Bim
from attacks.classifiers.fitting import PLAIN, Mixed, Schedule, fit
from attacks.diagnostics import DIAGNOSTICS, Tools
from attacks.fab import Fab
from attacks.fgsm import Fgsm
from attacks.noise import SIGN
from attacks.pgd import Pgd
from attacks.square import Square
from attacks.substitute import Substitute
from bench.core.errors import UsageError
from bench.core.randomness import forked
from bench.datasets.digits import mnist5k

IMAGES = 32
RADII = (0.05, 0.15, 0.3)
USED = Tools(Fgsm(), Pgd(steps=20, step_size=0.125), Square(queries=60), SIGN)


def _digits(images, labels, count):
    pixels = torch.from_numpy(images[:count]).float()[:, None] / 255
    return pixels, torch.tensor(labels[:count])


@cache
def _trained(radius):
    """A CNN with batch norm, fitted to 1,000 digits; against PGD where a radius is given."""
    images, labels = _digits(mnist5k().images, mnist5k().labels, 1000)
    against = Mixed(Pgd(steps=4, step_size=0.5, keep="last"), radius, alpha=0.0, box=UNIT, ramp=0.5)
    with forked(0):
        features = [nn.Conv2d(1, 8, 5, stride=3), nn.BatchNorm2d(8), nn.ReLU()]
        network = nn.Sequential(*features, nn.Flatten(), nn.Linear(512, 10))
        fit(
            network,
            images,
            labels,
            Schedule(epochs=8, batch=50, lr=5e-3),
            against if radius else PLAIN,
        )
    return network


@pytest.fixture(scope="module")
def cnn():
    """The undefended classifier; every defence is made of it."""
    return _trained(0.0)


@pytest.fixture(autouse=True)
def _seeded():
    """Random defences draw the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _audit(model, using=USED, **given):
    images, labels = _digits(mnist5k().held_images, mnist5k().held_labels, IMAGES)
    given = {"norm": "linf", "radii": RADII, "box": UNIT, "seeds": torch.arange(IMAGES), **given}
    return {f.name: f for f in audit(model, images, labels, using=using, **given)}


def _firing(findings):
    return {name for name, finding in findings.items() if finding.fires}


class Defence(nn.Module):
    """A classifier with something done to its images and its logits."""

    def __init__(self, model, before=lambda x: x, after=lambda x: x):
        super().__init__()
        self.model, self.before, self.after = model, before, after

    def forward(self, images):
        return self.after(self.model(self.before(images)))


def _mates(model):
    return copy.deepcopy(model).train()


# How a defence is broken, and the one diagnostic that has to say so.
BROKEN = {
    "cut graph": (lambda m: Defence(m, before=torch.Tensor.detach), "zero_gradients"),
    **{
        f"logits times {scale}": (
            lambda m, k=scale: Defence(m, after=lambda z: k * z),
            "hidden_by_underflow",
        )
        for scale in (100, 1000)
    },
    "noisy logits": (
        lambda m: Defence(m, after=lambda z: z + 0.5 * torch.randn_like(z)),
        "random_outputs",
    ),
    "noisy inputs": (
        lambda m: Defence(m, before=lambda x: x + 0.1 * torch.randn_like(x)),
        "random_outputs",
    ),
    "slopes not finite": (lambda m: Defence(m, before=lambda x: x + (0 * x).sqrt()), "not_finite"),
    "batch norm": (_mates, "batch_dependent"),
    "probabilities": (lambda m: Defence(m, after=lambda z: z.softmax(1)), "probabilities"),
    **{
        f"{levels} levels": (
            lambda m, k=levels: Defence(m, before=lambda x: (x * k).round() / k),
            "steps_in_outputs",
        )
        for levels in (4, 64, 255)
    },
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_defence_is_found_out(cnn, kind):
    """By its own diagnostic and no other: symptoms are blamed on it."""
    build, name = BROKEN[kind]
    findings = _audit(build(cnn))
    assert _firing(findings) == {name}
    assert all(f.blamed in ((), (name,)) for f in findings.values())


@pytest.mark.parametrize("radius", [0.0, 0.1], ids=["undefended", "trained against PGD"])
def test_a_sound_model_is_not_accused(radius):
    """The attacks work on it; nothing fires and nothing is blamed."""
    findings = _audit(_trained(radius))
    assert _firing(findings) == set()
    assert all(finding.blamed == () for finding in findings.values())
    assert findings["unbounded_failures"].value == 0
    assert list(findings) == [
        name for name in DIAGNOSTICS if not name.startswith(("search", "transfer"))
    ]


@pytest.mark.parametrize(("norm", "box"), [("l2", UNIT), ("linf", None)])
def test_nor_is_it_in_another_norm_or_without_a_box(cnn, norm, box):
    """With radii to suit."""
    radii = (0.5, 3.0) if norm == "l2" else RADII[::2]
    assert _firing(_audit(cnn, norm=norm, box=box, radii=radii)) == set()


@dataclass(frozen=True)
class Odd(FixedBudget):
    """PGD at another radius than was asked for."""

    instead: dict
    norms: ClassVar[tuple[str, ...]] = ("linf",)

    def __call__(self, model, images, labels, *, radius, norm, seeds, box=UNIT, stop="never"):
        given = {"norm": norm, "seeds": seeds, "box": box}
        return USED.iterative(
            model, images, labels, radius=self.instead.get(radius, self.instead[None]), **given
        )


NOTHING = {None: 0.0}
BROKEN_ATTACKS = {
    "one short step": (Bim(steps=1, step_size=0.05), {"single_step_wins", "unbounded_failures"}),
    "none at all": (
        Odd(NOTHING),
        {"single_step_wins", "unbounded_failures", "black_box_wins", "noise_wins"},
    ),
    "whatever the radius": (Odd({None: 0.3}), {"success_at_zero"}),
    "worse with the radius": (Odd({0.05: 0.3, 0.0: 0.0, 1.0: 1.0, None: 0.1}), {"not_monotone"}),
}


@pytest.mark.parametrize("kind", BROKEN_ATTACKS)
def test_a_broken_attack_is_found_out(cnn, kind):
    """On a sound model symptoms fire by themselves, and no cause does."""
    attack, symptoms = BROKEN_ATTACKS[kind]
    findings = _audit(cnn, replace(USED, iterative=attack))
    firing = _firing(findings)
    assert symptoms <= firing
    assert {DIAGNOSTICS[name].facts.kind for name in firing} == {"symptom"}


def test_what_does_not_survive_8_bits_is_lost():
    """A model that reads what lies between two grey levels is misled there alone."""
    images = torch.randint(0, 256, (6, 1, 4, 4)) / 255

    def between(x):
        off = (255 * x - (255 * x).detach().round() - 0.01).abs().flatten(1).amax(1)
        return torch.stack([0.25 - off, torch.zeros_like(off)], 1)

    found = _audit_of(between, images, torch.zeros(6).long())
    assert found["lost_to_rounding"].value == 1
    assert found["lost_to_rounding"].fires


def _audit_of(model, images, labels, seeds=None):
    given = {"norm": "linf", "radii": RADII, "box": UNIT}
    seeds = torch.arange(len(images)) if seeds is None else seeds
    return {f.name: f for f in audit(model, images, labels, seeds=seeds, using=USED, **given)}


def _facts(*kinds):
    return {e.name: e.facts for e in DIAGNOSTICS.entries() if e.facts.kind in kinds}


def test_a_diagnostic_fires_above_its_threshold():
    """Not at it; a note never does."""
    for name, facts in _facts("cause", "symptom", "note").items():
        above = 0.0 if facts.above is None else facts.above
        (at,), (over,) = judged({name: above}), judged({name: above + 1e-6})
        assert not at.fires
        assert over.fires == (facts.above is not None), name
        assert (facts.above is None) == (facts.kind == "note"), name


def test_a_symptom_yields_to_the_causes_that_fire():
    """To all of them, and to none that is silent; a cause yields to nothing."""
    found = dict.fromkeys(_facts("cause", "symptom", "note"), 0.0)
    assert not any(finding.fires or finding.blamed for finding in judged(found))
    for symptom in _facts("symptom"):
        alone = {f.name: f for f in judged(found | {symptom: 1.0})}
        assert _firing(alone) == {symptom}
        assert alone[symptom].blamed == ()
        causes = {"random_outputs": 1.0, "zero_gradients": 1.0}
        explained = {f.name: f for f in judged(found | causes | {symptom: 1.0})}
        assert _firing(explained) == set(causes)
        assert set(explained[symptom].blamed) == set(causes)


def test_the_audit_looks_at_images_that_are_right(cnn):
    """Others change nothing; where there is none, it says so. The model is left as it was."""
    images, labels = _digits(mnist5k().held_images, mnist5k().held_labels, IMAGES)
    labels[::3] = (labels[::3] + 1) % 10
    with torch.no_grad():
        right = cnn(images).argmax(1) == labels
    weights = [(weight, weight.requires_grad, weight.grad) for weight in cnn.parameters()]
    seeds = torch.arange(IMAGES)
    everyone = _audit_of(cnn, images, labels, seeds)
    assert 0 < right.sum() < IMAGES
    assert everyone == _audit_of(cnn, images[right], labels[right], seeds[right])
    assert all((w.requires_grad, w.grad) == (flag, grad) for w, flag, grad in weights)
    assert not cnn.training
    with pytest.raises(UsageError, match="the audit needs images that the classifier gets right"):
        _audit_of(cnn, images[right], (labels[right] + 1) % 10)


def test_the_same_audit_twice(cnn):
    """Draws are those of the seeds, the sound model's values too."""
    first, again = _audit(cnn), _audit(cnn)
    assert first == again


def test_an_audit_needs_attacks_with_a_radius():
    """By name; a search for the smallest perturbation has none, and is needed beside them."""
    known = {"single": Fgsm(), "iterative": Pgd(), "black_box": Square(), "noise": SIGN}
    named = ("fgsm", "pgd", "square", "sign-noise")
    assert vars(tools(*named, "fab")) == {**known, "search": Fab(), "transfer": Substitute()}
    with pytest.raises(UsageError, match="an audit needs attacks that take a radius"):
        tools("fgsm", "lbfgs", "square", "sign-noise", "fab")
    with pytest.raises(UsageError, match=r"needs a search .*, got 'pgd'"):
        tools(*named, "pgd")
    with pytest.raises(UsageError, match="unknown attack 'pgdd': did you mean 'pgd'"):
        tools("fgsm", "pgdd", "square", "sign-noise", "fab")


WEAK, STRONG = Bim(steps=1, step_size=0.2), Pgd(steps=20, step_size=0.125)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_an_attack_that_others_beat_is_called_weak(cnn, norm):
    """In every norm there is a black box and a search; an attack as strong is not called weak."""
    radius = {"linf": 0.1, "l2": 1.5, "l1": 8.0}[norm]
    climbs = Apgd(steps=20, restarts=1, classes=2, l1_restarts=1)
    using = replace(
        usual(),
        iterative=climbs,
        black_box=Square(queries=60),
        search=Fab(steps=10),
        transfer=None,
    )
    images, labels = _digits(mnist5k().held_images, mnist5k().held_labels, IMAGES)
    given = {"norm": norm, "radius": radius, "seeds": torch.arange(IMAGES) + 90}
    for attack, weak in ((WEAK, True), (using.iterative, False)):
        made = attack(cnn, images, labels, **given)
        found = _audit(cnn, using, norm=norm, radii=(radius,), given=made)
        assert found["stronger_attacks"].fires == weak
        assert (found["stronger_attacks"].value > 0.1) == weak
        assert {"black_box_wins", "search_wins"} <= set(found)
    assert _audit(cnn, using, norm=norm, radii=(radius,))["stronger_attacks"].value == 0


def test_who_wins_is_told_apart(cnn):
    """Of the images that the white box leaves, a tool wins those that it misleads within the
    radius: beyond it a search wins nothing.
    """
    nothing = Odd(NOTHING)
    far = replace(usual(), iterative=nothing, black_box=Square(queries=60), transfer=None)
    near, wide = (_audit(cnn, far, radii=(radius,)) for radius in (1e-4, 0.3))
    assert near["search_wins"].value == near["black_box_wins"].value == 0
    assert wide["search_wins"].value > 0.9
    assert wide["black_box_wins"].value > 0.3
    assert {"search_wins", "black_box_wins"} <= _firing(wide)


KINDS = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_not_called_quantised(cnn, kind):
    """Whatever type it answers in; what rounds its inputs there is found out all the same."""
    low = copy.deepcopy(cnn).to(KINDS[kind])

    def halves(levels, answer):
        def model(x):
            x = (x * levels).round() / levels if levels else x
            return low(x.to(KINDS[kind])).to(answer)

        return model

    for answer in (torch.float32, KINDS[kind]):
        findings = _audit(halves(0, answer), radii=(0.05, 0.15))
        assert _firing(findings) == set()
    rounded = _firing(_audit(halves(4, torch.float32), radii=(0.05, 0.15)))
    assert rounded & {"steps_in_outputs", "zero_gradients"}


def test_answers_that_are_not_finite_are_told(cnn):
    """Those that the attacks meet on their way too; never as misled images."""

    def model(x):
        logits = cnn(x)
        odd = (x[:, :, 0, 0] > 0.2).any(1, keepdim=True)
        return torch.where(odd, torch.nan, logits)

    findings = _audit(model, radii=(0.3,))
    assert findings["not_finite"].fires
    assert findings["not_finite"].value < 1
