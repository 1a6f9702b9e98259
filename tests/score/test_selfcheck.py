"""`bench check metrics`: faults are what they are called, and verdicts what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from harness import bench

from bench import api
from bench.core.errors import UsageError
from bench.score import selfcheck as planted
from bench.score.selfcheck import COUNT, FAULTS, deal
from metrics import METRICS

SEES, BLIND, FOOLED = "sees", "blind", "fooled"


def _pair(fault, seed=3):
    return FAULTS[fault][1](deal(seed))


def _rows(images):
    return {image.tobytes() for image in images}


@pytest.mark.parametrize("fault", FAULTS)
def test_both_sides_are_of_one_size(fault):
    """So that no score moves for want of samples; both uint8 digits of 28 x 28."""
    real, fake = _pair(fault)
    assert real.dtype == fake.dtype == np.uint8
    assert real.shape == fake.shape == (COUNT, 28, 28)


def test_the_faults_are_what_they_are_called():
    dealt = deal(3)
    known = {
        image.tobytes(): label for image, label in zip(dealt.images, dealt.labels, strict=True)
    }
    real, fresh = map(_rows, _pair("fresh"))
    assert not real & fresh
    assert _rows(_pair("identical")[1]) == real
    assert len(_rows(_pair("duplicated")[1])) == 100
    assert 3 not in {known[row] for row in _rows(_pair("dropped")[1])}
    assert not _rows(_pair("dropped")[1]) & real
    assert np.array_equal(_pair("copied")[1][:, 1:, 1:], dealt.reference[:, :-1, :-1])
    assert np.array_equal(_pair("swapped")[0], _pair("dropped")[1])
    invented = _pair("invented")[1]
    assert sum(image.tobytes() in known for image in invented) == COUNT - COUNT // 10
    assert all(
        known[image[:, ::-1].tobytes()] in (2, 3, 5, 7) for image in invented[-COUNT // 10 :]
    )
    noise = _pair("noisy")[1].astype(int) - dealt.fresh
    assert 0.1 < noise[dealt.fresh == 128].std() / 255 < 0.25
    assert (
        np.abs(_pair("collapsed")[1].mean(0) - dealt.images[dealt.labels == 3].mean(0)).max() < 40
    )


@pytest.mark.parametrize(
    ("metric", "fault", "mean", "reach", "verdict"),
    [
        ("frechet", "noisy", 1.0, 0.5, SEES),
        ("frechet", "noisy", 1.0, 1.5, BLIND),
        ("frechet", "noisy", 0.1, 0.01, BLIND),
        ("frechet", "identical", -1.0, 0.5, FOOLED),
        ("recall", "dropped", -0.3, 0.1, SEES),
        ("recall", "identical", 0.3, 0.1, FOOLED),
        ("recall", "dropped", -0.01, 0.001, BLIND),
        ("memorisation", "noisy", -0.3, 0.1, SEES),
        ("precision", "swapped", 0.3, 0.1, "changes"),
        ("precision", "swapped", 0.3, 0.4, "the same"),
        ("precision", "fresh", 0.0, 0.0, ""),
    ],
)
def test_a_verdict_needs_more_than_noise_and_margin(metric, fault, mean, reach, verdict):
    assert planted._verdict(fault, METRICS[metric].facts, mean, reach, 10.0) == verdict


def test_the_command(monkeypatch, tmp_path, capfd):
    """A row for each score and fault, as a table and as JSON, of few digits here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(planted, "COUNT", 60)
    assert (
        bench("check", "metrics", "--features", "pixels", "--seeds", "2", "--format", "json") == 0
    )
    rows = json.loads(capfd.readouterr()[0])
    scores = {row["metric"] for row in rows}
    assert {"frechet@pixels", "recall@pixels", "copies@shifts", "exact_copies"} <= scores
    assert {(row["metric"], row["fault"]) for row in rows} == {
        (s, f) for s in scores for f in FAULTS
    }
    told = {(row["metric"], row["fault"]): row["verdict"] for row in rows}
    assert told["exact_copies", "identical"] == SEES
    assert told["duplicates", "shifted"] == BLIND
    assert bench("check", "metrics", "--features", "pixels", "--seeds", "1") == 2
    assert "--seeds" in capfd.readouterr()[1]
    with pytest.raises(UsageError, match="`seeds`: expected 2 to 100, got 1"):
        api.check_metrics(seeds=1)
    with pytest.raises(UsageError, match="unknown features 'nothing'"):
        api.check_metrics(features="nothing")


def test_the_weights_of_features_are_told(monkeypatch, tmp_path, capfd):
    """And where: they reach the extractor; without them the message says what is missing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIMAX_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(planted, "COUNT", 60)
    for extra, told in (
        ((), "need the weights of DINOv2's ViT-S/14"),
        (("--weights", "w.pth"), "w.pth is not there"),
        (("--device", "tpu"), "device 'tpu'"),
    ):
        assert bench("check", "metrics", "--features", "dinov2-s", "--seeds", "2", *extra) == 2
        assert told in capfd.readouterr()[1].replace("\n", " ")
    (tmp_path / "w.pth").write_bytes(b"another")
    assert bench("check", "metrics", "--features", "dinov2-s", "--weights", "w.pth") == 2
    assert "expected weights with sha256 b938bf1b" in capfd.readouterr()[1].replace("\n", " ")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_the_document_says_of_the_scores():
    """docs/scores.md tells users which score to trust for what; this is what it rests on."""
    found = api.check_metrics()
    told = {
        (
            row["metric"].split("@")[0] + ("@shifts" if "shifts" in row["metric"] else ""),
            row["fault"],
        ): (row["verdict"])
        for row in found.to_dict("records")
    }
    for score in ("frechet", "kernel_distance"):
        assert told[score, "identical"] != SEES
        for fault in ("shifted", "noisy", "dropped", "invented", "collapsed", "duplicated"):
            assert told[score, fault] == SEES
        assert told[score, "swapped"] == "the same"
    assert told["frechet_infinity", "duplicated"] == BLIND
    assert told["precision", "invented"] == told["density", "invented"] == SEES
    assert told["precision", "dropped"] == told["density", "dropped"] == BLIND
    assert told["recall", "dropped"] == told["coverage", "dropped"] == SEES
    assert told["recall", "invented"] == told["coverage", "invented"] == BLIND
    assert told["recall", "swapped"] == told["precision", "swapped"] == "changes"
    assert told["copies@shifts", "copied"] == told["copies@shifts", "identical"] == SEES
    assert told["copies@shifts", "noisy"] == told["copies@shifts", "dropped"] == BLIND
    assert told["inception_score", "identical"] == told["inception_score", "copied"] == BLIND
    assert told["duplicates", "duplicated"] == told["exact_copies", "identical"] == SEES
