"""What holds for every way to make updates of moves."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import Skipped, each
from bench.laws.duels import Duel, played
from generative import DYNAMICS
from generative.training import settings_of, told

law = partial(base.law, DYNAMICS.kind)
GAMES = {
    "bilinear": Duel(),
    "gentle": Duel(slope=0.5, rate=0.1, start=(0.3, -1.0)),
    "damped": Duel(slope=0.5, damping=1.0, start=(-1.0, 0.5)),
}
STEPS = 30


@law(cases=each(GAMES))
def a_linear_game_goes_as_its_closed_form_says(dynamics: Entry, game: Duel) -> None:
    """Every step is the declared matrix, of the gradients of both players and their rate."""
    matrix = dynamics.part.linear(game.field, game.rate)
    if matrix is None:
        raise Skipped("what it does depends on all that was before")
    at = played(game, dynamics.part, STEPS)
    wanted = np.array([np.linalg.matrix_power(matrix, step) @ game.start for step in range(31)])
    np.testing.assert_allclose(at, wanted, rtol=1e-9, atol=1e-12)


@law()
def nobody_leaves_where_nobody_gains(dynamics: Entry) -> None:
    """At the equilibrium no gradient is left, and nothing else moves a player."""
    at = played(Duel(damping=0.5, start=(0.0, 0.0)), dynamics.part, 5)
    assert (at == 0).all()


@law()
def a_game_that_is_mirrored_goes_mirrored(dynamics: Entry) -> None:
    """Both numbers with the other sign are played with the other sign."""
    game = Duel(damping=0.3, start=(0.7, -0.2))
    mirrored = replace(game, start=(-0.7, 0.2))
    there, here = (played(one, dynamics.part, 10) for one in (game, mirrored))
    np.testing.assert_allclose(there, -here, rtol=1e-12)


@law()
def every_setting_of_dynamics_counts(dynamics: Entry) -> None:
    """Twice as much of anything, or one more, is played otherwise."""
    game, usual = Duel(), played(Duel(), dynamics.part, 5)
    for name, setting in settings_of(dynamics.part).items():
        more = setting.default * 2 if setting.default else setting.default + 1
        other = played(game, told(dynamics.part, {name: more}), 5)
        assert not np.allclose(other, usual), name
