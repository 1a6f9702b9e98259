"""Seeds that are trained side by side: each its own training, kept together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench import api
from bench.core.errors import UsageError
from bench.core.files import cache_folder
from bench.datasets import DATASETS
from bench.models import sidebyside, trainings
from bench.models.generators import film_of, restored, train
from bench.models.orders import KIND, TrainingOrder
from bench.models.sidebyside import apart
from bench.models.store import ArtifactStore
from bench.run.run import Watcher
from generative import Diverged, Sampler, Training

RING = DATASETS["ring8@pacgan"].part
SEEDS = (4, 0, 2)


def order(seed, beside=SEEDS, **more):
    training = Training("plane", steps=8, batch=32)
    return TrainingOrder("nsgan", training, RING.fingerprint, seed, 4, beside=beside, **more)


def others(seed):
    return RING.source(seed)


def trained(seed, store, **more):
    return train(order(seed, **more), RING.source(seed), store, others)


def same(one, other):
    """Two trainings, to the bit."""
    assert one.steps == other.steps
    assert np.array_equal(one.snapshots, other.snapshots)
    for mine, theirs in zip(one.signatures, other.signatures, strict=True):
        assert np.array_equal(mine.real, theirs.real)
        assert mine.pulls == theirs.pulls
    assert one.trace.arrays().keys() == other.trace.arrays().keys()
    for name, noted in one.trace.arrays().items():
        assert np.array_equal(noted, other.trace.arrays()[name])
    if one.fitted is None:
        assert other.fitted is None
    else:
        for name, value in one.fitted.tensors().items():
            assert torch.equal(value, other.fitted.tensors()[name])


def test_each_seed_has_the_training_that_it_has_alone(tmp_path):
    """As near as sums in another order are: samples at every look, what is noted, the model."""
    together, alone = (ArtifactStore(tmp_path / name, "cpu") for name in "ab")
    for seed in SEEDS:
        one = trained(seed, together, film=3)
        other = train(order(seed, (), film=3), RING.source(seed), alone)
        assert one.steps == other.steps == [2, 4, 6, 8]
        np.testing.assert_allclose(one.snapshots, other.snapshots, atol=1e-4)
        for mine, theirs in zip(one.signatures, other.signatures, strict=True):
            np.testing.assert_allclose(mine.real, theirs.real, atol=1e-4)
        noted = one.trace.arrays()["trace:critic_loss"]
        np.testing.assert_allclose(noted, other.trace.arrays()["trace:critic_loss"], atol=1e-4)
        films = film_of(order(seed, film=3), RING.source(seed), together), other.film
        np.testing.assert_allclose(*(film.arrays()["frames"] for film in films), atol=1e-4)
        model = restored(Sampler, order(seed, film=3), RING.source(seed), together)
        for name, value in model.tensors().items():
            torch.testing.assert_close(value, other.fitted.tensors()[name], atol=1e-3, rtol=0)
    assert len(list((tmp_path / "a").rglob("*.safetensors"))) == 1
    assert len(list((tmp_path / "b").rglob("*.safetensors"))) == 3


def test_the_seeds_together_have_one_name_and_another_than_each_alone():
    names = {order(seed).key("cpu") for seed in SEEDS}
    assert len(names) == 1
    assert names != {order(4, (4, 0)).key("cpu")}
    assert order(4, ()).key("cpu") not in names


@pytest.mark.parametrize("looks", [1, 2, 5, 9])
def test_what_was_cut_off_goes_on_to_the_same_bits(tmp_path, monkeypatch, looks):
    """Wherever that was, between two seeds' looks too."""
    whole, cut = ArtifactStore(tmp_path / "a", "cpu", 1e9), ArtifactStore(tmp_path / "b", "cpu", 0)
    straight = {seed: trained(seed, whole) for seed in SEEDS}
    taken, take = [], trainings.take

    def once(*args):
        if len(taken) == looks:
            raise KeyboardInterrupt
        taken.append(1)
        return take(*args)

    monkeypatch.setattr(trainings, "take", once)
    with pytest.raises(KeyboardInterrupt):
        trained(4, cut)
    monkeypatch.setattr(trainings, "take", take)
    began, steps = [], sidebyside.advance

    def counted(trainer, states, count):
        began.append(states[0].step)
        return steps(trainer, states, count)

    monkeypatch.setattr(sidebyside, "advance", counted)
    for seed in SEEDS:
        same(trained(seed, cut), straight[seed])
    assert began[0] == (looks // 3) * 2
    assert not list((tmp_path / "b").rglob("*.partial*"))


def test_one_that_diverges_says_so_and_the_others_are_whole(tmp_path, monkeypatch):
    whole = ArtifactStore(tmp_path / "a", "cpu")
    straight = {seed: trained(seed, whole) for seed in SEEDS}
    steps = sidebyside.advance

    def failing(trainer, states, count):
        fates = steps(trainer, states, count)
        if len(states) == 3 and states[0].step == 4:
            fates[1] = Diverged("the loss is nan at step 4")
        return fates

    monkeypatch.setattr(sidebyside, "advance", failing)
    store = ArtifactStore(tmp_path / "b", "cpu")
    found = {seed: trained(seed, store) for seed in SEEDS}
    assert found[0].diverged == "the loss is nan at step 4"
    assert found[0].fitted is None
    assert found[0].steps == [2]
    with pytest.raises(UsageError, match="seed 0, diverged: the loss is nan"):
        restored(Sampler, order(0), RING.source(0), store)
    for seed in (4, 2):
        assert found[seed].diverged == ""
        np.testing.assert_allclose(found[seed].snapshots, straight[seed].snapshots, atol=1e-4)


def test_who_diverged_before_a_cut_does_so_again(tmp_path, monkeypatch):
    """Without being trained again; the others go on from where they were."""
    steps = sidebyside.advance

    def failing(trainer, states, count):
        fates = steps(trainer, states, count)
        for at, state in enumerate(states):
            if state.table.data.seed == 0 and state.step == 4:
                fates[at] = Diverged("broken at 4")
        return fates

    sources = {seed: RING.source(seed) for seed in SEEDS}
    for seed, source in sources.items():
        source.seed = seed
    monkeypatch.setattr(sidebyside, "advance", failing)

    def go(store):
        return {s: train(order(s), sources[s], store, sources.__getitem__) for s in SEEDS}

    straight = go(ArtifactStore(tmp_path / "a", "cpu"))
    cut, taken, take = ArtifactStore(tmp_path / "b", "cpu", 0), [], trainings.take

    def once(*args):
        if len(taken) == 6:
            raise KeyboardInterrupt
        taken.append(1)
        return take(*args)

    monkeypatch.setattr(trainings, "take", once)
    with pytest.raises(KeyboardInterrupt):
        go(cut)
    monkeypatch.setattr(trainings, "take", take)
    again = go(cut)
    for seed in SEEDS:
        same(again[seed], straight[seed])
        assert again[seed].diverged == straight[seed].diverged
    assert [again[seed].diverged for seed in SEEDS] == ["", "broken at 4", ""]


SUITE = """
name = "together"
default_tier = "quick"
[tiers.quick]
seeds = 3
[[block]]
name = "points"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["nsgan", "wgan", "oracle"]
settings = { steps = 6, batch = 32, samples = 300, evaluations = 2 }
metrics = ["modes_covered", "nearest_mode_distance"]
[[block]]
name = "images"
task = "image"
grid.dataset = ["optdigits"]
grid.model = ["gan"]
settings = { protocol = "dense", steps = 3, samples = 100, evaluations = 1 }
metrics = ["frechet@optdigits-cnn"]
"""


@pytest.fixture
def suite(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "together.toml").write_text(
        SUITE.replace('"modes_covered", "nearest_mode_distance"', '"high_quality"')
    )
    return "together.toml"


def test_a_run_trains_small_models_side_by_side_and_says_so(suite):
    """A setting of those cells alone; every seed has its own samples; each model is there once."""
    report = api.execute(suite, out="run", ensemble=True)
    assert report.statuses == {"ok": 12}
    told = {}
    for cell in report.made.manifest["cells"]:
        name = cell["parts"]["model"]
        told.setdefault((cell["block"], name), set()).add(cell["settings"].get("ensemble", ""))
    assert told.pop(("points", "nsgan")) == {"0,1,2"}
    assert set().union(*told.values()) == {""}
    own = [c for c in report.made.manifest["cells"] if c["parts"]["model"] == "nsgan"]
    samples = [report.run.samples(cell["key"])["training"] for cell in own]
    assert len({each.tobytes() for each in samples}) == 3
    plain = api.execute(suite, out="plain")
    alone = [c for c in plain.made.manifest["cells"] if c["parts"]["model"] == "nsgan"]
    for cell, kept in zip(alone, samples, strict=True):
        np.testing.assert_allclose(plain.run.samples(cell["key"])["training"], kept, atol=1e-2)
    assert not {cell["key"] for cell in own} & {cell["key"] for cell in alone}
    again = api.execute(suite, out="run", ensemble=True)
    assert again.measured == 0


def test_models_that_were_trained_side_by_side_can_be_sampled(suite):
    api.execute(suite, out="run", ensemble=True, only=[("model", "nsgan")])
    first, second = (api.sample("run", "nsgan", n=40, seed=seed) for seed in (0, 1))
    assert first.shape == (40, 2)
    assert not np.array_equal(first, second)
    store = ArtifactStore(cache_folder())
    assert len(list((store.root / "artifacts" / KIND).rglob("*.safetensors"))) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"set": {"ensemble": "0;1"}}, "ensemble"),
        ({"set": {"ensemble": "1"}}, "ensemble"),
        ({"set": {"ensemble": "0,1"}}, r"expected seeds among which is 2, got 0,1"),
    ],
)
def test_wrong_ensembles_are_one_line(suite, options, said):
    with pytest.raises(UsageError, match=said):
        api.execute(suite, out="run", only=[("block", "points")], **options)


