"""Locks on any folder, network file systems too: a file with its owner's name and its heartbeat.

    <name>                  the first claim
    <name>.after-<token>    the claim that comes after the one with that token

The last claim of the chain is the owner's. A claim is made by linking a finished file to a name
that must be free, which is atomic on every file system; a token is used once, so that a claim has
one successor at most, and nobody ever deletes or replaces what another one holds. `flock` is not
used: network file systems have it seldom, or on each machine for itself. No two clocks are
compared: an owner of this machine is dead when its process is, any other when its heartbeat stood
still for as long as the one who waits counted itself. Standard library only.
"""

from __future__ import annotations

import errno
import json
import os
import random
import socket
import sys
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

SECONDS = 60.0
"""After so long a silence an owner is given up; $MINIMAX_LEASE_SECONDS instead."""
BEATS = 12
"""Heartbeats in that time."""
NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)
DIGITS = 20
SHORTEST, LONGEST = 0.02, 0.5
"""Seconds between two looks of one who waits."""


@dataclass(frozen=True)
class Claim:
    """Who has, or had, a lease. place: machine, boot and space of process numbers; pid is one of
    these. start: tells a process from a later one with its number. seconds: how long a silence of
    it means its end. count: of its heartbeats.
    """

    token: str
    host: str
    place: str
    pid: int
    start: str
    seconds: float
    count: int = 0

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class TakenError(Exception):
    """Somebody else has the lease."""

    def __init__(self, owner: Claim) -> None:
        super().__init__(str(owner))
        self.owner = owner


@dataclass
class Lease:
    """One lease on the name `path`; `with lease:` waits for it. Raises OSError where its folder
    can't be written.
    """

    path: Path
    _chain: list[str] = field(default_factory=list, init=False)
    _place: Path = field(default_factory=Path, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)

    def __enter__(self) -> Lease:
        return self if self._chain else self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def acquire(self) -> Lease:
        """Wait until nobody has it, or its owner is dead or silent."""
        seen, pause = _Seen(), SHORTEST
        while self._attempt(seen) is not None:
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 1.3, LONGEST)
        return self

    def acquire_now(self) -> Lease:
        """Raises TakenError at once where it has an owner who is not known to be dead."""
        return self._without_waiting(_Seen(), observed=False)

    def acquire_unless_alive(self) -> Lease:
        """Raises TakenError as soon as its owner shows life. One on another machine is watched for
        that, for as long as a silence that means its end.
        """
        return self._without_waiting(_Seen(), observed=True)

    def _without_waiting(self, seen: _Seen, observed: bool) -> Lease:
        while (owner := self._attempt(seen)) is not None:
            if not observed or owner.place == _place() or seen.alive(owner):
                raise TakenError(owner)
            time.sleep(SHORTEST)
        return self

    @property
    def lost(self) -> bool:
        """Whether somebody took over, who thought that this process was dead, or deleted it."""
        return not self._chain or self._after(self._chain[-1]).exists() or not self._stands()

    def _stands(self) -> bool:
        """Whether our claim is where we put it."""
        claim = _read(self._place)
        return claim is not None and claim.token == self._chain[-1]

    def release(self) -> None:
        """Give it back; one that was lost is another's, and stays."""
        self._stop.set()
        if self._chain:
            with suppress(OSError):
                self._give_back()
        self._chain = []

    def _give_back(self) -> None:
        if not self._stands():
            return
        after = self._after(self._chain[-1])
        try:
            ours = self._put(_own_claim(), after)
        except OSError:  # no room for a claim: there is room for none of a successor's, either
            ours = not after.exists()
        for name in [self.path, *map(self._after, self._chain)] if ours else ():
            name.unlink(missing_ok=True)

    def _attempt(self, seen: _Seen) -> Claim | None:
        """Whose it is, or None: ours now."""
        while True:
            before = self._claims()
            if before and not seen.gone(before[-1]):
                return before[-1]
            own = _own_claim()
            name = self._after(before[-1].token) if before else self.path
            if not self._put(own, name):
                continue
            left, claims = self._listed(), [claim.token for claim in self._claims()]
            if own.token in claims:
                break
            name.unlink(missing_ok=True)  # the chain that it was to continue had ended
        self._chain, self._place = claims[: claims.index(own.token) + 1], name
        for old in left - {self.path, *map(self._after, claims)}:
            old.unlink(missing_ok=True)
        self._stop = threading.Event()
        told = (own, name, self._stop)
        threading.Thread(target=self._beat, args=told, daemon=True, name="lease").start()
        return None

    def _claims(self) -> list[Claim]:
        """The chain, from the first claim to the owner's."""
        found: list[Claim] = []
        name = self.path
        while (claim := _read(name)) is not None:
            found.append(claim)
            name = self._after(claim.token)
        return found

    def _listed(self) -> set[Path]:
        """What is there of this lease: what no chain has afterwards was left by the dead."""
        with suppress(OSError):
            own = (f"{self.path.name}.after-", f".{self.path.name}.")
            names = os.listdir(self.path.parent)
            return {self.path.with_name(name) for name in names if name.startswith(own)}
        return set()

    def _after(self, token: str) -> Path:
        return self.path.with_name(f"{self.path.name}.after-{token}")

    def _put(self, claim: Claim, name: Path) -> bool:
        """Whether a claim got its name."""
        partial = self.path.with_name(f".{self.path.name}.{claim.token}.tmp")
        content = _written(claim)
        try:
            partial.write_bytes(content)
            os.link(partial, name)
        except FileExistsError:
            pass  # or the answer was lost, and the link was made: what is there tells
        except FileNotFoundError:
            if not partial.parent.is_dir():
                raise
            return False  # swept meanwhile
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return _create(name, content)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        found = _read(name)
        return found is not None and found.token == claim.token

    def _beat(self, own: Claim, place: Path, stop: threading.Event) -> None:
        """Show life until the lease is given back or lost."""
        count = 0
        while not stop.wait(own.seconds / BEATS):
            count += 1
            if self._after(own.token).exists():
                return
            with suppress(OSError), open(place, "r+b") as file:
                if _parsed(file.read()).token == own.token:
                    file.seek(0)
                    file.write(b"%0*d" % (DIGITS, count))


