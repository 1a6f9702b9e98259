"""Networks of several trainings as one: their weights in stacks, a pass of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from generative.networks import LogitCritic, Maxout, Scale, layers_of

ROWWISE = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.SiLU, nn.Sigmoid, Scale, Maxout)
"""Layers without weights that treat every row by itself, whichever training it is of."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def parts_of(network: nn.Module) -> list[nn.Module]:
    """Its layers; a critic's without the one that flattens its logits."""
    return layers_of(network[0] if isinstance(network, LogitCritic) else network)


def can_be_stacked(network: nn.Module) -> bool:
    """Whether it is made of dense layers, batch norm, and what goes row by row."""
    return all(
        isinstance(layer, (nn.Linear, *ROWWISE)) or _is_plain_norm(layer)
        for layer in parts_of(network)
    )


def _is_plain_norm(layer: nn.Module) -> bool:
    plain = isinstance(layer, nn.BatchNorm1d) and layer.affine and layer.track_running_stats
    return plain and layer.momentum is not None


class Stacked(nn.Module):
    """Networks of equal layers, in training. The weights are copies, [trainings, ...] each, in the
    order of each network's own; so are the statistics of batch norm.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self._layers = parts_of(networks[0])  # a list: their own weights are not registered
        self._judges = isinstance(networks[0], LogitCritic)
        self.weights = nn.ParameterList(_stacks([network.parameters() for network in networks]))
        kept = _stacks([network.buffers() for network in networks])
        self._names = [f"statistic{at}" for at in range(len(kept))]
        for name, stack in zip(self._names, kept, strict=True):
            self.register_buffer(name, stack)

    def forward(self, input: Float[Tensor, "rows inputs"]) -> Any:
        """Rows that belong to each in turn, to [rows, outputs], or a critic's logits [rows]."""
        x, weights = (
            input.unflatten(0, (-1, len(self.weights[0]))).transpose(0, 1),
            iter(self.weights),
        )
        kept = iter([getattr(self, name) for name in self._names])
        for layer in self._layers:
            if isinstance(layer, nn.Linear):
                weight = next(weights).transpose(1, 2)
                biased = layer.bias is not None
                x = torch.baddbmm(next(weights)[:, None], x, weight) if biased else x @ weight
            elif isinstance(layer, nn.BatchNorm1d):
                x = _normalised(x, layer, (next(weights), next(weights)), [*_three(kept)])
            else:
                x = layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        made = x.transpose(0, 1).flatten(0, 1)
        return made.squeeze(1) if self._judges else made

    def put_back(self, networks: Sequence[nn.Module]) -> None:
        """Give each network the weights and statistics that it has by now, and the last slopes."""
        kept = [getattr(self, name) for name in self._names]
        with torch.no_grad():
            for at, network in enumerate(networks):
                for weight, stack in zip(network.parameters(), self.weights, strict=True):
                    weight.copy_(stack[at])
                    weight.grad = None if stack.grad is None else stack.grad[at].clone()
                for own, stack in zip(network.buffers(), kept, strict=True):
                    own.copy_(stack[at])


def _stacks(each: Sequence[Any]) -> list[Tensor]:
    return [torch.stack([one.detach() for one in alike]) for alike in zip(*each, strict=True)]


def _three(kept: Any) -> Sequence[Tensor]:
    return [next(kept) for _ in STATISTICS]


def _normalised(
    x: Tensor, layer: nn.BatchNorm1d, scale: tuple[Tensor, Tensor], kept: Sequence[Tensor]
) -> Tensor:
    """Batch norm of each training by itself: its units are channels of their own."""
    trainings, n, units = x.shape
    mean, var, count = kept
    rows = x.transpose(0, 1).reshape(n, trainings * units)
    weight, bias = (each.flatten() for each in scale)
    made = batch_norm(
        rows, mean.view(-1), var.view(-1), weight, bias, True, layer.momentum or 0.0, layer.eps
    )
    count += 1
    return made.view(n, trainings, units).transpose(0, 1)
