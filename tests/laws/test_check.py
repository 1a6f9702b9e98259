"""Whoever has a part can put it to the laws: good parts pass, and each planted fault is caught."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import api
from bench.core.errors import UsageError

HOME = Path(api.__file__).parents[1]
PLANTED = '''
"""Parts of a user's own, each with one fault; good ones have none."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from attacks.contracts import UNIT, FixedBudget
from attacks.gradients import ascent
from attacks.norms import into_box, project, refuse, spread
from bench.core.randomness import stream
from bench.datasets import DATASETS, Dataset
from bench.datasets.base import Source
from bench.datasets.batches import FreshDraws
from bench.extractors.base import Extractor, Seen
from generative.contracts import (
    CONSTRAINTS, PENALTIES, RECIPES, Constraint, Contested, Loss, Penalty, Recipe, Trainer
)
from generative.penalties.slopes import slopes
from metrics.contracts import METRICS, Score
from metrics.features import refuse_dims


class GoodLoss(Loss):
    def critic(self, real, fake):
        return softplus(-real) + softplus(fake)

    def generator(self, real, fake):
        return softplus(-fake)


class WrongSign(GoodLoss):
    def generator(self, real, fake):
        return softplus(fake)


class Reduced(GoodLoss):
    def critic(self, real, fake):
        return super().critic(real, fake).mean()


class Slopes(Penalty):
    """(|grad C| - 1)^2 at the fakes."""

    def __call__(self, critic, real, fake, rng):
        return (slopes(critic, fake) - 1) ** 2


class OneNorm(Penalty):
    """One norm over the whole batch."""

    def __call__(self, critic, real, fake, rng):
        return ((slopes(critic, fake).norm() - 1) ** 2).expand(len(fake))


good_penalty, one_norm = Slopes(), OneNorm()
PENALTIES.register("my-slopes", weight=1.0)(good_penalty)
PENALTIES.register("my-norm", weight=1.0)(one_norm)


class Clip(Constraint):
    def prepare(self, critic):
        pass

    def project(self, critic):
        with torch.no_grad():
            for weight in critic.parameters():
                weight.clamp_(-0.1, 0.1)


class Halve(Clip):
    """It is not there yet after one projection."""

    def project(self, critic):
        with torch.no_grad():
            for weight in critic.parameters():
                weight.mul_(0.5)


good_constraint, halve = Clip(), Halve()


@dataclass(frozen=True)
class Step(FixedBudget):
    """One step along the gradient."""

    stretch: float = 1.0
    norms = ("linf",)

    def __call__(
        self, model, images, labels, *, radius, norm, seeds, box=UNIT, stop="never"
    ):
        refuse(norm, self.norms, "step")
        gradient, _ = ascent(model, images, labels)
        moved = images + self.stretch * spread(radius, images) * gradient.sign()
        return into_box(moved, box)


class Mates(Step):
    """It normalises by the whole batch."""

    def __call__(
        self, model, images, labels, *, radius, norm, seeds, box=UNIT, stop="never"
    ):
        refuse(norm, self.norms, "step")
        gradient, _ = ascent(model, images, labels)
        gradient = gradient / gradient.abs().max()
        return into_box(images + spread(radius, images) * gradient, box)


good_attack, out_of_the_ball, mates = Step(), Step(stretch=1.5), Mates()


def _metric(name):
    return METRICS.register(
        name, takes="features", direction="lower", title=name, low=0, absolute=0.01,
        estimator="squared distance of the means", scale=2, symmetric=True,
    )


def _means(real, fake):
    refuse_dims(real, fake)
    return real.moments.mean, fake.moments.mean


@_metric("good_means")
def good_metric(real, fake):
    """Squared distance of the means."""
    one, other = _means(real, fake)
    return Score(float(((one - other) ** 2).sum()), None, fake.moments.n)


@_metric("first_samples")
def of_the_first(real, fake):
    """By the first samples alone."""
    gap = np.float64(real.points[:100]).mean(0) - np.float64(fake.points[:100]).mean(0)
    return Score(float((gap**2).sum()), None, len(fake.points))


