"""Scores of segmentations, as fully convolutional networks are scored (Long et al. 2015)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from metrics.contracts import METRICS, Score
from metrics.shares import mean_score

Maps = Int[np.ndarray, "n h w"]


def confusion(real: Maps, fake: Maps) -> Int[np.ndarray, "classes classes"]:
    """Pixels by true class and by the class that was read."""
    classes = int(max(real.max(), fake.max())) + 1
    pairs = real.astype(np.int64).ravel() * classes + fake.ravel()
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


@METRICS.register(
    "pixel_accuracy",
    paper="arXiv:1411.4038",
    takes="segmented",
    direction="higher",
    title="per-pixel",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    digits=1,
    estimator="share of pixels in which the frozen segmenter reads the class of the label map; "
    "standard error over images",
)
def pixel_accuracy(real: Maps, fake: Maps) -> Score:
    """sum n_ii / sum t_i."""
    return mean_score((real == fake).mean((1, 2)))


@METRICS.register(
    "class_accuracy",
    paper="arXiv:1411.4038",
    takes="segmented",
    direction="higher",
    title="per-class",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    shares=False,
    digits=1,
    estimator="share of a class's pixels in which the frozen segmenter reads it, over all images, "
    "and its mean over the classes that occur",
)
def class_accuracy(real: Maps, fake: Maps) -> Score:
    """1/n_cl sum n_ii / t_i."""
    found = confusion(real, fake)
    there = found.sum(1) > 0
    return Score(
        float((np.diagonal(found) / np.maximum(found.sum(1), 1))[there].mean()), None, len(real)
    )


@METRICS.register(
    "class_iou",
    paper="arXiv:1411.4038",
    takes="segmented",
    direction="higher",
    title="class IoU",
    low=0,
    high=1,
    absolute=0.01,
    percent=True,
    shares=False,
    digits=1,
    estimator="pixels of a class that are read as it over those that are it or are read as it, "
    "over all images, and its mean over the classes that occur in the label maps",
)
def class_iou(real: Maps, fake: Maps) -> Score:
    """1/n_cl sum n_ii / (t_i + sum n_ji - n_ii)."""
    found = confusion(real, fake)
    hits, there = np.diagonal(found), found.sum(1) > 0
    union = found.sum(0) + found.sum(1) - hits
    return Score(float((hits / np.maximum(union, 1))[there].mean()), None, len(real))
