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
    """A PNG, a row an example: the image, the perturbation times a factor, the attacked image.

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
    return as_png(figure, DPI)


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


def curves(found: Sequence[Curve], title: str, norm: str) -> bytes:
    """A PNG of shares over the radius, in percent, with 95 % bands."""
    figure, (panel,) = new_figure(1, 1, 3.6, 6)
    for curve in found:
        (line,) = panel.plot(curve.radii, 100 * curve.shares, marker="o", ms=3, label=curve.label)
        colour = line.get_color()
        panel.fill_between(
            curve.radii, 100 * curve.low, 100 * curve.high, color=colour, alpha=0.2, lw=0
        )
    panel.set_xlabel(f"radius ({norm})")
    panel.set_ylabel("%")
    panel.set_ylim(-2, 102)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    panel.set_title(title, fontsize=10)
    return as_png(figure, DPI)
