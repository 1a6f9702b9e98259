"""Classifiers of pixels that need no network, on the labelled examples or beside all: floors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import RECIPES, Data, FewLabelled, Labeller
from generative.recipes.references import Fixed
from generative.trainers.fit import FitTrainer

NEIGHBOURS, CLAMPED, FOLDS = 7, 0.2, 5
CHUNK = 500
TINY = 1e-12


class Linear(Labeller):
    """Logits that are linear in the pixels. weights [classes, d], offset [classes]."""

    def __init__(self, weights: Tensor, offset: Tensor) -> None:
        self._weights, self._offset = weights, offset

    def classify(self, x: Tensor) -> Tensor:
        return torch.log_softmax(x.flatten(1) @ self._weights.T + self._offset, 1)

    def tensors(self) -> dict[str, Tensor]:
        return {"weights": self._weights, "offset": self._offset}


class Neighbours(Labeller):
    """The mean share of each class among the nearest of known examples. x [n, d], shares [n,
    classes].
    """

    def __init__(self, x: Tensor, shares: Float[Tensor, "n classes"], count: int) -> None:
        self._x, self._shares, self._count = x, shares, count

    def classify(self, x: Tensor) -> Tensor:
        parts = x.flatten(1).split(CHUNK)
        near = [torch.cdist(p, self._x).topk(self._count, largest=False).indices for p in parts]
        return self._shares[torch.cat(near)].mean(1).clamp(min=TINY).log().log_softmax(1)

    def tensors(self) -> dict[str, Tensor]:
        return {"x": self._x, "shares": self._shares, "count": torch.tensor(self._count)}


def told(data: Data) -> tuple[Tensor, Tensor]:
    """Pixels [n, d] and classes of the labelled examples: all where all of them are."""
    if isinstance(data, FewLabelled):
        x, labels = data.told
    else:
        x, labels = data.labelled_batches().next(len(data.training))  # type: ignore[misc]
    return x.flatten(1), labels


class LogisticTrainer(FitTrainer):
    """Multinomial, its ridge chosen by cross-validation in `FOLDS` parts of the labelled examples,
    each with as many of every class; in two where a class has fewer.
    """

    def fit(self, data: Data, seed: int) -> Linear:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV

        x, labels = (each.cpu().numpy() for each in told(data))
        fewest = int(np.bincount(labels, minlength=data.classes).min())
        costs = {"C": [1e-3, 1e-2, 1e-1, 1.0, 10.0]}
        model = LogisticRegression(max_iter=2_000)
        if fewest >= 2:
            search = GridSearchCV(model, costs, cv=min(FOLDS, fewest)).fit(x, labels)
            model = search.best_estimator_
        else:
            model = model.fit(x, labels)
        found = (np.ascontiguousarray(a) for a in (model.coef_, model.intercept_))
        weights, offset = (torch.tensor(a).float().to(data.device) for a in found)
        return Linear(weights, offset)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Linear:
        return Linear(tensors["weights"], tensors["offset"])


class NeighbourTrainer(FitTrainer):
    """The one labelled example whose pixels are nearest."""

    def fit(self, data: Data, seed: int) -> Neighbours:
        x, labels = told(data)
        return Neighbours(x, torch.nn.functional.one_hot(labels, data.classes).to(x.dtype), 1)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Neighbours:
        return Neighbours(tensors["x"], tensors["shares"], int(tensors["count"]))


class SpreadingTrainer(NeighbourTrainer):
    """Label spreading (Zhou et al. 2004) over the graph of the nearest `NEIGHBOURS` of all training
    examples; others have the mean of their nearest.
    """

    def fit(self, data: Data, seed: int) -> Neighbours:
        from sklearn.semi_supervised import LabelSpreading

        known, labels = told(data)
        every = data.training.flatten(1)
        x = torch.cat([known, every])
        y = np.concatenate([labels.cpu().numpy(), np.full(len(every), -1)])
        model = LabelSpreading(
            kernel="knn", n_neighbors=NEIGHBOURS, alpha=CLAMPED, max_iter=100, tol=1e-4
        )
        shares = model.fit(x.cpu().numpy(), y).label_distributions_
        found = torch.tensor(np.asarray(shares)).float().to(data.device)
        return Neighbours(x, found, NEIGHBOURS)


def _register(
    name: str, trainer: FitTrainer, summary: str, seconds: float, paper: str = ""
) -> None:
    RECIPES.register(
        name,
        paper=paper,
        summary=summary,
        role="floor",
        labelled=True,
        classifies=True,
        draws=False,
        images_only="its classes are those of images",
    )(Fixed(trainer, seconds))


_register("logistic-regression", LogisticTrainer(), "Of pixels, on the labelled examples", 3.0)
_register("nearest-neighbour", NeighbourTrainer(), "The nearest labelled example, of pixels", 0.5)
_register("label-spreading", SpreadingTrainer(), "Labels spread over a graph of all examples", 3.0)
