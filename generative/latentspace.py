"""What can be seen of a trained model's space of codes: ways between codes, sums of them, all of a
plane, and what keeping to the middle of it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bench.core.errors import UsageError
from generative import CodeReader, ConditionalSampler, Decoder, Fitted
from generative.contracts import Labels
from generative.styles.sampler import StyleSampler

Codes = Float[Tensor, "n latent"]
Read = Callable[[Tensor], np.ndarray]
"""Images in [0, 1] to the class that is read in each, -1 where none is."""

EXEMPLARS = 3
"""Codes whose mean stands for a concept, as Radford et al. 2016, section 6.3.2."""
CANDIDATES = 2_000
SHAKEN = 0.25
"""How far the eight neighbours of a sum are moved at random, as in their figure 7."""
PLANE = 20
TRAVERSED = 11
"""Images from one end of a number to the other."""
LEAST_BOUND = 0.02
LEAST_SINE = 1e-3
REDRAWS = 1_000
CHUNK = 1_000


def decoder_of(model: Fitted, name: str) -> Decoder:
    """The model as one that decodes codes. Raises UsageError where it doesn't."""
    if not isinstance(model, Decoder):
        raise UsageError(f"model '{name}' has no codes: expected a GAN or an autoencoder")
    return model


def between(first: Codes, second: Codes, columns: int) -> Float[Tensor, "n columns latent"]:
    """The way from codes to others along the great circle between their directions, their lengths
    along a line (White 2016, arXiv:1609.04468): codes of a normal prior have nearly one length, and
    a straight line leaves it. Opposite codes have no such circle: a straight line is taken.
    """
    share = torch.linspace(0, 1, columns, device=first.device)[None, :, None]
    lengths = [codes.norm(dim=1)[:, None, None].clamp(min=1e-12) for codes in (first, second)]
    one, other = first[:, None] / lengths[0], second[:, None] / lengths[1]
    angle = (one * other).sum(2, keepdim=True).clamp(-1, 1).acos()
    curved = (torch.sin((1 - share) * angle) * one + torch.sin(share * angle) * other) / angle.sin()
    length = (1 - share) * lengths[0] + share * lengths[1]
    return torch.where(angle.sin() > LEAST_SINE, length * curved, straight(first, second, columns))


def straight(first: Codes, second: Codes, columns: int) -> Float[Tensor, "n columns latent"]:
    """The straight way from codes to others: codes of a uniform prior fill a cube."""
    share = torch.linspace(0, 1, columns, device=first.device)[None, :, None]
    return (1 - share) * first[:, None] + share * second[:, None]


def decoded(model: Decoder, codes: Codes, labels: Labels | None) -> Tensor:
    """Images of codes, of these classes where the model is told one."""
    if labels is not None and isinstance(model, ConditionalSampler):
        return model.decode(codes, labels)
    return model.decode(codes)


def interpolation(
    model: Decoder, rng: torch.Generator, rows: int, columns: int, label: int | None = None
) -> Tensor:
    """Images [rows * columns, c, h, w], each row on the way from one code to another: along the
    great circle, or straight where codes are uniform. A row of a model that is told the class is of
    one class, each in turn where none is asked for.
    """
    ends = model.codes(2 * rows, rng)
    way = between if model.prior == "normal" else straight
    labels = None
    if isinstance(model, ConditionalSampler):
        each = torch.arange(rows, device=ends.device) % model.classes
        each = each if label is None else torch.full_like(each, label)
        labels = each.repeat_interleave(columns)
    return decoded(model, way(ends[:rows], ends[rows:], columns).flatten(0, 1), labels)


@dataclass(frozen=True)
class Sum:
    """A sum of concepts: sign and class of each."""

    terms: tuple[tuple[int, int], ...]


def read_sum(text: str) -> Sum:
    """`7-1+4`. Raises UsageError for anything else."""
    found = re.fullmatch(r"\s*[+-]?\s*\d+(\s*[+-]\s*\d+)+\s*", text)
    if not found:
        raise UsageError(f"`arithmetic`: expected a sum of classes such as 7-1+4, got '{text}'")
    parts = re.findall(r"([+-]?)\s*(\d+)", text)
    return Sum(tuple((-1 if sign == "-" else 1, int(number)) for sign, number in parts))


