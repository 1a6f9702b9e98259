"""The page of a run: every number is the table's, every text is a text, the same bytes twice."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from harness import bench
from unrun import FACTS, VALUES, images_of, kept, measured, run_of

from bench import api
from bench.core.errors import UsageError, visible
from results.pages import page as pages
from results.pages.grids import as_script, grid
from results.pages.page import Extra, page
from results.pages.sheets import IMAGES, POINTS, Room, sheets
from results.tables import Layout

WHOLE = ("test_the_command", "test_ten_thousand_cells_make_a_page_in_ten_seconds")
"""Tests of pages with all that they hold."""


class Parsed(HTMLParser):
    """The tags of a page with the names of their attributes, its texts, and its payload."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.ids, self.inside, self.told = [], [], [], "", ""
        self.addresses, self.policy = [], ""
        self.feed(text)
        self.close()
        self.payload = json.loads(self.told)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, *given))
        self.inside = given.get("id", "") if tag == "script" else ""
        self.ids += [given["id"]] if "id" in given else []
        self.addresses += [given[name] for name in ("src", "href") if name in given]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_data(self, data):
        if self.inside == "payload":
            self.told += data
        self.texts.append(data)


@pytest.fixture(autouse=True)
def _without_the_library(monkeypatch, request):
    """Its four megabytes are the same on every page."""
    if request.node.originalname not in WHOLE:
        monkeypatch.setattr(pages, "_library", lambda: ("bGli", "'sha256-lib'"))


@pytest.fixture
def run(tmp_path):
    return run_of(tmp_path)


def test_the_same_run_gives_the_same_bytes(run):
    assert page([run]) == page([run])


