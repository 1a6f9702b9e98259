"""How far a training is: its parts by name, packed as a plain tree and taken up again from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from bench.core.randomness import global_state, set_global_state
from generative.contracts import Diverged, Tree


@runtime_checkable
class Positioned(Protocol):
    """Anything that knows where it stands."""

    def position(self) -> Any: ...
    def seek(self, position: Any) -> None: ...


Part = nn.Module | torch.optim.Optimizer | torch.Generator | Positioned
"""What moves in a training."""


@runtime_checkable
class Moving(Protocol):
    """The state of a training: how many steps are done, and all that they change."""

    step: int

    @property
    def parts(self) -> Mapping[str, Part]: ...


M = TypeVar("M", bound=Moving)


def pack(state: Moving) -> Tree:
    """Everything that the next step rests on, the global random state too."""
    parts = {name: packed(part) for name, part in state.parts.items()}
    return {"step": state.step, **parts, "global": global_state()}


def taken_up(state: M, tree: Tree) -> M:
    """A state that has just been started, brought to where `pack` described one."""
    for name, part in state.parts.items():
        put_back(part, tree[name])
    set_global_state(tree["global"])
    state.step = int(tree["step"])
    return state


def refuse_broken(networks: Mapping[str, nn.Module], loss: Tensor, step: int) -> None:
    """Raise Diverged where the loss or a weight is not finite."""
    if not bool(torch.isfinite(loss)):
        raise Diverged(f"the loss is {float(loss)} at step {step}")
    for role, network in networks.items():
        for name, weight in network.named_parameters():
            if not bool(torch.isfinite(weight).all()):
                raise Diverged(f"{role} {name} is not finite at step {step}")


def packed(part: Part) -> Tree:
    """A part as a tree of its own."""
    match part:
        case nn.Module():
            return _copied(part.state_dict())
        case torch.optim.Optimizer():
            slots: Mapping[int, Mapping[str, Any]] = part.state_dict()["state"]
            return [_copied(slots[index]) for index in sorted(slots)]
        case torch.Generator():
            return part.get_state()
    return part.position()


def put_back(part: Part, tree: Tree) -> None:
    """Bring a part to where it was packed."""
    match part:
        case nn.Module():
            part.load_state_dict(tree)
        case torch.optim.Optimizer():
            _put_back_slots(part, tree)
        case torch.Generator():
            part.set_state(tree)
        case _:
            part.seek(tree)


def _put_back_slots(optimiser: torch.optim.Optimizer, packed: Sequence[Mapping[str, Any]]) -> None:
    fresh = optimiser.state_dict()
    fresh["state"] = {index: _copied(slot) for index, slot in enumerate(packed)}
    optimiser.load_state_dict(fresh)
    for weight, slot in optimiser.state.items():
        slot.update({name: _laid_out_as(weight, moment) for name, moment in slot.items()})


def _laid_out_as(weight: Tensor, moment: Tensor) -> Tensor:
    """With the weight's strides: a file does not keep them, and fused optimisers rest on them."""
    if moment.shape != weight.shape or moment.stride() == weight.stride():
        return moment
    return torch.empty_like(weight, dtype=moment.dtype).copy_(moment)


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of their own, so that going on with a state leaves its packed tree alone."""
    return {name: tensor.detach().clone() for name, tensor in state.items()}
