"""Turns of the games in which a critic opens the step."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from generative.games.base import Move, Summand, Table
from generative.protocols.base import Protocol

Minimised = Callable[[Table], Iterable[Summand]]
GENERATOR, CRITIC = "generator", "critic"


def critic_first(
    rules: Protocol,
    critic: Minimised,
    other: Minimised,
    *,
    player: str = GENERATOR,
    after: Callable[[Table], None] | None = None,
) -> tuple[Move, Move]:
    """The critic's steps, as many as the protocol has and each on new draws; then one of the other
    player, which learns from what the critic has just seen where the protocol shares it, and whose
    average samples where the protocol has one. after: what is done once the critic has moved.
    """
    opens = Move(CRITIC, critic, rules.critic_adam, times=rules.critic_steps, after=after)
    return opens, alone(rules, other, player=player, fresh=not rules.shared)


def alone(
    rules: Protocol, minimised: Minimised, *, player: str = GENERATOR, fresh: bool = True
) -> Move:
    """The step of a player that makes things, with the generator's optimiser."""
    return Move(player, minimised, rules.generator_adam, fresh=fresh, average=rules.average)
