"""Interval bound propagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from attacks.certificates.chain import Chain
from attacks.certificates.contracts import CERTIFICATES, Bounds, PerClass
from attacks.certificates.intervals import intervals, margins_between, others
from attacks.certificates.region import Region
from attacks.contracts import Labels


@dataclass(frozen=True)
class Ibp(Bounds):
    """Gowal et al. 2018, sections 3.1 to 3.3: each value of a layer between two bounds, and the
    last layer one with the difference of two logits.

    Here also in l2 and l1: the first affine maps as one, by the dual norm; the better of that and
    of the box around the ball is kept.
    """

    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def below(self, chain: Chain, region: Region, labels: Labels) -> PerClass:
        return others(margins_between(chain, region, intervals(chain, region), labels), labels)


CERTIFICATES.register(
    "ibp", paper="arXiv:1810.12715", summary="Interval bounds of every layer", takes="layers"
)(Ibp())
