"""A run's trained model told a caption: its samples, and the way from one caption to another."""

from __future__ import annotations

import numpy as np
import torch

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.core.threads import with_threads
from bench.datasets import captions
from bench.datasets.pixels import to_bytes
from bench.models.store import ArtifactStore
from bench.sample.trained import task_of
from bench.suites.cell import Cell
from bench.tasks import Bench
from generative import CaptionDecoder, CaptionSampler
from generative.games.staged import TwoStages

COLUMNS = 8


def told(
    cell: Cell, n: int, store: ArtifactStore, caption: str, to: str | None, level: int | None
) -> tuple[np.ndarray, int]:
    """Images uint8 [n, c, h, w], and how many make a row of the sheet, 0 for any number. With `to`
    a row is the way of one code from the first caption to the second, eight images each. level: of
    a model of two stages, 0 for what the first draws of the same codes, at its own size.

    Raises UsageError for what is no caption, and for a model that is told none.
    """
    words = [torch.from_numpy(captions.read(said)) for said in (caption, to) if said is not None]
    with with_threads(), torch.no_grad():
        model = task_of(cell).fitted(cell, Bench(store, cell.device))
        if not isinstance(model, CaptionSampler):
            raise UsageError(
                f"`caption`: model '{cell.part('model')}' is told none: gan-int-cls is"
            )
        rng = stream(cell.cell_id, cell.seed, "captions", device=cell.device)
        first, *others = (each.to(rng.device) for each in words)
        if level is not None:
            staged = _staged(model, cell, level)
            images = staged.at(level, staged.codes(n, rng), first.expand(n, -1))
            return to_bytes(images).cpu().numpy(), 0
        if not others:
            return to_bytes(model.sample(n, rng, first.expand(n, -1))).cpu().numpy(), 0
        if not isinstance(model, CaptionDecoder):
            raise UsageError(f"`to`: model '{cell.part('model')}' has nothing between two captions")
        rows = max(1, n // COLUMNS)
        codes = model.codes(rows, rng).repeat_interleave(COLUMNS, 0)
        share = torch.linspace(0, 1, COLUMNS, device=rng.device).repeat(rows)
        start, end = (each.expand(len(codes), -1) for each in (first, others[0]))
        return to_bytes(model.between(codes, start, end, share)).cpu().numpy(), COLUMNS


def _staged(model: CaptionSampler, cell: Cell, level: int) -> TwoStages:
    if not isinstance(model, TwoStages):
        raise UsageError(f"`level`: model '{cell.part('model')}' has no two stages: stackgan has")
    if level not in (0, 1):
        raise UsageError(
            f"level {level} was not trained: expected 0, what the first stage draws, or 1, both"
        )
    return model
