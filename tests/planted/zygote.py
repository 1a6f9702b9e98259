"""A process that has imported what is not ours, and forks a child for each selection of tests: so
that a run of a few tests does not wait for torch, SciPy and pandas every time.

Reads a line of JSON for each: {"arguments": [...], "output": PATH, "seconds": N}; answers with the
child's exit code, -1 where it took too long. Nothing of the project may be imported here: a child
imports it as it stands then.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module

FOREIGN = (
    "torch torchvision numpy scipy.stats scipy.ndimage scipy.sparse.linalg scipy.special pandas "
    "pandas.testing pydantic sklearn.mixture sklearn.cluster sklearn.neighbors hypothesis beartype "
    "jaxtyping matplotlib.figure PIL.Image safetensors.torch rich.console click pytest "
    "psutil pebble pyarrow.parquet"
).split()


def main() -> None:
    for name in FOREIGN:
        with suppress(ImportError):
            import_module(name)
    import torch

    torch.set_num_threads(1)
    _say("ready")
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _work(asked["arguments"], asked["output"])
        _say(_waited(child, asked["seconds"]))


def _say(answer: object) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


def _work(arguments: list[str], output: str) -> None:
    """The tests, in the child; it never returns."""
    code = 3
    try:
        os.setpgid(0, 0)
        out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        import pytest

        code = int(pytest.main(arguments))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _waited(child: int, seconds: float) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


if __name__ == "__main__":
    main()
