"""Vision transformers as extractors: patches and a class token in, the class token out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, layer_norm, linear, scaled_dot_product_attention

from bench.extractors.base import Extractor, Loading, Reader, Seen
from bench.extractors.weightfiles import WeightFile, Weights

Activation = Callable[[Tensor], Tensor]
Colours = tuple[float, float, float]
HEAD = 64
"""Features of a head, in every transformer that is registered here."""
Tokens = Float[Tensor, "n tokens width"]


@dataclass(frozen=True)
class Transformer:
    """Dosovitskiy et al. 2021 with the norms before each half of a block, as DINOv2 and CLIP have
    it; depth, width and patch are those of the weights. heads: of each attention. epsilon: what
    layer norms add to a variance. activation: between the layers of a block's second half.

    weights: `patch` (convolution), `class` [width], `positions` [1 + patches, width], a block's
    `B.norm1`, `B.qkv`, `B.out`, `B.norm2`, `B.grow`, `B.shrink` and, where it has them, `B.scale1`,
    `B.scale2` (layer scale); `before` and `projection` where there are any; `after`.
    """

    weights: Weights
    heads: int
    epsilon: float
    activation: Activation

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dims"]:
        """Images of the size whose patches the positions are for, standardised."""
        tokens = self._tokens(images)
        if "before.weight" in self.weights:
            tokens = self._norm("before", tokens)
        for block in range(self.depth):
            tokens = self._block(str(block), tokens)
        told = self._norm("after", tokens[:, 0])
        projection = self.weights.get("projection")
        return told if projection is None else told @ projection

    @property
    def depth(self) -> int:
        return sum(name.endswith(".qkv.weight") for name in self.weights)

    def _tokens(self, images: Tensor) -> Tokens:
        """The class token, then the patches row by row, each with its position."""
        patch = self.weights["patch.weight"]
        patches = conv2d(images, patch, self.weights.get("patch.bias"), patch.shape[-1])
        first = self.weights["class"].expand(len(images), 1, -1)
        return torch.cat([first, patches.flatten(2).mT], 1) + self.weights["positions"]

    def _block(self, block: str, tokens: Tokens) -> Tokens:
        tokens = tokens + self._scaled(f"{block}.scale1", self._attended(block, tokens))
        seen = self._linear(f"{block}.grow", self._norm(f"{block}.norm2", tokens))
        seen = self._linear(f"{block}.shrink", self.activation(seen))
        return tokens + self._scaled(f"{block}.scale2", seen)

    def _attended(self, block: str, tokens: Tokens) -> Tokens:
        """Queries, keys and values lie one after another, each of all heads in turn."""
        seen = self._linear(f"{block}.qkv", self._norm(f"{block}.norm1", tokens))
        parts = seen.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return self._linear(f"{block}.out", found.transpose(1, 2).flatten(2))

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._pair(name)
        return layer_norm(x, weight.shape, weight, bias, self.epsilon)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return linear(x, *self._pair(name))

    def _pair(self, name: str) -> tuple[Tensor, Tensor]:
        return self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]

    def _scaled(self, name: str, x: Tensor) -> Tensor:
        return x * self.weights[name] if name in self.weights else x


@dataclass(frozen=True)
class TransformerFeatures(Extractor):
    """Images are brought to a size by bicubic interpolation with antialiasing and standardised; the
    features are what the transformer gives. file: its weights, whose tensors `renamed` brings under
    the names of `Transformer`. mean, std: of a colour. epsilon, activation: of the transformer.
    """

    file: WeightFile = field(kw_only=True)
    renamed: Callable[[Weights], Weights] = field(kw_only=True)
    mean: Colours = field(kw_only=True)
    std: Colours = field(kw_only=True)
    epsilon: float = field(kw_only=True)
    activation: Activation = field(kw_only=True)

    @property
    def tag(self) -> str:
        return self.file.features

    def load(self, loading: Loading) -> Reader:
        weights = self.renamed(self.file.tensors(loading))
        placed = {name: tensor.to(loading.device) for name, tensor in weights.items()}
        heads = placed["class"].numel() // HEAD
        network = Transformer(placed, heads, self.epsilon, self.activation)

        def read(images: Tensor) -> Seen:
            return Seen(network(standardised(images, self.mean, self.std)))

        return read


def standardised(images: Tensor, mean: Iterable[float], std: Iterable[float]) -> Tensor:
    """Images [n, 3, h, w] in [0, 1], each colour less its mean over its deviation."""
    centre, spread = (images.new_tensor(tuple(each))[:, None, None] for each in (mean, std))
    return (images - centre) / spread
