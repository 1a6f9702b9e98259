"""Protocols of coupled GANs and of domain transfer: optimisers, batch and steps; their networks are
their own.
"""

from __future__ import annotations

from dataclasses import replace

from generative.protocols.base import Adam
from generative.protocols.translation import SMALL, TRANSLATION_PROTOCOLS

TRANSLATION_PROTOCOLS.register(
    "small-cogan",
    paper="arXiv:1606.07536",
    summary="For CoGAN, whose networks are its own: batch 32, Adam 1e-3, 2,000 steps",
)(
    replace(
        SMALL,
        generator_adam=Adam(1e-3, (0.5, 0.999)),
        critic_adam=Adam(1e-3, (0.5, 0.999)),
        batch=32,
        steps=2_000,
        decay=0.0,
        buffer=0,
        milliseconds=65.0,
        deviations="batch 32 for 64, Adam 1e-3 for 2e-4 and no weight decay, first weights normal "
        "of .02 for Xavier's",
    )
)

TRANSLATION_PROTOCOLS.register(
    "small-dtn",
    paper="arXiv:1611.02200",
    summary="For a domain transfer network, whose networks are its own: batch 32, 3,000 steps",
)(
    replace(
        SMALL,
        generator_adam=Adam(5e-4, (0.5, 0.999)),
        critic_adam=Adam(5e-4, (0.5, 0.999)),
        batch=32,
        steps=3_000,
        span=2.0,
        decay=0.0,
        buffer=0,
        milliseconds=55.0,
        deviations="batch, rate, steps and first weights are ours",
    )
)
