"""The scripts of docs/cluster.md, with the variables that each scheduler sets: all parts, once."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from harness import assert_same, bench, faulty_suite, table

from bench import api

DOCS = Path(__file__).parents[2] / "docs" / "cluster.md"
SHIM = '#!/bin/sh\nfor one in "$@"; do printf "%s\\0" "$one"; done > "$ASKED"\n'
"""A `bench` that writes down how it was called."""


def block(name: str) -> str:
    """The script under a scheduler's name."""
    text = DOCS.read_text().partition(f"**{name}**")[2]
    found = re.search(r"```\w*\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def slurm():
    script = block("Slurm")
    first, last = map(int, re.search(r"--array=(\d+)-(\d+)", script).groups())
    for index in range(first, last + 1):
        yield (
            ["bash", "-c", script],
            {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_ARRAY_TASK_COUNT": str(last - first + 1)},
        )


def kubernetes():
    spec = yaml.safe_load(block("Kubernetes"))["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert spec["completionMode"] == "Indexed"
    for index in range(spec["completions"]):
        yield container["command"], {"JOB_COMPLETION_INDEX": str(index)}


def github():
    job = yaml.safe_load(block("GitHub Actions"))
    for part in job["strategy"]["matrix"]["part"]:
        command = job["steps"][0]["run"].replace("${{ matrix.part }}", str(part))
        yield ["bash", "-e", "-c", command], {}


@pytest.fixture
def called(tmp_path):
    """How a script calls `bench`."""
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "bench"
    shim.write_text(SHIM)
    shim.chmod(0o755)

    def run(command, variables):
        asked = tmp_path / "asked"
        path = f"{shim.parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, **variables, "PATH": path, "ASKED": str(asked)}
        subprocess.run(command, env=environment, cwd=tmp_path, check=True)
        return asked.read_text().split("\0")[:-1]

    return run


@pytest.mark.parametrize("scheduler", [slurm, kubernetes, github])
def test_every_part_is_measured_once(called, tmp_path, capsys, monkeypatch, undrawn, scheduler):
    """Each call, but for the suite, its tier and the folder, is carried out as it stands."""
    monkeypatch.chdir(tmp_path)
    suite, outs = faulty_suite(tmp_path, "number", "several", seeds=12), []
    for index, (command, variables) in enumerate(scheduler()):
        words = called(command, variables)
        given = dict(zip(words[1::2], words[2::2], strict=True))
        assert words[0] == "run"
        assert given["--suite"] == "mode-collapse"
        outs.append(given.get("--out", given["--shard"]))
        asked = ["--suite", suite, "--shard", given["--shard"], "--out", f"part-{index}"]
        assert bench("run", *asked, "--executor", "inline") == 0
    if scheduler is not github:  # each of its jobs has a machine of its own
        assert len(set(outs)) == len(outs)
    assert bench("merge", *(f"part-{at}" for at in range(len(outs))), "-o", "merged") == 0
    assert "missing" not in capsys.readouterr().err
    api.execute(suite, out="whole")
    assert_same(table(tmp_path / "merged"), table(tmp_path / "whole"))
