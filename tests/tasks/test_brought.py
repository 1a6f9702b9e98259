"""Networks of the user's own as models of a suite: the figures of `bench attack`, what is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from bench import api
from bench.core import digests
from bench.datasets.named import dataset_named
from bench.models.brought import brought

CODE = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(64, 10)
    def forward(self, x):
        return self.a(x.flatten(1))
def net():
    made = Net()
    made.load_state_dict(torch.load("w.pth"))
    return made
def stretched():
    inner = net()
    class Of255(nn.Module):
        def forward(self, x):
            return inner(x / 255)
    return Of255()
def coloured():
    inner = net()
    class OfThree(nn.Module):
        def forward(self, x):
            assert x.shape[1] == 3, f"{x.shape[1]} channels"
            return inner(x.mean(1, keepdim=True))
    return OfThree()
"""
SUITE = """
name = "own"
default_tier = "q"
[tiers.q]
seeds = 2
[[block]]
name = "attacks"
task = "attack"
grid.dataset = ["d.npz"]
grid.model = {models}
grid.attack = ["fgsm"]
settings = {{ {settings} }}
metrics = ["robust_accuracy"]
"""


@pytest.fixture
def here(tmp_path, monkeypatch, undrawn):
    """Digits, a network that tells them apart, in code and as a program."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget()
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    np.savez("d.npz", images=images, labels=digits.target)
    Path("own_nets.py").write_text(CODE)
    torch.manual_seed(0)
    layer = nn.Linear(64, 10)
    step = torch.optim.Adam(layer.parameters(), 0.02)
    x, y = torch.tensor(images).flatten(1), torch.tensor(digits.target)
    for _ in range(60):
        step.zero_grad()
        nn.functional.cross_entropy(layer(x), y).backward()
        step.step()
    state = {f"a.{name}": value for name, value in layer.state_dict().items()}
    torch.save(state, "w.pth")
    net = nn.Sequential(nn.Flatten(), layer).eval()
    sizes = ({0: torch.export.Dim("n", min=1)},)
    given = (torch.rand(2, 1, 8, 8),)
    torch.export.save(torch.export.export(net, given, dynamic_shapes=sizes), "m.pt2")
    yield tmp_path
    forget()


def forget() -> None:
    """What this process knows of the user's module."""
    sys.modules.pop("own_nets", None)
    for kept in (digests._file, digests._imports, digests.source_digest):
        kept.cache_clear()


def run(models: list[str], settings: str = "", out: str = "run") -> pd.DataFrame:
    told = ", ".join(filter(None, ['radii = "0.05", images = 60', settings]))
    Path("s.toml").write_text(SUITE.format(models=json.dumps(models), settings=told))
    return api.run("s.toml", out=out, workers=1)


def robust(table: pd.DataFrame, model: str) -> list[float]:
    rows = table[(table["metric"] == "robust_accuracy") & (table["model"] == model)]
    assert list(rows["status"]) == ["ok"] * len(rows)
    return rows["value"].tolist()


def test_every_form_has_the_figures_of_bench_attack(here):
    """On the images that a suite holds out."""
    forms = ["own_nets:net", "own_nets:Net", "m.pt2"]
    table = run(forms, 'weights = "w.pth"')
    split = dataset_named("d.npz", ("images",), "a test").split
    made = api.attack(
        "m.pt2", (split.held_images[:60], split.held_labels[:60]), epsilons=(0.05,), audit=False
    )
    wanted = made[made["metric"] == "robust_accuracy"]["value"].tolist()
    assert 0 < wanted[0] < 1
    for form in forms:
        assert robust(table, form) == wanted * 2


def test_what_it_expects_of_its_inputs_is_heeded(here):
    plain = robust(run(["own_nets:net"], out="plain"), "own_nets:net")
    stretched = robust(
        run(["own_nets:stretched"], 'range = "0,255"', "stretched"), "own_nets:stretched"
    )
    assert stretched == plain
    shifted = robust(run(["own_nets:net"], 'mean = "0.5", std = "2"', "shifted"), "own_nets:net")
    assert shifted != plain


def test_other_weights_under_the_same_name_are_another_model(here):
    """Measured anew in the same folder, under the same series and another key."""
    first = run(["own_nets:Net"], 'weights = "w.pth"')
    state = torch.load("w.pth")
    torch.save({name: value * -1 for name, value in state.items()}, "w.pth")
    second = run(["own_nets:Net"], 'weights = "w.pth"')
    assert robust(first, "own_nets:Net") != robust(second, "own_nets:Net")
    assert set(first["series"]) == set(second["series"])
    assert not set(first["key"]) & set(second["key"])
    assert not set(first["artifact_key"]) & set(second["artifact_key"])


