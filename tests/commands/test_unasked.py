"""Nobody's code runs unasked: what a file from elsewhere names is imported by no verb."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import bench

from bench.models.programs import code_of_program, code_of_script

CODE = """
from pathlib import Path
Path("it_ran").write_text("yes")
def features(x): return x.flatten(1)[:, :4]
"""
RUN = "run"
SUITE = """
name = "small"
default_tier = "quick"
[tiers.quick]
seeds = 2
[[block]]
name = "points"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["vae", "oracle"]
settings = { steps = 5, samples = 200, evaluations = 1 }
metrics = ["high_quality"]
primary = ["high_quality"]
[[block]]
name = "attacks"
task = "attack"
grid.dataset = ["optdigits"]
grid.model = ["softmax"]
grid.attack = ["fgsm"]
settings = { radii = "0.1", images = 20 }
metrics = ["robust_accuracy"]
primary = ["robust_accuracy"]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small finished run."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("bench.run.run.draw", lambda *run: [])
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        Path("small.toml").write_text(SUITE)
        assert bench("run", "--suite", "small.toml", "--executor", "inline", "--out", RUN) == 0
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """Its folder as it came from somebody, with code beside it."""
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "here" / "cache"))
    Path("unasked_code.py").write_text(CODE)
    yield tmp_path / "here"
    sys.modules.pop("unasked_code", None)


def name_code(place: str) -> None:
    """The manifest names code, as a module to import or as a part of its cells."""
    path = Path(RUN) / "manifest.json"
    manifest = json.loads(path.read_text())
    for facts in manifest["metrics"].values():
        facts["kind"] = "deterministic"  # what a probe measures again
    if place == "imports":
        manifest["imports"] = ["unasked_code"]
    for cell in manifest["cells"]:
        if place in cell["parts"]:
            cell["parts"][place] = "unasked_code:features"
        elif place == "task":
            cell["task"] = "unasked_code:features"
    path.write_text(json.dumps(manifest))


VERBS = [
    ("show", RUN),
    ("show", RUN, "--format", "json"),
    ("compare", RUN, RUN),
    ("calibrate", RUN),
    ("cite", RUN),
    ("sample", RUN, "--model", "vae", "-o", "x.npy"),
    ("sample", RUN, "--model", "vae", "-o", "x.safetensors"),
    ("baseline", "set", RUN, "--reason", "why", "--out", "b.csv", "--probe"),
]


@pytest.mark.parametrize("place", ["imports", "dataset", "model", "attack", "task"])
@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_run_of_somebody_runs_nothing(here, capsys, verb, place):
    name_code(place)
    code = bench(*verb)
    assert not Path("it_ran").exists()
    assert "unasked_code" not in sys.modules
    error = capsys.readouterr().err
    assert code in (0, 2, 5)
    if place == "imports" and verb[0] in ("sample", "baseline"):
        assert code == 2
        assert "the run run names code, 'unasked_code', which is not run unasked: --trust" in error


@pytest.mark.parametrize("verb", [VERBS[5], VERBS[7]], ids=" ".join)
def test_what_is_trusted_runs(here, verb):
    name_code("imports")
    bench(*verb, "--trust")
    assert Path("it_ran").exists()


def test_statistics_run_nothing(here, capsys):
    points = np.random.default_rng(0).normal(size=(50, 4))
    card = {"version": 1, "features": "unasked_code:features", "n": 50, "dims": 4, "read": {}}
    moments = {"mu": points.mean(0), "sigma": np.cov(points.T), "n": np.int64(50)}
    np.savez("stats.npz", card=np.array(json.dumps(card)), **moments)
    np.save(
        "images.npy", np.zeros((30, 8, 8), np.uint8) + np.arange(30, dtype=np.uint8)[:, None, None]
    )
    command = ("score", "stats.npz", "images.npy", "--workers", "1", "--metrics", "frechet")
    assert bench(*command) == 2
    assert "none of ours: if they are yours, name them by --features" in capsys.readouterr().err
    assert not Path("it_ran").exists()
    assert bench(*command, "--features", "unasked_code:features") == 0
    assert Path("it_ran").exists()


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return (Path("it_ran").write_text, ("yes",))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A sound exported program."""
    path = tmp_path_factory.mktemp("program") / "model.pt2"
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
    sizes = ({0: torch.export.Dim("n", min=1)},)
    exported = torch.export.export(net, (torch.rand(2, 1, 8, 8),), dynamic_shapes=sizes)
    torch.export.save(exported, path)
    return path


def changed(path: Path, out: Path, change) -> Path:
    """An archive with some of its members changed; `change` gets and gives name and content."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(*change(name, old.read(name)))
    return out


