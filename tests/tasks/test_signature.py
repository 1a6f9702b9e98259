"""The signature of a game: taken of the right players, at the right look."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from bench.models import trainings
from bench.models.fields import GRID, field_of
from bench.models.generators import train
from bench.models.orders import TrainingOrder
from bench.models.signature import Signature, take
from bench.models.store import ArtifactStore
from generative import PROTOCOLS, RECIPES, Training
from generative.contracts import Decoder
from generative.samplers import GeneratorSampler
from metrics import METRICS


class Points:
    """Reals at (10, 0) and (10, 4): 2 away from their mean."""

    shape, box, device = (2,), None, "cpu"
    training = torch.tensor([[10.0, 0.0], [10.0, 4.0]])

    def fresh(self, n: int, rng: torch.Generator) -> Tensor:
        return self.training[torch.arange(n) % 2]


def linear(matrix: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(2, len(matrix), bias=False)
    layer.weight.data = torch.tensor(matrix)
    return layer


def sampler(generator: nn.Module, critic: nn.Module) -> GeneratorSampler:
    return GeneratorSampler(generator, critic, PROTOCOLS["plane"].part, (2,))


def test_reals_are_reals_and_stretches_are_in_spreads_of_the_data():
    critic = nn.Sequential(linear([[3.0, 4.0]]), nn.Flatten(0))
    model = sampler(linear([[1.0, 0.0], [0.0, 0.25]]), critic)
    seen = Signature.of(take(model, Points(), stream("t"), {"critic": 2.0}))
    assert set(np.unique(seen.real)) == {30.0, 46.0}
    assert seen.contest is not None
    assert np.abs(seen.contest.logits).max() < 30
    assert seen.contest.slopes == pytest.approx(np.full(len(seen.real), 5.0))
    assert seen.stretches is not None
    assert seen.stretches == pytest.approx(np.tile([0.5, 0.125], (128, 1)))
    assert seen.pulls == {"critic": 2.0}


def test_of_many_codes_some_directions_are_looked_at():
    class Wide(Decoder):
        def codes(self, n, rng):
            return torch.randn(n, 64, generator=rng)

        def decode(self, z):
            return z[:, :2] * 2

        def sample(self, n, rng):
            return self.decode(self.codes(n, rng))

        def tensors(self):
            return {}

    seen = Signature.of(take(Wide(), Points(), stream("t"), {}))
    assert seen.contest is None
    assert seen.stretches is not None
    assert seen.stretches.shape == (128, 2)
    assert (seen.stretches < 1).all()  # 2 / 2 along the direction that moves it most
    assert seen.stretches.min() > 0


def test_a_model_that_decodes_nothing_has_pulls_alone():
    seen = Signature.of(take(SimpleNamespace(), Points(), stream("t"), {"critic": 1.0}))
    assert (seen.contest, seen.stretches, seen.pulls) == (None, None, {"critic": 1.0})


def test_what_is_not_finite_is_not_taken():
    """A critic beyond float32 has no contest, and its training goes on."""
    critic = nn.Sequential(linear([[3e38, 3e38]]), nn.Flatten(0))
    seen = Signature.of(
        take(sampler(linear([[1.0, 0], [0, 1]]), critic), Points(), stream("t"), {})
    )
    assert seen.contest is None
    assert seen.stretches is not None
    pulls = {"generator": float("inf"), "critic": 1.0}
    seen = Signature.of(take(Scaled(float("nan")), Points(), stream("t"), pulls))
    assert seen.stretches is None
    assert seen.pulls == {"critic": 1.0}


class Scaled(Decoder):
    """Codes times a number, with a graph or without."""

    def __init__(self, scale=1.0, graph=True):
        self.scale, self.graph = scale, graph

    def codes(self, n, rng):
        return torch.randn(n, 2, generator=rng)

    def decode(self, z):
        return self.scale * (z if self.graph else z.detach())

    def sample(self, n, rng):
        return self.decode(self.codes(n, rng))

    def tensors(self):
        return {}


def test_a_decoder_without_a_graph_has_no_stretches():
    seen = Signature.of(take(Scaled(graph=False), Points(), stream("t"), {}))
    assert seen.stretches is None
    assert Signature.of(take(Scaled(), Points(), stream("t"), {})).stretches is not None


def order(model: str, steps: int) -> TrainingOrder:
    return TrainingOrder(model, Training("plane", steps=steps), "points", 0, 4)


def test_pulls_are_those_of_the_last_step_and_of_the_right_player():
    trainer = RECIPES["nsgan"].part.trainer(Training("plane", steps=20), (2,))
    state = trainer.start(ring(), stream("t"))
    assert trainer.pulls(state) == {"critic": 0.0, "generator": 0.0}
    state = trainer.advance(state, 3)
    for player in ("critic", "generator"):
        grads = [w.grad.flatten() for w in state.players[player].parameters()]
        assert trainer.pulls(state)[player] == pytest.approx(float(torch.cat(grads).norm()))
    assert trainer.pulls(state)["critic"] != trainer.pulls(state)["generator"]
    scores = {name: METRICS[f"{name}_gradient"].part for name in ("critic", "generator")}
    pulls = trainer.pulls(state)
    assert {name: score(None, pulls) for name, score in scores.items()} == pulls


def ring():
    return DATASETS["ring8@pacgan"].part.source(0)


def test_each_look_has_its_signature_and_a_checkpoint_keeps_them(tmp_path, monkeypatch):
    source, whole = ring(), ArtifactStore(tmp_path / "a", "cpu", 1e9)
    straight = train(order("nsgan", 8), source, whole)
    assert len(straight.signatures) == len(straight.steps) == 4
    slopes = [
        float(METRICS["critic_slope"].part(s.real, s.contest).value) for s in straight.signatures
    ]
    assert len(set(slopes)) == 4
    trainer = RECIPES["nsgan"].part.trainer(Training("plane", steps=8), (2,))
    last = Signature.of(
        take(straight.fitted, source, stream(*order("nsgan", 8).purpose(), "signature", 8), {})
    )
    assert last.contest is not None
    assert slopes[-1] == pytest.approx(float(last.contest.slopes.mean()))
    assert trainer.steps == 8

    cut = ArtifactStore(tmp_path / "b", "cpu", 0.0)
    taken, real_take = [], trainings.take

    def once(*args):
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(1)
        return real_take(*args)

    monkeypatch.setattr(trainings, "take", once)
    with pytest.raises(KeyboardInterrupt):
        train(order("nsgan", 8), source, cut)
    monkeypatch.setattr(trainings, "take", real_take)
    again = train(order("nsgan", 8), source, cut)
    for mine, theirs in zip(again.signatures, straight.signatures, strict=True):
        assert np.array_equal(mine.real, theirs.real)
        assert np.array_equal(mine.stretches, theirs.stretches)
        assert mine.pulls == theirs.pulls
        assert torch.equal(mine.field.logits, theirs.field.logits)
        assert mine.field.reach == theirs.field.reach


def test_a_field_is_what_the_critic_says_of_places(tmp_path):
    """Rows from below, columns from the left, the middle at 0, as far as a quarter beyond the data;
    asking changes no weight and draws nothing.
    """
    source = ring()
    fitted = train(order("nsgan", 8), source, ArtifactStore(tmp_path, "cpu")).fitted
    before = {name: value.clone() for name, value in fitted.tensors().items()}
    with forked(0):
        field = field_of(fitted, source)
        assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.manual_seed(0)))
    assert all(torch.equal(fitted.tensors()[name], value) for name, value in before.items())
    assert field.reach == pytest.approx(1.25 * float(source.training.abs().max()))
    along = np.linspace(-field.reach, field.reach, GRID)
    for row, column in ((0, 0), (0, GRID - 1), (GRID - 1, 5), (20, 31)):
        place = torch.tensor([[along[column], along[row]]], dtype=torch.float32)
        assert float(field.logits[row, column]) == pytest.approx(
            float(fitted.logits(place)), abs=1e-5
        )


def test_what_has_no_critic_of_points_in_the_plane_has_no_field(tmp_path):
    source = ring()
    vae = train(order("vae", 8), source, ArtifactStore(tmp_path, "cpu"))
    assert field_of(vae.fitted, source) is None
    assert all(taken.field is None for taken in vae.signatures)
    gan = train(order("nsgan", 8), source, ArtifactStore(tmp_path, "cpu")).fitted
    assert field_of(gan, DATASETS["optdigits"].part.source(0)) is None


def test_taking_it_changes_no_training(tmp_path, monkeypatch):
    source = ring()
    with_it = train(order("nsgan", 8), source, ArtifactStore(tmp_path / "a"))
    monkeypatch.setattr(trainings, "take", lambda *_: {"pulls": {}})
    without = train(order("nsgan", 8), source, ArtifactStore(tmp_path / "b"))
    assert np.array_equal(with_it.snapshots, without.snapshots)
    for name, value in with_it.fitted.tensors().items():
        assert torch.equal(value, without.fitted.tensors()[name])
