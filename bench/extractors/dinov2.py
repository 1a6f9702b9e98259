"""DINOv2: what vision transformers that were trained without labels see (Oquab et al. 2023).

Stein et al. 2023 (arXiv:2306.04675) found the Frechet distance over its ViT-L/14 nearer to what
people take for real than over Inception's features. The features are the class token after the last
norm; images are brought to 224 x 224 and standardised as theirs are.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import gelu, interpolate

from bench.extractors.base import EXTRACTORS
from bench.extractors.transformer import TransformerFeatures
from bench.extractors.weightfiles import WeightFile, Weights

SIDE, PATCH = 224, 14
OFFSET = 0.1
"""What the authors add to the number of patches that positions are stretched to."""
NAMES = {
    "norm1": "norm1",
    "attn.qkv": "qkv",
    "attn.proj": "out",
    "norm2": "norm2",
    "mlp.fc1": "grow",
    "mlp.fc2": "shrink",
}


def renamed(weights: Weights) -> Weights:
    """The authors' tensors under the names of `Transformer`, positions for 224 x 224."""
    found = {"class": weights["cls_token"].flatten(), "positions": positions(weights["pos_embed"])}
    for theirs, ours in (("patch_embed.proj", "patch"), ("norm", "after")):
        found |= {f"{ours}.{end}": weights[f"{theirs}.{end}"] for end in ("weight", "bias")}
    for block in range(sum(name.endswith("attn.qkv.weight") for name in weights)):
        for theirs, ours in NAMES.items():
            for end in ("weight", "bias"):
                found[f"{block}.{ours}.{end}"] = weights[f"blocks.{block}.{theirs}.{end}"]
        for at in (1, 2):
            found[f"{block}.scale{at}"] = weights[f"blocks.{block}.ls{at}.gamma"]
    return found


def positions(learned: Tensor, wanted: int = SIDE // PATCH) -> Tensor:
    """Positions [1, 1 + side^2, width] for `wanted` patches a side, [1 + wanted^2, width]: the
    class token's stays, the others are a picture that is resized, bicubic without antialiasing. The
    scale is that of the authors' code, a tenth of a patch too large.
    """
    first, rest = learned[0, :1], learned[0, 1:]
    side = round(len(rest) ** 0.5)
    if side == wanted:
        return learned[0]
    picture = rest.unflatten(0, (side, side)).permute(2, 0, 1)[None].float()
    scale = (wanted + OFFSET) / side
    resized = interpolate(picture, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([first, resized[0].flatten(1).mT.to(first)])


def _file(size: str, sha256: str, megabytes: int) -> WeightFile:
    """The authors' weights of one size."""
    return WeightFile(
        f"dinov2-{size}",
        f"the weights of DINOv2's ViT-{size.upper()}/14",
        f"https://dl.fbaipublicfiles.com/dinov2/dinov2_vit{size}14/dinov2_vit{size}14_pretrain.pth",
        sha256,
        megabytes,
        "features of other weights are other scores",
    )


_dinov2 = partial(
    TransformerFeatures,
    size=(SIDE, SIDE),
    channels=3,
    fetches=True,
    renamed=renamed,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    epsilon=1e-6,
    activation=gelu,
)
for _size, _dims, _sha256, _megabytes in (
    ("s", 384, "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9", 88),
    ("b", 768, "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73", 346),
    ("l", 1_024, "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428", 1_218),
):
    EXTRACTORS.register(
        f"dinov2-{_size}",
        paper="arXiv:2304.07193",
        summary=f"{_dims:,} features of DINOv2's ViT-{_size.upper()}/14; its weights are to be "
        "downloaded",
    )(_dinov2(dims=_dims, file=_file(_size, _sha256, _megabytes)))
