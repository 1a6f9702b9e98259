"""Two towers: frozen networks that bring captions and pictures into one space.

What a model makes of a caption is scored by whether the picture lies nearest to its own caption
among all, as R-precision is (Xu et al. 2018, AttnGAN, section 4); the towers' vectors of captions
are what models are told, as the embeddings of Reed et al. (2016, arXiv:1605.05396, section 4.1)
that ship with their data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize

from bench.core.registry import Registry
from metrics.judges.frozen import FOLDER, FrozenFile

VOCABULARY = 17
DIMS = 64
WIDTHS = (16, 32, 48)
SIDE = 4
"""Of the coarsest layer, for pictures of 28 x 28."""
CHUNK = 500


class TowersNetwork(nn.Module):
    """Captions int64 [n, words] and grey pictures in [0, 1], [n, 1, 28, 28], to 64 numbers each, of
    norm 1. The words of a caption are added before anything is made of them: their order says
    nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, DIMS)
        self.told = nn.Linear(DIMS, DIMS)
        sizes = (1, *WIDTHS)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 5 if a == 1 else 3, 2, 2 if a == 1 else 1, bias=False)
            for a, b in zip(sizes, WIDTHS, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in WIDTHS)
        self.seen = nn.Linear(WIDTHS[-1] * SIDE**2, DIMS)
        self.sharpness = nn.Parameter(torch.tensor(2.0))

    def texts(self, tokens: Int[Tensor, "n words"]) -> Float[Tensor, "n 64"]:
        """Vectors of captions."""
        return normalize(self.told(leaky_relu(self.words(tokens).sum(1), 0.1)), dim=1)

    def images(self, x: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 64"]:
        """Vectors of pictures."""
        x = x - 0.5
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = leaky_relu(norm(layer(x)), 0.1)
        return normalize(self.seen(x.flatten(1)), dim=1)

    def forward(
        self, x: Float[Tensor, "n 1 28 28"], tokens: Int[Tensor, "m words"]
    ) -> Float[Tensor, "n m"]:
        """How well pictures and captions go together, as logits over the captions."""
        return self.sharpness.exp() * self.images(x) @ self.texts(tokens).T


@dataclass(frozen=True)
class Towers(FrozenFile):
    """Two files, as a judge's; made by `python -m bench.models.makejudges <name>`."""

    def network(self, device: torch.device) -> TowersNetwork:
        """The verified network, in evaluation mode."""
        with torch.device("meta"):
            network = TowersNetwork()
        network.load_state_dict(load(self.verify()), assign=True)
        return network.eval().requires_grad_(False).to(device)

    def texts(self, tokens: Int[Tensor, "n words"]) -> Float[Tensor, "n 64"]:
        """Vectors of captions."""
        return self.network(tokens.device).texts(tokens)

    def images(self, images: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 64"]:
        """Vectors of pictures in [0, 1]."""
        network = self.network(images.device)
        return torch.cat([network.images(part) for part in images.split(CHUNK)])


@dataclass(frozen=True)
class TowersFacts:
    """size: of the pictures they read, height and width."""

    size: tuple[int, int]
    licence: str = ""


TOWERS: Registry[Towers, TowersFacts] = Registry("towers", TowersFacts, listed_as="judges")

TOWERS.register(
    "captions-towers",
    paper="arXiv:1711.10485",
    summary="Captions and digits in one space; made from the training pairs of captions@digits",
    size=(28, 28),
)(Towers("captions-towers", FOLDER, ("sha256",)))
