"""Parts of a user's own, each with one fault; good ones have none."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import softplus

from attacks.contracts import UNIT, FixedBudget
from attacks.gradients import ascent
from attacks.norms import into_box, refuse, spread
from bench.core.randomness import stream
from bench.core.registry import Entry
from bench.datasets import Dataset
from bench.datasets.base import Source
from bench.datasets.batches import FreshDraws
from bench.extractors.base import Extractor, Seen
from generative.contracts import (
    LOSSES,
    PENALTIES,
    RECIPES,
    Constraint,
    Contested,
    Loss,
    Penalty,
    Recipe,
    Trainer,
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


class Exponential(GoodLoss):
    def generator(self, real, fake):
        return (-fake).exp()


@LOSSES.register("my-cautious", summary="It says 80 and is finite everywhere.", finite_to=80.0)
class Cautious(GoodLoss):
    pass


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

    def __call__(self, model, images, labels, *, radius, norm, seeds, box=UNIT, stop="never"):
        refuse(norm, self.norms, "step")
        gradient, _ = ascent(model, images, labels)
        moved = images + self.stretch * spread(radius, images) * gradient.sign()
        return into_box(moved, box)


class Mates(Step):
    """It normalises by the whole batch."""

    def __call__(self, model, images, labels, *, radius, norm, seeds, box=UNIT, stop="never"):
        refuse(norm, self.norms, "step")
        gradient, _ = ascent(model, images, labels)
        gradient = gradient / gradient.abs().max()
        return into_box(images + spread(radius, images) * gradient, box)


class Normless(Step):
    """It names no norms."""

    norms = None


normless = Normless()
good_attack, out_of_the_ball, mates = Step(), Step(stretch=1.5), Mates()


def _metric(name):
    return METRICS.register(
        name,
        takes="features",
        direction="lower",
        title=name,
        low=0,
        absolute=0.01,
        estimator="squared distance of the means",
        scale=2,
        symmetric=True,
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


FACTS = {"points_only": "it is fast"}
seedless = Wrapped("nsgan", trainer=_seedless)
columns = Wrapped("nsgan", model=ColumnOfLogits)
RECIPES.register("my-seedless", **FACTS)(seedless)
RECIPES.register("my-columns", **FACTS)(columns)


def _with(**methods):
    """A model whose methods are others."""

    def faulty(fitted):
        fitted.__class__ = type("Faulty", (type(fitted),), methods)
        return fitted

    return faulty


def _own(model):
    return type(model).__mro__[1]


def fault(name, facts=None, **methods):
    """One of ours, with a fault of its model."""
    recipe = Wrapped(name, model=_with(**methods))
    return Entry(f"faulty-{name}", recipe, "", "", "", facts or RECIPES[name].facts)


ABLE = {
    "codes-are-draws-of-the-prior": fault(
        "nsgan", codes=lambda self, n, rng: 3 * _own(self).codes(self, n, rng)
    ),
    "decoded-codes-are-examples": fault(
        "nsgan", sample=lambda self, n, rng: _own(self).sample(self, n, rng).flip(1)
    ),
    "decoding-has-a-graph-where-it-is-asked-for": fault(
        "nsgan", decode=lambda self, z: _own(self).decode(self, z.detach())
    ),
    "a-critic-judges-each-by-itself": fault(
        "nsgan", logits=lambda self, x: _own(self).logits(self, x - x.mean(0))
    ),
    "logits-have-a-graph-where-it-is-asked-for": fault(
        "nsgan", logits=lambda self, x: _own(self).logits(self, x.detach())
    ),
    "a-class-can-be-asked-for": fault(
        "cgan",
        decode=lambda self, z, condition=None: _own(self).decode(
            self, z, torch.zeros(len(z)).long()
        ),
    ),
    "a-class-that-is-none-is-refused": fault(
        "cgan",
        sample=lambda self, n, rng, condition=None: _own(self).sample(
            self, n, rng, None if condition is None else condition.clamp(0, 9)
        ),
    ),
    "completing-keeps-what-is-known": fault(
        "pca-gaussian", complete=lambda self, x, known: x.clamp(0, 0.5)
    ),
    "a-completed-picture-has-no-batch-mates": fault(
        "pca-gaussian",
        complete=lambda self, x, known: torch.where(known, x, x.mean()),
    ),
    "codes-can-be-had-of-examples": fault(
        "autoencoder", encode=lambda self, x: _own(self).encode(self, x - x.mean(0))
    ),
    "a-bound-has-two-terms": fault(
        "vae", elbo=lambda self, x, rng: _own(self).elbo(self, x, rng)[::-1]
    ),
    "more-importance-samples-are-a-tighter-bound": fault(
        "vae",
        importance_log_prob=lambda self, x, rng, samples: (
            -samples + _own(self).importance_log_prob(self, x, rng, samples)
        ),
    ),
    "a-density-integrates-to-one": fault(
        "gmm", log_prob=lambda self, x: 1 + _own(self).log_prob(self, x)
    ),
    "samples-follow-their-density": fault(
        "gmm", sample=lambda self, n, rng: 2 * _own(self).sample(self, n, rng)
    ),
    "samples-depend-on-the-generator-alone": fault(
        "nsgan", sample=lambda self, n, rng: _own(self).sample(self, n, torch.default_generator)
    ),
    "samples-are-examples": fault(
        "nsgan", sample=lambda self, n, rng: _own(self).sample(self, n, rng).double()
    ),
    "translations-are-images-of-the-other-domain": fault(
        "identity", translate=lambda self, x, rng, direction="forward": 1.5 * x
    ),
    "nothing-of-the-batch-mates": fault(
        "identity", translate=lambda self, x, rng, direction="forward": 0 * x + x.mean()
    ),
    "translations-depend-on-the-generator-alone": fault(
        "identity", translate=lambda self, x, rng, direction="forward": torch.rand(x.shape)
    ),
}


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
