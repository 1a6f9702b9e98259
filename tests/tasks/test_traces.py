"""What is noted of single steps of a training: right, in order, kept over cuts, shown and told."""

import numpy as np
import pytest
import torch
from unrun import kept, run_of

from bench import api
from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from bench.models import trainings
from bench.models.generators import train
from bench.models.orders import TrainingOrder
from bench.models.store import ArtifactStore
from generative import RECIPES, Training
from generative.trainers import game
from results.pages.curves import TRACED
from results.pages.page import _noted
from results.pictures.run import pictures_of
from results.traces import TRACE, binned, traced, traces_in
from results.trackers.cells import logged

NAMES = {"critic_loss", "critic_gradient", "generator_loss", "generator_gradient"}
LOGITS = {"logit_of_real", "logit_of_fake"}


def ring():
    return DATASETS["ring8@pacgan"].part.source(0)


def trainer_of(model, steps, **settings):
    return RECIPES[model].part.trainer(Training("plane", steps=steps, **settings), (2,))


def test_gradients_are_those_of_each_step_and_losses_of_its_logits():
    """Of a Wasserstein critic the loss is the difference of its mean logits, fake less real."""
    trainer = trainer_of("wgan", 30, critic_steps=3)
    state = trainer.start(ring(), stream("t"))
    for step in range(1, 13):
        state = trainer.advance(state, 1)
        ((at, noted),) = trainer.told(state)
        assert at == step
        assert noted.keys() == NAMES | LOGITS
        pulls = trainer.pulls(state)
        for player in ("critic", "generator"):
            assert noted[f"{player}_gradient"] == pytest.approx(pulls[player], rel=1e-5)
        assert noted["critic_loss"] == pytest.approx(
            noted["logit_of_fake"] - noted["logit_of_real"], abs=1e-6
        )
    assert trainer.told(state) == []


def test_the_logits_of_reals_are_those_of_reals():
    """A critic that learns alone gives reals more."""
    trainer = trainer_of("nsgan", 400, generator_lr=1e-9)
    state = trainer.advance(trainer.start(ring(), stream("t")), 400)
    last = trainer.told(state)[-1][1]
    assert last["logit_of_real"] > last["logit_of_fake"] + 1


def test_a_thousand_steps_at_most_are_told_of_evenly(monkeypatch):
    trainer = trainer_of("gan", 10)
    state = trainer.advance(trainer.start(ring(), stream("t")), 10)
    assert [step for step, _ in trainer.told(state)] == list(range(1, 11))
    monkeypatch.setattr(game, "TOLD", 4)
    state = trainer.advance(trainer.start(ring(), stream("t")), 10)
    assert [step for step, _ in trainer.told(state)] == [3, 6, 9]


def test_it_changes_no_training(monkeypatch):
    def weights():
        trainer = trainer_of("wgan-gp", 6)
        with forked(0):
            state = trainer.advance(trainer.start(ring(), stream("t")), 6)
        return torch.cat([w.flatten() for w in state.players["generator"].parameters()])

    noted = weights()
    monkeypatch.setattr(game.GameTrainer, "_every", property(lambda self: 10**9))
    assert torch.equal(noted, weights())


def test_links_of_a_chain_are_told_one_after_another():
    training = Training("small-dcgan", steps=14, batch=4)
    trainer = RECIPES["lapgan"].part.trainer(training, (1, 8, 8))
    source = DATASETS["optdigits"].part.source(0)
    state = trainer.start(source, stream("t"))
    told = []
    for steps in (2, 5, 4, 3):
        state = trainer.advance(state, steps)
        told += trainer.told(state)
    assert [step for step, _ in told] == list(range(1, 15))
    assert all(noted.keys() >= NAMES for _, noted in told)


def order(steps):
    return TrainingOrder("nsgan", Training("plane", steps=steps), "points", 0, 4)


def test_a_training_that_was_cut_off_has_the_whole_trace(tmp_path, monkeypatch):
    straight = train(order(8), ring(), ArtifactStore(tmp_path / "a", "cpu", 1e9)).trace
    assert straight.steps["critic_loss"] == list(range(1, 9))
    cut, taken, take = ArtifactStore(tmp_path / "b", "cpu", 0.0), [], trainings.take

    def once(*args):
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(1)
        return take(*args)

    monkeypatch.setattr(trainings, "take", once)
    with pytest.raises(KeyboardInterrupt):
        train(order(8), ring(), cut)
    monkeypatch.setattr(trainings, "take", take)
    again = train(order(8), ring(), cut).trace
    assert again == straight
    assert train(order(8), ring(), cut).trace == straight


SUITE = """
name = "noted"
default_tier = "quick"
[tiers.quick]
seeds = 2
[[block]]
name = "b"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["gan", "oracle"]
settings = { steps = 12, samples = 100, evaluations = 2 }
metrics = ["high_quality"]
"""


def test_a_run_keeps_shows_and_tells_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "noted.toml").write_text(SUITE)
    made = api.execute("noted.toml", out="run").made
    cells = made.manifest["cells"]
    found = traced(made, cells, TRACED)
    assert found.keys() == NAMES | LOGITS
    assert all(rows.keys() == {"gan"} for rows in found.values())
    assert {len(values) for values in found["critic_loss"]["gan"].values()} == {2}
    assert _noted([made], cells, made.records).keys() == found.keys()
    (picture,) = [one for one in pictures_of(made) if one.kind == "losses"]
    assert {axis.get_title() for axis in picture.make().axes} >= {
        "critic loss",
        "norm of the critic gradient",
    }
    told = logged(made, cells[0], made.records[cells[0]["key"]])
    steps = [one.step for one in told.curves if one.metric == "step/critic_loss"]
    assert steps == list(range(1, 13))


def test_means_of_neighbouring_steps():
    trace = np.array([[1, 2, 3, 4, 5], [1.0, 3.0, 5.0, 7.0, 9.0]])
    assert list(binned(trace, 2)) == [(3, 3.0), (5, 8.0)]
    assert list(binned(trace, 9)) == [(s, 2.0 * s - 1) for s in range(1, 6)]


def test_seeds_and_rows_are_kept_apart(tmp_path):
    made = run_of(tmp_path / "run")
    wanted = {}
    for at, cell in enumerate(made.manifest["cells"]):
        values = np.arange(4.0) + 10 * at
        kept(made, cell, **{TRACE + "critic_loss": np.array([[1, 2, 3, 4], values])})
        wanted.setdefault(cell["parts"]["model"], {})[cell["seed"]] = values
    found = traced(made, made.manifest["cells"], 9)["critic_loss"]
    for model, by_seed in wanted.items():
        seeds = len(by_seed)
        rows = [[by_seed[seed][step] for seed in range(seeds)] for step in range(4)]
        assert list(found[model].values()) == rows


@pytest.mark.parametrize(
    "array", [np.zeros(3), np.zeros((3, 2)), np.zeros((2, 0)), np.zeros((2, 2, 2))]
)
def test_what_is_no_trace_is_left_out(array):
    assert traces_in({TRACE + "x": array, "samples": np.zeros((2, 2))}) == {}
