"""The run directory: what is written comes back, what is damaged counts as absent."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time

import numpy as np
import pandas as pd
import pytest
from harness import record, value

from bench.core import files
from bench.core.errors import StoreError, UsageError
from bench.core.files import write_atomically
from results.rows import BAD, COLUMNS, FINAL, STATUSES, check_record, rows_of
from results.store import BODY, HEAD, RunDirectory, frame

KEY = "a" * 64
DESIGN = (
    "schema_version suite tier task series cell_id key artifact_key dataset dataset_fingerprint "
    "model source_model attack norm epsilon step label settings seed metric metric_version "
    "direction value std_error n status reason seconds peak_rss_mb device threads commit dirty "
    "versions started_at outcomes examples"
).split()


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run")


def full_record(**changes):
    return record(
        KEY,
        settings={"steps": 5, "rate": 0.1},
        values=[value(value=0.1 + 0.2, n=7, std_error=1e-17), value(step=3, final=False)],
        reason="naïve “reason” \u2028",
        **changes,
    )


def signed(body: bytes) -> bytes:
    """The content of a cell's file, with the digest of whatever body."""
    return HEAD + hashlib.sha256(body).hexdigest().encode() + BODY + body + b"}\n"


def test_the_row_has_the_columns_of_the_design():
    assert set(DESIGN) <= set(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_every_status_is_final_or_bad():
    assert set(FINAL) | set(BAD) == set(STATUSES)
    assert set(FINAL) & set(BAD) == {"invalid"}


def test_a_cell_comes_back_as_it_was(run):
    run.write_cell(full_record(), {"samples": np.arange(6.0).reshape(3, 2)})
    assert run.read_cell(KEY) == full_record()
    np.testing.assert_array_equal(run.samples(KEY)["samples"], np.arange(6.0).reshape(3, 2))
    assert json.loads(run.cell_path(KEY).read_bytes())["cell"]["key"] == KEY


def test_what_was_never_written_is_absent(run):
    assert run.read_cell(KEY) is None
    assert run.read_cells([KEY, "b" * 64]) == ({}, [])
    assert run.samples(KEY) == {}


def test_a_cell_cut_at_any_byte_is_damaged(run):
    run.write_cell(full_record(), {})
    path = run.cell_path(KEY)
    content = path.read_bytes()
    for length in reversed(range(len(content))):
        os.truncate(path, length)
        with pytest.raises(ValueError, match="cut or was changed"):
            run.read_cell(KEY)
    path.write_bytes(content)
    assert run.read_cell(KEY) == full_record()


def test_a_cell_with_any_flipped_byte_is_damaged(run):
    run.write_cell(full_record(), {})
    path, rng = run.cell_path(KEY), random.Random(0)
    content = path.read_bytes()
    for place in [*range(100), *rng.sample(range(100, len(content)), 300)]:
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="cut or was changed"):
            run.read_cell(KEY)


@pytest.mark.parametrize("extra", [b" ", b"\n", b"}\n", b"\0"])
def test_a_cell_with_bytes_after_its_end_is_damaged(run, extra):
    run.write_cell(full_record(), {})
    path = run.cell_path(KEY)
    path.write_bytes(path.read_bytes() + extra)
    with pytest.raises(ValueError, match="cut or was changed"):
        run.read_cell(KEY)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({**record(KEY), "key": "b" * 64}).encode(),
        json.dumps({**record(KEY), "status": "fine"}).encode(),
        json.dumps({**record(KEY), "status": ["ok"]}).encode(),
        json.dumps({**record(KEY), "seed": True}).encode(),
        json.dumps({**record(KEY), "seed": 0.5}).encode(),
        json.dumps({**record(KEY), "values": [1]}).encode(),
        json.dumps({**record(KEY), "values": [value(value=float("nan"))]}).encode(),
        json.dumps({**record(KEY), "values": [value(value=float("inf"))]}).encode(),
        json.dumps({**record(KEY), "values": [value(value=10**400)]}).encode(),
        json.dumps({**record(KEY), "values": [value(value="1")]}).encode(),
        json.dumps({**record(KEY), "values": [value(final=None)]}).encode(),
        json.dumps({k: v for k, v in record(KEY).items() if k != "code"}).encode(),
    ],
)
def test_a_cell_that_holds_something_else_is_damaged(run, body):
    path = run.cell_path(KEY)
    path.parent.mkdir(parents=True)
    path.write_bytes(signed(body))
    with pytest.raises(ValueError):  # noqa: PT011
        run.read_cell(KEY)
    found, warnings = run.read_cells([KEY])
    assert found == {}
    assert len(warnings) == 1
    assert warnings[0].startswith(f"cell {KEY[:12]} can't be read")


