"""What a certificate promises: where it says yes, no image within the radius is misclassified.

An attack shows that an image can be misled, a certificate that it can't: what neither settles lies
between. Where a certificate says no it has shown nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attacks.certificates.chain import INSTEAD, Chain, read
from attacks.certificates.region import Region
from attacks.contracts import UNIT, Box, Images, Labels, Model, Radius, Seeds
from attacks.gradients import look, ordinary
from attacks.norms import PerImage, refuse
from bench.core.errors import UsageError
from bench.core.registry import Registry

Bits = Bool[Tensor, " batch"]
"""Whether each image is certified."""

PerClass = Float[Tensor, "batch classes"]

ROUNDING = {torch.float64: 1e-12}
ROUNDED = 1e-6
"""What a margin must be above 0, as a share of the largest logit: in float32 and less."""
GAPS = 4.0
"""And how many times the difference between the network's logits and those of its layers."""
APART = 0.02
"""A larger share of the largest logit than this is no rounding."""


class Certificate(ABC):
    """Whether every image within `radius` in `norm` and, unless it is None, in the box is
    classified as labelled. norms: that it knows.
    """

    norms: ClassVar[tuple[str, ...]]

    @abstractmethod
    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        radius: Radius,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
    ) -> Bits:
        """True where it is shown. Raises UsageError for a norm that it does not know and for a
        network that it can't read.
        """


class Bounds(Certificate):
    """A certificate by a lower bound of the margin over everything within the radius.

    Computed in float64 of the network's weights. What the network itself loses by rounding is
    measured at each image, as the difference between its logits and those of its layers in float64:
    a bound is lowered by 4 times that, and by 1e-6 of the largest logit (1e-12 of a network in
    float64).
    """

    @abstractmethod
    def below(self, chain: Chain, region: Region, labels: Labels) -> PerClass:
        """Lower bounds of the label's logit minus that of each class; infinity for the label."""

    @final
    def margins(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        radius: Radius,
        norm: str,
        box: Box = UNIT,
    ) -> PerImage:
        """A lower bound of the label's logit minus the largest other one, float64. Raises
        UsageError as a call does.
        """
        refuse(norm, self.norms, type(self).__name__.lower())
        images, labels = ordinary(images), ordinary(labels)
        with torch.inference_mode(False), torch.no_grad():
            chain = read(model, images)
            if not len(images):
                return images.new_zeros(0, dtype=torch.float64)
            slack = rounding(model, chain, images)
            found = self.below(chain, region_of(images, radius, norm, box), labels)
            return (found.amin(1) - slack).detach()

    @final
    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        radius: Radius,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
    ) -> Bits:
        return self.margins(model, images, labels, radius=radius, norm=norm, box=box) > 0


class Reached(NamedTuple):
    """predictions: the class that a certificate is about, -1 where it abstains. radii: float64, how
    far it holds; 0 where it abstains, infinity where nothing in the box ends it.
    """

    predictions: Int[Tensor, " batch"]
    radii: Float[Tensor, " batch"]


class Reach(Certificate):
    """A certificate that tells how far it holds: it holds for every radius below that."""

    @abstractmethod
    def reach(
        self,
        model: Model,
        images: Images,
        *,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
    ) -> Reached:
        """What each image is taken for, and how far that holds; no label is looked at. Raises
        UsageError as a call does.
        """

    @final
    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        radius: Radius,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
    ) -> Bits:
        predictions, radii = self.reach(model, images, norm=norm, seeds=seeds, box=box)
        asked = torch.as_tensor(radius, dtype=torch.float64, device=radii.device)
        return (predictions == labels) & (radii > asked)


def region_of(images: Images, radius: Radius, norm: str, box: Box) -> Region:
    """What is within a radius, in float64."""
    radii = torch.as_tensor(radius, dtype=torch.float64, device=images.device)
    return Region(images.double(), radii.expand(len(images)), norm, box)


def rounding(model: Model, chain: Chain, images: Images) -> PerImage:
    """What a margin must be above 0 for each image. Raises UsageError where the layers that were
    read give other logits than the network.
    """
    logits, found = look(model, images), chain(images.double())
    largest = found.abs().amax(1)
    gap = (logits - found).abs().amax(1)
    if bool((gap > APART * largest.clamp_min(1e-3)).any()):
        raise UsageError(
            f"the network ({type(model).__name__}) computes something else than its layers in "
            f"turn, logits {float(gap.amax()):.3g} apart: {INSTEAD}"
        )
    return GAPS * gap + ROUNDING.get(logits.dtype, ROUNDED) * largest


@dataclass(frozen=True)
class CertificateFacts:
    """takes: the networks that it reads: "linear" ones, those made of "layers" that bounds go
    through, or "any". smoothed: whether it is about the classifier with noise on its images, and
    not about the network as it stands. draws: other seeds give other results. passes: what it costs
    an image, in passes of the network, about.
    """

    takes: Literal["linear", "layers", "any"] = "layers"
    smoothed: bool = False
    draws: bool = False
    passes: int = 10


CERTIFICATES: Registry[Certificate, CertificateFacts] = Registry(
    "certificate", CertificateFacts, listed_as="certificates"
)
