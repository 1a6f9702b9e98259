"""The page of a run that goes on: served to this machine alone, anew with every finished cell."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import time
from contextlib import contextmanager
from urllib.request import urlopen

import pytest
from harness import bench, cell_files, environ, faulty_suite, spawn, started, wait_for

from bench.core.errors import UsageError
from bench.report.watch import HEADERS, served, server_of
from results.notes import notes


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("watched")
    suite = faulty_suite(folder, "number", "several")
    assert spawn("run", "--suite", suite, "--out", "run", cwd=folder).returncode == 0
    return str(folder / "run")


def asked(address, path="/", method="GET", **headers):
    """Status, headers and body."""
    at = address.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(at, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def test_it_serves_the_page_and_its_state(run):
    with served(run) as address:
        code, headers, page = asked(address)
        assert (code, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert HEADERS.items() <= headers.items()
        assert page.startswith("<!doctype html>")
        assert "connect-src &#39;self&#39;" in page
        state = asked(address, "/state")[2]
        assert f'"live":"{state}"' in page
        assert asked(address, method="HEAD")[::2] == (200, "")


def test_it_serves_nothing_else(run):
    """No file, no other method, and no name that was made to point here."""
    with served(run) as address:
        for path in ("/manifest.json", "/../manifest.json", "/state/", "/?x"):
            assert asked(address, path)[0] == 404
        for method in ("POST", "PUT", "DELETE"):
            assert asked(address, method=method)[0] == 501
        for host in ("evil.example", "evil.example:80", "127.0.0.1"):
            assert asked(address, Host=host)[0] == 403
        port = address.rstrip("/").rpartition(":")[2]
        assert asked(address, Host=f"localhost:{port}")[0] == 200
        assert address == f"http://127.0.0.1:{port}/"


def test_a_damaged_run_is_told_and_comes_back(run, tmp_path):
    from shutil import copytree

    other = copytree(run, tmp_path / "run")
    manifest = (other / "manifest.json").read_bytes()
    with served(str(other)) as address:
        assert asked(address)[0] == 200
        (other / "manifest.json").write_text("{")
        code, _, told = _awaited(address, 503)
        assert (code, "\n" in told) == (503, False)
        assert "manifest.json" in told
        (other / "manifest.json").write_bytes(manifest)
        assert _awaited(address, 200)[0] == 200


def _awaited(address, code):
    """The answer once it has a code: a page is made anew after a rest that grows with its cost."""
    end = time.monotonic() + 60
    while (found := asked(address))[0] != code and time.monotonic() < end:
        time.sleep(0.2)
    return found


def test_wrong_use_is_told(run, tmp_path):
    assert bench("watch", str(tmp_path / "none")) == 2
    assert bench("watch", run, "--port", "70000") == 2
    with served(run) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        with pytest.raises(UsageError, match=f"can't serve on port {port}: .*; 0 takes any"):
            server_of(run, port)


@contextmanager
def going(folder, *models):
    """A run of faulty cells that goes on, once its manifest is there."""
    suite = faulty_suite(folder, *models)
    told = ("run", "--suite", suite, "--out", "run", "--workers", "2")
    with started(*told, cwd=folder) as (driver, mark):
        assert wait_for((folder / "run" / "manifest.json").exists)
        yield driver, mark


def names(address):
    """The rows of the page's table with what became of their cells."""
    page = urlopen(address, timeout=20).read().decode()
    return dict(
        re.findall(r'<button class="more"[^>]*>([a-z_]+)</button>.*?<td>.*?<span>(.*?)<', page)
    )


def test_a_finished_cell_is_there_in_three_seconds(tmp_path):
    """And the one that is being measured is shown as such; when the run dies, its page stays."""
    run = tmp_path / "run"
    with going(tmp_path, "number", "sleeps") as (driver, _), served(str(run)) as address:
        assert wait_for(lambda: cell_files(run))
        begun = time.monotonic()
        assert wait_for(lambda: names(address).get("number") == "1", 10)
        assert time.monotonic() - begun < 3
        assert wait_for(lambda: list(notes(run)))
        page = urlopen(address, timeout=20).read().decode()
        assert re.search(r'"underway":\[{"name":"faults ·  · sleeps, seed 0","step":0', page)
        driver.kill()
        driver.wait()
        assert names(address)["number"] == "1"


def test_an_interrupted_run_is_measuring_nothing(tmp_path):
    """Its workers are killed in the middle of a cell, and its driver takes back what they noted."""
    run = tmp_path / "run"
    with going(tmp_path, "sleeps") as (driver, _):
        assert wait_for(lambda: list(notes(run)))
        driver.send_signal(signal.SIGINT)
        assert driver.wait(60) == 130
        assert not list(notes(run))


def test_the_command_serves_until_it_is_interrupted(run, tmp_path):
    """It says where; Ctrl-C ends it without an error's trace."""
    from harness import BENCH, _interruptible

    process = subprocess.Popen(
        [BENCH, "watch", run],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ(PYTHONUNBUFFERED="1"),
        preexec_fn=_interruptible,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.split()[0]
        assert asked(address)[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        _, error = process.communicate()
    assert "Traceback" not in error


def _live(folder, *models):
    """A run that serves its page, and the address that it tells."""
    suite = faulty_suite(folder, *models)
    return started("run", "--suite", suite, "--out", "run", "--workers", "2", "--live", cwd=folder)


def _address_of(driver):
    """The line on stderr that tells it."""
    assert driver.stderr is not None
    for line in driver.stderr:
        if line.startswith("live: "):
            return line.split()[1]
    raise AssertionError("no address was told")


def test_a_live_run_serves_its_page_and_takes_it_away(tmp_path):
    """Interrupted, its page ends with it."""
    with _live(tmp_path, "number", "sleeps") as (driver, _):
        address = _address_of(driver)
        assert wait_for(lambda: names(address).get("number") == "1")
        driver.send_signal(signal.SIGINT)
        assert driver.wait(60) == 130
        assert wait_for(lambda: _refuses(address))


def test_the_page_of_a_run_that_was_killed_ends_by_itself(tmp_path):
    with _live(tmp_path, "sleeps") as (driver, _):
        address = _address_of(driver)
        assert asked(address)[0] == 200
        driver.kill()
        driver.wait()
        assert wait_for(lambda: _refuses(address))


def _refuses(address):
    try:
        asked(address)
    except OSError:
        return True
    return False