def test_a_cell_under_the_name_of_another_is_damaged(run):
    run.write_cell(full_record(), {})
    other = run.cell_path("b" * 64)
    other.parent.mkdir(parents=True)
    os.rename(run.cell_path(KEY), other)
    with pytest.raises(ValueError, match="not its own"):
        run.read_cell("b" * 64)


def test_a_folder_in_the_place_of_a_cell_is_damaged(run):
    run.cell_path(KEY).mkdir(parents=True)
    with pytest.raises(ValueError, match="directory"):
        run.read_cell(KEY)


@pytest.mark.parametrize(
    "key", ["", "a", "A" * 64, "g" * 64, "../" * 21 + "a", "a" * 63 + "/", KEY + "\n"]
)
def test_what_is_no_key_has_no_path(run, key):
    with pytest.raises(ValueError, match="no key"):
        run.cell_path(key)
    with pytest.raises(ValueError, match="no key"):
        run.samples_path(key)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_never_written(run, number):
    with pytest.raises(ValueError, match="JSON"):
        run.write_cell(full_record(seconds=number), {})
    assert run.read_cell(KEY) is None


def test_damaged_arrays_count_as_absent(run):
    run.write_cell(full_record(), {"samples": np.arange(2_000.0)})
    path = run.samples_path(KEY)
    content = path.read_bytes()
    for length in [*range(60), *range(60, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:length])
        assert run.samples(KEY) == {}, length


def test_arrays_with_flipped_bytes_count_as_absent_or_are_read(run):
    run.write_cell(full_record(), {"samples": np.arange(500.0)})
    path, rng = run.samples_path(KEY), random.Random(1)
    content = path.read_bytes()
    for _ in range(300):
        changed = bytearray(content)
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        assert isinstance(run.samples(KEY), dict)


def test_arrays_that_would_run_code_are_not_read(run):
    path = run.samples_path(KEY)
    path.parent.mkdir(parents=True)
    np.savez(path, samples=np.array([{"a": 1}], dtype=object))
    assert run.samples(KEY) == {}


def test_stale_partial_files_harm_nothing(run):
    run.write_cell(full_record(), {})
    for folder in (run.path, run.cell_path(KEY).parent):
        (folder / f".{KEY}.json.99-1.tmp").write_bytes(b"half a ce")
        (folder / ".manifest.json.99-1.tmp").write_bytes(b"{")
    found, warnings = run.read_cells([KEY])
    assert found == {KEY: full_record()}
    assert warnings == []


