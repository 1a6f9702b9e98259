"""The run directory: a manifest first, one atomic file per finished cell, tables at the end.

    manifest.json          the cells of the present command, with all that decides them
    cells/ab/<key>.json    one finished cell; written by whoever finished it
    samples/<key>.npz      what pictures need
    underway/<key>.json    a cell that is being measured (results.notes)
    table.parquet, table.csv, pictures/

A cell's file carries the sha256 of its content: one that is cut or changed counts as absent.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.core.errors import StoreError, UsageError, one_line
from bench.core.files import sweep_unfinished, write_atomically
from bench.core.leases import Lease, TakenError
from results.notes import forget_all
from results.rows import COLUMNS, SCHEMA_VERSION, TYPES, check_record, rows_of

KEY = re.compile(r"[0-9a-f]{64}")
MANIFEST_FIELDS = {"suite": str, "tier": str, "cells": list, "metrics": dict}
LEASE = ".lease"
HEAD = b'{"sha256": "'
BODY = b'", "cell": '


@dataclass(frozen=True)
class RunDirectory:
    """One run: a suite at a tier, in a folder."""

    path: Path

    def claim(self, suite: str, tier: str) -> None:
        """Make sure that the folder can hold this run. Raises UsageError where it can't."""
        try:
            self._claim(suite, tier)
        except OSError as error:
            raise UsageError(
                one_line(f"{error.strerror}: choose another `out` than {self.path}")
            ) from error

    def _claim(self, suite: str, tier: str) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"`out` {self.path} is a file: expected a folder, or a new name")
        manifest = self.manifest() if self.exists() else None
        if manifest is None and self.path.is_dir() and any(self._foreign()):
            raise UsageError(
                f"{self.path} holds other files and no run: choose an empty or a new folder"
            )
        if manifest is not None and (manifest["suite"], manifest["tier"]) != (suite, tier):
            raise UsageError(
                f"{self.path} holds a run of {manifest['suite']} ({manifest['tier']}), not of "
                f"{suite} ({tier}): choose another `out`"
            )
        self._probe()

    def _foreign(self) -> Iterable[str]:
        return (name for name in os.listdir(self.path) if not name.startswith("."))

    def _probe(self) -> None:
        """Fail before the work, not after it, where nothing can be written."""
        made = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UsageError(
                f"can't write in {self.path}: {error.strerror}; choose another `out`"
            ) from error
        finally:
            if made:
                self.forget_if_empty()

    def forget_if_empty(self) -> None:
        """Take the folder away where nothing came into it."""
        with suppress(OSError):
            self.path.rmdir()

    def lock(self) -> Lease:
        """The lease against a second driver, here or on another machine, acquired; what a killed
        one left half written is gone. Raises UsageError where it is held. One whose driver was on
        another machine and is silent is taken over after a minute.
        """
        lease = Lease(self.path / LEASE)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lease.acquire_unless_alive()
        except TakenError as error:
            raise UsageError(self._taken(error)) from None
        except OSError as error:
            raise UsageError(f"can't lock {self.path}: {error.strerror}") from error
        for folder in (self.path, self.path / "samples", *(self.path / "cells").glob("*")):
            sweep_unfinished(folder)
        forget_all(self.path)
        return lease

    def _taken(self, error: TakenError) -> str:
        return (
            f"another bench is running in {self.path}: wait for it, or choose another `out` (it is "
            f"{error.owner})"
        )

    def set_aside(self) -> Path:
        """Move the folder out of the way, deleting nothing; where it went."""
        stamp, path = time.strftime("%Y%m%d-%H%M%S"), self.path.resolve()
        for suffix in ("", *(f"-{i}" for i in range(1, 1000))):
            target = path.with_name(f"{path.name}.old-{stamp}{suffix}")
            if not target.exists():
                path.rename(target)
                for left in target.glob(f"{LEASE}*"):  # of whoever moves it: nobody is there
                    left.unlink(missing_ok=True)
                return target
        raise StoreError(f"can't find a free name beside {self.path}")

    def readable(self) -> bool:
        """Whether there is a manifest that can be read."""
        try:
            self.manifest()
        except UsageError:
            return False
        return True

    def is_run(self) -> bool:
        """Whether the folder is a run's, be its manifest damaged: there are cells."""
        return self.readable() or (self.path / "cells").is_dir()

    def exists(self) -> bool:
        return (self.path / "manifest.json").is_file()

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest."""
        head = {"schema_version": SCHEMA_VERSION, **manifest, "cells": []}
        cells = ",\n  ".join(json.dumps(cell, allow_nan=False) for cell in manifest["cells"])
        text = json.dumps(head, indent=1, allow_nan=False)
        text = text.replace('\n "cells": []', f'\n "cells": [\n  {cells}\n ]')
        write_atomically(self.path / "manifest.json", text.encode())

    def manifest(self) -> dict[str, Any]:
        """The manifest. Raises UsageError where there is none that can be read."""
        path = self.path / "manifest.json"
        try:
            manifest = json.loads(path.read_bytes())
            if manifest["schema_version"] > SCHEMA_VERSION:
                raise UsageError(
                    f"{path} is of schema {manifest['schema_version']}, newer than "
                    f"{SCHEMA_VERSION}: upgrade minimax-bench"
                )
            for name, kind in MANIFEST_FIELDS.items():
                if not isinstance(manifest[name], kind):
                    raise TypeError(name)
            if not all(isinstance(cell, dict) for cell in manifest["cells"]):
                raise TypeError("cells")
        except FileNotFoundError:
            raise UsageError(f"{self.path} holds no run: there is no manifest.json") from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(
                one_line(
                    f"{path} can't be read ({error!r}): move the folder away, or run the suite "
                    "with `fresh`"
                )
            ) from error
        return manifest

    def cell_path(self, key: str) -> Path:
        """The file of a cell. Raises ValueError for what is no key."""
        if not is_key(key):
            raise ValueError(f"no key: {key[:80]!r}")
        return self.path / f"cells/{key[:2]}/{key}.json"

    def samples_path(self, key: str) -> Path:
        """The file of a cell's arrays."""
        return self.path / "samples" / self.cell_path(key).with_suffix(".npz").name

    def write_cell(self, record: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished cell: its arrays first, then the file that says it is there."""
        if arrays:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
            write_atomically(self.samples_path(record["key"]), buffer.getvalue())
        body = json.dumps(record, allow_nan=False).encode()
        digest = hashlib.sha256(body).hexdigest().encode()
        write_atomically(self.cell_path(record["key"]), HEAD + digest + BODY + body + b"}\n")

    def read_cell(self, key: str) -> dict[str, Any] | None:
        """A finished cell's record, or None. Raises ValueError for a damaged file."""
        try:
            with open(self.cell_path(key), "rb", buffering=0) as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError(str(error)) from error
        start = len(HEAD) + 64 + len(BODY)
        body = content[start:-2]
        frame = content[: len(HEAD)] + content[len(HEAD) + 64 : start] + content[-2:]
        digest = content[len(HEAD) : len(HEAD) + 64]
        if frame != HEAD + BODY + b"}\n" or hashlib.sha256(body).hexdigest().encode() != digest:
            raise ValueError("it is cut or was changed")
        try:
            return check_record(json.loads(body), key)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def read_cells(self, keys: Iterable[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """The finished cells among keys, and a warning for each damaged file."""
        found: dict[str, dict[str, Any]] = {}
        warnings = []
        for key in dict.fromkeys(keys):
            try:
                record = self.read_cell(key)
            except ValueError as error:
                warnings.append(one_line(f"cell {key[:12]} can't be read ({error})"))
                continue
            if record is not None:
                found[key] = record
        return found, warnings

    def others(self, keys: Iterable[str]) -> int:
        """How many cells are finished here that are none of these."""
        known, count = set(keys), 0
        for folder in (self.path / "cells").glob("*"):
            with suppress(OSError):
                names = {Path(name) for name in os.listdir(folder)}
                stems = {name.stem for name in names if name.suffix == ".json"}
                count += sum(is_key(stem) for stem in stems - known)
        return count

    def samples(self, key: str) -> dict[str, np.ndarray]:
        """A cell's arrays; empty where there are none."""
        return arrays_in(self.samples_path(key))

    def write_tables(self, table: pd.DataFrame) -> None:
        """table.parquet and table.csv."""
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        write_atomically(self.path / "table.parquet", buffer.getvalue())
        write_atomically(self.path / "table.csv", table.to_csv(index=False).encode())


def arrays_in(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file; empty where there are none that can be read."""
    try:
        return dict(np.load(io.BytesIO(path.read_bytes()), allow_pickle=False))
    except Exception:  # a damaged archive makes NumPy raise nearly anything
        return {}


def is_key(key: object) -> bool:
    """Whether something is a cell's key: 64 hexadecimal digits, and so no path elsewhere."""
    return isinstance(key, str) and KEY.fullmatch(key) is not None


def frame(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """The rows of some cells as a table with the columns of the contract."""
    rows = [row for record in records for row in rows_of(record)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(TYPES)
