"""BERT's encoder as a function of its weights: pieces of words in, a vector of the text out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import (
    embedding,
    gelu,
    layer_norm,
    linear,
    normalize,
    scaled_dot_product_attention,
)

HEAD = 32
"""Features of a head."""
EPSILON = 1e-12
"""What layer norms add to a variance."""
Pieces = Int[Tensor, "n pieces"]
Seen = Float[Tensor, "n pieces width"]
Sentences = Float[Tensor, "n width"]


@dataclass(frozen=True, eq=False)
class Bert:
    """Devlin et al. 2019: norms behind each half of a layer, GELU between the linear maps of the
    second. weights: by the names that the authors' code has; depth and width are theirs.
    """

    weights: Mapping[str, Tensor]

    def sentences(
        self, pieces: Pieces, there: Bool[Tensor, "n pieces"]
    ) -> Float[Tensor, "n width"]:
        """The mean over the pieces that are there, of norm 1 (Reimers & Gurevych 2019). What stands
        where none is counts for nothing.
        """
        kept = there[..., None].to(torch.float32)
        told = (self.tokens(pieces, there) * kept).sum(1) / kept.sum(1)
        return normalize(told, dim=1)

    def tokens(self, pieces: Pieces, there: Bool[Tensor, "n pieces"]) -> Seen:
        """Of the last layer."""
        names = [f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position")]
        word, position = (self.weights[name] for name in names)
        kind = self.weights["embeddings.token_type_embeddings.weight"][0]
        seen = embedding(pieces, word) + position[: pieces.shape[1]] + kind
        seen = self._norm("embeddings.LayerNorm", seen)
        for layer in range(self.depth):
            seen = self._layer(f"encoder.layer.{layer}", seen, there)
        return seen

    @property
    def depth(self) -> int:
        return sum(name.endswith("attention.self.query.weight") for name in self.weights)

    def _layer(self, name: str, seen: Seen, there: Tensor) -> Seen:
        query, key, value = (
            self._linear(f"{name}.attention.self.{role}", seen).unflatten(2, (-1, HEAD))
            for role in ("query", "key", "value")
        )
        heads = scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), there[:, None, None]
        )
        told = self._linear(f"{name}.attention.output.dense", heads.transpose(1, 2).flatten(2))
        seen = self._norm(f"{name}.attention.output.LayerNorm", seen + told)
        grown = gelu(self._linear(f"{name}.intermediate.dense", seen))
        told = self._linear(f"{name}.output.dense", grown)
        return self._norm(f"{name}.output.LayerNorm", seen + told)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._pair(name)
        return layer_norm(x, weight.shape, weight, bias, EPSILON)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return linear(x, *self._pair(name))

    def _pair(self, name: str) -> tuple[Tensor, Tensor]:
        return self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