def test_nothing_partial_stays_after_a_write(run):
    run.write_cell(full_record(), {"samples": np.zeros(3)})
    assert not list(run.path.rglob("*.tmp"))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_keeps_what_was_there(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(
        StoreError, match=r"can't write .*file: the disk is full; what was finished"
    ):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_file_in_the_place_of_a_folder_is_a_store_error(tmp_path):
    (tmp_path / "cells").write_text("")
    with pytest.raises(StoreError, match="can't write"):
        write_atomically(tmp_path / "cells" / "ab" / "file", b"new")
    with pytest.raises(StoreError, match="can't write"):
        write_atomically(tmp_path / "cells" / "file", b"new")


def test_readers_never_see_half_a_file(tmp_path):
    path, seen, end = tmp_path / "file", set(), threading.Event()
    contents = [bytes([letter]) * 200_000 for letter in b"abc"]
    write_atomically(path, contents[0])

    def read() -> None:
        while not end.is_set():
            seen.add(path.read_bytes())

    def write(content: bytes) -> None:
        while time.monotonic() < stop:
            write_atomically(path, content)

    stop = time.monotonic() + 0.5
    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    reader = threading.Thread(target=read)
    for thread in [reader, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    end.set()
    reader.join()
    assert seen <= set(contents)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_second_driver_is_refused_while_the_first_runs(run):
    with run.lock(), pytest.raises(UsageError, match="another bench is running"):
        run.lock()
    run.lock().release()


def test_a_driver_on_another_machine_is_refused_while_it_shows_life(run, monkeypatch):
    """One that is silent is followed: no clock of another machine is asked."""
    monkeypatch.setenv("MINIMAX_LEASE_SECONDS", "0.5")
    with run.lock() as lease:
        claim = run.path / ".lease"
        claim.write_bytes(claim.read_bytes().replace(b'"place": "', b'"place": "far '))
        with pytest.raises(UsageError, match=r"wait for it, or choose .* \(it is process \d+ on "):
            run.lock()
        lease._stop.set()
        with run.lock() as other:
            assert lease.lost
            assert not other.lost
    assert not list(run.path.glob(".lease*"))


def test_who_gets_the_lock_sweeps_what_a_killed_writer_left(run, killed_writes):
    manifest = {"suite": "s", "tier": "t", "cells": [], "metrics": {}}
    for leave in (
        lambda: run.write_manifest(manifest),
        lambda: run.write_cell(full_record(), {}),
        lambda: run.write_cell(full_record(), {"x": np.zeros(2)}),
    ):
        with killed_writes():
            leave()
    left = sorted(path.parent.name for path in run.path.rglob("*.tmp"))
    assert left == sorted([KEY[:2], "samples", run.path.name])
    (run.path / "notes.tmp").write_text("the user's")
    run.lock().release()
    assert [path.name for path in run.path.rglob("*.tmp")] == ["notes.tmp"]


def test_the_manifest_comes_back_as_it_was(run):
    cells = [{"key": KEY, "text": '\n "cells": []'}, {"key": "b" * 64}]
    manifest = {"suite": 's "cells": []', "tier": "t", "cells": cells, "metrics": {}, "blocks": []}
    run.write_manifest(manifest)
    assert run.manifest() == {"schema_version": 1, **manifest}
    run.write_manifest({**manifest, "cells": []})
    assert run.manifest()["cells"] == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "holds no run"),
        (b"", "can't be read"),
        (b"{", "can't be read"),
        (b"\xff", "can't be read"),
        (b"[]", "can't be read"),
        (b"[" * 100_000, "can't be read"),
        (b'{"schema_version": 1}', "can't be read"),
        (b'{"schema_version": "1"}', "can't be read"),
        (b'{"schema_version": 1, "suite": "s", "tier": "t", "cells": {}}', "can't be read"),
        (b'{"schema_version": 2}', "newer than 1: upgrade"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_says_so(run, content, expected):
    run.path.mkdir()
    if content is not None:
        (run.path / "manifest.json").write_bytes(content)
    with pytest.raises(UsageError, match=expected) as caught:
        run.manifest()
    assert "\n" not in str(caught.value)
    assert not run.readable()


def test_setting_aside_deletes_nothing_and_never_overwrites(run):
    names = set()
    for index in range(3):
        run.write_cell(full_record(seed=index), {})
        moved = run.set_aside()
        assert not run.path.exists()
        assert RunDirectory(moved).read_cell(KEY)["seed"] == index
        names.add(moved)
    assert len(names) == 3


def test_a_claim_leaves_no_trace_and_refuses_what_is_not_this_run(run, tmp_path):
    run.claim("s", "t")
    assert not run.path.exists()
    run.write_manifest({"suite": "s", "tier": "t", "cells": [], "metrics": {}})
    run.claim("s", "t")
    with pytest.raises(UsageError, match=r"holds a run of s \(t\), not of s \(u\)"):
        run.claim("s", "u")
    foreign = RunDirectory(tmp_path / "foreign")
    foreign.path.mkdir()
    (foreign.path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="holds other files and no run"):
        foreign.claim("s", "t")
    assert [entry.name for entry in foreign.path.iterdir()] == ["thesis.tex"]


def test_a_cell_that_is_ok_has_a_row_a_value_and_others_one_more():
    assert [row["metric"] for row in rows_of(full_record())] == ["score", "score"]
    for status in set(STATUSES) - {"ok"}:
        rows = rows_of(record(KEY, status=status, reason="why"))
        assert [(row["metric"], row["value"], row["status"]) for row in rows] == [
            ("", None, status)
        ]


def test_a_series_names_suite_cell_metric_and_version():
    row = rows_of(record(KEY, suite="s", cell_id="t/m", values=[value(version=3)]))[0]
    assert row["series"] == "s/t/m/score@3"
    assert row["metric_version"] == 3


def test_a_table_keeps_its_types_without_rows_and_with_gaps(run):
    full = frame([full_record(), record("b" * 64, status="failed", reason="why")])
    assert list(full.columns) == list(COLUMNS)
    assert full.dtypes.equals(frame([]).dtypes)
    assert full["value"].tolist()[:2] == [0.1 + 0.2, 0.5]
    assert pd.isna(full["value"].iloc[2])


def test_the_two_tables_agree_and_keep_every_bit(run):
    written = frame([full_record(), record("b" * 64, status="failed", reason="why")])
    run.write_tables(written)
    columnar = pd.read_parquet(run.path / "table.parquet")
    pd.testing.assert_frame_equal(columnar.astype(written.dtypes), written, check_exact=True)
    text = pd.read_csv(run.path / "table.csv", dtype=str, keep_default_na=False)
    assert list(text.columns) == list(COLUMNS)
    for name in COLUMNS:
        if written[name].dtype == "float64":
            read = [float(cell or "nan") for cell in text[name]]
            np.testing.assert_array_equal(read, written[name])
        else:
            assert text[name].tolist() == ["" if pd.isna(v) else str(v) for v in written[name]]


def test_a_record_is_checked_field_by_field():
    for name in record(KEY):
        broken = {**record(KEY), name: object()}
        with pytest.raises(ValueError, match=name if name != "values" else "values"):
            check_record(broken, KEY)
