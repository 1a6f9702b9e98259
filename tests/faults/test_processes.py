"""Processes of this machine, and what can happen to them: the same table in the end."""

from __future__ import annotations

import random
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from faults.campaign import PATIENCE, Campaign, drive
from harness import wait_for

pytestmark = [pytest.mark.usefixtures("undrawn"), pytest.mark.timeout(3600)]
SCHEDULES, FAULTS = 15, 5
"""Together 75 faults; the other half is test_ray_cluster.py's."""


def worker(campaign: Campaign) -> None:
    """One worker is killed: its cell is measured again by the next command."""
    found = [one for one in campaign.driver.workers() if "spawn_main" in " ".join(one.cmdline())]
    if found:
        with suppress(psutil.NoSuchProcess):
            campaign.rng.choice(found).kill()


def driver(campaign: Campaign) -> None:
    """The driver is killed: its workers go with it."""
    campaign.driver.kill()
    assert wait_for(lambda: not campaign.driver.workers(), 60)


def interrupt(campaign: Campaign) -> None:
    campaign.driver.poll()
    psutil.Process(campaign.driver.pid).terminate()
    assert wait_for(lambda: campaign.driver.poll() is not None, PATIENCE)
    campaign.check_interrupted()


def second(campaign: Campaign) -> None:
    """Somebody begins the same run again: refused, and nothing is disturbed."""
    other = drive(campaign.arguments, campaign.folder)
    assert wait_for(lambda: other.poll() is not None, PATIENCE)
    if campaign.driver.poll() is None:
        assert other.code == 2, campaign.said()
        assert "another bench is running" in campaign.log()


def clock(campaign: Campaign) -> None:
    """The driver is killed; the next one's clock is days off."""
    driver(campaign)
    campaign.ahead = campaign.rng.choice([-1, 1]) * campaign.rng.uniform(1, 9) * 86400


def disk(campaign: Campaign) -> None:
    """The run's disk fills up: the driver says so and ends; then there is room again."""
    filler = campaign.run / ".filler"
    subprocess.run(
        ["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], capture_output=True, check=False
    )
    wait_for(lambda: campaign.driver.poll() is not None, 30)
    if campaign.driver.poll() is None:  # what was left fitted into what was open
        filler.unlink()
        return
    assert campaign.driver.code in (0, 1, 2, 4), campaign.said()
    if campaign.driver.code in (1, 2):
        assert "the disk is full" in campaign.log() or "No space left" in campaign.log()
    filler.unlink()


STRIKES = {
    "worker": worker,
    "driver": driver,
    "interrupt": interrupt,
    "second": second,
    "clock": clock,
    "disk": disk,
}


def campaign_of(folder: Path, suite: str, seed: int) -> Campaign:
    arguments = ["run", "--suite", suite, "--out", "run", "--workers", "2"]
    return Campaign(folder, arguments, seed, STRIKES)


def test_a_run_that_loses_a_worker_and_its_driver_ends_as_if_it_had_not(suite, expected, tmp_path):
    campaign_of(tmp_path, suite, 1).check(["worker", "driver"], expected)


def mounted(folder: Path) -> bool:
    """Whether the folder is a small disk of its own now."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_a_disturbed_run_ends_as_if_it_had_not_been(suite, expected, tmp_path, seed):
    """Where a small disk can be mounted, it fills up, too."""
    rng, small = random.Random(seed), mounted(tmp_path / "run")
    names = [name for name in STRIKES if small or name != "disk"]
    faults = [rng.choice(["worker", *names]) for _ in range(FAULTS)]
    campaign = campaign_of(tmp_path, suite, seed)
    try:
        campaign.check(faults, expected)
    finally:
        if small:
            subprocess.run(["umount", "-l", str(tmp_path / "run")], check=False)
