"""Pictures of an attack: image, perturbation, attacked image; and the curve over radii."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.pictures.figures import as_png, new_figure

PANEL_INCHES = 2.2
DPI = 150


@dataclass(frozen=True, eq=False)
class Example:
    """One attacked image. clean, attacked: [c, h, w] in [0, 1]; before, after: what the classifier
    says, with its probability; name: the true class.
    """

    clean: np.ndarray
    attacked: np.ndarray
    before: tuple[str, float]
    after: tuple[str, float]
    name: str


def triptychs(examples: Sequence[Example], title: str) -> bytes:
    """A PNG of `triptych_figure`."""
    return as_png(triptych_figure(examples, title), DPI)


def triptych_figure(examples: Sequence[Example], title: str) -> Any:
    """A row an example: the image, the perturbation times a factor, the attacked image.

    The factor brings the largest change of a row to half the range, about grey (Goodfellow et al.
    2014, figure 1).
    """
    from matplotlib.figure import Figure

    rows = max(1, len(examples))
    size = (3 * PANEL_INCHES + 1, rows * (PANEL_INCHES + 0.35) + 0.4)
    figure = Figure(size, layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels: Any = figure.subplots(rows, 3, squeeze=False)
    for row, example in zip(panels, examples, strict=False):
        change = example.attacked - example.clean
        largest = float(np.abs(change).max())
        factor = 0.5 / largest if largest else 1.0
        _show(row[0], example.clean, _said(example.before))
        _show(row[1], 0.5 + change * factor, f"perturbation, shown × {factor:.3g}")
        _show(row[2], example.attacked, _said(example.after))
        row[0].set_ylabel(example.name[:24], fontsize=8)
    return figure


def _said(answer: tuple[str, float]) -> str:
    return f"“{answer[0][:28]}” {100 * answer[1]:.1f} %"


def _show(panel: Any, image: np.ndarray, title: str) -> None:
    grey = image.shape[0] == 1
    shown = np.clip(np.moveaxis(image, 0, -1), 0, 1)
    panel.imshow(shown[:, :, 0] if grey else shown, cmap="gray", vmin=0, vmax=1)
    panel.set_title(title, fontsize=8)
    panel.set_xticks([])
    panel.set_yticks([])


@dataclass(frozen=True, eq=False)
class Curve:
    """A share over radii, with its interval: all [radii]."""

    label: str
    radii: np.ndarray
    shares: np.ndarray
    low: np.ndarray
    high: np.ndarray


def curves(panels: Sequence[tuple[Sequence[Curve], str]], title: str) -> bytes:
    """A PNG of shares over the radius, in percent, with 95 % bands; a panel a norm."""
    figure, axes = new_figure(1, len(panels), 3.6, 6 if len(panels) == 1 else 4.5)
    for axis, (found, norm) in zip(axes, panels, strict=True):
        for curve in found:
            (line,) = axis.plot(
                curve.radii, 100 * curve.shares, marker="o", ms=3, label=curve.label
            )
            colour = line.get_color()
            low, high = 100 * curve.low, 100 * curve.high
            if len(curve.radii) == 1:
                axis.vlines(curve.radii, low, high, color=colour, alpha=0.4)
            axis.fill_between(curve.radii, low, high, color=colour, alpha=0.2, lw=0)
        axis.set_xlabel(f"radius ({norm})")
        axis.set_ylabel("%")
        axis.set_ylim(-2, 102)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    return as_png(figure, DPI)


@dataclass(frozen=True, eq=False)
class Confusion:
    """Images by label (rows) and answer (columns), both under the same names."""

    title: str
    counts: np.ndarray
    names: Sequence[str]


NUMBERED = 20
TICKS = 40


def confusions(found: Sequence[Confusion], title: str) -> bytes:
    """A PNG, a panel each: the share of a label's images that is taken for each answer as a colour,
    how many they are as numbers where there is room.
    """
    side = max(4.2, min(9.0, 0.42 * max(len(one.names) for one in found)))
    figure, axes = new_figure(1, len(found), side, side + 0.6)
    figure.suptitle(title, fontsize=10)
    for axis, one in zip(axes, found, strict=True):
        totals = one.counts.sum(1, keepdims=True).clip(min=1)
        shares = 100 * one.counts / totals
        drawn = axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        _name_ticks(axis, one.names)
        if len(one.names) <= NUMBERED:
            _number(axis, one.counts, shares)
        axis.set_xlabel("answer to the attacked image")
        axis.set_ylabel("label")
        axis.set_title(one.title, fontsize=10)
        figure.colorbar(drawn, ax=axis, shrink=0.8, label="% of the label's images")
    return as_png(figure, DPI)


def _name_ticks(axis: Any, names: Sequence[str]) -> None:
    """Names of classes at both sides; of many every so many."""
    at = range(0, len(names), -(-len(names) // TICKS))
    shown = [names[place][:14] for place in at]
    long = max(map(len, shown)) > 3
    axis.set_xticks(at, shown, fontsize=7, rotation=90 if long else 0)
    axis.set_yticks(at, shown, fontsize=7)


def _number(axis: Any, counts: np.ndarray, shares: np.ndarray) -> None:
    for row, column in zip(*counts.nonzero(), strict=True):
        colour = "white" if shares[row, column] > 55 else "black"
        text = str(int(counts[row, column]))
        axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
