"""Several searches in one cell: who found the nearest image, and how near the others came."""

import numpy as np
import pytest
import torch

from attacks.best import Best
from attacks.ddn import Ddn
from attacks.engine import frozen
from attacks.norms import size
from bench.api import attack as attack_by_name
from bench.models.classifiers import ClassifierOrder, victim
from bench.models.store import ArtifactStore
from metrics.optimality import local_optimality

MODEL, DATA = "fc10-1e-2", "optdigits"
ASKED = {"attack": "best", "images": 30, "seed": 1, "audit": False}


@pytest.mark.parametrize(("norm", "steps"), [("l2", 8), ("l0", 8), ("linf", 1)])
def test_columns_of_members_are_those_of_the_searches_alone(norm, steps, tmp_path, monkeypatch):
    """Shares of who is nearest add up to the success; ratios and optimality by hand. In one step
    some searches fail.
    """
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "cache"))
    saved = tmp_path / "a.npz"
    given = {"norm": norm, "settings": {"steps": steps}, "save_adversarials": str(saved)}
    table = attack_by_name(MODEL, DATA, **ASKED, **given)
    found = table.set_index("metric")["value"]
    with np.load(saved) as kept:
        clean, labels, final = (torch.tensor(kept[k]) for k in ("clean", "labels", "images"))
        finders = kept["finders"].tolist()
    order = ClassifierOrder(MODEL, DATA, 1)
    against = victim(order, ArtifactStore(tmp_path / "cache", "cpu"), "cpu")
    right = against.classify(clean).predictions == labels
    members, far = dict(Best(steps=steps).members(norm)), {}
    for name, search in members.items():
        seeds = torch.zeros(len(clean), dtype=torch.int64)
        with frozen(against.model):
            images = search(against.model, clean, labels, norm=norm, seeds=seeds)
        misled = against.classify(images).predictions != labels
        distance = size((images - clean).double(), norm)
        far[name] = torch.where(misled, distance, torch.inf).where(right, 0.0).numpy()
    best = np.min([*far.values()], 0)
    counted = right.numpy() & np.isfinite(best)
    failures = sum(np.isinf(own[counted]).sum() for own in far.values())
    assert (failures > 0) == (steps == 1)
    assert found["attack_success"] == pytest.approx(counted.sum() / right.sum())
    shares = 0.0
    for name, own in far.items():
        own_success = counted & np.isfinite(own)
        ratios = own[own_success] / best[own_success]
        ratio = np.median(ratios) if len(ratios) else 0.0
        assert found[f"distance_ratio@{name}"] == pytest.approx(ratio, rel=1e-5)
        optimum = local_optimality(own, best)
        assert found[f"optimality@{name}"] == pytest.approx(optimum, rel=1e-5)
        shares += found[f"success_by@{name}"]
        for place in np.flatnonzero([finder == name for finder in finders]):
            assert own[place] == pytest.approx(best[place], rel=1e-5)
    assert shares == pytest.approx(found["attack_success"])
    assert {*finders} <= {*members, ""}
    reached = size((final - clean).double(), norm).numpy()
    np.testing.assert_allclose(reached[counted], best[counted], rtol=1e-5)


def test_with_targets_there_is_no_best_known():
    """The nearest of each target is kept, which is no search's curve."""
    table = attack_by_name(
        MODEL, DATA, **ASKED, norm="l2", targets="likeliest", settings={"steps": 3}
    )
    assert not table["metric"].str.startswith(("optimality", "distance_ratio")).any()


def test_all_targets_of_a_search_keep_the_nearest(tmp_path, monkeypatch):
    """Not the one that misleads most clearly; each image's own."""
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "cache"))
    given = {**ASKED, "attack": "ddn", "images": 12, "norm": "l2", "settings": {"steps": 10}}

    def reached(targets):
        saved = tmp_path / f"{targets}.npz"
        attack_by_name(MODEL, DATA, **given, targets=targets, save_adversarials=str(saved))
        with np.load(saved) as kept:
            clean, labels, final = (torch.tensor(kept[k]) for k in ("clean", "labels", "images"))
        return clean, labels, size((final - clean).double(), "l2").numpy()

    clean, labels, every = reached("all")
    store = ArtifactStore(tmp_path / "cache", "cpu")
    against = victim(ClassifierOrder(MODEL, DATA, 1), store, "cpu")
    right = (against.classify(clean).predictions == labels).numpy()
    for_each = []
    for shift in range(1, 10):
        aims, seeds = (labels + shift) % 10, torch.zeros(12, dtype=torch.int64)
        with frozen(against.model):
            found = Ddn(steps=10)(
                against.model, clean, labels, norm="l2", seeds=seeds, targets=aims
            )
        misled = against.classify(found).predictions != labels
        far = size((found - clean).double(), "l2")
        for_each.append(torch.where(misled, far, torch.inf).numpy())
    np.testing.assert_allclose(every[right], np.min(for_each, 0)[right], rtol=1e-5)
