"""A run's page, served by a process beside the run for as long as it goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import click

from bench.core.errors import visible

PATIENCE = 5.0
"""Seconds that the process has to end by itself."""


class LivePage:
    """Begun with the run's folder; ended with the block, and with this process however it ends:
    the page's process reads from a pipe that only this one holds.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> LivePage:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def begin(self, run: Path) -> None:
        """Serve the page of a run; its address is told on stderr once there is one."""
        arguments = [sys.executable, "-P", "-m", "bench", "watch", str(run), "--until-eof"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(arguments, text=True, stdin=pipe, stdout=pipe, stderr=pipe)
        threading.Thread(target=self._tell, args=(self._process,), daemon=True).start()

    @staticmethod
    def _tell(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().partition(" ")[0].strip()
        if address:
            click.echo(f"live: {address}", err=True)
        elif said := process.stderr.read().strip():
            click.echo(f"warning: no live page: {visible(said)}", err=True)
