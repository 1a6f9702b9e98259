"""The way of a training in its tasks: which modes are whose, at which look, and who is told."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from tasks.byhand import Given, cell_of, experiment_of

from bench.core.errors import Notice
from bench.models.generators import Trained
from bench.models.signature import Signature
from bench.tasks.generation import experiment
from metrics import METRICS, StackTally, truth_of
from metrics.signature import Contest

POINTS = {"dataset": "ring8@pacgan", "settings": {"samples": 1_000, "steps": 40}}


def signature(slope: float) -> Signature:
    contest = Contest(np.array([-1.0, 1.0]), np.full(2, slope))
    return Signature(np.array([1.0, 2.0]), contest, None, {"critic": 10 * slope})


def at_work_on(snapshots, model, steps, task="mixture", signatures=None, **parts):
    """An experiment whose training was looked at so."""
    at_work = experiment_of(cell_of(task, model="nsgan", **parts))
    signatures = signatures or [signature(float(at)) for at in range(len(steps))]
    trained = Trained("key", model, np.stack(snapshots), steps, steps[-1], "", signatures)
    found = type(f"By{type(at_work).__name__}", (type(at_work),), {"train": lambda *_: trained})
    return found(at_work.cell, "cpu")


def measured(at_work):
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        found = at_work.measure(None)
    told = [str(w.message) for w in raised if issubclass(w.category, Notice)]
    return found, told


def of_modes(mixture, modes, n=800):
    """Samples in the middle of some modes."""
    return np.repeat(mixture.centres[modes], n // len(modes), axis=0).astype(np.float32)


def mixture():
    return experiment_of(cell_of("mixture", model="oracle", **POINTS)).entry.part


def test_each_look_is_told_at_its_step_and_the_way_once():
    data = mixture()
    looks = [
        of_modes(data, [0, 1]),
        of_modes(data, list(range(8))),
        of_modes(data, [0, 1, 2, 3, 4]),
    ]
    at_work = at_work_on(looks, Given(torch.from_numpy(looks[2])), [10, 20, 40], **POINTS)
    found, told = measured(at_work)
    assert told == []
    curve = {(v.metric, v.step): v.value for v in found.values if not v.final}
    assert [curve["modes_covered", step] for step in (10, 20, 40)] == [2, 8, 5]
    assert [curve["modes_near", step] for step in (10, 20, 40)] == [2, 8, 5]
    assert [curve["critic_slope", step] for step in (10, 20, 40)] == [0, 1, 2]
    final = {v.metric: v for v in found.values if v.final}
    assert final["critic_slope"].value == 2
    assert final["critic_gradient"].value == 20
    assert final["critic_accuracy"].value == 0.75
    assert final["coverage_step"].value == 20
    assert final["modes_forgotten"].value == 3
    assert final["modes_ever"].value == 8
    assert final["coverage_step"].step == 40
    assert "generator_gradient" not in final
    assert "generator_flat" not in final
    assert found.arrays["way_steps"].tolist() == [10, 20, 40]
    assert found.arrays["way_shares"].shape == (3, 8)
    assert found.arrays["way_shares"][0, :2] == pytest.approx([0.5, 0.5])
    assert found.arrays["way_covered"].sum(axis=1).tolist() == [2, 8, 5]


def test_near_is_not_covered():
    """Samples three tenths beside their modes are near them, and cover nothing."""
    data = mixture()
    beside = of_modes(data, [0, 1, 2]) * np.float32(0.7)
    at_work = at_work_on([beside] * 3, Given(torch.from_numpy(beside)), [10, 20, 40], **POINTS)
    found, told = measured(at_work)
    final = {v.metric: v.value for v in found.values if v.final}
    assert (final["modes_near"], final["modes_covered"]) == (3, 0)
    assert final["collapsed_share"] == 1
    assert told == [
        "collapsed: samples are near 3 of 8 modes, near half at most since step 10 of 40"
    ]


def test_a_training_that_came_back_is_not_told():
    data = mixture()
    one, every = of_modes(data, [0]), of_modes(data, list(range(8)))
    for looks, wanted in (([one] * 3 + [every], 0), ([every] + [one] * 3, 1), ([one] * 2, 0)):
        steps = [10 * (at + 1) for at in range(len(looks))]
        at_work = at_work_on(looks, Given(torch.from_numpy(looks[-1])), steps, **POINTS)
        assert len(measured(at_work)[1]) == wanted


def test_a_model_made_in_one_step_has_no_way():
    data = mixture()
    one = of_modes(data, [0])
    found, told = measured(at_work_on([one], Given(torch.from_numpy(one)), [1], **POINTS))
    assert told == []
    names = {v.metric for v in found.values}
    assert "modes_covered" in names
    assert not names & {"collapse_step", "coverage_step", "critic_accuracy"}
    assert "way_steps" not in found.arrays


def test_stacks_are_near_by_what_is_read_and_covered_by_what_passes():
    real = truth_of(experiment_of(cell_of("stack", model="oracle", **STACKS)).judge.card, 1)
    raw = np.array([500, 400, 100, 0, 0, 0, 0, 0, 0, 0])
    passing = np.array([300, 5, 100, 0, 0, 0, 0, 0, 0, 0])
    fake = StackTally(raw, passing, np.zeros((1, 11), dtype=int), 1_000)
    from bench.tasks.generation.journeys import sight_of_stacks

    sight = sight_of_stacks(real, fake)
    assert sight is not None
    assert sight.shares == pytest.approx(raw / 1_000)
    assert sight.covered.tolist() == [True, False, True] + [False] * 7
    few = replace(fake, n=79)
    assert sight_of_stacks(real, few) is None


STACKS = {"dataset": "stack2@optdigits", "settings": {"samples": 200}}


@pytest.mark.parametrize(
    ("task", "dataset", "modes"), [("stack", "single@optdigits", 10), ("image", "optdigits", 10)]
)
def test_the_way_of_digits_rests_on_their_judge(task, dataset, modes):
    """Digits of two classes for three looks: collapsed, by the judge that the name says."""
    parts = {"dataset": dataset, "settings": {"samples": 200}}
    whole = experiment_of(cell_of(task, model="oracle", **parts))
    labels = whole.source.stack.load().labels if task == "stack" else None
    if task == "stack":
        images = torch.from_numpy(whole.source.stack.load().images[labels < 2])[:, None]
    else:
        data, told = whole.source.labelled_batches().next(1_000)
        images = (data[told < 2] * 255).round().to(torch.uint8)
    looks = [images[:120].numpy()] * 3
    model = Given(images.float() / 255)
    found, told = measured(at_work_on(looks, model, [10, 20, 30], task, **parts))
    assert len(told) == 1
    assert f"near 2 of {modes} modes" in told[0]
    final = {v.metric: v.value for v in found.values if v.final}
    (tag,) = {name.partition("@")[2] for name in final if name.startswith("collapsed_share@")}
    assert tag.startswith("optdigits-cnn:")
    assert final[f"collapsed_share@{tag}"] == 1
    assert final[f"modes_ever@{tag}"] == 2


def test_what_a_cell_gives_is_what_it_has():
    """Of every kind of cell, the names on its rows are among those that its task promises."""
    from bench.tasks import TASKS

    for task, parts in (
        ("mixture", POINTS),
        ("stack", STACKS),
        ("image", {"dataset": "optdigits"}),
    ):
        known = TASKS[task].part.resolve(
            {"dataset": parts["dataset"], "model": "nsgan"}, parts.get("settings", {}), None
        )
        assert known.gives is not None
        names = {name.partition("@")[0] for name in known.gives}
        assert {"collapse_step", "critic_accuracy", "generator_flat"} <= names
        assert experiment.DrawingExperiment.played
        for name in known.gives:
            assert TASKS[task].part.metric_facts(name)["title"]
    assert METRICS["collapse_step"].facts.takes == "trajectory"
