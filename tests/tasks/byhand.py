"""Cells of parts that a test makes by hand: models whose answers are known, trained by nobody."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench.suites.cell import Cell
from bench.tasks import TASKS, Bench
from generative import LatentSampler, Sampler, Translator
from generative.recipes.references import Fixed
from generative.trainers.fit import FitTrainer


@dataclass(frozen=True)
class HandTrainer(FitTrainer):
    """make: the data to a model."""

    make: object

    def fit(self, data, seed):
        return self.make(data)

    def restore(self, data, tensors):
        return self.make(data)


def by_hand(make):
    """A recipe that trains nothing."""
    return Fixed(HandTrainer(make))


class Given(Sampler):
    """The first examples of a tensor, in its order, again and again."""

    def __init__(self, examples):
        self.examples = examples

    def sample(self, n, rng):
        times = -(-n // len(self.examples))
        return self.examples.repeat(times, *[1] * (self.examples.ndim - 1))[:n].clone()

    def tensors(self):
        return {}


class Telling(LatentSampler, Given):
    """A bound that tells what it was asked about: its terms are an example's sum, and its first
    value; an importance estimate is the sum and the number of draws.
    """

    def elbo(self, x, rng):
        flat = x.flatten(1).double()
        return flat.sum(1), flat[:, 0]

    def importance_log_prob(self, x, rng, samples):
        return x.flatten(1).double().sum(1) + samples


class By(Translator):
    """A function of the images, by direction."""

    directions = ("forward", "backward")

    def __init__(self, forward, backward):
        self._ways = {"forward": forward, "backward": backward}

    def translate(self, x, rng, direction="forward"):
        return self._ways[direction](x, rng)

    def tensors(self):
        return {}


def cell_of(task, *, seed=0, settings=None, **parts):
    """A cell of parts by name."""
    parts = {axis: parts[axis] for axis in TASKS[task].part.axes}
    known = TASKS[task].part.resolve(parts, settings or {}, None)
    assert known.skip == ""
    named = (known.settings, seed, "/".join([task, *parts.values()]), "key", known.fingerprint)
    return Cell("block", task, parts, *named, "code")


def experiment_of(cell):
    """The cell at its place of work."""
    return TASKS[cell.task].part.experiment(cell, "cpu")


def scores_of(at_work, model):
    """What an experiment makes of a model by hand: value by metric, without what it rests on."""
    made = at_work.make(model)
    return {name: getattr(s, "value", s) for name, s, _ in at_work.score(model, made)[0]}


def row_of(cell, store):
    """The final values of a cell from end to end, by metric."""
    found = TASKS[cell.task].part.measure(cell, Bench(store))
    assert (found.diverged, found.invalid) == ("", "")
    return {v.metric.partition("@")[0]: v.value for v in found.values if v.final}


def shares(values, wanted):
    """Whether each of some values is what is wanted of it."""
    torch.testing.assert_close(
        {name: float(values[name]) for name in wanted},
        {name: float(value) for name, value in wanted.items()},
        rtol=1e-5,
        atol=1e-6,
    )
