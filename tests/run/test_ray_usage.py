"""What needs no cluster: wrong use is one line, and nothing of Ray is imported without need."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from harness import bench, environ, faulty_suite

from bench.core.errors import UsageError
from bench.run.executors.ray import _refuse_unreachable


@pytest.fixture
def arguments(tmp_path):
    return ["run", "--suite", faulty_suite(tmp_path, "number"), "--out", str(tmp_path / "run")]


def test_without_the_extra_it_is_named(arguments, tmp_path, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert bench(*arguments, "--executor", "ray") == 2
    err = capfd.readouterr().err
    assert "`executor=ray` needs Ray" not in err
    assert "--executor ray needs Ray: pip install 'minimax-bench[ray]'" in err
    assert not (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--address", "auto"), ("--cpus", "2"), ("--gpus", ".5")]
)
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_options_of_a_cluster_are_refused_elsewhere(
    arguments, tmp_path, capfd, option, value, executor
):
    assert bench(*arguments, "--executor", executor, option, value) == 2
    expected = f"{option} is no option of --executor {executor}: it needs --executor ray"
    assert expected in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("address", ["x", "ray://a:1", "host:port", ":5", ""])
def test_what_is_no_address_is_told(address):
    with pytest.raises(UsageError, match="expected HOST:PORT of a cluster's head, or auto"):
        _refuse_unreachable(address)


def test_where_nobody_listens_is_told_at_once():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with pytest.raises(UsageError, match=rf"nobody answers at `address=127.0.0.1:{port}`"):
        _refuse_unreachable(f"127.0.0.1:{port}")


@pytest.mark.slow
def test_nothing_of_ray_is_imported_before_it_is_asked_for():
    code = "import bench.api, sys; from bench.run.executors import EXECUTORS; EXECUTORS['ray']; "
    code += "assert not [name for name in sys.modules if name.partition('.')[0] == 'ray']"
    subprocess.run([sys.executable, "-c", code], env=environ(), check=True)
