"""What holds for every model that makes fine images of coarse ones."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.core.registry import Entry
from bench.laws import base
from bench.laws.examples import raises
from bench.laws.fitted import assert_alone
from bench.laws.recipes import STACKS, Place, changed, trained
from generative import RECIPES, Magnifier
from generative.magnifying import coarsened

N, FACTORS = 5, (2, 4)
EXACT = 1e-6
"""How far the means of blocks may be from a coarse image that a model is consistent with."""


def magnifies(entry: Entry) -> bool:
    """Whether a recipe's model is one."""
    return entry.facts.restores == "super-resolution"


def keeps(entry: Entry) -> bool:
    """Whether it says that its images have the means of the coarse ones."""
    part = entry.part
    upscaler = getattr(part, "made_of", {}).get("upscaler")
    return magnifies(entry) and (upscaler.affine if upscaler else part.kind == "nearest")


law = partial(base.law, RECIPES.kind, where=magnifies, cases={f"{n}": (n,) for n in FACTORS})
consistent_law = partial(base.law, RECIPES.kind, where=keeps, cases={f"{n}": (n,) for n in FACTORS})


def _model(recipe: Entry, factor: int) -> tuple[Magnifier, Tensor]:
    """One that was trained for a few steps on stacks of digits, and coarse images of new ones."""
    place: Place = changed(STACKS, factor=factor)
    _, source, model = trained(recipe, place, 0)
    return model, coarsened(source.fresh(N, stream("coarse")), factor)


@law()
def a_pixel_becomes_a_block(recipe: Entry, factor: int) -> None:
    """As many fine pixels a side as the factor says; the same images every time; what was given is
    left alone, and nothing wants a gradient.
    """
    model, coarse = _model(recipe, factor)
    kept = coarse.clone()
    found = model.magnify(coarse)
    n, channels, height, width = coarse.shape
    assert model.factor == factor
    assert found.shape == (n, channels, factor * height, factor * width)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert not found.requires_grad
    assert torch.equal(coarse, kept)
    assert torch.equal(model.magnify(coarse), found)


@law()
def what_is_magnified_has_no_batch_mates(recipe: Entry, factor: int) -> None:
    """Each coarse image becomes what it becomes alone."""
    model, coarse = _model(recipe, factor)
    assert_alone(model.magnify, coarse)


@law()
def coarse_images_count(recipe: Entry, factor: int) -> None:
    """Another coarse image is another fine one."""
    model, coarse = _model(recipe, factor)
    found = model.magnify(coarse)
    assert not torch.equal(model.magnify(1 - coarse), found)


@consistent_law()
def what_is_magnified_has_the_means_that_were_given(recipe: Entry, factor: int) -> None:
    """A y = x, whatever x is: of coarse images of digits, and of noise."""
    model, coarse = _model(recipe, factor)
    for given in (coarse, torch.rand(coarse.shape, generator=stream("noise"))):
        gaps = coarsened(model.magnify(given), factor) - given
        assert float(gaps.abs().max()) <= EXACT


@base.law(RECIPES.kind, where=magnifies)
def a_factor_that_divides_nothing_is_refused(recipe: Entry) -> None:
    """In a line that says which would do, before anything is trained."""
    training = changed(STACKS, factor=3).training
    with raises(UsageError, r"8 x 8 pixels are no blocks of 3 x 3: expected .*\(2, 4, 8\)"):
        recipe.part.trainer(training, (1, 8, 8))
    with raises(UsageError, r"got examples of shape \[2\]"):
        recipe.part.trainer(training.saying(factor=2), (2,))