def pickled(name: str, content: bytes) -> tuple[str, bytes]:
    if name.endswith("sample_inputs/model.pt"):
        torch.save((Evil(),), "inputs.pt")
        content = Path("inputs.pt").read_bytes()
    return name, content


def weights(name: str, content: bytes) -> tuple[str, bytes]:
    if name.endswith("weights_config.json"):
        content = content.replace(b'"use_pickle": false', b'"use_pickle": true')
    if name.endswith("weight_0"):
        torch.save(Evil(), "weight.pt")
        content = Path("weight.pt").read_bytes()
    return name, content


def target(name: str, content: bytes) -> tuple[str, bytes]:
    return name, content.replace(b"torch.ops.aten.linear.default", b"torch.os.system")


def library(name: str, content: bytes) -> tuple[str, bytes]:
    return name, content.replace(b"torch.ops.aten.linear.default", b"torch.ops.load_library")


def size(name: str, content: bytes) -> tuple[str, bytes]:
    return name, content.replace(b"positive=True", b"positive=().__class__")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pickled, "needs a pickle"),
        (weights, "needs a pickle"),
        (target, "its graph calls torch.os.system"),
        (library, "its graph calls torch.ops.load_library"),
        (size, "a size of its graph is"),
    ],
)
def test_a_program_that_is_more_than_arithmetic_runs_nothing(here, capsys, program, change, said):
    """It is read, and refused in one line before anything in it is run."""
    changed(program, here / "evil.pt2", change)
    np.savez("d.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.zeros(4, int))
    assert bench("attack", "evil.pt2", "d.npz", "--no-audit") == 2
    error = capsys.readouterr().err
    assert said in error
    assert "nothing of it was run: --trust" in error
    assert not Path("it_ran").exists()


def test_two_members_of_one_name_are_refused(here, program):
    with zipfile.ZipFile(program) as old:
        name = next(n for n in old.namelist() if n.endswith("model.pt"))
    shutil.copy(program, "twice.pt2")
    with zipfile.ZipFile("twice.pt2", "a") as new, pytest.warns(UserWarning, match="Duplicate"):
        new.writestr(name, b"x")
    with pytest.raises(ValueError, match="two files of one name"):
        code_of_program(Path("twice.pt2"))


def test_a_sound_program_is_arithmetic(program):
    assert code_of_program(program) == ""


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return x * 2", ""),
        ("torch.save(x, 'out')\n        return x", "it calls save"),
    ],
)
def test_torchscript_that_reaches_files(here, body, said):
    Path("scripted.py").write_text(
        f"import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        {body}\n"
    )
    sys.path.insert(0, str(here))
    try:
        import importlib

        net = importlib.import_module("scripted").Net()
        torch.jit.save(torch.jit.script(net), "x.pt")
    finally:
        sys.path.remove(str(here))
        sys.modules.pop("scripted", None)
    assert code_of_script(Path("x.pt")) == said


def test_a_whole_network_in_a_pickle_needs_trust(here, capsys):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    torch.save(net, "whole.pt")
    np.savez("d.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.zeros(4, int))
    assert bench("attack", "whole.pt", "d.npz", "--no-audit") == 2
    assert "--trust runs it all the same" in capsys.readouterr().err
    assert bench("attack", "whole.pt", "d.npz", "--no-audit", "--trust") == 0
