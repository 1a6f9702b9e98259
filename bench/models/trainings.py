"""A training on its way: advanced, looked at, saved and taken up again."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Protocol

import torch

from bench.core.randomness import stream
from bench.core.underway import tell
from bench.datasets import Source
from bench.models.filming import Film, shots
from bench.models.orders import TrainingOrder
from bench.models.signature import take
from bench.models.tracing import Trace
from generative import RECIPES, Diverged, Fitted, Pulled, Telling, Trainer

STRIDE, STRIDE_SECONDS = 250, 5.0

Look = Callable[[Any, int], torch.Tensor]
"""A model as trained so far, and the step, to what is kept of it on the way, [n, ...]."""
Kept = tuple[dict[str, Any], dict[str, Any]]
"""A tree of what a training gave, and facts about it."""
Going = Generator[tuple[Any, int], Any, Kept]
"""A training that asks for steps of its state."""


class Saved(Protocol):
    """Where the state of a training is saved on the way: a `Checkpoint`, or a part of one."""

    def load(self) -> Any: ...
    def offer(self, state: Callable[[], Any], about: Mapping[str, Any] | None = None) -> None: ...
    def clear(self) -> None: ...


@dataclass(frozen=True, eq=False)
class Work:
    """A training that is ordered, on its data, and what is kept of it at a look."""

    order: TrainingOrder
    source: Source
    look: Look


@dataclass
class _Progress:
    """A training on its way: the trainer's state, steps done, and what was seen so far."""

    state: Any
    done: int = 0
    steps: list[int] = field(default_factory=list)
    snapshots: list[torch.Tensor] = field(default_factory=list)
    signatures: list[dict[str, Any]] = field(default_factory=list)
    film: Film = field(default_factory=Film)
    trace: Trace = field(default_factory=Trace)

    def pack(self, trainer: Trainer) -> dict[str, Any]:
        seen = {"done": self.done, "steps": self.steps, "snapshots": self.snapshots}
        seen |= {"signatures": self.signatures, "film": self.film.tree()}
        seen |= {"trace": self.trace.tree()}
        return {"state": trainer.pack(self.state), **seen}


def _begin(trainer: Trainer, source: Source, rng: torch.Generator, saved: Saved) -> _Progress:
    """Where a training was cut off, or its start."""
    begun = saved.load()
    if begun is not None:
        try:
            state = trainer.unpack(source, begun["state"])
            seen = [snapshot.cpu() for snapshot in begun["snapshots"]]
            taken, film = list(begun["signatures"]), Film.of(begun["film"])
            told = Trace.of(begun["trace"])
            return _Progress(state, begun["done"], list(begun["steps"]), seen, taken, film, told)
        except (KeyError, TypeError, ValueError, RuntimeError):
            saved.clear()
    return _Progress(trainer.start(source, rng))


def going(trainer: Trainer, work: Work, saved: Saved) -> Going:
    """A training, stopping at each evaluation to sample and to check; its state is saved on the
    way. It asks whoever drives it for steps, and is told the state after them, or what went wrong;
    in the end it gives what is kept, and facts about it.
    """
    order, source, diverged = work.order, work.source, ""
    rng = stream(*order.purpose(), device=source.device)
    at = _begin(trainer, source, rng, saved)
    stride = _stride(order, trainer.steps)
    looks, frames = _stops(trainer.steps, order.evaluations), shots(trainer.steps, order.film)
    try:
        for stop in sorted({*looks[len(at.steps) :], *frames[len(at.film.steps) :]}):
            while at.done < stop:
                steps = min(stop - at.done, stride)
                at.state = yield at.state, steps
                at.done += steps
                if isinstance(trainer, Telling):
                    at.trace.add(trainer.told(at.state))
                tell(at.done, trainer.steps)
                if at.done < stop:
                    saved.offer(partial(at.pack, trainer), order.described(at.done, trainer.steps))
            now = trainer.finish(at.state)
            if stop in frames[len(at.film.steps) :]:
                at.film.shoot(now, source, _noise_of_film(order, source), stop)
            if stop not in looks:
                continue
            snapshot = work.look(now, stop)
            if not bool(torch.isfinite(snapshot).all()):
                raise Diverged(f"samples are not finite at step {stop}")
            at.steps.append(stop)
            at.snapshots.append(snapshot)
            tell(stop, trainer.steps, snapshot)
            at.signatures.append(_signature(trainer, at.state, now, order, source, stop))
            saved.offer(partial(at.pack, trainer), order.described(at.done, trainer.steps))
    except Diverged as error:
        diverged = str(error)
    fitted = None if diverged else trainer.finish(at.state).tensors()
    stacked = torch.stack(at.snapshots) if at.snapshots else torch.empty(0)
    seen = {"snapshots": stacked, "steps": at.steps, "signatures": at.signatures}
    seen |= {"film": at.film.tree(), "trace": at.trace.tree()}
    return {"fitted": fitted, **seen}, facts_of(work, diverged)


def facts_of(work: Work, diverged: str) -> dict[str, Any]:
    """What is told of a training that has ended."""
    order = work.order
    identity = order.identity(work.source.device)
    return {"diverged": diverged, "order": asdict(order), **identity}


def run(trainer: Trainer, training: Going) -> Kept:
    """Drive a training to its end by itself."""
    try:
        state, steps = next(training)
        while True:
            try:
                done = trainer.advance(state, steps)
            except Diverged as error:
                state, steps = training.throw(error)
            else:
                state, steps = training.send(done)
    except StopIteration as end:
        return end.value


def _noise_of_film(order: TrainingOrder, source: Source) -> torch.Generator:
    """The same at every frame, and another than that of looks."""
    return stream(*order.purpose(), "film", device=source.device)


def _signature(
    trainer: Trainer, state: Any, now: Fitted, order: TrainingOrder, source: Source, step: int
) -> dict[str, Any]:
    """What is taken of a game beside samples; nothing of a model made in one step."""
    if trainer.steps == 1:
        return {"pulls": {}}
    pulls = trainer.pulls(state) if isinstance(trainer, Pulled) else {}
    rng = stream(*order.purpose(), "signature", step, device=source.device)
    return take(now, source, rng, pulls)


def _stride(order: TrainingOrder, steps: int) -> int:
    """Steps between looks at the clock and at the weights: of a forecast of 5 seconds, 250 at most.
    A forecast, so that a training that diverges is seen to at the same step every time.
    """
    expected = RECIPES[order.recipe].part.seconds(order.training) / steps
    return max(1, min(STRIDE, int(STRIDE_SECONDS / max(expected, 1e-9))))


def _stops(total: int, evaluations: int) -> list[int]:
    """Where to look: `evaluations` equal parts, the end among them."""
    count = min(total, max(evaluations, 1))
    return sorted({math.ceil(total * (i + 1) / count) for i in range(count)})
