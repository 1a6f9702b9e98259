"""A run as an object to look at: in a notebook, or in a script of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.core.arguments import checked
from bench.core.errors import UsageError, unknown
from results.html import STYLE, html
from results.runs import Run, open_run, refusing_damage
from results.store import frame
from results.summary import label_of

SAMPLES = "samples"
CURVES = ["block", "dataset", "row", "seed", "metric", "step", "value"]


@dataclass(frozen=True, eq=False)
class Opened:
    """What a run measured, as it stood when it was opened. In a notebook it shows its tables."""

    run: Run

    def __repr__(self) -> str:
        manifest = self.run.manifest
        told = f"{manifest['suite']}, tier {manifest['tier']}, seeds {manifest['seeds']}"
        return f"<run {self.path}: {told}, {len(self.run.records)} of {len(self._keys)} cells>"

    def _repr_html_(self) -> str:
        return STYLE + "".join(html(layout) for layout in self.run.layouts())

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.run.directory.path

    @property
    def manifest(self) -> dict[str, Any]:
        """All that decides its numbers: cells, settings, facts of metrics, the environment."""
        return self.run.manifest

    @property
    def _keys(self) -> set[str]:
        return {cell["key"] for cell in self.run.manifest["cells"]}

    @cached_property
    def table(self) -> pd.DataFrame:
        """One measured value a row, with the columns of table.csv; `final` tells results from looks
        on the way.
        """
        return frame(self.run.records.values())

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Means over seeds with 95 % intervals, counts, published rows."""
        return self.run.summary()

    @cached_property
    def curves(self) -> pd.DataFrame:
        """What was looked at on the way of each training: block, dataset, row (as tables call it),
        seed, metric, step and value.
        """
        found = []
        for cell in self.run.manifest["cells"]:
            record = self.run.records.get(cell["key"], {"values": []})
            about = (cell["block"], cell["parts"].get("dataset", ""), label_of(cell), cell["seed"])
            found += [
                (*about, value["metric"], value["step"], value["value"])
                for value in record["values"]
                if not value["final"] and value["step"] is not None
            ]
        return pd.DataFrame(found, columns=CURVES)

    @property
    def pictures(self) -> list[Path]:
        """The PNG files that the run drew."""
        return sorted((self.path / "pictures").glob("*.png"))

    def samples(
        self,
        model: str,
        seed: int | None = None,
        *,
        dataset: str | None = None,
        block: str | None = None,
    ) -> np.ndarray:
        """What a row's cell kept for pictures: points [n, d], or images uint8 [n, c, h, w].

        model: a row as tables call it, such as `nsgan` or `nsgan / critic_lr=0.001`. seed: the
        first unless told. Raises UsageError for a row that there is not, one that several data
        sets or blocks have, and one that kept none. `api.sample` draws others from the trained
        model.
        """
        with refusing_damage(self.run.name):
            cell = self._cell(model, seed, dataset, block)
        kept = self.run.directory.samples(cell["key"])
        if SAMPLES not in kept:
            raise UsageError(
                f"row '{model}' of {self.path} kept no samples: its task draws none, or it was not "
                "measured"
            )
        return kept[SAMPLES]

    def _cell(
        self, model: str, seed: int | None, dataset: str | None, block: str | None
    ) -> dict[str, Any]:
        cells: list[dict[str, Any]] = self.run.manifest["cells"]
        asked: list[tuple[str, Any, Any]] = [
            ("model", model, label_of),
            ("dataset", dataset, lambda cell: cell["parts"].get("dataset", "")),
            ("block", block, lambda cell: cell["block"]),
            ("seed", seed, lambda cell: cell["seed"]),
        ]
        for kind, name, of in asked:
            known = list(dict.fromkeys(of(cell) for cell in cells))
            if name is None and kind != "seed" and len(known) > 1:
                said = ", ".join(map(str, known))
                raise UsageError(f"row '{model}' has the {kind}s {said}: say which by `{kind}`")
            name = known[0] if name is None else name
            if name not in known:
                raise unknown(kind, str(name), [str(one) for one in known], f"(in {self.path})")
            cells = [cell for cell in cells if of(cell) == name]
        return cells[0]


@checked()
def load(run: str) -> Opened:
    """A run to look at: `table`, `summary`, `curves`, `pictures`, `samples(model)`.

    run: a folder, or a suite's name for the last tier of it that was run here. Nothing of yours
    that the run names is imported. Raises UsageError where there is none.
    """
    return Opened(open_run(run))