class Moons(Source):
    """Two moons, drawn afresh."""

    shape, device, modes, classes, box, density = (2,), "cpu", 0, 0, None, None

    def __init__(self, seed):
        self.seed = seed

    def _draw(self, n, rng):
        angles = np.pi * torch.rand(n, generator=rng)
        upper = torch.rand(n, generator=rng) < 0.5
        x = torch.where(upper, angles.cos(), 1 - angles.cos())
        y = torch.where(upper, angles.sin(), 0.5 - angles.sin())
        return torch.stack([x, y], 1) + 0.05 * torch.randn(n, 2, generator=rng)

    @property
    def training(self):
        return self._draw(1000, stream("moons", self.seed, "training"))

    def batches(self):
        return FreshDraws(self._draw, stream("moons", self.seed, "batches"))

    def fresh(self, n, rng, classes=None):
        return self._draw(n, rng)


class TwoMoons(Dataset):
    name, offers = "two-moons", frozenset({"points"})
    fingerprint = hashlib.sha256(b"two moons").hexdigest()

    def source(self, seed, device="cpu"):
        return Moons(seed)


class OneSeed(TwoMoons):
    """Whatever the seed."""

    fingerprint = hashlib.sha256(b"one seed").hexdigest()

    def source(self, seed, device="cpu"):
        return Moons(0)


good_dataset, one_seed = TwoMoons(), OneSeed()


class Wrapped(Recipe):
    """One of ours with something done to it."""

    def __init__(self, name, trainer=None, model=None):
        self._own, self._trainer, self._model = RECIPES[name].part, trainer, model

    def relevant(self, training):
        return self._own.relevant(training)

    def modules(self, training):
        return self._own.modules(training)

    def seconds(self, training):
        return self._own.seconds(training)

    def trainer(self, training, shape):
        return WrappedTrainer(self._own.trainer(training, shape), self._trainer, self._model)


class WrappedTrainer(Trainer):
    def __init__(self, own, start, model):
        self._own, self._start, self._model = own, start, model

    steps = property(lambda self: self._own.steps)

    def start(self, data, rng):
        return self._start(self._own, data) if self._start else self._own.start(data, rng)

    def advance(self, state, steps):
        return self._own.advance(state, steps)

    def finish(self, state):
        fitted = self._own.finish(state)
        return self._model(fitted) if self._model else fitted

    def pack(self, state):
        return self._own.pack(state)

    def unpack(self, data, tree):
        return self._own.unpack(data, tree)

    def restore(self, data, tensors):
        fitted = self._own.restore(data, tensors)
        return self._model(fitted) if self._model else fitted


def _seedless(own, data):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return own.start(data, torch.Generator().manual_seed(0))


class ColumnOfLogits(Contested):
    """[n, 1] where [n] was promised."""

    def __init__(self, own):
        self._own, self.prior = own, own.prior

    def sample(self, n, rng):
        return self._own.sample(n, rng)

    def codes(self, n, rng):
        return self._own.codes(n, rng)

    def decode(self, z):
        return self._own.decode(z)

    def logits(self, x):
        return self._own.logits(x)[:, None]

    def tensors(self):
        return self._own.tensors()


FACTS = dict(points_only="it is fast")
seedless = Wrapped("nsgan", trainer=_seedless)
columns = Wrapped("nsgan", model=ColumnOfLogits)
RECIPES.register("my-seedless", **FACTS)(seedless)
RECIPES.register("my-columns", **FACTS)(columns)


@dataclass(frozen=True)
class Means(Extractor):
    """The mean of each channel."""

    dims: int = 3
    channels: int = 3
    tag = "means"

    def load(self, loading):
        return lambda images: Seen(images.mean((2, 3)))


class Centred(Means):
    """Less that of its batch."""

    tag = "centred"

    def load(self, loading):
        return lambda images: Seen(images.mean((2, 3)) - images.mean((0, 2, 3)))


