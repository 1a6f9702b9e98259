"""Conditional GANs: both players are told the class."""

from __future__ import annotations

from generative.classnorm import ClassBatchNorm
from generative.conditioning import Concatenation, Projection
from generative.contracts import RECIPES
from generative.recipes.adversarial import Adversarial

RECIPES.register(
    "cgan",
    paper="arXiv:1411.1784",
    summary="Conditional GAN, the label as channels of its own (Mirza & Osindero 2014)",
    parts=("nonsaturating",),
    labelled=True,
    images_only="the label is told as channels of an image",
)(Adversarial("nonsaturating", conditioning=Concatenation()))

RECIPES.register(
    "cgan-projection",
    paper="arXiv:1802.05637",
    summary="Conditional GAN with a projection critic (Miyato & Koyama 2018)",
    parts=("nonsaturating",),
    labelled=True,
    images_only="its critic's features are those of images",
)(Adversarial("nonsaturating", conditioning=Projection()))

RECIPES.register(
    "biggan-parts",
    paper="arXiv:1809.11096",
    summary="BigGAN's parts on a DCGAN's layers: class batch norm, projection, hinge, spectral "
    "norm of the critic, orthogonal filters (Brock et al. 2019)",
    parts=("hinge", "spectral-norm", "orthogonal"),
    labelled=True,
    images_only="classes scale maps of images",
)(
    Adversarial(
        "hinge",
        constraint="spectral-norm",
        conditioning=ClassBatchNorm(),
        terms="orthogonal",
        momentum=0.0,
    )
)