def test_other_source_is_another_model(here):
    sys.path.append(str(here))

    def key() -> str:
        forget()
        return brought("own_nets:net", {}).part.digest

    before = key()
    assert key() == before
    Path("own_nets.py").write_text(CODE + "\n# changed\n")
    assert key() != before


def test_settings_of_a_network_change_nothing_for_others(here):
    plain = run(["softmax"], out="plain")
    same = run(["softmax"], 'weights = "w.pth", mean = "0.5", std = "2"', "same")
    assert set(plain["key"]) == set(same["key"])


@pytest.mark.parametrize(
    ("models", "settings", "said"),
    [
        (["own_nets:Net"], 'weights = "gone.pth"', "gone.pth is not there"),
        (["own_nets:net"], 'mean = "a"', "`mean`: expected numbers with commas"),
        (["own_nets:net"], 'mean = "1"', "as many numbers of both"),
        (["gone.pt2"], "", "gone.pt2 is not there"),
        (["torchvision:resnet18"], "", "has random weights"),
    ],
)
def test_what_can_not_be_had_is_said_before_anything_is_run(here, models, settings, said):
    with pytest.raises(api.UsageError, match=said):
        run(models, settings)
    assert not Path("run").exists()


def test_a_network_that_fails_is_a_failed_row(here):
    Path("own_nets.py").write_text(
        CODE + "\ndef broken():\n    return lambda x: x.flatten(1)[:2]\n"
    )
    table = run(["own_nets:broken"])
    assert set(table["status"]) == {"failed"}
    assert table["reason"].str.contains("expected logits").all()


@pytest.mark.parametrize("form", ["d.npz", "folder"])
def test_a_registered_classifier_is_trained_on_data_of_ones_own_by_both_verbs(here, form):
    """On the same part, and attacked on the images that were held out: the same figures."""
    if form == "folder":
        digits = load_digits()
        for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            if index % 8 == 0:
                place = Path("folder") / str(label)
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray((image * 15).astype(np.uint8)).save(place / f"{index}.png")
    told = SUITE.format(models='["softmax"]', settings='radii = "0.05", images = 1000')
    Path("s.toml").write_text(told.replace("d.npz", form).replace("seeds = 2", "seeds = 1"))
    ran = api.run("s.toml", workers=1)
    made = api.attack("softmax", form, epsilons=(0.05,), audit=False)
    for metric in ("clean_error", "robust_accuracy", "attack_success"):
        first, second = (t[t["metric"] == metric][["value", "n"]].values for t in (ran, made))
        np.testing.assert_array_equal(first, second)
    assert 0 < float(made[made["metric"] == "robust_accuracy"]["value"].iloc[0]) < 1
    assert set(ran["artifact_key"]) == set(made["artifact_key"]) or set(made["artifact_key"]) == {
        ""
    }


def test_a_registered_classifier_needs_data_with_a_name(here):
    images = np.zeros((20, 8, 8), np.uint8)
    with pytest.raises(api.UsageError, match="trained on a data set that has a name"):
        api.attack("softmax", (images, np.arange(20) % 2), epsilons=(0.1,))
    with pytest.raises(api.UsageError, match="`size`, `keys`: a classifier is trained on data as"):
        api.attack("softmax", "d.npz", epsilons=(0.1,), keys=("images", "labels"))


def test_grey_images_become_colour_for_a_network_that_reads_no_other(here):
    """In a suite as in bench attack, to the same figures, and both say so."""
    told = SUITE.format(models='["own_nets:coloured"]', settings='radii = "0.05", images = 60')
    Path("s.toml").write_text(told.replace("seeds = 2", "seeds = 1"))
    ran = api.run("s.toml", workers=1)
    split = dataset_named("d.npz", ("images",), "a test").split
    held = (split.held_images[:60], split.held_labels[:60])
    made = api.attack("own_nets:coloured", held, epsilons=(0.05,), audit=False)
    wanted = made[made["metric"] == "robust_accuracy"]["value"].tolist()
    assert robust(ran, "own_nets:coloured") == wanted
    assert 0 < wanted[0] < 1
    said = "the grey images were given to the classifier as colour"
    assert made.attrs["notes"] == [said]
    (file,) = Path("runs/own/q/cells").rglob("*.json")
    assert said in file.read_text()
