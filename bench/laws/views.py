"""What holds for everything that a critic is shown in the place of examples."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import Cases
from generative import VIEWS

SHAPES = {"points": (2,), "grey": (1, 16, 12), "colour": (3, 8, 8)}
SEEN = 6
"""Of what the critic sees, in a batch."""


def _shapes(entry: Entry) -> Cases:
    """Those that a view can show."""
    return {
        name: (shape,)
        for name, shape in SHAPES.items()
        if len(shape) > 1 or not entry.facts.images_only
    }


law = partial(base.law, VIEWS.kind, cases=_shapes)


def _examples(view: Entry, shape: tuple[int, ...]) -> Tensor:
    return torch.rand(SEEN * view.part.together(), *shape, dtype=torch.float64)


def _shown(view: Entry, x: Tensor, seed: int = 0, progress: float = 0.0) -> Tensor:
    return view.part(x, torch.Generator().manual_seed(seed), progress)


@law()
def a_view_shows_what_it_says(view: Entry, shape: tuple[int, ...]) -> None:
    """A batch of the declared shape, of the data's type, finite."""
    x = _examples(view, shape)
    seen = _shown(view, x)
    assert seen.shape == (SEEN, *view.part.shape(shape))
    assert seen.dtype == x.dtype
    assert seen.isfinite().all()


@law()
def every_example_is_seen(view: Entry, shape: tuple[int, ...]) -> None:
    """The critic's slope reaches every example, on average over what is drawn."""
    x = _examples(view, shape).requires_grad_()
    slope = torch.zeros_like(x)
    for seed in range(8):
        value = (_shown(view, x, seed) * torch.randn(SEEN, *view.part.shape(shape))).sum()
        slope += torch.autograd.grad(value, x)[0].abs()
    assert (slope.flatten(1).sum(1) > 0).all()


@law()
def what_is_seen_depends_on_its_own_examples(view: Entry, shape: tuple[int, ...]) -> None:
    """Others in the batch change nothing of it."""
    x, group = _examples(view, shape), view.part.together()
    other = torch.cat([x[:group], torch.rand_like(x[group:])])
    assert torch.equal(_shown(view, x)[0], _shown(view, other)[0])
    assert not torch.equal(_shown(view, x)[1], _shown(view, other)[1])


@law()
def a_view_depends_on_its_generator_alone(view: Entry, shape: tuple[int, ...]) -> None:
    """Same seed, same view; the global generator is left alone; another seed another view, where
    anything is drawn.
    """
    x, rng = _examples(view, shape), torch.Generator().manual_seed(0)
    before = torch.get_rng_state()
    first = view.part(x, rng, 0.0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(_shown(view, x), first)
    drew = not torch.equal(rng.get_state(), torch.Generator().manual_seed(0).get_state())
    assert drew == (not torch.equal(_shown(view, x, 1), first))


@law()
def examples_are_left_alone(view: Entry, shape: tuple[int, ...]) -> None:
    """What is shown is no change of them."""
    x = _examples(view, shape)
    before = x.clone()
    _shown(view, x)
    assert torch.equal(x, before)
