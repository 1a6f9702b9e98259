"""What an attack left of each class, and what its images are taken for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from bench.attack.evaluate import Evaluation
from bench.tasks.base import Value
from bench.tasks.robustness.base import with_bits
from metrics.robustness import share
from results.statistics import wilson
from results.tables import Layout, radius_text

FEW = 20
"""As many classes at most are shown where nobody asked for them, and as a table of confusions."""
CLASS, CONFUSION = "class_robust_accuracy", "confusion"
WORST = 2


@dataclass(frozen=True, eq=False)
class Classes:
    """labels: of each image; answers: what it is taken for after the attack; right: whether it was
    right before; robust: whether it withstood every radius; name: what a class is called.
    """

    labels: Int[np.ndarray, " n"]
    answers: Int[np.ndarray, " n"]
    right: Bool[np.ndarray, " n"]
    robust: Bool[np.ndarray, " n"]
    name: Callable[[int], str]
    classes: int

    @property
    def present(self) -> list[int]:
        """The classes that have images."""
        return np.unique(self.labels).tolist()

    @property
    def shown(self) -> list[int]:
        """Those that have images, or that one is taken for."""
        return np.unique([*self.labels, *self.answers]).tolist()

    def counts(self) -> Int[np.ndarray, "shown shown"]:
        """Of `shown` how many images of each are taken for each."""
        whole = pd.crosstab(self.labels, self.answers)
        return whole.reindex(index=self.shown, columns=self.shown, fill_value=0).to_numpy()

    def mistaken(self, label: int) -> str:
        """What images of a class are most often wrongly taken for, with how many."""
        wrong = self.answers[(self.labels == label) & (self.answers != label)]
        answers, counts = np.unique(wrong, return_counts=True)
        first = np.argsort(-counts, kind="stable")[:WORST]
        return ", ".join(f"{self.name(int(answers[i]))} ({counts[i]})" for i in first)


def classes_of(made: Evaluation, name: Callable[[int], str]) -> Classes:
    """The classes of an evaluation's images, at the largest radius."""
    labels = made.pictures.labels.numpy()
    right = made.before.argmax(1).numpy() == labels
    answers = made.after.argmax(1).numpy()
    return Classes(labels, answers, right, made.robust, name, made.before.shape[1])


def class_values(found: Classes, made: Evaluation, examples: str) -> Iterator[Value]:
    """A row for each class, and one for each pair of class and answer that occurs: its share of the
    class's images.
    """
    norm, radius = made.asked.settings.norm, made.largest
    for label in found.present:
        of = found.labels == label
        value, error, n = share(found.robust[of])
        row = Value(CLASS, value, error, n, label=found.name(label), direction="higher")
        yield with_bits(replace(row, epsilon=radius, norm=norm), found.robust[of], examples)
    for label in found.present:
        answers = found.answers[found.labels == label]
        for answer in np.unique(answers).tolist():
            value, error, n = share(answers == answer)
            told = f"{found.name(label)}>{found.name(answer)}"
            row = Value(CONFUSION, value, error, n, label=told, epsilon=radius, norm=norm)
            yield with_bits(row, answers == answer, examples)


def place_of(made: Evaluation) -> str:
    """The radius and norm that figures of classes are about, in words."""
    norm, radius = made.asked.settings.norm, made.largest
    return f"{norm}, any distance" if radius is None else f"{norm} {radius_text(radius)}"


def class_layout(found: Classes, where: str) -> Layout:
    """A row for each class: what is right before and after the attack, and what it is taken for."""
    rows = []
    for label in found.present:
        of = found.labels == label
        count = int(of.sum())
        cells = [found.name(label), str(count)]
        cells += [_share(bits[of]) for bits in (found.right, found.robust)]
        rows.append([(cell, "") for cell in (*cells, found.mistaken(label))])
    heads = ["class", "n", "right before %", "robust %", "mostly taken for (images)"]
    return Layout(f"classes · {where}", heads, rows, ["model"] * len(rows), [], (0, 4))


def _share(bits: Bool[np.ndarray, " n"]) -> str:
    """A share with its 95 % interval, on one line."""
    at = wilson(float(bits.mean()), len(bits))
    assert at.low is not None
    assert at.high is not None
    return f"{100 * at.mean:.1f} ({100 * at.low:.0f}–{100 * at.high:.0f})"


def confusion_layout(found: Classes, where: str) -> Layout:
    """Attacked images by label and answer; a line that says where it is where it is too large."""
    title, shown = f"label (down) by answer (across), attacked images · {where}", found.shown
    if len(shown) > FEW:
        said = f"a table of {len(shown)} classes is too wide: `confusion` draws it, JSON has it"
        return Layout(title, [], [], [], [said])
    rows = [
        [(found.name(label), ""), *((str(count) if count else "·", "") for count in row)]
        for label, row in zip(shown, found.counts(), strict=True)
    ]
    heads = ["label", *(found.name(answer) for answer in shown)]
    return Layout(title, heads, rows, ["model"] * len(rows), [])