def test_every_model_there_is_can_be_asked_for(suite):
    """Those that can't be trained on points are skipped, as without."""
    only = [("block", "points"), ("model", "[lw]*")]
    options = {"only": only, "grid": [("model", ["*"])]}
    beside, alone = (api.plan(suite, ensemble=told, **options) for told in (True, False))
    assert list(beside["model"]) == list(alone["model"])
    assert list(beside["state"]) == list(alone["state"])
    told = beside["settings"].map(lambda settings: settings.get("ensemble"))
    assert "lsgan" in set(beside["model"][told == "0,1,2"])
    assert {"wgan", "wgan-gp"} <= set(beside["model"][told.isna()])


def test_one_seed_is_no_ensemble(suite):
    told = []
    options = {"only": [("model", "nsgan")], "ensemble": True, "watcher": Watcher(warn=told.append)}
    report = api.execute(suite, out="run", seeds=1, **options)
    assert all("ensemble" not in cell["settings"] for cell in report.made.manifest["cells"])
    assert told == [
        "`ensemble`: there are no small models here whose seeds are faster side by side"
    ]
    api.execute(suite, out="other", seeds=2, **options)
    assert len(told) == 1


def test_what_was_made_elsewhere_is_not_trained():
    assert "faster" in apart("nsgan", replace(Training("pacgan")), (2,))
    assert apart("nsgan", Training("plane"), (2,)) == ""
    assert "multiples of 4" in apart("nsgan", Training("small-dcgan"), (2,))
