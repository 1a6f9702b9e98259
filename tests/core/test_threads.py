"""How many threads are used: what the environment says, or one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench import api
from bench.attack.evaluate import AttackRequest
from bench.core.threads import usual_threads
from bench.models.users import Preparation

BOTH = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.mark.parametrize(
    ("omp", "mkl", "count"),
    [
        (None, None, 1),
        ("3", None, 3),
        ("3", "5", 3),
        (None, "5", 5),
        ("4,2", None, 4),
        (" 2 ", None, 2),
        ("", "2", 2),
        ("0", None, 1),
        ("-1", None, 1),
        ("many", "2", 2),
        ("٣", None, 1),
        ("99999999999", None, 1_024),
    ],
)
def test_threads_are_those_of_the_environment(omp, mkl, count, monkeypatch):
    for name, value in zip(BOTH, (omp, mkl), strict=True):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert usual_threads() == count


@pytest.mark.parametrize(
    ("classifier", "threads", "count"),
    [("net:NET", 0, 3), ("net:NET", 2, 2), ("softmax", 0, 1), ("softmax", 2, 2)],
)
def test_an_attack_takes_those_for_a_users_network(classifier, threads, count, monkeypatch):
    """A registered classifier has one, so that its figures are a suite's."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    asked = AttackRequest(classifier, "digits", "fgsm", {}, Preparation(), threads=threads)
    assert asked.threads_used == count


@pytest.mark.parametrize(("given", "count"), [({}, 2), ({"workers": 3}, 3)])
def test_a_score_says_how_many_it_took(given, count, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    points = np.random.default_rng(0).normal(size=(2, 40, 3))
    assert (api.score(*points, metrics="frechet", **given)["threads"] == count).all()


def test_an_attack_trains_in_one_thread(monkeypatch, tmp_path):
    """A trained classifier is kept for every run: its bits may not depend on who asked first."""
    monkeypatch.setenv("MINIMAX_CACHE", str(Path(tmp_path)))
    seen = []

    def victim(*given):
        seen.append(torch.get_num_threads())
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.attack.evaluate.victim", victim)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            api.attack("softmax", "optdigits", images=4, threads=2)
    finally:
        torch.set_num_threads(before)
    assert seen == [1]
