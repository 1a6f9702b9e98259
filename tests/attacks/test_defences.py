"""What the audit says of defences that hold attacks back, and of sound networks."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from defences import DEFENCES, SOUND, Abstains, Defence, held, network

from attacks import UNIT
from attacks.apgd import Apgd
from attacks.audit import audit, usual
from attacks.bim import Bim
from attacks.diagnostics import DIAGNOSTICS
from attacks.engine import frozen, logits_of
from attacks.fab import Fab
from attacks.pgd import Pgd
from attacks.square import Square
from attacks.substitute import Secondhand, Substitute

IMAGES = 24
RADII = (0.05, 0.15)
QUICK = replace(
    usual(),
    iterative=Apgd(steps=20, classes=1),
    black_box=Square(queries=60),
    search=Fab(steps=8, classes=1),
    transfer=Substitute(),
)
WEAK = Bim(steps=1, step_size=0.3)


def _audit(model, using=QUICK, attack=None, **given):
    images, labels = held(IMAGES)
    about = {"seeds": torch.arange(IMAGES), "norm": "linf", "box": UNIT}
    with torch.random.fork_rng(), frozen(model):
        torch.manual_seed(0)
        if attack is not None:
            given["given"] = attack(model, images, labels, radius=RADII[-1], **about)
        findings = audit(model, images, labels, radii=RADII, using=using, **about, **given)
    return {finding.name: finding for finding in findings}


def _firing(findings):
    return {name for name, finding in findings.items() if finding.fires}


QUICKLY = ("flipped gradients", "rippled", "plain quantisation", "temperature up")


def _some(names, quickly):
    """The others take a second or two each."""
    return [n if n in quickly else pytest.param(n, marks=pytest.mark.slow) for n in names]


@pytest.mark.parametrize("name", _some(DEFENCES, QUICKLY))
def test_a_defence_fires_its_own_diagnostic_or_a_weak_attack_on_it_is_told(name):
    build, own = DEFENCES[name]
    firing = _firing(_audit(build(), attack=WEAK))
    assert firing & own if own else "stronger_attacks" in firing


@pytest.mark.parametrize("name", _some(SOUND, ("bfloat16", "logits x 3")))
def test_a_sound_network_is_not_accused(name):
    """A weak attack on it is told all the same."""
    model = SOUND[name]()
    assert _firing(_audit(model)) == set()
    assert _firing(_audit(model, attack=WEAK)) == {"stronger_attacks"}


def test_a_network_that_is_given_is_a_witness():
    """Its images mislead a defence whose gradients lead nowhere; on a sound one it wins nothing."""
    using = replace(QUICK, transfer=Secondhand(network(1), Pgd(steps=20, step_size=0.125)))
    findings = _audit(DEFENCES["rippled"][0](), using)
    assert findings["transfer_wins"].fires
    assert findings["transfer_wins"].value > 0.3
    assert _audit(network(), using)["transfer_wins"].value <= 0.05


def test_underflow_silences_nothing():
    """A broken attack on a classifier with steep logits is a symptom that fires by itself."""
    still = replace(QUICK, iterative=Bim(steps=1, step_size=1e-3))
    findings = _audit(DEFENCES["temperature up"][0](), still)
    assert {"hidden_by_underflow", "black_box_wins", "transfer_wins"} <= _firing(findings)
    assert DIAGNOSTICS["hidden_by_underflow"].facts.kind == "pitfall"


def test_abstentions_are_counted_apart():
    """They are neither misled nor robust: the class that stands for none, or a NaN."""
    network_ = Abstains(network())
    plain, apart = _audit(network_), _audit(network_, abstains=10)
    assert plain["abstentions"].value == 0
    assert apart["abstentions"].value > 0.2
    told = (plain["iterative_success"].value, apart["iterative_success"].value)
    assert told[0] >= told[1] + apart["abstentions"].value - 0.1


def test_an_image_that_is_not_answered_is_not_right():
    """It is left out, though the place of its NaN is its label; and the audit says so."""
    images, labels = held(IMAGES)
    first = images[0]

    def model(x):
        logits = network()(x)
        same = (x == first).flatten(1).all(1, keepdim=True)
        odd = torch.nn.functional.one_hot(labels[:1], 10).bool()
        return torch.where(same & odd, torch.nan, logits)

    assert int(logits_of(model, images)[0].argmax()) == int(labels[0])
    findings = _audit(model)
    assert findings["not_finite"].fires
    assert "iterative_success" in findings
    assert findings["iterative_success"].value > 0.9 * _audit(network())["iterative_success"].value


@cache
def _weakened():
    return Defence(network(), after=lambda z: 1e-25 * z)


def test_a_small_scale_of_logits_hides_no_l2_direction():
    """Gradients below 1e-22 have a direction."""
    images, labels = held(IMAGES)
    given = {"radius": 1.0, "norm": "l2", "seeds": torch.arange(IMAGES)}
    left = [
        (logits_of(model, Pgd(steps=10, step_size=0.25)(model, images, labels, **given)).argmax(1))
        for model in (network(), _weakened())
    ]
    share = [(predictions == labels).float().mean().item() for predictions in left]
    assert share[0] < 0.5
    assert share[1] < 0.5


def test_a_gradient_that_passes_straight_through_a_grid_is_not_accused():
    """Tiny steps change no answer there, and attacks have a gradient all the same."""
    assert _firing(_audit(DEFENCES["straight-through quantisation"][0]())) == set()
