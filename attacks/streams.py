"""Random numbers of each image's own, without a generator: a hash of its seed and a counter.

An image gets the same numbers alone, in any batch, and on any device. The hash is SplitMix64
(Steele, Lea and Flood 2014, figure 17) over the counter, keyed by the seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attacks.contracts import Seeds

GAMMA = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
BITS = 24


def bits(seeds: Seeds, shape: Sequence[int], *purpose: int) -> Int[Tensor, "batch ..."]:
    """Pseudo-random int64 of all 64 bits, [batch, *shape]; `purpose` tells streams apart."""
    state = _mix(seeds)
    for number in purpose:
        state = _mix(state + _signed(GAMMA * (number + 1)))
    count = math.prod(shape)
    steps = torch.arange(1, count + 1, device=seeds.device) * _signed(GAMMA)
    return _mix(state[:, None] + steps).reshape(len(seeds), *shape)


def uniform(seeds: Seeds, shape: Sequence[int], *purpose: int) -> Float[Tensor, "batch ..."]:
    """Uniform on the open interval (0, 1), float32, [batch, *shape]."""
    drawn = _shift(bits(seeds, shape, *purpose), 64 - BITS)
    return (drawn.float() + 0.5) * 2.0**-BITS


def signs(seeds: Seeds, shape: Sequence[int], *purpose: int) -> Float[Tensor, "batch ..."]:
    """-1 or 1, each as likely, float32."""
    return 1.0 - 2.0 * _shift(bits(seeds, shape, *purpose), 63).float()


def normal(seeds: Seeds, shape: Sequence[int], *purpose: int) -> Float[Tensor, "batch ..."]:
    """Standard normal, float32: the inverse distribution function of `uniform`."""
    return torch.special.ndtri(uniform(seeds, shape, *purpose))


def integers(seeds: Seeds, high: Tensor | int, *purpose: int) -> Int[Tensor, " batch"]:
    """One integer from 0 to high - 1 for each seed; `high` below 2^24."""
    drawn = (uniform(seeds, (), *purpose).double() * high).long()
    return torch.minimum(drawn, torch.as_tensor(high, device=seeds.device) - 1)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _signed(FIRST)
    z = (z ^ _shift(z, 27)) * _signed(SECOND)
    return z ^ _shift(z, 31)


def _shift(z: Tensor, by: int) -> Tensor:
    """A logical shift to the right: no copies of the sign."""
    return (z >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    """The int64 with the lowest 64 bits of a number."""
    low = number & (2**64 - 1)
    return low - 2**64 if low >= 2**63 else low