def arithmetic(model: Decoder, read: Read, asked: Sum, rng: torch.Generator) -> tuple[Tensor, int]:
    """Images, and how many make a row: for each concept its three exemplars, their mean code's
    image and five more around that; at last the sum's, and eight around it.

    Raises UsageError where the judge reads a concept in fewer than three of 2,000 samples, and for
    a model that is told the class, whose codes hold none.
    """
    if isinstance(model, ConditionalSampler):
        raise UsageError(
            "`arithmetic`: this model is told the class, so that its codes hold none to add up: "
            "expected one that is not, such as dcgan"
        )
    codes = model.codes(CANDIDATES, rng)
    labels = read(model.decode(codes))
    rows, total = [], torch.zeros_like(codes[:1])
    for sign, concept in asked.terms:
        chosen = codes[torch.from_numpy(labels == concept).to(codes.device)][:EXEMPLARS]
        if len(chosen) < EXEMPLARS:
            raise UsageError(
                f"`arithmetic`: the judge reads class {concept} in {len(chosen)} of {CANDIDATES:,} "
                f"samples: expected {EXEMPLARS} at least"
            )
        mean = chosen.mean(0, keepdim=True)
        total = total + sign * mean
        rows.append(torch.cat([chosen, mean, _shaken(mean, 5, rng)]))
    rows.append(torch.cat([total, _shaken(total, 8, rng)]))
    return model.decode(torch.cat(rows)), len(rows[-1])


def _shaken(code: Float[Tensor, "1 latent"], n: int, rng: torch.Generator) -> Codes:
    """`n` codes around one."""
    noise = torch.rand(n, code.shape[1], generator=rng, device=code.device)
    return code + SHAKEN * (2 * noise - 1)


def plane(model: Decoder, rng: torch.Generator, label: int | None = None) -> Tensor:
    """Images of a grid of codes in the plane, at the quantiles of their prior (Kingma & Welling
    2014, figure 4): [400, c, h, w]; of class 0 where the model is told one and none is asked for.
    Raises UsageError for codes of other than two dimensions.
    """
    latent = model.codes(1, rng).shape[1]
    if latent != 2:
        raise UsageError(
            f"`codes`: expected a model with 2 dimensions of codes, this one has {latent}: train "
            "one with the setting latent=2"
        )
    shares = (torch.arange(PLANE, device=rng.device) + 0.5) / PLANE
    ticks = quantiles(shares) if model.prior == "normal" else 2 * shares - 1
    down, across = torch.meshgrid(ticks.flip(0), ticks, indexing="ij")
    codes = torch.stack([across, down], -1).reshape(-1, 2)
    return decoded(model, codes, torch.full((len(codes),), label or 0, device=rng.device))


def traversal(model: CodeReader, rng: torch.Generator, number: int) -> Tensor:
    """Images [categories * 11, c, h, w], a row for each category: one number of a code goes from -1
    to 1, all else that the code says and its noise are the same in every image.
    """
    rows, columns = model.categories, TRAVERSED
    z = model.codes(1, rng).expand(rows * columns, -1)
    numbers = model.said(z)[1].clone()
    across = torch.linspace(-1, 1, columns, device=z.device)
    numbers[:, number] = across.repeat(rows)
    categories = torch.arange(rows, device=z.device).repeat_interleave(columns)
    return model.decode(model.saying(z, categories, numbers))


def quantiles(shares: Tensor) -> Tensor:
    """Those of N(0, 1)."""
    return sqrt(2) * torch.erfinv(2 * shares - 1)


def truncated(
    model: Decoder, n: int, rng: torch.Generator, bound: float, label: int | None = None
) -> Tensor:
    """`n` samples of codes that stay within `bound`: each value beyond is drawn anew (the truncated
    normal of Brock et al. 2019, section 3.1); of every class in turn where the model is told one
    and none is asked for. A model with styles has them brought to their mean instead, and the bound
    is psi; infinity leaves both as they are. Raises UsageError for a bound that nothing is within.
    """
    if isinstance(model, StyleSampler):
        psi = 1.0 if bound == inf else bound
        parts = model.codes(n, rng).split(CHUNK)
        return torch.cat([model.truncated(part, psi) for part in parts])
    if not bound >= LEAST_BOUND:
        raise UsageError(f"`truncation`: expected bounds of {LEAST_BOUND} at least, got {bound:g}")
    codes = model.codes(n, rng)
    for _ in range(REDRAWS):
        beyond = codes.abs() > bound
        if not bool(beyond.any()):
            break
        codes = torch.where(beyond, model.codes(n, rng), codes)
    else:
        raise UsageError(
            f"`truncation`: this model's codes are hardly ever within {bound:g} of 0: expected a "
            "larger bound, or a model whose codes are drawn from N(0, I)"
        )
    labels = torch.arange(n, device=codes.device)
    if isinstance(model, ConditionalSampler):
        labels = labels % model.classes if label is None else torch.full_like(labels, label)
    parts = zip(codes.split(CHUNK), labels.split(CHUNK), strict=True)
    return torch.cat([decoded(model, part, told) for part, told in parts])
