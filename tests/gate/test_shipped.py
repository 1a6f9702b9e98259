"""A classifier that ships with its weights, through a suite and the gate: judged by its images."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from bench import api
from bench.gate.compare import comparison, side_of

SUITE = """
name = "shipped"
[tiers.standard]
seeds = 1
[[block]]
name = "one"
task = "attack"
grid.dataset = ["optdigits"]
grid.model = ["{net}:NET", "softmax"]
grid.attack = ["fgsm"]
settings.radii = "0.02"
settings.images = 200
primary = ["robust_accuracy"]
metrics = ["robust_accuracy"]
"""

NETWORK = """
import torch
from attacks.classifiers import Ready
from sklearn.datasets import load_digits

class Nearest(Ready):
    missing = ""

    def load(self):
        digits = load_digits()
        images = torch.tensor(digits.images / 16.0, dtype=torch.float32).flatten(1)
        labels = torch.tensor(digits.target)
        means = torch.stack([images[labels == k].mean(0) for k in range(10)])
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        with torch.no_grad():
            net[1].weight.copy_(means * SHARPNESS)
            net[1].bias.copy_(-(means ** 2).sum(1) / 2 * SHARPNESS * BIAS)
        return net.eval()

NET = Nearest()
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two releases of one network under one name: the second has its biases with the wrong sign."""
    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        for name, bias in (("v1", 1), ("v2", -1)):
            home = folder / name
            home.mkdir()
            patch.chdir(home)
            module = f"shipped_{name}"
            made = NETWORK.replace("SHARPNESS", "8.0").replace("BIAS", str(bias))
            (home / f"{module}.py").write_text(textwrap.dedent(made))
            (home / "suite.toml").write_text(SUITE.format(net=module))
            api.execute(str(home / "suite.toml"), out=str(home / "run"))
    return folder


def side_named(folder, name):
    """A run as a side, its network under one name."""
    side = side_of(str(folder / name / "run"))
    rows = side.rows.copy()
    cells = side.cells.copy()
    for table in (rows, cells):
        for column in table.columns:
            if table[column].dtype == object or str(table[column].dtype).startswith("str"):
                texts = [str(text).replace(f"shipped_{name}", "net") for text in table[column]]
                table[column] = np.array(texts, dtype=object)
    return type(side)(side.name, rows, cells, side.primary)


def test_one_seed_of_a_shipped_network_regresses_by_its_images(runs, monkeypatch):
    sides = {name: side_named(runs, name) for name in ("v1", "v2")}
    for side in sides.values():
        by_model = side.rows.drop_duplicates("model").set_index("model")["shipped"]
        assert by_model.to_dict() == {"net:NET": True, "softmax": False}
    monkeypatch.setattr("bench.gate.compare.side_of", sides.__getitem__)
    found = comparison("v1", "v2")
    series = found.rows[(found.rows["level"] == "series") & (found.rows["primary"])]
    by_model = series.set_index("model")
    assert by_model.loc["net:NET", "before"] - by_model.loc["net:NET", "after"] > 0.1
    assert by_model.loc["net:NET", ["verdict", "kind"]].tolist() == ["REGRESSED", "paired"]
    assert by_model.loc["softmax", "kind"] == "identical"
    assert found.exit_code == 3
