"""Two networks that share layers, and translation by the code that both make images of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from generative.contracts import Codes, Direction, Logits, Translator
from generative.networks import Network, Shape, layers_of
from generative.samplers import load_weights

CHUNK = 100
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
Images = Float[Tensor, "n c h w"]


def pieces(network: nn.Module) -> list[nn.Module]:
    """A network's layers, one after another, each with what follows it up to the next."""
    found: list[list[nn.Module]] = [[]]
    for layer in layers_of(network):
        if isinstance(layer, WEIGHTED) and any(isinstance(own, WEIGHTED) for own in found[-1]):
            found.append([])
        found[-1].append(layer)
    return [nn.Sequential(*piece) for piece in found]


class Generators(nn.Module):
    """Codes to an image of each domain. What lies further from the images than `unshared` layers is
    the same for both.
    """

    def __init__(self, network: Network, latent: int, shapes: tuple[Shape, Shape], unshared: int):
        super().__init__()
        parts = [pieces(network.generator(latent, shape)) for shape in shapes]
        kept = max(0, len(parts[0]) - unshared)
        self.shared = nn.Sequential(*parts[0][:kept])
        self.own = nn.ModuleList(nn.Sequential(*part[kept:]) for part in parts)

    def forward(self, z: Codes) -> tuple[Tensor, Tensor]:
        seen = self.shared(z)
        first, second = (own(seen) for own in self.own)
        return first, second

    def alone(self, z: Codes, domain: int) -> Images:
        """The image of one domain, 0 or 1."""
        return self.own[domain](self.shared(z))


class Critics(nn.Module):
    """Images of each domain to logits. What lies further from the images than `unshared` layers is
    the same for both.
    """

    def __init__(self, network: Network, shapes: tuple[Shape, Shape], unshared: int):
        super().__init__()
        parts = [pieces(network.encoder(shape, 1)) for shape in shapes]
        self.own = nn.ModuleList(nn.Sequential(*part[:unshared]) for part in parts)
        self.shared = nn.Sequential(*parts[0][unshared:])

    def forward(self, first: Tensor, second: Tensor) -> tuple[Logits, Logits]:
        seen = [own(x) for own, x in zip(self.own, (first, second), strict=True)]
        of_first, of_second = (self.shared(x).flatten(0) for x in seen)
        return of_first, of_second


@dataclass(frozen=True)
class Search:
    """How the code of an image is found: of `starts` draws of the prior the one whose image is
    nearest to it, and then so many steps of Adam down the squared distance; the nearest on the way
    is kept. block: distances are of the means over squares of so many pixels a side: lines of one
    pixel that lie beside one another are as far apart as lines that have nothing to do with one
    another, and what is found by pixels is another digit, or the mean of many.
    """

    starts: int = 500
    steps: int = 50
    rate: float = 0.1
    block: int = 4

    def coarse(self, x: Images) -> Float[Tensor, "n values"]:
        """What distances are of."""
        side = self.block
        return (avg_pool2d(x, side, ceil_mode=True) if side > 1 else x).flatten(1)


class CoupledTranslator(Translator):
    """Generators of both domains: an image of one is translated by its code, which is searched for,
    and the other generator.
    """

    directions: tuple[Direction, ...] = ("forward", "backward")

    def __init__(self, generators: Generators, latent: int, search: Search) -> None:
        self._networks = {"generators": generators.eval()}
        self._latent, self._search = latent, search

    @property
    def _generators(self) -> Generators:
        return self._networks["generators"]

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """`n` images of each domain, two of a code."""
        with torch.inference_mode():
            first, second = self._generators(self._codes(n, rng))
        return first.clone(), second.clone()

    def translate(
        self, x: Tensor, rng: torch.Generator, direction: Direction = "forward"
    ) -> Tensor:
        source = 0 if direction == "forward" else 1
        starts = self._codes(self._search.starts, rng)
        with torch.no_grad():
            seen = self._search.coarse(self._generators.alone(starts, source))
        made = [self._translated(part, starts, seen, source) for part in x.split(CHUNK)]
        return torch.cat(made)

    def _codes(self, n: int, rng: torch.Generator) -> Codes:
        return torch.randn(n, self._latent, generator=rng, device=rng.device)

    def _translated(self, x: Images, starts: Tensor, seen: Tensor, source: int) -> Tensor:
        wanted = self._search.coarse(x)
        gaps = torch.cdist(wanted, seen, compute_mode="donot_use_mm_for_euclid_dist")
        codes = self._found(wanted, starts[gaps.argmin(1)], source)
        with torch.no_grad():
            return self._generators.alone(codes, 1 - source)

    def _found(self, wanted: Tensor, first: Codes, source: int) -> Codes:
        """The best code on the way, by itself for each image."""
        z = first.clone().requires_grad_()
        adam = torch.optim.Adam([z], lr=self._search.rate)
        best, kept = wanted.new_full((len(wanted),), float("inf")), first.clone()
        for step in range(self._search.steps + 1):
            with torch.enable_grad():
                seen = self._search.coarse(self._generators.alone(z, source))
                lost = (seen - wanted).square().sum(1)
            better = lost.detach() < best
            best = torch.where(better, lost.detach(), best)
            kept = torch.where(better[:, None], z.detach(), kept)
            if step < self._search.steps:
                (z.grad,) = torch.autograd.grad(lost.sum(), [z])
                adam.step()
        return kept

    def tensors(self) -> dict[str, Tensor]:
        return {key: value.detach() for key, value in self._generators.state_dict().items()}


def restored_couple(
    generators: Generators, latent: int, search: Search, tensors: Mapping[str, Any]
) -> CoupledTranslator:
    """The translator that `tensors` described. Raises UsageError for another architecture."""
    load_weights(generators, dict(tensors), "generators")
    return CoupledTranslator(generators, latent, search)
