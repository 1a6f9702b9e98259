"""Two small games one after another: an autoencoder, then a GAN of its codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from bench.core.randomness import forked, stream
from bench.core.trees import dump, parse
from bench.datasets import DATASETS
from bench.laws.recipes import digest
from generative import RECIPES, Sampler, Training
from generative.games.base import Game
from generative.trainers.chain import Chain
from generative.trainers.game import GameTrainer

FIRST, SECOND = 4, 5


class Coded:
    """Batches as codes of an encoder."""

    def __init__(self, own, encoder):
        self.own, self.encoder = own, encoder

    def next(self, n):
        return self.encoder.encode(self.own.next(n))

    def position(self):
        return self.own.position()

    def seek(self, position):
        self.own.seek(position)


class Decoded(Sampler):
    """Codes of a GAN, decoded; it holds both."""

    def __init__(self, codes, decoder):
        self.made, self.decoder = codes, decoder

    def sample(self, n, rng):
        return self.decoder.decode(self.made.sample(n, rng))

    def tensors(self):
        inner = {f"codes.{name}": value for name, value in self.made.tensors().items()}
        return {**inner, **{f"decoder.{n}": v for n, v in self.decoder.tensors().items()}}


@dataclass(frozen=True)
class OfCodes(Game):
    """A GAN whose reals are codes of a model that was trained before."""

    own: Any
    coder: Any

    @property
    def protocol(self):
        return self.own.protocol

    @property
    def moves(self):
        return self.own.moves

    def players(self, data, rng):
        return self.own.players(data, rng)

    def batches(self, data):
        return Coded(self.own.batches(data), self.coder)

    def memory(self, data, rng):
        return self.own.memory(data, rng)

    def fitted(self, players, data):
        return Decoded(self.own.fitted(players, data), self.coder)

    def restored(self, data, tensors):
        raise NotImplementedError


def trainer(name, steps):
    """Of points, with codes of two dimensions."""
    return RECIPES[name].part.trainer(Training("plane", steps=steps, batch=16), (2,))


def whole(data, tensors):
    """The second model, with the first in it."""
    kept = {
        part: {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(part)}
        for part in ("codes", "decoder")
    }
    codes = trainer("nsgan", SECOND).restore(data, kept["codes"])
    return Decoded(codes, trainer("autoencoder", FIRST).restore(data, kept["decoder"]))


def of_codes(done):
    (coder,) = done
    return GameTrainer(OfCodes(trainer("nsgan", SECOND).game, coder))


CHAIN = Chain((lambda done: trainer("autoencoder", FIRST), of_codes), (FIRST, SECOND), whole)


def source():
    return DATASETS["ring8@pacgan"].part.source(0)


def played(stops, chain=CHAIN):
    """Cut off and taken up at each stop."""
    with forked(0):
        state, made = chain.start(source(), stream("chain test")), 0
        for stop in stops:
            state = chain.advance(state, stop - made)
            packed, made = dump(chain.pack(state)), stop
            torch.manual_seed(99)
            state = chain.unpack(source(), parse(packed))
        return digest([chain.pack(state), chain.finish(state).sample(20, stream("look"))])


def test_a_chain_is_as_long_as_its_links():
    assert CHAIN.steps == FIRST + SECOND


@pytest.mark.parametrize("stops", [[2, 9], [4, 9], [3, 4, 5, 9], [0, 6, 8, 9]])
def test_a_chain_that_is_cut_off_goes_on(stops):
    """Inside a link, between two, and before the first step: bit for bit."""
    assert played(stops) == played([9])


def test_a_link_gets_what_those_before_came_to():
    """The second link's model holds the first link's, trained in full."""
    with forked(0):
        alone = trainer("autoencoder", FIRST)
        rng = stream("chain", stream("chain test").initial_seed(), 0)
        first = alone.finish(alone.advance(alone.start(source(), rng), FIRST))
    with forked(0):
        state = CHAIN.advance(CHAIN.start(source(), stream("chain test")), FIRST + 1)
        (done,) = state.done
        model = CHAIN.finish(state)
    assert digest(done.tensors()) == digest(first.tensors())
    assert digest(model.decoder.tensors()) == digest(first.tensors())


def test_until_the_last_link_the_model_is_that_of_its_own():
    with forked(0):
        state = CHAIN.advance(CHAIN.start(source(), stream("chain test")), FIRST - 1)
    assert type(CHAIN.finish(state)).__name__ == "CodedSampler"


def test_a_model_is_its_tensors():
    """The last one's hold what it needs of those before."""
    with forked(0):
        state = CHAIN.advance(CHAIN.start(source(), stream("chain test")), 9)
        model = CHAIN.finish(state)
        restored = CHAIN.restore(source(), parse(dump(model.tensors())))
    assert torch.equal(model.sample(9, stream("x")), restored.sample(9, stream("x")))


def test_steps_beyond_the_end_are_the_last_links():
    """As for any trainer."""
    with forked(0):
        state = CHAIN.advance(CHAIN.start(source(), stream("chain test")), 9)
        more = CHAIN.advance(state, 3)
    assert len(more.done) == 1


def test_a_link_of_another_length_is_refused():
    wrong = Chain(CHAIN.links, (FIRST, SECOND + 1), whole)
    with forked(0):
        state = wrong.start(source(), stream("chain test"))
        with pytest.raises(ValueError, match="link 1 of a chain: expected 6 steps as declared"):
            wrong.advance(state, FIRST)
