"""A Ray cluster, and what can happen to it: the same table in the end, or rows that say why not."""

from __future__ import annotations

import random
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from faults.campaign import PATIENCE, Campaign
from harness import assert_same, cell_files, table, wait_for
from rays import NEEDS_RAY, rays

import bench as package

pytestmark = [
    NEEDS_RAY,
    pytest.mark.slow,
    pytest.mark.usefixtures("undrawn"),
    pytest.mark.timeout(7200),
    pytest.mark.filterwarnings("ignore"),
]
SCHEDULES, FAULTS = 15, 5
"""Together 75 faults; the other half is test_processes.py's."""


@pytest.fixture(scope="module")
def other_code(tmp_path_factory):
    """A copy of our source of another version."""
    home, folder = Path(package.__file__).parent.parent, tmp_path_factory.mktemp("other")
    for name in ("bench", "attacks", "generative", "metrics", "results"):
        shutil.copytree(home / name, folder / name)
    with open(folder / "metrics" / "__init__.py", "a") as file:
        file.write("\n# another version\n")
    return folder


@pytest.fixture(scope="module")
def wrong_clock(tmp_path_factory):
    """A folder that sets the clock of every Python that finds it back by days."""
    folder = tmp_path_factory.mktemp("clock")
    text = "import time\nnow = time.time\ntime.time = lambda: now() - 5 * 86400\n"
    (folder / "sitecustomize.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def cluster():
    with rays(forks=True) as found:
        yield found


def worker(campaign: Campaign) -> None:
    """A worker is killed: its cell is crashed, and measured again by the next command."""
    cluster = campaign.cluster
    busy = [one for node in cluster.nodes for one in node.workers()]
    if busy:
        with suppress(psutil.Error):
            campaign.rng.choice(busy).kill()


def node(campaign: Campaign) -> None:
    """A node is lost, another one comes: what it measured is measured there."""
    cluster = campaign.cluster
    cluster.kill(campaign.rng.choice(cluster.nodes))
    cluster.add(1)


def driver(campaign: Campaign) -> None:
    campaign.driver.kill()


def interrupt(campaign: Campaign) -> None:
    psutil.Process(campaign.driver.pid).terminate()
    assert wait_for(lambda: campaign.driver.poll() is not None, PATIENCE)
    campaign.check_interrupted()


def head(campaign: Campaign) -> None:
    """The head is lost: the driver ends, and a new cluster comes up elsewhere."""
    cluster = campaign.cluster
    cluster.head.kill()
    assert wait_for(lambda: campaign.driver.poll() is not None, PATIENCE), campaign.said()
    assert campaign.driver.code != 0 or len(cell_files(campaign.run)) == 30
    for left in list(cluster.nodes):
        cluster.kill(left)
    cluster.begin()
    cluster.add(1)
    cluster.add(1)
    campaign.arguments[-1] = cluster.address


def code(campaign: Campaign) -> None:
    """A node of another version comes late: it measures nothing."""
    cluster = campaign.cluster
    path = f"{campaign.other_code}:{cluster.environment['PYTHONPATH']}"
    added = cluster.add(1, PYTHONPATH=path)
    wait_for(lambda: campaign.driver.poll() is not None, 10)
    cluster.kill(added)


def clock(campaign: Campaign) -> None:
    """A node whose clock is days late comes, and measures as all do."""
    cluster = campaign.cluster
    cluster.kill(cluster.nodes[0])
    path = f"{campaign.wrong_clock}:{cluster.environment['PYTHONPATH']}"
    cluster.add(1, PYTHONPATH=path)


STRIKES = {
    "worker": worker,
    "node": node,
    "driver": driver,
    "interrupt": interrupt,
    "head": head,
    "code": code,
    "clock": clock,
}


def campaign_of(folder, suite, seed, cluster, other_code, wrong_clock) -> Campaign:
    arguments = ["run", "--suite", suite, "--out", "run", "--executor", "ray"]
    campaign = Campaign(folder, [*arguments, "--address", cluster.address], seed, STRIKES)
    campaign.cluster = cluster
    campaign.other_code, campaign.wrong_clock = other_code, wrong_clock
    return campaign


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_a_disturbed_run_ends_as_if_it_had_not_been(
    suite, expected, cluster, other_code, wrong_clock, tmp_path, seed
):
    cluster.fill(2)
    rng = random.Random(100 + seed)
    faults = [rng.choice(["worker", "node", *STRIKES]) for _ in range(FAULTS)]
    campaign = campaign_of(tmp_path, suite, seed, cluster, other_code, wrong_clock)
    campaign.check(faults, expected)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def host_of_its_own(number: int):
    """A network namespace with an address of its own, on a bridge with this machine's."""
    name, link = f"mm{number}", f"mmv{number}"
    try:
        _ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces here: {error}")
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("addr", "add", f"10.77.{number}.1/24", "dev", link)
        _ip("link", "set", link, "up")
        for words in (
            ("addr", "add", f"10.77.{number}.2/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
            ("route", "add", "default", "via", f"10.77.{number}.1"),
        ):
            _ip("-n", name, *words)
        yield name, link
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.mark.parametrize("heals", [True, False])
def test_a_node_that_is_cut_off_costs_nothing(suite, expected, tmp_path, heals):
    """Its link goes down while it measures, and comes up again, or not: a split of the cluster.
    It goes on measuring, and may write what another one has written, the same.
    """
    number = 31 + heals
    with host_of_its_own(number) as (name, link), rays((), forks=True) as cluster:
        cluster.kill(cluster.head)
        cluster.host = f"10.77.{number}.1"
        cluster.begin()
        cluster.add(1)
        before = ("ip", "netns", "exec", name)
        cut = cluster.add(1, before=before, host=f"10.77.{number}.2")

        def strike(campaign: Campaign) -> None:
            _ip("link", "set", link, "down")
            assert wait_for(lambda: cluster.alive() == 2, 120)
            if heals:
                _ip("link", "set", link, "up")

        arguments = ["run", "--suite", suite, "--out", "run", "--executor", "ray"]
        arguments += ["--address", cluster.address]
        campaign = Campaign(tmp_path, arguments, 1, {"cut": strike})
        try:
            campaign.go(["cut"])
            assert campaign.struck == ["cut"]
            assert_same(table(campaign.run), expected)
            assert wait_for(lambda: not cut.workers(), 120)
            assert len(cell_files(campaign.run)) == expected["key"].nunique()
        finally:
            campaign.driver.kill()