good_extractor, centred = Means(), Centred()
'''
CAUGHT = {
    "WrongSign": "the-generator-pulls-fakes-up",
    "Reduced": "a-loss-is-unreduced",
    "one_norm": "a-batch-is-its-samples",
    "halve": "projecting-twice-is-projecting-once",
    "out_of_the_ball": "an-attack-stays-in-the-ball-and-the-box",
    "mates": "batch-mates-do-not-matter",
    "of_the_first": "the-order-does-not-matter",
    "one_seed": "another-seed-has-other-data",
    "seedless": "a-learner-depends-on-its-seed",
    "columns": "a-critic-gives-a-logit-each",
    "centred": "an-image-does-not-depend-on-its-batch",
}
GOOD = {
    "GoodLoss": "",
    "good_penalty": "",
    "good_constraint": "",
    "good_attack": "",
    "good_metric": "",
    "good_dataset": "",
    "good_extractor": "",
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The folder of the user's file; its parts leave the registries when the module is done."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted_parts.py").write_text(PLANTED)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        from bench.laws.parts import registries

        for registry in registries().values():
            patch.setattr(registry, "_entries", dict(registry._entries))
        yield folder
        sys.modules.pop("planted_parts", None)


def _broken(found):
    rows = found[found["verdict"] == "broken"]
    return dict(zip(rows["law"], rows["counter_example"], strict=True))


@pytest.mark.parametrize("name", GOOD)
def test_a_good_part_passes(planted, name):
    """All its laws hold, or it is exempt by what it declares."""
    found = api.check_part(f"planted_parts:{name}")
    assert list(found.columns) == ["law", "verdict", "counter_example"]
    assert set(found["verdict"]) <= {"holds", "exempt", "skipped"}, _broken(found)
    assert (found["verdict"] == "holds").sum() >= 3


@pytest.mark.parametrize("name", CAUGHT)
def test_a_planted_fault_is_caught(planted, name):
    """By the law that is about it, with a counter-example."""
    broken = _broken(api.check_part(f"planted_parts:{name}"))
    assert CAUGHT[name] in broken, broken
    assert broken[CAUGHT[name]]


def test_unknown_parts_are_refused(planted):
    """With the nearest name; what is no part, and a kind that there is not."""
    with pytest.raises(UsageError, match="unknown part 'hinj': did you mean 'hinge'"):
        api.check_part("hinj")
    with pytest.raises(UsageError, match="unknown kind of part 'los': did you mean 'loss'"):
        api.check_part("hinge", kind="los")
    with pytest.raises(UsageError, match="'planted_parts:FACTS' is no part: expected one of loss"):
        api.check_part("planted_parts:FACTS")
    with pytest.raises(UsageError, match="unknown attack 'hinge'"):
        api.check_part("hinge", kind="attack")


def test_an_exemption_that_nothing_needs_is_an_error(planted):
    """A known issue that is none any more, too."""
    from generative import LOSSES

    for given in ({"exempt": "a-loss-is-stable: no"}, {"known_issue": "a-loss-is-stable[*]: no"}):
        LOSSES.register(f"my-{next(iter(given)).replace('_', '-')}", summary="mine", **given)(
            type("Loss", (LOSSES["nonsaturating"].part,), {})
        )
    for name in ("my-exempt", "my-known-issue"):
        assert "strike that off" in _broken(api.check_part(name))["a-loss-is-stable"]


def test_an_exemption_names_a_law(planted):
    """And a reason."""
    from generative import LOSSES

    for name, text in (("my-first", "no-such-law: no"), ("my-second", "a-loss-is-stable")):
        part = type("Loss", (LOSSES["nonsaturating"].part,), {})
        LOSSES.register(name, summary="mine", exempt=text)(part)
        assert "exemptions-name-laws" in _broken(api.check_part(name))


WITHOUT_TESTS = """
import sys

for name in ("pytest", "hypothesis", "_pytest"):
    sys.modules[name] = None
from bench.cli import main

main(sys.argv[1:])
"""


def _bench(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TESTS, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_command_needs_no_pytest(planted):
    """In a user's folder, outside the tree: rows, exit codes 0, 4 and 2."""
    good = _bench(planted, "check", "part", "planted_parts:GoodLoss")
    assert good.returncode == 0, good.stderr
    assert "a-loss-is-unreduced" in good.stdout
    bad = _bench(planted, "check", "part", "planted_parts:WrongSign", "--json")
    assert bad.returncode == 4, bad.stderr
    rows = {row["law"]: row for row in json.loads(bad.stdout)}
    assert rows["the-generator-pulls-fakes-up"]["verdict"] == "broken"
    assert "by_fake" in rows["the-generator-pulls-fakes-up"]["counter_example"]
    unknown = _bench(planted, "check", "part", "planted_parts:Nothing")
    assert unknown.returncode == 2
    assert "has no 'Nothing'" in unknown.stderr
