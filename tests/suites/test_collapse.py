"""What suite mode-collapse promises of its block `collapse`: one number makes the difference."""

from __future__ import annotations

import pytest

from bench.run.run import execute
from bench.suites.schema import load_suite

MODES = 8


def test_the_block_is_of_one_setting():
    """Two rates of the critic under one protocol, with the ceiling and the floor beside."""
    (block,) = (block for block in load_suite("mode-collapse").block if block.name == "collapse")
    assert {"oracle", "nsgan", "one-mode"} <= set(block.grid["model"])
    assert len(block.grid["critic_lr"]) == 2
    assert block.settings == {"protocol": "collapsing"}
    assert {"quick", "standard", "deep"} <= set(block.tiers)


@pytest.mark.slow
def test_a_plain_gan_collapses_and_by_one_change_does_not(tmp_path):
    """In each of 5 seeds half of the modes at most, and told; or nine in ten at least, and not."""
    slow, fast = next(
        block.grid["critic_lr"]
        for block in load_suite("mode-collapse").block
        if block.name == "collapse"
    )
    report = execute(
        "mode-collapse",
        tier="quick",
        grid={"model": ["nsgan", "oracle"], "dataset": "ring8@pacgan", "critic_lr": [slow, fast]},
        set={"protocol": "collapsing"},
        seeds=5,
        out=str(tmp_path / "run"),
    )
    told = {
        (record["model"], record["settings"].get("critic_lr"))
        for record in report.records.values()
        if any("collapsed" in text for text in record["warnings"])
    }
    assert told == {("nsgan", slow)}
    for record in report.records.values():
        (covered,) = (
            value["value"]
            for value in record["values"]
            if value["final"] and value["metric"] == "modes_covered"
        )
        if record["model"] == "nsgan" and record["settings"]["critic_lr"] == slow:
            assert covered <= MODES / 2
            assert any("collapsed" in text for text in record["warnings"])
        else:
            assert covered >= 0.9 * MODES
