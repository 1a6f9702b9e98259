"""Scores of codes that say something: what can be read of them, and what a category stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from bench.tasks.generation.featurescores import Named
from bench.tasks.values import scored_by
from generative import CodeReader, Sampler, Sorter
from metrics.information import Informed, Matched
from metrics.judges.network import CLASSES

INFORMED, MATCHED, SORTED = "informed", "matched", "sorted"
CHUNK = 500
Labelling = Callable[[Tensor], np.ndarray]
"""Images in [0, 1] to the classes that a judge reads."""


def read_codes(
    fitted: CodeReader, n: int, rng: torch.Generator, labelling: Labelling | None
) -> tuple[Informed, np.ndarray]:
    """Of `n` new samples what codes said and what is read in them, and the classes that a judge
    reads, none without one.
    """
    z, found, classes = fitted.codes(n, rng), [], []
    with torch.no_grad():
        for part in z.split(CHUNK):
            images = fitted.decode(part)
            found.append((*fitted.said(part), *fitted.read(images)))
            if labelling is not None:
                classes.append(labelling(images))
    category, numbers, log_read, expected = (
        torch.cat(each).cpu().numpy() for each in zip(*found, strict=True)
    )
    read = np.concatenate(classes) if classes else np.empty(0, dtype=np.int64)
    return Informed(category, log_read, numbers, expected), read


def scored_codes(
    fitted: Sampler, n: int, rng: torch.Generator, labelling: Labelling | None, tag: str
) -> Iterator[Named]:
    """The scores of them; nothing of a model whose codes are not read."""
    if not isinstance(fitted, CodeReader):
        return
    informed, read = read_codes(fitted, n, rng, labelling)
    for entry in scored_by((INFORMED,)):
        yield entry.name, entry.part(None, informed), ""
    if labelling is not None:
        matched = Matched(informed.category, read, fitted.categories, CLASSES)
        for entry in scored_by((MATCHED,)):
            yield entry.name, entry.part(None, matched), f"@{tag}"


def scored_sorting(fitted: Sampler, x: Tensor, labels: Tensor, classes: int) -> Iterator[Named]:
    """The scores of how a critic sorts images [n, ...] of known classes; nothing of one that sorts
    none.
    """
    if not isinstance(fitted, Sorter) or not classes:
        return
    with torch.no_grad():
        category = torch.cat([fitted.sort(part).argmax(1) for part in x.split(CHUNK)])
    matched = Matched(category.cpu().numpy(), labels.cpu().numpy(), fitted.categories, classes)
    for entry in scored_by((SORTED,)):
        yield entry.name, entry.part(None, matched), ""