@dataclass
class _Seen:
    """What one who waits saw of the owner: its last heartbeat, and when, by its own clock."""

    token: str = ""
    first: int = 0
    count: int = 0
    since: float = 0.0

    def gone(self, owner: Claim) -> bool:
        """Whether an owner is dead, or silent for too long."""
        now = time.monotonic()
        if owner.token != self.token:
            self.token, self.first = owner.token, owner.count
            self.count, self.since = owner.count, now
        elif owner.count != self.count:
            self.count, self.since = owner.count, now
        return _is_dead(owner) or now - self.since > owner.seconds

    def alive(self, owner: Claim) -> bool:
        """Whether its heart was seen to beat."""
        return owner.token == self.token and self.count != self.first


def seconds() -> float:
    """How long a silence of this process means its end."""
    try:
        return max(float(os.environ.get("MINIMAX_LEASE_SECONDS", "")), 0.1)
    except ValueError:
        return SECONDS


def _own_claim() -> Claim:
    pid = os.getpid()
    return Claim(uuid.uuid4().hex, _host(), _place(), pid, _start(pid) or "", seconds())


def _written(claim: Claim) -> bytes:
    told = {name: value for name, value in asdict(claim).items() if name != "count"}
    return b"%0*d %s\n" % (DIGITS, claim.count, json.dumps(told).encode())


def _parsed(content: bytes) -> Claim:
    """A claim; what is damaged, or not written yet, is one of nobody's: it falls silent."""
    try:
        return Claim(**json.loads(content[DIGITS:]), count=int(content[:DIGITS]))
    except (ValueError, TypeError):
        return Claim(sha256(content).hexdigest()[:32], "an unknown machine", "", 0, "", seconds())


def _read(name: Path, tries: int = 5) -> Claim | None:
    try:
        return _parsed(name.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ESTALE or not tries:  # NFS: deleted while it was read
            raise
        return _read(name, tries - 1)


def _create(name: Path, content: bytes) -> bool:
    """A new file where there are no links: for a moment it is empty."""
    try:
        with open(name, "xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _is_dead(owner: Claim) -> bool:
    """Whether the owner was a process of this machine that has ended."""
    if owner.place != _place():
        return False
    start = _start(owner.pid)
    return start is None or start != owner.start


@cache
def _host() -> str:
    return socket.gethostname()


@cache
def _place() -> str:
    """This machine since it was switched on, and the space of process numbers in it."""
    boot = space = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with suppress(OSError, AttributeError):
        space = os.readlink("/proc/self/ns/pid")
    return f"{_host()} {boot} {space}".strip()


def _start(pid: int) -> str | None:
    """When a process of this machine began, in the kernel's words; empty where these can't be
    read, None where it has ended.
    """
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if facts[0] in "ZX" else facts[19]
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() or not _answers(pid) else ""
    except (OSError, IndexError):
        return ""


def _answers(pid: int) -> bool:
    """Whether there is such a process, by a signal that does nothing; on Windows it would end it,
    and silence has to tell.
    """
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
