"""Protocols of image translation: networks, optimisers and weights, as their papers fixed them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import nn

from bench.core.registry import NoFacts, Registry
from generative.networks import Initialisation, Shape
from generative.protocols.base import Adam, Rated
from generative.training import STEPS, WEIGHT, Bounds
from generative.translators import ImageNetwork, PatchGan, Resnet, Unet

NORMAL = Initialisation("normal", 0.02)


@dataclass(frozen=True)
class TranslationProtocol(Rated):
    """Everything about a translator's training but its objective.

    span: the range of an image in the distances that the weights weigh, 2 as in the papers (from -1
    to 1) or 1. decay: the share of the training, at its end, over which the rates fall to 0.
    buffer: how many of the generator's earlier images its critic may see again (Shrivastava et al.
    2017); 0 for none. milliseconds: what one step
    took on one core of 2025; only a forecast.
    """

    generator: ImageNetwork
    critic: PatchGan
    generator_adam: Adam
    critic_adam: Adam
    batch: Annotated[int, Bounds(1, 100_000)]
    steps: Annotated[int, STEPS]
    l1_weight: Annotated[float, WEIGHT] = 100.0
    cycle_weight: Annotated[float, WEIGHT] = 10.0
    identity_weight: Annotated[float, WEIGHT] = 5.0
    likeness_weight: Annotated[float, WEIGHT] = 10.0
    span: float = 2.0
    decay: float = 0.0
    buffer: int = 0
    initialisation: Initialisation = NORMAL
    milliseconds: float = 100.0
    deviations: str = ""

    def begun(
        self, players: dict[str, nn.Module], device: str, rng: torch.Generator | None
    ) -> dict[str, nn.Module]:
        """Players on a device, their weights drawn where there is a generator."""
        for player in players.values():
            player.to(device)
            if rng is not None:
                self.initialisation.apply(player, rng)
        return players

    def refuse(self, shape: Shape) -> None:
        """Raise UsageError where its networks can't make images of this shape."""
        with torch.device("meta"):
            self.generator.build(shape, shape)
            self.critic.build(shape[0], shape)


TRANSLATION_PROTOCOLS: Registry[TranslationProtocol, NoFacts] = Registry(
    "translation protocol", NoFacts, listed_as="protocols"
)

TRANSLATION_PROTOCOLS.register(
    "pix2pix",
    paper="arXiv:1611.07004",
    summary="U-Net 256 against 70 x 70 patches, batch 1, Adam 2e-4, L1 weighed 100",
)(
    TranslationProtocol(
        generator=Unet(64, norm="instance"),
        critic=PatchGan(64, 3, norm="instance"),
        generator_adam=Adam(2e-4, (0.5, 0.999)),
        critic_adam=Adam(2e-4, (0.5, 0.999)),
        batch=1,
        steps=80_000,
        decay=0.5,
        milliseconds=4_000.0,
        deviations="batch norm over a batch of one is instance norm, here without scale and shift; "
        "80,000 steps are 200 epochs of 400 pairs, as for facades; the rates fall over the second "
        "half, as in the authors' later code; no jitter, no mirroring",
    )
)

TRANSLATION_PROTOCOLS.register(
    "cyclegan",
    paper="arXiv:1703.10593",
    summary="Residual generators of 9 blocks against 70 x 70 patches, batch 1, Adam 2e-4",
)(
    TranslationProtocol(
        generator=Resnet(64, 9),
        critic=PatchGan(64, 3, norm="instance"),
        generator_adam=Adam(2e-4, (0.5, 0.999)),
        critic_adam=Adam(2e-4, (0.5, 0.999)),
        batch=1,
        steps=200_000,
        decay=0.5,
        buffer=50,
        milliseconds=30_000.0,
        deviations="200,000 steps are 200 epochs of 1,000 images; no jitter, no mirroring",
    )
)

TRANSLATION_PROTOCOLS.register(
    "small-pix2pix",
    paper="arXiv:1611.07004",
    summary="U-Net of width 24 against 16 x 16 patches for images of 32 x 32, batch 16",
)(
    TranslationProtocol(
        generator=Unet(24, noise=2),
        critic=PatchGan(32, 1),
        generator_adam=Adam(1e-3, (0.5, 0.999)),
        critic_adam=Adam(1e-3, (0.5, 0.999)),
        batch=16,
        steps=3_000,
        decay=0.3,
        milliseconds=60.0,
        span=1.0,
        deviations="width 24 for 64, patches of 16 for 70, batch 16 for 1, Adam 1e-3 for 2e-4; "
        "batch norm by running statistics; L1 of images in [0, 1], half of its weight in the paper",
    )
)

SMALL = TranslationProtocol(
    generator=Resnet(16, 3, strides=1),
    critic=PatchGan(32, 1, norm="instance"),
    generator_adam=Adam(5e-4, (0.5, 0.999)),
    critic_adam=Adam(5e-4, (0.5, 0.999)),
    batch=4,
    steps=3_000,
    span=1.0,
    decay=0.5,
    buffer=50,
    milliseconds=110.0,
    deviations="width 16 for 64, 3 blocks for 9, one stride for two (with two, 8 x 8 are left "
    "of 32 x 32 and both generators collapse), patches of 16 for 70, batch 4 for 1, Adam 5e-4 "
    "for 2e-4; distances of images in [0, 1], half of their weights in the paper",
)

TRANSLATION_PROTOCOLS.register(
    "small-cyclegan",
    paper="arXiv:1703.10593",
    summary="Residual generators of width 16, 3 blocks and one stride against 16 x 16 patches",
)(SMALL)

TRANSLATION_PROTOCOLS.register(
    "small-discogan",
    paper="arXiv:1703.05192",
    summary="The generators and critics of small-cyclegan, the way back weighed 1, no buffer",
)(
    replace(
        SMALL,
        cycle_weight=1.0,
        buffer=0,
        deviations="networks, batch and rate of small-cyclegan, critics of patches for such of "
        "whole images, so that rows differ by what they minimise; equation 3 as it stands: the "
        "authors' code adds the distance of critics' features and changes the weights on the way",
    )
)

TRANSLATION_PROTOCOLS.register(
    "small-dualgan",
    paper="arXiv:1704.02510",
    summary="U-Nets of width 24 with dropout against 16 x 16 patches, L1 weighed 500, batch 4",
)(
    replace(
        SMALL,
        generator=Unet(24, noise=2, norm="instance"),
        generator_adam=Adam(5e-4, (0.0, 0.99)),
        critic_adam=Adam(5e-4, (0.0, 0.99)),
        cycle_weight=500.0,
        span=2.0,
        buffer=0,
        deviations="width 24 for 64, patches of 16 for 70, batch 4 for 1; Adam 5e-4 without "
        "momentum for RMSProp 5e-5",
    )
)
