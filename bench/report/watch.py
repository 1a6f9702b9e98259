"""The page of a run served while it goes on: on this machine alone, and read only."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.core.arguments import checked
from bench.core.errors import UsageError, one_line
from results.pages.live import Live
from results.runs import find_run

HOST = "127.0.0.1"
NICER = 10
"""How much a server stands back behind the run that it watches."""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class Handler(BaseHTTPRequestHandler):
    """`/` is the page, `/state` what tells it from the next one; nothing else is there."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    server_version, sys_version = "bench", ""

    def do_GET(self) -> None:
        if self.headers.get("Host", "") not in self.server.names:
            self._send(403, "text/plain", "this page is for the machine that it is on")
        elif self.path == "/":
            self._page()
        elif self.path == "/state":
            self._send(200, "text/plain", self.server.live.state())
        else:
            self._send(404, "text/plain", "there is / alone")

    do_HEAD = do_GET  # noqa: N815

    def _page(self) -> None:
        try:
            self._send(200, "text/html", self.server.live.page())
        except UsageError as error:
            self._send(503, "text/plain", one_line(error))

    def _send(self, code: int, kind: str, text: str) -> None:
        content = text.encode()
        with suppress(ConnectionError):
            self.send_response(code)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are no news."""


class Server(ThreadingHTTPServer):
    """Of one run. names: what a request may call this machine; others are no browser of its own
    (a name that was made to point here).
    """

    daemon_threads = True

    def __init__(self, live: Live, port: int) -> None:
        super().__init__((HOST, port), Handler)
        self.live = live
        at = self.server_address[1]
        self.names = tuple(f"{name}:{at}" for name in (HOST, "localhost"))

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{self.names[0]}/"


def server_of(run: str, port: int = 0, pictures: float = 3.0) -> Server:
    """A server of a run's page, not yet serving. port: 0 for any that is free.

    Raises UsageError where there is no such run, and for a port that can't be had.
    """
    directory = find_run(run)
    directory.manifest()
    try:
        return Server(Live(directory, int(pictures * 1_000_000)), port)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"can't serve on port {port}: {why}; 0 takes any that is free") from error


@checked("told", "until")
def watch(
    run: str,
    *,
    port: int = 0,
    pictures: float = 3.0,
    told: Callable[[str], None] = print,
    until: Callable[[], object] | None = None,
) -> None:
    """Serve the page of a run until interrupted, or until `until`, which waits, returns; `told`
    gets its address.
    """
    with suppress(OSError, AttributeError):
        os.nice(NICER)
    with server_of(run, port, pictures) as server:
        if until is not None:
            threading.Thread(target=_stop_after, args=(until, server), daemon=True).start()
        told(server.address)
        server.serve_forever(poll_interval=0.2)


def _stop_after(until: Callable[[], object], server: Server) -> None:
    until()
    server.shutdown()


@contextmanager
def served(run: str, port: int = 0) -> Iterator[str]:
    """The address of a run's page, served from a thread of this process inside."""
    with server_of(run, port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.address
        finally:
            server.shutdown()
            thread.join()
