"""CLIP's image encoder, which learned what text an image goes with (Radford et al. 2021).

Kynkaanniemi et al. 2023 (arXiv:2203.06026) put its ViT-B/32 beside Inception's features, whose
Frechet distance can be bettered by matching ImageNet's classes alone. The features are the image's
side of the joint space, not brought to length 1. Deviations from the authors' code: images are
brought to 224 x 224 whatever their sides' ratio, where theirs keep it and lose what is outside the
middle; the weights are of 16 bits, and computed with in 32.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from bench.extractors.base import EXTRACTORS
from bench.extractors.transformer import TransformerFeatures
from bench.extractors.weightfiles import WeightFile, Weights

SIDE = 224
STEEPNESS = 1.702
NAMES = {
    "ln_1.weight": "norm1.weight",
    "ln_1.bias": "norm1.bias",
    "attn.in_proj_weight": "qkv.weight",
    "attn.in_proj_bias": "qkv.bias",
    "attn.out_proj.weight": "out.weight",
    "attn.out_proj.bias": "out.bias",
    "ln_2.weight": "norm2.weight",
    "ln_2.bias": "norm2.bias",
    "mlp.c_fc.weight": "grow.weight",
    "mlp.c_fc.bias": "grow.bias",
    "mlp.c_proj.weight": "shrink.weight",
    "mlp.c_proj.bias": "shrink.bias",
}


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x): the approximation that the weights were trained with."""
    return x * torch.sigmoid(STEEPNESS * x)


def renamed(weights: Weights) -> Weights:
    """The authors' tensors of the image's side under the names of `Transformer`, float32; the
    text's side is left alone.
    """
    side = {
        name.removeprefix("visual."): tensor.detach().float()
        for name, tensor in weights.items()
        if name.startswith("visual.")
    }
    found = {
        "class": side["class_embedding"],
        "positions": side["positional_embedding"],
        "patch.weight": side["conv1.weight"],
        "projection": side["proj"],
    }
    for theirs, ours in (("ln_pre", "before"), ("ln_post", "after")):
        found |= {f"{ours}.{end}": side[f"{theirs}.{end}"] for end in ("weight", "bias")}
    for block in range(sum(name.endswith("attn.in_proj_weight") for name in side)):
        for theirs, ours in NAMES.items():
            found[f"{block}.{ours}"] = side[f"transformer.resblocks.{block}.{theirs}"]
    return found


def _file(name: str, model: str, sha256: str, megabytes: int) -> WeightFile:
    """The authors' archive of one model; its address holds its sha256."""
    return WeightFile(
        name,
        f"the weights of CLIP's {model}",
        f"https://openaipublic.azureedge.net/clip/models/{sha256}/{model.replace('/', '-')}.pt",
        sha256,
        megabytes,
        "features of other weights are other scores",
        scripted=True,
    )


_clip = partial(
    TransformerFeatures,
    size=(SIDE, SIDE),
    channels=3,
    fetches=True,
    renamed=renamed,
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
    epsilon=1e-5,
    activation=quick_gelu,
)
for _name, _model, _dims, _sha256, _megabytes in (
    (
        "clip-b32",
        "ViT-B/32",
        512,
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        354,
    ),
    (
        "clip-l14",
        "ViT-L/14",
        768,
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
        933,
    ),
):
    EXTRACTORS.register(
        _name,
        paper="arXiv:2103.00020",
        summary=f"{_dims} features of the image's side of CLIP's {_model}; its weights are to be "
        "downloaded",
    )(_clip(dims=_dims, file=_file(_name, _model, _sha256, _megabytes)))
