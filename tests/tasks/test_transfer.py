"""Transfer and confidence rest on full attacks: an image that leaves with its first success tells
neither.
"""

import pandas as pd
import pytest
import torch

from attacks.engine import classify
from attacks.pgd import Pgd
from bench import api
from bench.core.files import cache_folder
from bench.core.randomness import stream_seed
from bench.models.classifiers import labelled, victim
from bench.models.store import ArtifactStore
from bench.run.run import plan_of
from bench.tasks.robustness.base import order_of

RADIUS = 0.3
SUITE = """
name = "leak"
default_tier = "quick"

[tiers.quick]
seeds = 1

[[block]]
name = "transfer"
task = "transfer"
grid.dataset = ["optdigits"]
grid.source_model = ["cnn"]
grid.model = ["fc10-1e-2"]
grid.attack = ["pgd"]
settings = { radii = "0.3", images = 100 }
metrics = ["transfer_error", "transfer_confidence"]

[[block]]
name = "curve"
task = "attack"
grid.dataset = ["optdigits"]
grid.model = ["cnn"]
grid.attack = ["pgd"]
settings = { radii = "0.3", images = 100 }
metrics = ["adversarial_error", "confidence_on_errors"]
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The table of both blocks, and what PGD gives by hand, run to its end and stopped early."""
    folder = tmp_path_factory.mktemp("leak")
    (folder / "leak.toml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        suite = str(folder / "leak.toml")
        table = api.run(suite, out=str(folder / "run"))
        store, cells = ArtifactStore(cache_folder()), plan_of(suite).cells
        by_hand = {
            (cell.task, stop): _by_hand(cell, store, stop)
            for cell in cells
            for stop in ("never", "first_success")
        }
    return table, by_hand


def _by_hand(cell, store, stop):
    """Error, and mean confidence over the errors, of the model that is shown the images."""
    source = labelled(cell.part("dataset")).source(cell.seed)
    images, labels = source.held_out[:100], source.held_out_labels[:100]
    axis = "model" if cell.task == "attack" else "source_model"
    model, shown_to = (victim(order_of(cell, a), store, "cpu").model for a in (axis, "model"))
    seeds = torch.arange(100) + stream_seed(cell.seed, "attack")
    attacked = Pgd()(
        model, images, labels, radius=RADIUS, norm="linf", seeds=seeds, box=(0.0, 1.0), stop=stop
    )
    with torch.no_grad():
        answers = classify(shown_to, attacked)
    wrong = answers.predictions != labels
    return float(wrong.double().mean()), float(answers.confidences[wrong].mean())


@pytest.mark.parametrize("task", ["transfer", "attack"])
def test_survivors_alone_go_on_for_robust_accuracy_and_for_nothing_else(measured, task):
    """The harness's figures are those of all iterations, and stopping early would change them."""
    table, by_hand = measured
    names = {
        "transfer": ("transfer_error", "transfer_confidence"),
        "attack": ("adversarial_error", "confidence_on_errors"),
    }[task]
    found = table[table["task"] == task].set_index("metric")["value"]
    assert isinstance(found, pd.Series)
    ours = tuple(found[name] for name in names)
    assert ours == pytest.approx(by_hand[task, "never"], abs=1e-6)
    assert ours[1] - by_hand[task, "first_success"][1] > 0.05
    if task == "transfer":
        assert ours[0] - by_hand[task, "first_success"][0] > 0.2
