"""Trained models by content: trained once, kept under the key of all that made them.

An artifact is `<kind>/<key>.safetensors` and `<key>.json`; the JSON is written last and holds
the sha256 of the other, so that a half-written or damaged artifact counts as absent. While one
is made its lease is held (bench.core.leases), and a second process that needs it waits, on this
machine or another one. `<key>.partial.json` and the safetensors file that it names hold the state
of a training that was cut off.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from bench.core.errors import StoreError
from bench.core.files import sweep_unfinished, write_atomically
from bench.core.leases import Lease, TakenError
from bench.core.trees import BrokenTreeError, Tree, dump, load_tree, parse, save_tree
from results.provenance import versions

CHECKPOINT_SECONDS = 15.0
TAG = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# The trained models of minimax-bench; `bench clean` empties this folder.\n"
)
"""The content of a CACHEDIR.TAG (bford.info/cachedir)."""
NAMES = re.compile(
    r"\.?([0-9a-f]{64})(\.safetensors|\.safetensors\.lock|\.json|\.partial\.json|"
    r"\.partial-[0-9a-f]{8}\.safetensors|\.lease|\.lease\.after-[0-9a-f]{32})"
    r"(\.\d+-\d+\.tmp|\.[0-9a-f]{32}\.tmp)?"
)
"""The files of an artifact, by its key; earlier versions left a lock behind."""


def artifact_key(kind: str, facts: dict[str, Any]) -> str:
    """A sha256 over everything that decides what the artifact is; facts may name its device."""
    made_by = _made_by(str(facts.get("device", "cpu")))
    text = json.dumps({"kind": kind, **facts, "made_by": made_by}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _made_by(device: str) -> dict[str, str]:
    """What decides the last bits of a training beside our own code: another version of torch or
    NumPy, other vector instructions or another GPU round otherwise.
    """
    known = versions()
    unit = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    if device.startswith("cuda") and torch.cuda.is_available():
        unit = torch.cuda.get_device_name()
    packages = {name: known[name] for name in ("torch", "numpy", "scikit-learn")}
    return {**packages, "unit": unit}


@dataclass(frozen=True)
class Artifact:
    """What was trained: a tree of tensors, and facts about the training."""

    key: str
    tree: Tree
    facts: dict[str, Any]


@dataclass
class Checkpoint:
    """The place of a training's state on disk; saves no oftener than every few seconds, and never
    after the training is `lost` to another process.

    `<path>.json` says what it is of, and names the safetensors file beside it by its sha256: the
    old one goes when the new one is named, so that a kill at any moment leaves one whole.
    """

    path: Path
    device: str = "cpu"
    every: float = CHECKPOINT_SECONDS
    lost: Callable[[], bool] = lambda: False
    _last: float = field(default_factory=time.monotonic)

    @property
    def _described(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def _tensors(self, digest: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{digest[:8]}.safetensors")

    def load(self) -> Tree | None:
        """The state of a training that was cut off, or None; a damaged one counts as none."""
        try:
            digest = json.loads(self._described.read_bytes())["sha256"]
            content = self._tensors(digest).read_bytes()
            whole = hashlib.sha256(content).hexdigest() == digest
            return parse(content, self.device) if whole else None
        except (OSError, ValueError, KeyError, TypeError, BrokenTreeError):
            return None

    def offer(self, state: Callable[[], Tree], about: Mapping[str, Any] | None = None) -> None:
        """Save the state if the last save was long enough ago, with what it is of as JSON. A full
        disk is no error here.
        """
        if time.monotonic() - self._last < self.every or self.lost():
            return
        try:
            body = dump(state())
            digest = hashlib.sha256(body).hexdigest()
            described = {**(about or {}), "sha256": digest}
            write_atomically(self._tensors(digest), body)
            write_atomically(self._described, json.dumps(described, indent=1).encode())
            self._forget(self._tensors(digest))
        except StoreError:
            self.clear()
        self._last = time.monotonic()

    def clear(self) -> None:
        """Delete what there is."""
        self._described.unlink(missing_ok=True)
        self._forget(None)

    def _forget(self, kept: Path | None) -> None:
        """Delete tensors of this training, all but one file."""
        for old in self.path.parent.glob(f"{self.path.name}-*.safetensors"):
            if old != kept:
                old.unlink(missing_ok=True)


class Elsewhere(Protocol):
    """Another store, of a machine whose folders are not seen from here. files: an artifact's two,
    by what their names end in.
    """

    def fetch(self, kind: str, key: str) -> dict[str, bytes] | None: ...

    def has(self, kind: str, key: str) -> bool: ...

    def keep(self, kind: str, key: str, files: Mapping[str, bytes]) -> None: ...


@dataclass(frozen=True)
class ArtifactStore:
    """The artifacts under one folder. given: a tree that stands for every artifact, where a user
    brings one. elsewhere: where one that is missing may be, and where one that is made goes, too.
    """

    root: Path
    device: str = "cpu"
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    given: Tree | None = None
    elsewhere: Elsewhere | None = None

    def get_or_make(
        self, kind: str, key: str, make: Callable[[Checkpoint], tuple[Tree, dict[str, Any]]]
    ) -> Artifact:
        """The artifact of a key, made by `make` where it is not there yet."""
        found = self._make(kind, key, make)
        other = None if self.given is not None else self.elsewhere
        if other is not None and not other.has(kind, key):
            other.keep(kind, key, self.files(kind, key))
        return found

    def _make(
        self, kind: str, key: str, make: Callable[[Checkpoint], tuple[Tree, dict[str, Any]]]
    ) -> Artifact:
        found = self.find(kind, key)
        if found is not None:
            return found
        tensors, described = self._paths(kind, key)
        try:
            tensors.parent.mkdir(parents=True, exist_ok=True)
            self._mark()
        except OSError as error:
            raise StoreError(
                f"can't make {tensors.parent}: {error.strerror}; set MINIMAX_CACHE to a folder "
                "that can be written"
            ) from error
        made: tuple[Tree, dict[str, Any]] | None = None
        while True:
            with self._leased(described) as lease:
                sweep_unfinished(tensors.parent, key)
                found = self.find(kind, key) or self._fetched(kind, key)
                if found is not None:
                    return found
                checkpoint = Checkpoint(
                    tensors.with_suffix(".partial"),
                    self.device,
                    self.checkpoint_seconds,
                    lambda lease=lease: lease.lost,
                )
                made = made or make(checkpoint)
                if lease.lost:
                    continue  # whoever took over has it, or will have it
                tree, facts = made
                save_tree(tensors, tree)
                facts = {**facts, "sha256": _sha256(tensors)}
                write_atomically(described, json.dumps(facts, indent=1).encode())
                checkpoint.clear()
                return Artifact(key, load_tree(tensors, self.device), facts)

    def _leased(self, described: Path) -> Lease:
        try:
            return Lease(described.with_suffix(".lease")).acquire()
        except OSError as error:
            raise StoreError(
                f"can't lock {described.stem} in {described.parent}: {error.strerror}"
            ) from error

    def _fetched(self, kind: str, key: str) -> Artifact | None:
        """The artifact, brought here from elsewhere, if it is there and whole."""
        files = None if self.elsewhere is None else self.elsewhere.fetch(kind, key)
        if files is None:
            return None
        self._write(kind, key, files)
        return self.find(kind, key)

    def _write(self, kind: str, key: str, files: Mapping[str, bytes]) -> None:
        tensors, described = self._paths(kind, key)
        write_atomically(tensors, files[tensors.suffix])
        write_atomically(described, files[described.suffix])

    def files(self, kind: str, key: str) -> dict[str, bytes]:
        """The two files of an artifact that is there, by what their names end in."""
        return {path.suffix: path.read_bytes() for path in self._paths(kind, key)}

    def take_in(self, kind: str, key: str, files: Mapping[str, bytes]) -> None:
        """Keep an artifact that was made elsewhere, unless it is there, or somebody makes it."""
        tensors, described = self._paths(kind, key)
        tensors.parent.mkdir(parents=True, exist_ok=True)
        self._mark()
        with suppress(TakenError), Lease(described.with_suffix(".lease")).acquire_now():
            if self.find(kind, key) is None:
                self._write(kind, key, files)

    def has(self, kind: str, key: str) -> bool:
        """Whether the artifact is there, without reading it."""
        return all(path.exists() for path in self._paths(kind, key))

    def step_of(self, kind: str, key: str) -> int | None:
        """The step of a training that is going on, or was cut off, when its state was last kept."""
        _, described = self._paths(kind, key)
        try:
            return int(json.loads(described.with_suffix(".partial.json").read_bytes())["step"])
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def _paths(self, kind: str, key: str) -> tuple[Path, Path]:
        folder = self.root / "artifacts" / kind / key[:2]
        return folder / f"{key}.safetensors", folder / f"{key}.json"

    def find(self, kind: str, key: str) -> Artifact | None:
        """The artifact of a key, if it is there and whole."""
        if self.given is not None:
            return Artifact(key, self.given, {"diverged": ""})
        tensors, described = self._paths(kind, key)
        try:
            facts = json.loads(described.read_bytes())
            if facts["sha256"] != _sha256(tensors):
                return None
            return Artifact(key, load_tree(tensors, self.device), facts)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def contents(self) -> list[dict[str, Any]]:
        """Each kind of artifact with how many there are and how many bytes they take."""
        rows = []
        base = self.root / "artifacts"
        for folder in sorted(path for path in base.glob("*") if path.is_dir()):
            files = [path for path in folder.rglob("*") if path.is_file()]
            unfinished = sum(path.name.endswith(".partial.json") for path in files)
            rows.append(
                {
                    "kind": folder.name,
                    "artifacts": sum(path.suffix == ".json" for path in files) - unfinished,
                    "unfinished": unfinished,
                    "bytes": sum(path.stat().st_size for path in files),
                }
            )
        return rows

    def _mark(self) -> None:
        """Tell backups, and who looks, what the folder is."""
        marker = self.root / "artifacts" / "CACHEDIR.TAG"
        if not marker.exists():
            marker.write_bytes(TAG)

    def empty(self) -> int:
        """Delete every artifact that nobody is making; how many somebody is. What is not by its
        name an artifact of ours stays where it is.
        """
        base, busy = self.root / "artifacts", 0
        for folder in sorted(base.glob("*/??")):
            files: dict[str, list[Path]] = {}
            for path in folder.iterdir():
                if (named := NAMES.fullmatch(path.name)) and path.is_file():
                    files.setdefault(named[1], []).append(path)
            busy += sum(not _delete(folder, key, found) for key, found in files.items())
            _remove_if_empty(folder)
        for folder in sorted(base.glob("*")):
            _remove_if_empty(folder)
        marker = base / "CACHEDIR.TAG"
        if [path.name for path in base.glob("*")] == [marker.name] and marker.read_bytes() == TAG:
            marker.unlink()
            _remove_if_empty(base)
        return busy


def _delete(folder: Path, key: str, files: Iterable[Path]) -> bool:
    """Delete the files of an artifact under its lease; False where somebody holds it."""
    try:
        with Lease(folder / f"{key}.lease").acquire_now():
            for path in files:
                if ".lease" not in path.name:
                    path.unlink(missing_ok=True)
    except TakenError:
        return False
    return True


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
