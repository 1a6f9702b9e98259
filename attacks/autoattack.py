"""AutoAttack: the four attacks that robust accuracies are reported with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from attacks.apgd import Apgd
from attacks.contracts import ATTACKS
from attacks.ensemble import Ensemble, Members
from attacks.fabt import FabT
from attacks.square import Square


@dataclass(frozen=True)
class AutoAttack(Ensemble):
    """Croce and Hein 2020, section 6, and in l1 2021, as their code has it.

    standard: Auto-PGD on cross-entropy (once, five times in l1), on the ratio for one class each
    (nine, five in l1), FAB for nine classes, Square. plus: Auto-PGD on cross-entropy and on the
    ratio for any class, five times each, FAB for nine classes from five starts, Square, then the
    standard's. rand, for models that answer at random: Auto-PGD on both losses with gradients
    averaged over 20 draws at every point. steps: of the climbs and searches; queries: Square's.

    Deviation: FAB of plus is the one for one class each, which the authors prefer for more than a
    few classes; it has more of them than theirs, that is for the nearest plane of all.
    """

    version: Literal["standard", "plus", "rand"] = "standard"
    steps: int = 100
    queries: int = 5000
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def members(self, norm: str) -> Members:
        steps, five = self.steps, 5 if norm == "l1" else 1
        square = ("square", Square(queries=self.queries, stretch=False))
        one_each = (
            ("apgd-t", Apgd(steps, 0, classes=five if norm == "l1" else 9, loss="dlr", wide=False)),
            ("fab-t", FabT(steps)),
        )
        if self.version == "rand":
            return (
                ("apgd-ce", Apgd(steps, five, loss="ce", draws=20)),
                ("apgd-dlr", Apgd(steps, five, loss="dlr", draws=20)),
            )
        if self.version == "plus":
            return (
                ("apgd-ce", Apgd(steps, 5, loss="ce")),
                ("apgd-dlr", Apgd(steps, 5, loss="dlr")),
                ("fab", FabT(steps, restarts=5)),
                square,
                *one_each,
            )
        return (("apgd-ce", Apgd(steps, five, loss="ce")), *one_each, square)


ATTACKS.register(
    "autoattack",
    paper="arXiv:2003.01690",
    summary="The standard ensemble: Auto-PGD twice, FAB, Square; worst case per image",
    exempt="a-radius-of-0-costs-nothing[linf, l2]: images leave at different times",
    draws=True,
    aims=True,
)(AutoAttack())
