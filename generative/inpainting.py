"""Inpainting with a trained generator: the code whose image fits what is known of a picture.

Yeh et al. 2017: minimise over z a contextual loss on the known pixels, weighted by how many hidden
ones are near, plus lambda times a perceptual loss, the generator's own against its critic; then
blend what the generator drew into the hole by solving Poisson's equation (Perez et al. 2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.sparse import csc_matrix, lil_matrix
from scipy.sparse.linalg import splu
from torch import Tensor
from torch.nn.functional import avg_pool2d, softplus

from bench.core.errors import UsageError
from generative.contracts import Contested, Decoder

Images = Float[Tensor, "n c h w"]
OneOrAll = Float[Tensor, "#n c h w"]
Known = Bool[Tensor, "h w"]

CHUNK, STARTED = 64, 1_000
"""Pictures that descend at once, and codes that are tried at once."""


@dataclass(frozen=True)
class Descent:
    """How z is found. perceptual: lambda. window: the side of the square over which hidden pixels
    count. starts: codes that are tried before the descent; each picture starts at the one that fits
    it best. Deviations: the paper starts at one at random, and makes 1,500 steps; its contextual
    loss is of images in [-1, 1], so that the same lambda weighs half as much there.
    """

    steps: int = 500
    rate: float = 0.03
    perceptual: float = 0.003
    window: int = 7
    starts: int = 1_000


@dataclass(frozen=True, eq=False)
class Completed:
    """images: the known pixels as they were, the hidden ones blended in. drawn: the generator's own
    images. losses: the contextual loss of each at the code that was kept, [n].
    """

    images: Images
    drawn: Images
    losses: Float[Tensor, " n"]


def weights(known: Known, window: int) -> Float[Tensor, "h w"]:
    """How near each known pixel is to hidden ones: the share of hidden pixels among its neighbours,
    0 at hidden pixels (equation 3). Deviation: those without a hidden neighbour count as if they
    had one, so that all that is known counts.
    """
    if window < 1 or window % 2 == 0:
        raise UsageError(f"expected a window of an odd number of pixels, got {window}")
    hidden = (~known).float()[None, None]
    near = avg_pool2d(hidden, window, 1, window // 2, count_include_pad=False)[0, 0]
    least = 1 / window**2
    return torch.where(known, near.clamp(min=least), torch.zeros_like(near))


def complete(
    model: Decoder, images: Images, known: Known, rng: torch.Generator, descent: Descent
) -> Completed:
    """Images in [0, 1] with the hidden pixels filled in; what stands there is not looked at.

    The best code on the way is kept, by the whole loss. A decoder without a critic has the
    contextual loss alone.
    """
    weight = weights(known, descent.window).to(images.device)
    seen = torch.where(known, images, torch.zeros_like(images))
    codes = _start(model, seen, weight, rng, descent.starts)
    parts = zip(codes.split(CHUNK), seen.split(CHUNK), strict=True)
    drawn = model.decode(
        torch.cat([_descended(model, z, part, weight, descent) for z, part in parts])
    )
    blended = poisson(images, drawn, known)
    return Completed(blended, drawn, _contextual(drawn, seen, weight))


def _descended(
    model: Decoder, first: Tensor, seen: Images, weight: Tensor, descent: Descent
) -> Tensor:
    """The best code on the way from the first, for each picture; uniform ones stay in their cube,
    as in the paper.
    """
    z = first.clone().requires_grad_()
    optimiser = torch.optim.Adam([z], lr=descent.rate)
    best, kept = torch.full((len(seen),), float("inf"), device=seen.device), z.detach().clone()
    for _ in range(descent.steps):
        loss = _loss(model, z, seen, weight, descent.perceptual)
        better = loss.detach() < best
        best = torch.where(better, loss.detach(), best)
        kept = torch.where(better[:, None], z.detach(), kept)
        (z.grad,) = torch.autograd.grad(loss.sum(), [z])
        optimiser.step()
        if model.prior == "uniform":
            z.data.clamp_(-1, 1)
    return kept


def _start(
    model: Decoder, seen: Images, weight: Tensor, rng: torch.Generator, starts: int
) -> Tensor:
    codes = model.codes(max(1, starts), rng)
    drawn = torch.cat([model.decode(part) for part in codes.split(STARTED)])
    gaps = torch.stack([_contextual(drawn, picture[None], weight) for picture in seen])
    return codes[gaps.argmin(1)].clone()


def _contextual(drawn: Images, seen: OneOrAll, weight: Tensor) -> Float[Tensor, " n"]:
    """The weighted absolute error on known pixels (equation 4)."""
    return (weight * (drawn - seen)).abs().sum((1, 2, 3))


def _loss(
    model: Decoder, z: Tensor, seen: Images, weight: Tensor, perceptual: float
) -> Float[Tensor, " n"]:
    """Of each picture: contextual, and lambda times log(1 - D(G(z))) (equation 5)."""
    drawn = model.decode(z)
    loss = _contextual(drawn, seen, weight)
    if isinstance(model, Contested) and perceptual:
        loss = loss - perceptual * softplus(model.logits(drawn))
    return loss


def poisson(pictures: Images, drawn: Images, known: Known) -> Images:
    """Pictures whose hidden pixels differ from their neighbours as those of `drawn` do, in the
    least-squares sense, and known ones as they are; clipped to [0, 1].
    """
    hidden = ~known.cpu().numpy()
    if not hidden.any() or hidden.all():
        return torch.where(known, pictures, drawn)
    system, border = _laplacian(hidden)
    own, made = (x.cpu().double().reshape(-1, hidden.size).numpy() for x in (pictures, drawn))
    inside = hidden.ravel()
    wanted = system @ made[:, inside].T - border @ made.T
    filled = own.copy()
    filled[:, inside] = splu(system).solve(wanted + border @ np.where(inside, 0.0, own).T).T
    result = torch.from_numpy(filled).to(pictures).reshape(pictures.shape).clamp(0, 1)
    return torch.where(known, pictures, result)


def _laplacian(hidden: np.ndarray) -> tuple[csc_matrix, csc_matrix]:
    """Over the hidden pixels: their number of neighbours less the hidden ones, [k, k], and the sum
    of known ones, [k, h * w].
    """
    height, width = hidden.shape
    number = np.full(hidden.shape, -1)
    number[hidden] = np.arange(hidden.sum())
    system, border = lil_matrix((hidden.sum(),) * 2), lil_matrix((hidden.sum(), height * width))
    for y, x in np.argwhere(hidden):
        at = number[y, x]
        for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            to_y, to_x = y + down, x + across
            if not (0 <= to_y < height and 0 <= to_x < width):
                continue
            system[at, at] += 1
            if hidden[to_y, to_x]:
                system[at, number[to_y, to_x]] = -1
            else:
                border[at, to_y * width + to_x] = 1
    return csc_matrix(system), csc_matrix(border)
