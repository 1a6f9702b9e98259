"""Command lines of every verb: a whole one, then arguments exchanged, dropped, added, doubled, and
the files that they name damaged.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import click
import numpy as np
import torch
from fuzz import doors, mutators, tables
from fuzz.doors import Sample
from fuzz.mutators import PLANTED
from PIL import Image

NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 2)

    def forward(self, images):
        return self.layer(images.flatten(1))


def net():
    torch.manual_seed(0)
    return Net()
"""
SUITE = """
name = "tiny"
default_tier = "quick"

[tiers.quick]
seeds = 1

[[block]]
name = "mixtures"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["oracle"]
settings = { samples = 100 }
metrics = ["high_quality"]
"""
PLACE = 200
"""After so many commands they get a fresh folder."""
UNASKED = ("--trust", "--download", "--traceback", "--help")
"""What asks for code or the network, or for more lines."""
WEIRD = tuple(name.replace("\0", "") for name in mutators.NAMES if PLANTED not in name)
WEIRD = tuple(name.encode("utf-8", "replace").decode() for name in WEIRD)
FIGURES = tuple(map(str, (*mutators.NUMBERS, *mutators.FLOATS)))
PARTS = (
    *("fgsm", "pgd", "foolbox:LinfPGD", "softmax", "hinge", "gan", "oracle", "frechet", "pixels"),
    *("lbfgs", "linf", "l2", "l1", "grey", "rgb", "quick", "cpu", "cuda", "inline", "json", "csv"),
    *("0.1", "1/255", "0,0.1,0.2", "1/0", "0,1", "x,y", "images,labels", "suites", "models"),
    *("smoke", "smoke-gate", "optdigits", "optdigits:train", "mnist:held-out", "torchvision:MNIST"),
    *("energy_distance", "c2st,frechet", "ring8@pacgan", "digits-cnn", "torchvision:alexnet"),
)
PAIRS = (
    *("steps=2", "steps=0", "steps=x", "model=oracle", "model=gna", "dataset=ring8@pacgan", "=", ""),
    *("samples=100", "samples=-1", "samples=1e999", "tier=quick", "norm=l2", "restarts=1", "a=[1]"),
    *("=x", "steps=nan", "x=y=z", "step_size=1e308", "evaluations=1", "rule=euclid3", "seed=1"),
)
FILES = (
    *("d.npz", "pictures", "folder:pictures", "points.npy", "stats.npz", "net.pt", "net.pt2"),
    *("w.pth", "w.safetensors", "s.toml", "p.toml", "table.csv", "table.parquet", "run", "empty"),
    *("nowhere/x.png", "x.png", "out.npz", "out.npy", "out.csv", "out.toml", "new", "../x.md"),
    *("s.toml/x", "/dev/null/x.npz", "run/manifest.json", "hidden.png", "text.png", "o.safetensors"),
)
WHOLE: dict[str, tuple[int, str]] = {
    "attack": (700, "fuzz_net:net d.npz -n 3 --no-audit --epsilons 0.1 --threads 1"),
    "score": (900, "points.npy more.npy --metrics energy_distance --workers 1"),
    "sample": (600, "pictures -n 2 -o grid.png"),
    "show": (500, "run --format csv"),
    "compare": (500, "table.csv table.csv"),
    "calibrate": (60, "table.csv --splits 10 --json"),
    "baseline": (500, "show table.csv --json"),
    "cite": (500, "run"),
    "list": (400, "suites"),
    "plan": (400, "--suite s.toml --workers 1"),
    "run": (300, "--suite s.toml --executor inline --workers 1 --out r"),
    "check": (300, "part nonsaturating --json"),
}
"""Of each verb how many command lines, and one that works."""


@dataclass(frozen=True)
class Line:
    """A command line, in a folder of its own."""

    verb: str
    index: int
    arguments: tuple[str, ...]
    folder: Path

    def __str__(self) -> str:
        return f"{self.verb} {self.index}: bench {' '.join(map(repr, self.arguments))}"


def lines(verb: str, count: int, root: Path) -> Iterator[Line]:
    """Changed command lines; the process is in their folder."""
    for index in range(count):
        if index % PLACE == 0:
            folder = furnished(root / f"{verb}{index}")
            os.chdir(folder)
        rng = Random(f"{verb} {index}")
        arguments = changed(rng, verb, WHOLE[verb][1].split())
        if rng.random() < 0.5:
            arguments = [damaged(rng, argument, folder) for argument in arguments]
        yield Line(verb, index, (verb, *arguments), folder)


