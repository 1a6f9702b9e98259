"""The cheapest schedule that finds what AutoAttack finds: harder attacks on fewer images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from attacks.apgd import Apgd
from attacks.contracts import ATTACKS
from attacks.ensemble import Ensemble, Members
from attacks.fabt import FabT
from attacks.square import Square


@dataclass(frozen=True)
class Cascade(Ensemble):
    """An ensemble of our own, after AutoAttack (Croce and Hein 2020): short climbs of the lead for
    any class take most images; then climbs for the three likeliest classes, and longer ones for
    nine, all from beyond the radius; one of cross-entropy, which now and then finds what the lead
    does not; a search along the boundary; squares, which masked gradients do not stop, for as long
    as they make headway. What it finds beside AutoAttack, and for how much less: docs/attacks.md.
    """

    queries: int = 2500
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def members(self, norm: str) -> Members:
        first = Apgd(40, l1_restarts=3) if norm == "l1" else Apgd(20)
        return (
            ("apgd", first),
            ("apgd-few", Apgd(30, 0, classes=3)),
            ("apgd-classes", Apgd(80, 0, classes=9)),
            ("apgd-ce", Apgd(100, loss="ce", l1_restarts=5)),
            ("fab-t", FabT(50, classes=4)),
            ("square", Square(queries=self.queries, patience=self.queries // 5)),
        )


ATTACKS.register(
    "cascade",
    paper="arXiv:2003.01690",
    summary="What AutoAttack finds in a fraction of its time: harder attacks on fewer images",
    exempt="a-radius-of-0-costs-nothing[linf, l2]: images leave at different times",
    draws=True,
    aims=True,
)(Cascade())
