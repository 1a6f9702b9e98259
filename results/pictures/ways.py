"""Pictures of the way of a training: the share of the samples at each mode, look by look."""

from __future__ import annotations

from typing import Any

import numpy as np

MOST_MODES = 128
"""Beyond that rows are thinner than a pixel."""


def draw_way(axis: Any, kept: dict[str, np.ndarray]) -> None:
    """Modes as rows, looks as columns; the darker, the larger the share of the samples that is
    nearest to the mode, from nothing to twice what is fair; a dot where good samples cover it.
    """
    shares, covered, steps = kept["way_shares"], kept["way_covered"], kept["way_steps"]
    looks, modes = shares.shape
    axis.imshow(
        shares.T * modes, aspect="auto", cmap="Blues", vmin=0, vmax=2, interpolation="nearest"
    )
    rows, columns = np.nonzero(covered.T)
    size = max(0.5, min(5.0, 60 / modes))
    axis.plot(columns, rows, "o", color="#c1272d", markersize=size, markeredgewidth=0)
    ticks = sorted({0, (looks - 1) // 2, looks - 1})
    axis.set_xticks(ticks, [f"{int(steps[at]):,}" for at in ticks], fontsize=6)
    axis.set_yticks([0, modes - 1], ["1", f"{modes}"], fontsize=6)
    axis.set_ylabel("mode", fontsize=6)