def test_nothing_leaves_the_page(run):
    """Addresses are within it or hold what they name; the policy allows nothing else."""
    parsed = Parsed(page([run]))
    assert all(address.startswith(("#", "data:")) for address in parsed.addresses)
    rules = dict(rule.strip().split(" ", 1) for rule in parsed.policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'none'"
    assert "unsafe" not in rules["script-src"]
    assert re.fullmatch(r"'sha256-[\w+/=]{44}' 'sha256-lib'", rules["script-src"])


def test_a_table_can_be_taken_along(run):
    """As `bench show` would print it, lines and all."""
    from results.latex import latex
    from results.tables import layouts, markdown

    (layout,) = layouts(run.summary(), run.manifest)
    copies = Parsed(page([run])).payload["blocks"][0]["grid"]["copies"]
    assert copies["Markdown"] == markdown(layout)
    assert copies["LaTeX"] == latex(layout)
    first, second, *_ = copies["CSV"].splitlines()
    assert first == "model,seeds,quality % ↑,quality % ↑ interval,loss ↓,loss ↓ interval"
    assert second.startswith("oracle,2,98.5,")


def test_its_numbers_are_the_summarys(run):
    """Value and interval of every row and metric, to nine digits; a row's seeds have their own."""
    rows = Parsed(page([run])).payload["blocks"][0]["grid"]["rows"]
    summary = run.summary()
    assert [row["role"] for row in rows] == ["ceiling", "model", "baseline", "floor"]
    for row in rows:
        name = row["cells"][0][0]
        for at, metric in ((2, "high_quality"), (3, "loss")):
            here = summary[(summary["model"] == name) & (summary["metric"] == metric)].iloc[0]
            shown = row["cells"][at]
            wanted = [here["value"], here["low"], here["high"]]
            assert shown[3:] == pytest.approx([w for w in wanted if not np.isnan(w)], rel=1e-8)
        seeds = [(seed, status, values) for seed, status, _, _, values in row["seeds"]]
        assert seeds == [
            (seed, "ok", [f"{100 * value:.1f}", f"{1 - value:.3f}"])
            for seed, value in enumerate(VALUES[name])
        ]


def test_a_cell_that_is_left_or_failed_says_so(tmp_path):
    run = run_of(tmp_path)
    first, second, *_ = run.records
    del run.records[first]
    run.records[second] |= {"status": "failed", "reason": "no <memory>", "values": []}
    parsed = Parsed(page([run]))
    seeds = parsed.payload["blocks"][0]["grid"]["rows"][0]["seeds"]
    assert seeds == [[0, "left", "", None, []], [1, "failed", "no <memory>", 1.5, ["", ""]]]
    assert any("1 left" in text for text in parsed.texts)
    assert any("failed: no <memory>" in text for text in parsed.texts)


def test_bars_are_drawn_on_the_metrics_range(run):
    """From 0 to 1 for a share, over its numbers and a little more for what has no range; ceiling
    and floor are those rows' values there.
    """
    found = Parsed(page([run])).payload["blocks"][0]["grid"]
    assert found["scales"][:2] == [None, None]
    assert found["scales"][2] == [0, 1]
    low, high = found["scales"][3]
    numbers = [x for row in found["rows"] for x in row["cells"][3][3:]]
    span = max(numbers) - min(numbers)
    assert (min(numbers) - low, high - max(numbers)) == pytest.approx((0.04 * span,) * 2, rel=1e-3)
    assert found["ticks"][2] == "--c:0.9850;--ch:7px;--f:0.0200;--fh:7px"


def test_a_chart_begins_with_quality_and_the_primary_metric(run):
    found = Parsed(page([run])).payload["blocks"][0]["grid"]
    assert (found["axes"], found["first"]) == ([2, 3], 3)
    assert found["curve"] is False


def test_curves_are_means_and_ranges_over_seeds(run):
    """At each step; the two looks of the fixture are at 10 and 20."""
    (metric,) = Parsed(page([run])).payload["blocks"][0]["curves"]["metrics"]
    gan = next(line for line in metric["lines"] if line["name"] == "gan")
    assert gan["x"] == [10, 20]
    assert gan["y"] == pytest.approx([11.5, 21.5])
    assert gan["low"] == pytest.approx([11.4, 21.4])
    assert gan["high"] == pytest.approx([11.6, 21.6])
    assert (metric["title"], gan["seeds"]) == ("loss", 2)


def test_radii_have_a_column_and_a_row_each(tmp_path):
    run = run_of(tmp_path, {"gan": (0.4, 0.6)})
    for record in run.records.values():
        base = record["values"][0]
        record["values"] = [
            {**base, "epsilon": e, "value": base["value"] - e} for e in (0.1, 8 / 255)
        ]
    run.manifest["blocks"][0]["metrics"] = ["high_quality"]
    found = Parsed(page([run])).payload["blocks"][0]["grid"]
    assert found["curve"] is True
    assert [row["cells"][1][3] for row in found["rows"]] == pytest.approx([8 / 255, 0.1])
    assert [row["seeds"][0][4] for row in found["rows"]] == [["36.9"], ["30.0"]]
    assert len({row["id"] for row in found["rows"]}) == 2


def test_every_row_has_an_address_of_its_own(tmp_path):
    """Of names, too, that are alike in letters and digits."""
    run = run_of(tmp_path, {"a b": (1.0,), "a-b": (1.0,), "a/b": (1.0,)})
    parsed = Parsed(page([run]))
    ids = [row["id"] for row in parsed.payload["blocks"][0]["grid"]["rows"]]
    assert ids == ["b-ring-a-b", "b-ring-a-b-2", "b-ring-a-b-3"]
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert set(ids) < set(parsed.ids)


HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '"\' onmouseover=alert(1) x="',
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp; <b>",
    "<!-- ]]> -->",
    "a\u202eb\u2066c",
    "\x1b[31m\x00\x07",
    "\u2028\u2029</style>",
    "**bold** | `code` | [a](javascript:alert(1))",
    "x" * 10_000,
    "=1+1",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_texts_are_texts(tmp_path, text):
    """Whatever a name, a reason, a summary or a setting says: the tags are those of a harmless run,
    and nothing is lost but what a terminal would obey.
    """
    assert_harmless(tmp_path, text)


@pytest.mark.slow
def test_a_thousand_texts_are_texts(tmp_path):
    """Pieces of the hostile ones, put together at random."""
    rng = np.random.default_rng(0)
    pieces = [text[:40] for text in HOSTILE] + list("<>&\"'`={}/ \n\t")
    for _ in range(1_000):
        assert_harmless(tmp_path, "".join(rng.choice(pieces, rng.integers(1, 8))))


def assert_harmless(folder, text):
    told, usual = (Parsed(page([poisoned(folder, each)])) for each in (text, "harmless"))
    assert told.tags == usual.tags
    shown = "".join(told.texts)
    assert re.sub(r"[^a-z]", "", visible(text).lower())[:30] in re.sub(r"[^a-z]", "", shown.lower())
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", shown)


def poisoned(folder, text):
    run = run_of(folder, {"gan": (0.4,), text: (0.5,)})
    run.manifest["title"] = run.manifest["tier"] = text
    run.manifest["environment"] = {"python": text}
    run.manifest["parts"]["dataset"]["ring"] |= {"summary": text, "licence": text}
    run.manifest["parts"]["model"][text] = {"role": "model", "summary": text, "papers": []}
    facts = {**FACTS["loss"], "title": text, "estimator": text}
    run.manifest["metrics"] = {**FACTS, "loss": facts}
    for record in run.records.values():
        record["reason"] = text
        record["values"][0]["label"] = "fires"
        record["cell_id"] = text
    next(iter(run.records.values()))["status"] = "failed"
    return run


def test_a_script_can_not_be_ended_by_what_it_holds():
    data = {"a": "</script><!--", "b": "\u2028&", "c": [1.5, None]}
    assert not re.search(r"[<>&\u2028]", as_script(data))
    assert json.loads(as_script(data)) == data


def test_a_value_that_is_no_number_is_no_json():
    with pytest.raises(ValueError, match="Out of range float"):
        as_script({"a": float("nan")})


def test_further_tables_have_sections(run):
    layout = Layout("verdicts", ["what", "p"], [[("gan", ""), ("0.01", "")]], ["PASS"], ["a note"])
    found = Parsed(page([run], [Extra("what changed", "held against", [layout])]))
    (section,) = found.payload["sections"]
    assert section["title"] == "what changed"
    assert section["grid"]["rows"][0]["cells"] == [["gan"], ["0.01"]]
    assert "section-0" in found.ids


def test_diagnostics_that_fired_are_told_with_their_cells(run):
    """Each once, with every cell where it did."""
    known = {"title": "zero gradients", "estimator": "how many are 0", "paper": ""}
    run.manifest["measured"] = {"zero": known}
    for record in list(run.records.values())[2:4]:
        record["values"].append({**measured("zero", 1.0), "label": "fires"})
    parsed = Parsed(page([run]))
    text = " ".join("".join(parsed.texts).split())
    assert "audit" in parsed.ids
    assert "zero gradients" in text
    assert "t/ring/gan, seed 0; t/ring/gan, seed 1" in text


def test_samples_come_seed_by_seed_as_far_as_there_is_room(tmp_path):
    """The first seed of every row before the second of any; what has no room is named."""
    run = run_of(tmp_path, {"gan": (0.4, 0.5), "vae": (0.4, 0.5)})
    for at, cell in enumerate(run.manifest["cells"]):
        kept(run, cell, samples=images_of(50, at))
    cells = run.manifest["cells"]
    whole = sheets(run, "ring", {"images": True}, cells, Room(10**6))
    assert [[s["seed"] for s in row["seeds"]] for row in whole["rows"]] == [[0, 1], [0, 1]]
    assert whole["seeds"] == [0, 1]
    size = max(len(str(s["image"])) for row in whole["rows"] for s in row["seeds"])
    tight = Room(int(2.5 * size))
    short = sheets(run, "ring", {"images": True}, cells, tight)
    assert [[s["seed"] for s in row["seeds"]] for row in short["rows"]] == [[0], [0]]
    assert tight.refused == ["ring: gan, seed 1", "ring: vae, seed 1"]
    assert short["rows"][0]["seeds"][0]["image"] == whole["rows"][0]["seeds"][0]["image"]


def test_what_has_no_room_is_not_drawn(tmp_path, monkeypatch):
    """Behind the first sheet that is refused: a run of thousands costs no more than its page."""
    run = run_of(tmp_path, {f"model {at}": (0.4,) for at in range(20)})
    for at, cell in enumerate(run.manifest["cells"]):
        kept(run, cell, samples=images_of(50, at))
    asked = []
    monkeypatch.setattr(
        "results.pages.sheets.shown_of", lambda arrays, *about: asked.append(1) or {"image": "x"}
    )
    room = Room(3 * len(str({"image": "x"})))
    found = sheets(run, "ring", {"images": True}, run.manifest["cells"], room)
    assert (len(found["rows"]), len(asked), len(room.refused)) == (3, 4, 17)


def test_a_picture_takes_its_room_once(run, monkeypatch):
    """Where it stands, and not where it is passed over."""
    from results.pictures.sheets import grid_png

    folder = run.directory.path / "pictures"
    folder.mkdir()
    for at, name in enumerate(("b-ring-way", "along-steps-ring")):
        (folder / f"{name}.png").write_bytes(grid_png(images_of(4, at)))
    sizes = []
    take = Room.take
    monkeypatch.setattr(
        Room, "take", lambda room, size, name: sizes.append(size) or take(room, size, name)
    )
    page([run], room=10**6)
    assert len(sizes) == 2
    found = Parsed(page([run], room=sum(sizes)))
    assert not any("had no room" in text for text in found.texts)


def test_a_sheet_holds_the_samples_of_its_cell(tmp_path):
    """The first of them, pixel by pixel, in the order they were kept."""
    import base64
    import io

    from PIL import Image

    run = run_of(tmp_path, {"gan": (0.4,), "vae": (0.4,)})
    for at, cell in enumerate(run.manifest["cells"]):
        kept(run, cell, samples=images_of(IMAGES + 5, at))
    found = sheets(run, "ring", {"images": True}, run.manifest["cells"], Room(10**6))
    for at, row in enumerate(found["rows"]):
        head, _, body = row["seeds"][0]["image"].partition(",")
        assert head == "data:image/webp;base64"
        sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))[..., 0]
        columns = (sheet.shape[1] - 4) // 10
        assert columns * ((sheet.shape[0] - 4) // 10) >= IMAGES
        for place, image in enumerate(images_of(IMAGES + 5, at)[:IMAGES]):
            y, x = 4 + place // columns * 10, 4 + place % columns * 10
            assert np.array_equal(sheet[y : y + 6, x : x + 6], image[0])


def test_points_stand_over_the_true_modes(tmp_path):
    """In thousandths of a picture whose middle is the origin; at most so many, none outside."""
    run = run_of(tmp_path, {"gan": (0.4,)})
    points = np.random.default_rng(0).normal(size=(POINTS + 50, 2))
    points[0], points[1] = (1.0, -1.0), (90.0, 0.0)
    kept(run, run.manifest["cells"][0], samples=points)
    facts = {"centres": [[1.0, 0.0], [-1.0, 0.0]], "widths": [0.1, 0.1]}
    found = sheets(run, "ring", facts, run.manifest["cells"], Room(10**6))
    reach = 1.25 + 0.3
    (row,) = found["rows"]
    shown = np.array(row["seeds"][0]["points"]).reshape(-1, 2)
    assert shown[0].tolist() == [round(500 * (1 + 1 / reach)), round(500 * (1 - 1 / reach))]
    inside = (np.abs(points[:POINTS]) < reach).all(1)
    assert len(shown) == inside.sum() < POINTS
    assert found["modes"] == [
        [round(500 * (1 + 1 / reach)), 500, round(500 * 0.3 / reach)],
        [round(500 * (1 - 1 / reach)), 500, round(500 * 0.3 / reach)],
    ]


def test_pictures_that_a_run_drew_are_in_it(run):
    """Under the block and data set that they are of; the others at the end."""
    from results.pictures.sheets import grid_png

    folder = run.directory.path / "pictures"
    folder.mkdir()
    for name in ("b-ring-way", "b-ring-samples", "along-steps-ring"):
        (folder / f"{name}.png").write_bytes(grid_png(images_of(4, 0)))
    (folder / "b-ring-broken.png").write_bytes(b"no picture")
    parsed = Parsed(page([run]))
    (block,) = parsed.payload["blocks"]
    assert [each["name"] for each in block["pictures"]] == ["way"]
    assert "pictures" in parsed.ids
    assert any("along-steps-ring" in text for text in parsed.texts)


def test_several_runs_stand_side_by_side(tmp_path):
    """Rows of both, and the samples of each are its own."""
    one = run_of(tmp_path / "one", {"gan": (0.4, 0.5)})
    two = run_of(tmp_path / "two", {"vae": (0.6, 0.7)})
    for at, run in enumerate((one, two)):
        for cell in run.manifest["cells"]:
            cell["key"] = "ab"[at] + cell["key"][1:]
        run.records.update({"ab"[at] + key[1:]: value for key, value in run.records.items()})
        for key in [key for key in run.records if key[0] not in "ab"]:
            del run.records[key]
        for key, record in run.records.items():
            record["key"] = key
        kept(run, run.manifest["cells"][0], samples=images_of(8, at))
    (block,) = Parsed(page([one, two])).payload["blocks"]
    assert [row["cells"][0][0] for row in block["grid"]["rows"]] == ["gan", "vae"]
    names = {row["name"]: row["seeds"][0]["image"] for row in block["sheets"]["rows"]}
    alone = [Parsed(page([run])).payload["blocks"][0]["sheets"]["rows"][0] for run in (one, two)]
    assert names == {row["name"]: row["seeds"][0]["image"] for row in alone}
    assert len(set(names.values())) == 2


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """A real run, small."""
    out = str(tmp_path_factory.mktemp("runs") / "run")
    told = [
        "run",
        "--suite",
        "smoke",
        "--only",
        "dataset=ring8@pacgan",
        "--seeds",
        "2",
        "--workers",
        "1",
    ]
    assert bench(*told, "--grid", "model=oracle,noise", "--out", out) == 0
    return out


def test_the_command(smoke, tmp_path, capfd):
    """A file of less than three megabytes; of two runs it says what changed; wrong use is told."""
    out = tmp_path / "page.html"
    assert bench("report", smoke, "-o", str(out)) == 0
    assert f"wrote {out} (" in capfd.readouterr()[0]
    assert 1e6 < out.stat().st_size < 3e6
    parsed = Parsed(out.read_text())
    assert "ceiling" in {row["role"] for row in parsed.payload["blocks"][0]["grid"]["rows"]}
    again = api.report(smoke, output=str(tmp_path / "again.html"))
    assert again.read_bytes() == out.read_bytes()
    assert bench("report", str(tmp_path / "none"), "-o", str(out)) == 2
    assert bench("report", smoke, "-o", str(tmp_path / "no" / "page.html")) == 2
    assert bench("report", smoke, smoke, "-o", str(out)) == 2
    assert "named twice" in capfd.readouterr()[1]
    with pytest.raises(UsageError, match="`pictures`: expected 0 to 1,000 megabytes, got -1"):
        api.report(smoke, pictures=-1)


def test_two_runs_are_held_against_one_another(smoke, tmp_path):
    """By the gate, the first named before the second."""
    from shutil import copytree

    other = str(copytree(smoke, tmp_path / "other"))
    parsed = Parsed(api.report(smoke, other, output=str(tmp_path / "page.html")).read_text())
    titles = {section["title"] for section in parsed.payload["sections"]}
    said = [s["about"] for s in parsed.payload["sections"]]
    assert titles <= {"what changed", "claims"}
    assert not said or f"{other}, held against {smoke}" in said[0]


@pytest.mark.slow
def test_ten_thousand_cells_make_a_page_in_ten_seconds(tmp_path):
    """Of at most 30 MB."""
    from time import process_time

    run = run_of(tmp_path, {f"model {at}": tuple(np.linspace(0, 1, 10)) for at in range(1_000)})
    begun = process_time()
    text = page([run])
    assert process_time() - begun < 10
    assert len(text.encode()) < 30e6


def test_a_layout_without_numbers_is_a_grid_of_texts():
    layout = Layout("t", ["a", "b"], [[("x", ""), ("y", "")]], ["model"], [])
    found = grid(layout, {"metrics": {}}, "", [], {}, set())
    assert (found["numbers"], found["axes"], found["curve"]) == ([], [], False)
