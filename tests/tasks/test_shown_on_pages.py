"""What cells keep for pages: the training images most like their samples, and looks on the way."""

import numpy as np
import torch

from bench import api
from bench.datasets import DATASETS
from bench.models.fields import GRID, reach_of
from bench.tasks.generation.imagescores import ImageScores
from bench.tasks.generation.mixture import FILMED_SAMPLES, FRAMES
from results.store import arrays_in

SUITE = """
name = "shown"
default_tier = "quick"
[tiers.quick]
seeds = 1
[[block]]
name = "points"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["gan", "oracle"]
settings = { steps = 40, samples = 300, evaluations = 20 }
metrics = ["high_quality"]
[[block]]
name = "images"
task = "image"
grid.dataset = ["optdigits"]
grid.model = ["gan"]
settings = { protocol = "small-dcgan", steps = 6, samples = 100, evaluations = 3 }
metrics = ["frechet@optdigits-cnn"]
"""


def test_the_nearest_are_training_images_in_the_features_of_the_scores():
    """Of noisy training images it is they; none is a held-out one; the order is the samples'."""
    source = DATASETS["optdigits"].part.source(0)
    scores = ImageScores("optdigits", None, "pixels", 0, "cpu")
    some = source.training_bytes[[40, 3, 700]].int()
    noise = torch.randint(-9, 10, some.shape, generator=torch.Generator().manual_seed(0))
    asked = (some + noise).clamp(0, 255).to(torch.uint8)
    held = (source.held_out[:5] * 255).round().to(torch.uint8)
    looked = scores.look(torch.cat([asked, held]))
    found = scores.beside(looked, 8)
    assert (found[:3] == source.training_bytes[[40, 3, 700]].numpy()).all()
    training = {image.tobytes() for image in source.training_bytes.numpy()}
    assert all(image.tobytes() in training for image in found)
    assert len(scores.beside(looked, 2)) == 2


def test_runs_keep_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shown.toml").write_text(SUITE)
    report = api.execute("shown.toml", out="run")
    assert report.statuses == {"ok": 3}
    kept = {
        cell["parts"]["dataset"] + cell["parts"]["model"]: arrays_in(
            report.run.samples_path(cell["key"])
        )
        for cell in report.made.manifest["cells"]
    }
    points = kept["ring8@pacgangan"]
    assert points["training"].shape == (FRAMES, FILMED_SAMPLES, 2)
    steps = points["training_steps"].tolist()
    assert (steps[0], steps[-1]) == (2, 40)
    assert steps == sorted(set(steps))
    assert points["training_fields"].shape == (FRAMES, GRID, GRID)
    assert len({field.tobytes() for field in points["training_fields"]}) == FRAMES
    assert float(points["training_reach"]) == reach_of(DATASETS["ring8@pacgan"].part.source(0))
    assert "training" not in kept["ring8@pacganoracle"]
    images = kept["optdigitsgan"]
    assert images["training_steps"].tolist() == [2, 4, 6]
    assert len(images["training"]) == 3
    assert images["nearest"].shape == (20, 1, 8, 8)
    seen = DATASETS["optdigits"].part.source(0).training_bytes.numpy()
    assert {i.tobytes() for i in images["nearest"]} <= {i.tobytes() for i in seen}
    assert images["nearest"].dtype == np.uint8