def changed(rng: Random, verb: str, arguments: list[str]) -> list[str]:
    """A command line with arguments exchanged, dropped, added or doubled."""
    found = [*arguments]
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        place = rng.randrange(len(found)) if found else 0
        action = rng.randrange(6)
        if action <= 1 and found:
            found[place] = word(rng)
        elif action == 2 and found:
            del found[place]
        elif action == 3:
            found.insert(place, word(rng))
        else:
            found += option(rng, verb)
    if verb == "run":
        found = [text for text in found if text not in ("processes", "*", "ray")]
    return found


def word(rng: Random) -> str:
    return rng.choice(rng.choice((WEIRD, FIGURES, PARTS, PAIRS, FILES)))


def option(rng: Random, verb: str) -> list[str]:
    """An option of a verb, with a value where it takes one."""
    if not options(verb):
        return [word(rng)]
    chosen = rng.choice(options(verb))
    name = max(chosen.opts, key=len)
    return [name] if chosen.is_flag else [name, word(rng)]


@cache
def options(verb: str) -> tuple[click.Option, ...]:
    from bench.cli import cli

    context = click.Context(cli)
    command = cli.get_command(context, verb)
    commands = [command, *getattr(command, "commands", {}).values()]
    found = (p for one in commands if one for p in one.params if isinstance(p, click.Option))
    return tuple(p for p in found if not set(p.opts) & set(UNASKED))


def damaged(rng: Random, argument: str, folder: Path) -> str:
    """Another file of the same kind, changed, in the place of one."""
    sample = rng.choice(kinds().get(Path(argument).suffix) or [None])
    if sample is None or not (folder / argument).is_file():
        return argument
    name = f"{rng.randrange(9)}{Path(argument).suffix}"
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_bytes(sample.mutate(rng, sample.content))
    return name


@cache
def kinds() -> dict[str, list[Sample]]:
    """Samples by suffix."""
    found: dict[str, list[Sample]] = {}
    every = (doors.arrays, doors.samples, doors.checkpoints, doors.programs, tables.tables)
    suites = [*tables.suites(), *tables.policies()]
    for sample in [one for some in every for one in some()] + suites:
        found.setdefault(Path(sample.name).suffix, []).append(sample)
    return found


def furnished(folder: Path) -> Path:
    """A folder with whole files of every kind."""
    if not (folder.parent / "whole").exists():
        _furnish(folder.parent / "whole")
    shutil.copytree(folder.parent / "whole", folder)
    return folder


def _furnish(folder: Path) -> None:
    for label in ("0", "1"):
        (folder / "pictures" / label).mkdir(parents=True)
        for index in range(7):
            Image.fromarray(doors.GREY[index]).save(folder / "pictures" / label / f"{index}.png")
    (folder / "empty").mkdir()
    (folder / "fuzz_net.py").write_text(NET)
    (folder / "s.toml").write_text(SUITE)
    (folder / "p.toml").write_text(tables.POLICY)
    (folder / "text.png").write_text("no picture")
    np.savez(folder / "d.npz", images=doors.GREY, labels=doors.LABELS % 2)
    rng = np.random.default_rng(0)
    for name in ("points", "more"):
        np.save(folder / f"{name}.npy", rng.normal(size=(20, 4)))
    points = rng.normal(size=(20, 4))
    np.savez(folder / "stats.npz", mu=points.mean(0), sigma=np.cov(points.T))
    tables.rows().to_csv(folder / "table.csv", index=False)
    tables.rows().to_parquet(folder / "table.parquet", index=False)
    for sample, name in zip(doors.programs()[:2], ("net.pt2", "net.pt"), strict=True):
        (folder / name).write_bytes(sample.content)
    state = torch.nn.Linear(64, 2).state_dict()
    torch.save({f"layer.{name}": value for name, value in state.items()}, folder / "w.pth")
    (folder / "w.safetensors").write_bytes(doors.checkpoints()[-1].content)
    manifest, cells = tables.made_run()
    for name, content in {"manifest.json": manifest, **cells}.items():
        (folder / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "run" / name).write_bytes(content)
