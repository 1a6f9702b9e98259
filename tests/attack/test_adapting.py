"""`bench attack --adapt`: what is tried where, and its figures beside the plain ones."""

import sys
from types import ModuleType

import pytest
import torch
from defences import network
from torch import nn

from bench.attack.adapting import through
from bench.attack.attack import evaluate_attack
from bench.attack.evaluate import UNADAPTED
from bench.core.errors import UsageError

PART = ModuleType("a_defence")
exec("def rounded(x):\n    return (3 * x).round() / 3", vars(PART))


class Rounds(nn.Module):
    """A network behind a function of another module, which it looks up at every call."""

    def __init__(self, model, after=lambda z: z):
        super().__init__()
        self.model, self.after = model, after

    def forward(self, images):
        return self.after(self.model(PART.rounded(images)))


class Rounding(nn.Module):
    def forward(self, images):
        return (3 * images).round() / 3


@pytest.fixture(autouse=True)
def _named(monkeypatch):
    monkeypatch.setitem(sys.modules, "a_defence", PART)
    monkeypatch.setattr(PART.rounded, "__module__", "a_defence")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _attacked(model, **options):
    asked = {"images": 32, "epsilons": "0.05,0.15", "attack": "pgd", "settings": {"steps": 5}}
    return evaluate_attack(model, "optdigits", **asked, **options)


def _values(result, name):
    return [v for v in result.evaluation.values if v.metric == name]


@pytest.mark.usefixtures("quick_audit")
def test_gradients_pass_through_a_part_that_is_named():
    """The row says so; the attack's images are the plain one's, and the part is as it was."""
    before = PART.rounded
    plain = _attacked(Rounds(network()))
    assert not _values(plain, "robust_accuracy@adapted")
    assert plain.verdict.hints == (
        "non-differentiable: name the part with --bpda module:callable",
        "no gradient at all, or a wrong one: --adapt attacks a surrogate",
    )
    found = _attacked(Rounds(network()), bpda="a_defence:rounded")
    assert PART.rounded is before
    own, adapted = (_values(found, name) for name in ("robust_accuracy", "robust_accuracy@adapted"))
    assert [v.epsilon for v in adapted] == [v.epsilon for v in own] == [0.05, 0.15]
    assert {v.label for v in adapted} == {"gradients passed straight through"}
    assert adapted[1].value < own[1].value - 0.3
    assert torch.equal(found.evaluation.attacked, plain.evaluation.attacked)
    (said,) = found.verdict.hints
    assert said.startswith(
        "adapted, gradients passed straight through: at 0.15 the robust accuracy"
    )
    assert f"{100 * adapted[1].value:.1f} %, not {100 * own[1].value:.1f} %" in said
    rows = found.told.set_index("metric")
    assert (
        rows.loc["robust_accuracy@adapted", "label"] == "gradients passed straight through"
    ).all()
    heads = [head for layout in found.layouts() for head in layout.heads]
    assert any("adapted" in head for head in heads)


@pytest.mark.usefixtures("quick_audit")
def test_without_a_part_a_surrogate_is_attacked():
    found = _attacked(Rounds(network()), adapt=True)
    own, adapted = (_values(found, name) for name in ("robust_accuracy", "robust_accuracy@adapted"))
    assert {v.label for v in adapted} == {"a surrogate attacked"}
    assert adapted[1].value < own[1].value


@pytest.mark.usefixtures("quick_audit")
def test_a_sound_network_needs_no_remedy():
    found = _attacked(network(), adapt=True, seed=1)
    assert not _values(found, "robust_accuracy@adapted")
    assert found.verdict.hints == ()
    assert found.evaluation.notes == [UNADAPTED]


@pytest.mark.usefixtures("quick_audit")
def test_a_part_that_is_named_is_passed_where_no_diagnostic_fires():
    """It was asked for; and one that is not there is told of before anything is attacked."""
    told = []
    with pytest.raises(UsageError, match="nothere"):
        _attacked(Rounds(network()), bpda="nothere:x", notify=told.append)
    assert not any("radius" in text for text in told)
    with pytest.raises(UsageError, match="is no part that the classifier calls"):
        _attacked(network(), bpda="a_defence:rounded", seed=1)


def test_a_part_is_a_function_a_kind_of_layer_or_a_layer(monkeypatch):
    """In here its gradient is the identity's; afterwards it is as it was."""
    layer = Rounding()
    for name, part in (("Rounding", Rounding), ("layer", layer)):
        monkeypatch.setattr(PART, name, part, raising=False)
    held = nn.Module()
    held.part = PART.rounded
    images = torch.full((2, 1, 8, 8), 0.4)

    def slope(call):
        points = images.clone().requires_grad_()
        made = call(points)
        assert torch.equal(made, PART.rounded(images))
        return torch.autograd.grad(made.sum(), points)[0]

    calls = {
        "a_defence:rounded": lambda x: PART.rounded(x),
        "a_defence:Rounding": lambda x: layer(x),
        "a_defence:layer": lambda x: layer(x),
    }
    for name, call in calls.items():
        with through(name, held):
            assert (slope(call) == 1).all()
        assert (slope(call) == 0).all()
    with through("a_defence:rounded", held):
        assert (slope(held.part) == 1).all()
    assert held.part is PART.rounded
    assert "forward" not in vars(layer)


def test_a_part_that_nobody_calls_is_an_error():
    images, said = torch.zeros(1, 1, 8, 8), "a_defence:rounded is no part that the classifier calls"
    with pytest.raises(UsageError, match=said), through("a_defence:rounded", network()):
        network()(images)
    with pytest.raises(UsageError, match="`adapt`: the audit says what to adapt to"):
        _attacked(network(), adapt=True, audit=False)
