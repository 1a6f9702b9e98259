"""Published numbers: complete, citable, true to their tables, and honest about comparability."""

import json
import re
from dataclasses import replace

import pytest
from harness import bench

from attacks import ATTACKS
from attacks.classifiers import CLASSIFIERS
from bench import api
from bench.core.errors import UsageError
from bench.datasets import DATASETS
from bench.tasks.generation.mixture import MixtureTask
from generative import RECIPES
from metrics import METRICS
from results import bibliography, published
from results.published import not_comparable
from results.summary import summarise

ROWS = [(name, row) for name in published.names() for row in published.load(name)]
IDS = [f"{name}-{row.dataset}-{row.model}-{row.metric}" for name, row in ROWS]


def _settings(row):
    """What our cells have when they are run as a row requires."""
    asked = {key: value for key, value in row.requires.items() if key != "seeds"}
    parts = {"dataset": row.dataset, "model": row.counterpart}
    return MixtureTask().resolve(parts, asked, None).settings


@pytest.mark.parametrize(("table", "row"), ROWS, ids=IDS)
def test_a_row_is_complete(table, row):
    """Its paper is known, its value is in range, its spread of a kind; what is not offered here
    says so.
    """
    assert row.table == table
    assert row.paper in bibliography.entries()
    assert row.source
    assert row.model
    named = row.counterpart.split(" / ") if row.counterpart else []
    assert all(name in (*RECIPES, *CLASSIFIERS, *ATTACKS) for name in named)
    assert row.runs is None or row.runs >= 1
    assert row.n is None or row.n >= 1
    assert (row.spread is None) == (row.spread_kind == "none")
    assert row.spread is None or row.spread >= 0
    assert row.spread_kind in ("none", "standard error", "standard deviation", "unstated")
    over_trainings = "not over trainings" not in row.note
    if row.spread_kind in ("standard error", "standard deviation"):
        assert bool(row.runs) == over_trainings
    assert row.note or row.requires
    assert all(name in DATASETS for name in row.beside.split())
    assert row.epsilon is None or row.epsilon >= 0
    if row.dataset not in DATASETS or row.metric not in METRICS:
        assert row.note
        assert row.requires == {}
        return
    facts = METRICS[row.metric].facts
    high = DATASETS[row.dataset].facts.modes if facts.counts_modes else facts.high
    assert facts.low is None or row.value >= facts.low
    assert high is None or row.value <= high


SIGNIFICANT = 5
"""Digits that a paper prints of one number, at most."""


@pytest.mark.parametrize("name", published.names())
def test_a_number_is_as_printed(name):
    """No more digits than a paper prints, and none that a sum of floats left behind."""
    for row in published.read_rows(name):
        for column in ("value", "spread", "epsilon"):
            text = row.get(column) or ""
            digits = re.sub(r"^0+", "", re.sub(r"[^0-9]", "", text))
            assert len(digits) <= SIGNIFICANT, f"{row['model']}: {column} {text}"
            assert re.fullmatch(r"(-?\d+(\.\d+)?)?", text), f"{row['model']}: {column} {text}"
        for column in ("runs", "n"):
            assert re.fullmatch(r"([1-9]\d*)?", row[column]), f"{row['model']}: {row[column]}"


def test_the_first_table_of_all():
    """Errors over test examples, or folds, of one training of each: none of them is over runs."""
    rows = published.load("gan-table1")
    assert {row.runs for row in rows} == {None}
    folds = {row.dataset: "over folds" in row.note for row in rows}
    assert folds == {"mnist": False, "tfd": True}
    assert {row.n for row in rows if row.model == "GAN" and row.dataset == "mnist"} == {10_000}
    assert {row.n for row in rows if row.dataset == "tfd"} == {None}


MIMICRY = """
WGAN-GP      7.33 .02  22.29 .06  .0204 .0004
SNGAN        7.97 .06  16.77 .04  .0125 .0001
cGAN-PD      8.25 .13  10.84 .03  .0070 .0001
SSGAN        8.17 .06  14.65 .04  .0101 .0002
InfoMax-GAN  8.08 .08  15.12 .10  .0112 .0001
"""
REPORTED = """
DCGAN    10000  28.95 .42  28.12 -
WGAN-GP  50000  26.08 .12  29.3  -
SNGAN    5000   23.90 .20  21.7  .21
cGAN-PD  5000   17.84 .17  17.5  -
SSGAN    10000  17.61 .14  17.88 .64
"""


def test_the_readme_of_mimicry():
    """Typed in anew: scores of 50,000 images with their spreads, and those beside reported ones."""
    wanted = {}
    for line in MIMICRY.strip().split("\n"):
        model, *cells = line.split()
        metrics = ("inception_score", "fid", "kid")
        for metric, value, spread in zip(metrics, cells[::2], cells[1::2], strict=True):
            wanted[model, metric, 50_000, float(value)] = float(spread)
    for line in REPORTED.strip().split("\n"):
        model, fakes, *cells = line.split()
        for value, spread in zip(cells[::2], cells[1::2], strict=True):
            known = None if spread == "-" else float(spread)
            wanted[model, "fid", int(fakes), float(value)] = known
    rows = published.load("mimicry-readme")
    assert {(row.model, row.metric, row.n, row.value): row.spread for row in rows} == wanted
    (quoted,) = [row for row in rows if row.value == 29.3]
    assert "arXiv:1706.08500" in quoted.note


def test_no_number_is_there_twice():
    """A table names each model, data set and metric of each of its sources once."""
    keys = [(name, row.source, row.dataset, row.model, row.metric) for name, row in ROWS]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("table", "row"), ROWS, ids=IDS)
def test_a_row_says_what_it_needs(table, row):
    """Run as required our number is comparable; one difference, and it is not."""
    if not row.requires:
        assert not_comparable(row, {"steps": 1}, 100) == row.note
    elif not row.counterpart:
        assert not_comparable(row, None, 0) == "no counterpart here"
    else:
        settings, seeds = _settings(row), row.requires["seeds"]
        assert set(settings) - {"evaluations"} == set(row.requires) - {"seeds"}
        assert not_comparable(row, settings, seeds) == ""
        assert not_comparable(row, settings, seeds + 1) == ""
        assert not_comparable(row, None, seeds) == "its counterpart was not run"
        assert not_comparable(row, settings, seeds - 1) == f"seeds {seeds - 1} not {seeds}"
        for name in set(row.requires) - {"seeds"}:
            assert not_comparable(row, {**settings, name: 7}, seeds).startswith(f"{name} 7 not")


def test_reasons_are_listed_together():
    """Numbers are written with their thousands, and the reasons with commas between."""
    row = replace(ROWS[0][1], requires={"steps": 400_000, "batch": 100, "seeds": 10}, note="")
    row = replace(row, counterpart="nsgan")
    wanted = "steps 8,000 not 400,000, batch None not 100, seeds 3 not 10"
    assert not_comparable(row, {"steps": 8_000}, 3) == wanted
    assert not_comparable(replace(row, requires={}), {}, 3) == "the paper gives no settings"


def test_an_unknown_table_is_answered_with_the_nearest():
    """Among the tables there are."""
    with pytest.raises(UsageError, match="'pacgan-tabel3': did you mean 'pacgan-table3'"):
        published.load("pacgan-tabel3")


PACGAN = """
GAN      6.3 0.5  98.2 0.2  0.45 0.09  17.3 0.8  94.8 0.7  0.70 0.07
ALI      6.6 0.3  97.6 0.4  0.36 0.04  24.1 0.4  95.7 0.6  0.14 0.03
PacGAN2  7.9 0.1  95.6 2.0  0.07 0.03  23.8 0.7  91.3 0.8  0.13 0.04
PacGAN3  7.8 0.1  97.7 0.3  0.10 0.02  24.6 0.4  94.2 0.4  0.06 0.02
PacGAN4  7.8 0.1  95.9 1.4  0.07 0.02  24.8 0.2  93.6 0.6  0.04 0.01
"""
VEEGAN = """
GAN           1    99.3   3.3   0.5   1.6  2.0
ALI           2.8   0.13  15.8  1.6   3    5.4
Unrolled      7.6  35.6   23.6  16    0    0.0
VEEGAN        8    52.9   24.6  40    5.5  28.29
"""


def _found(table):
    """Value and spread by model, data set and metric."""
    return {
        (row.model.split()[0], row.dataset.split("@")[0], row.metric.split("@")[0]): (
            row.value,
            row.spread,
        )
        for row in published.load(table)
    }


def test_pacgan_table_1():
    """The paper's table, typed in anew: mean and standard error over 10 trials."""
    heads = [
        (dataset, metric)
        for dataset in ("ring8", "grid25")
        for metric in ("modes_raw", "high_quality", "reverse_kl_pacgan")
    ]
    wanted = {}
    for line in PACGAN.strip().split("\n"):
        model, *cells = line.split()
        for (dataset, metric), value, spread in zip(heads, cells[::2], cells[1::2], strict=True):
            unit = 100 if metric == "high_quality" else 1
            wanted[model, dataset, metric] = (float(value) / unit, float(spread) / unit)
    found = _found("pacgan-table1")
    assert found.keys() == wanted.keys()
    assert all(found[key] == pytest.approx(wanted[key]) for key in wanted)
    rows = published.load("pacgan-table1")
    assert {(row.spread_kind, row.runs) for row in rows} == {("standard error", 10)}


def test_veegan_table_1():
    """The paper's table, typed in anew: means over 5 runs without a spread."""
    heads = [
        (dataset, metric)
        for dataset in ("ring8", "grid25", "hd10")
        for metric in ("modes_raw", "high_quality")
    ]
    wanted = {}
    for line in VEEGAN.strip().split("\n"):
        model, *cells = line.split()
        for (dataset, metric), value in zip(heads, cells, strict=True):
            wanted[model, dataset, metric] = float(value) / (1 if metric == "modes_raw" else 100)
    found = _found("veegan-table1")
    assert found.keys() == wanted.keys()
    assert all(found[key] == (pytest.approx(wanted[key]), None) for key in wanted)
    rows = published.load("veegan-table1")
    assert {row.runs for row in rows} == {5}


VEEGAN_2 = {"DCGAN": "99 3.4", "ALI": "16 5.4", "Unrolled": "48.7 4.32", "VEEGAN": "150 2.95"}
IVOM = {"DCGAN": ".00844 .002", "ALI": ".0067 .004", "Unrolled": ".013 .0009"}
IVOM |= {"VEEGAN": ".0068 .0001"}
PACGAN_2 = """
DCGAN      78.9 6.46  4.50 .127
PacDCGAN2  1000 0     0.06 .003
PacDCGAN3  1000 0     0.06 .003
PacDCGAN4  1000 0     0.07 .005
"""
PACGAN_3 = """
quarter  paper        30.6  20.73  5.99 .42
quarter  Unrolled(1)  65.4  34.75  5.91 .14
quarter  Unrolled(5)  236.4 63.30  4.67 .43
quarter  Unrolled(10) 327.2 74.67  4.66 .46
quarter  DCGAN        78.5  17.56  5.21 .19
quarter  PacDCGAN2    484.5 32.99  2.61 .22
quarter  PacDCGAN3    601.3 32.18  2.00 .17
quarter  PacDCGAN4    667.4 29.00  1.81 .15
half     paper        628.0 140.9  2.58 .75
half     Unrolled(1)  523.6 55.77  2.44 .26
half     Unrolled(5)  732.0 44.98  1.66 .09
half     Unrolled(10) 817.4 37.91  1.43 .12
half     DCGAN        487.7 34.59  2.24 .15
half     PacDCGAN2    840.7 15.92  1.00 .05
half     PacDCGAN3    866.6 12.10  0.90 .04
half     PacDCGAN4    820.2 25.50  1.15 .14
"""
STACK = ("stack_modes_raw", "reverse_kl_stack_raw")


def _pairs(cells):
    """Modes and divergence, each with its spread."""
    numbers = [float(cell) for cell in cells]
    return list(zip(STACK, zip(numbers[::2], numbers[1::2], strict=True), strict=True))


def test_veegan_table_2():
    """Stacks of three without a spread, and the images it can invert, with one."""
    wanted = {}
    for model, cells in VEEGAN_2.items():
        for metric, value in zip(STACK, cells.split(), strict=True):
            wanted[model, "stack3", metric] = (float(value), None)
    for model, cells in IVOM.items():
        wanted[model, "cifar10", "inference_via_optimization"] = tuple(map(float, cells.split()))
    found = _found("veegan-table2")
    assert found == wanted
    rows = published.load("veegan-table2")
    stacks = [row for row in rows if row.dataset.startswith("stack3")]
    assert {(row.n, row.runs) for row in stacks} == {(26_000, 5)}
    assert {row.n for row in rows if row.dataset == "cifar10"} == {64}


def test_pacgan_table_2():
    """Mean and standard error over 10 trials, 26,000 samples."""
    wanted = {}
    for line in PACGAN_2.strip().split("\n"):
        model, *cells = line.split()
        wanted |= {(model, "stack3", metric): pair for metric, pair in _pairs(cells)}
    assert _found("pacgan-table2") == wanted
    rows = published.load("pacgan-table2")
    assert {(row.spread_kind, row.runs, row.n) for row in rows} == {("standard error", 10, 26_000)}


def _part_of_table_3(source):
    return "quarter" if "a quarter of the generator" in source else "half"


def _model_of_table_3(name):
    if "quoted" not in name:
        return name
    return "paper" if name.startswith("DCGAN") else f"Unrolled{name.split()[2].rstrip(',')}"


def test_pacgan_table_3():
    """Its own rows over 50 trials, those of another paper as quoted; 25,600 samples."""
    wanted, rows = {}, published.load("pacgan-table3")
    for line in PACGAN_3.strip().split("\n"):
        part, model, *cells = line.split()
        wanted |= {(part, model, metric): pair for metric, pair in _pairs(cells)}
    found = {
        (_part_of_table_3(row.source), _model_of_table_3(row.model), row.metric): (
            row.value,
            row.spread,
        )
        for row in rows
    }
    assert len(rows) == len(found)
    assert found == wanted
    assert {row.n for row in rows} == {25_600}
    for row in rows:
        quoted = "quoted" in row.model
        assert (row.spread_kind, row.runs) == (("unstated", None) if quoted else
                                               ("standard error", 50))  # fmt: skip


def test_the_later_stacks():
    """EnGAN's, of three digits and of four."""
    found = {(row.model, row.dataset.split("@")[0], row.metric): row.value
             for row in published.load("engan-stacked")}  # fmt: skip
    wanted = {
        ("WGAN-GP", "stack3"): (959.0, 0.7276),
        ("EnGAN", "stack3"): (1000, 0.0313),
        ("WGAN-GP", "stack4"): (9538, 0.9144),
        ("EnGAN", "stack4"): (10_000, 0.0480),
    }
    assert found == {
        (*key, metric): value
        for key, values in wanted.items()
        for metric, value in zip(STACK, values, strict=True)
    }


def test_the_relativistic_numbers():
    """The four that a second source confirms, and those of the author's README; no other."""
    found = {(row.model, row.dataset): row.value for row in published.load("relativistic-fid")}
    confirmed = {"RSGAN": 36.61, "RaSGAN": 31.98, "RSGAN-GP": 25.60, "RaSGAN-GP": 331.86}
    assert found == {(model, "cifar10"): value for model, value in confirmed.items()} | {
        ("RaLSGAN", "cat64"): 11.97,
        ("RaLSGAN", "cat128"): 15.85,
        ("RaSGAN", "cat256"): 32.11,
        ("RaLSGAN", "cat256"): 35.21,
        ("SpectralSGAN", "cat256"): 54.73,
    }
    assert all("setting B" not in row.source for row in published.load("relativistic-fid"))


MADRY = """
natural 98.8
FGSM 95.6           40 93.2    100 91.8    40x20 90.4    100x20 89.3
targeted 92.7       CW 94.0    CW+ 93.9
A' FGSM 96.8        A' 40 96.0    A' 100x20 95.7    A' CW 97.0    A' CW+ 96.4
B FGSM 95.4         B 40 96.4     B CW+ 95.7
"""


def _row_of_madry(model):
    """A row of the paper by the words above: its source where that is no A, its attack."""
    source, attack = model.split(", ")
    steps = re.match(r"PGD of (\d+) steps(?: from (\d+) starts)?", attack)
    name = attack.split()[0] if not steps else "x".join(filter(None, steps.groups()))
    return name if source == "A" else f"{source} {name}"


def test_madry_table_1():
    """Accuracies on 10,000 digits, typed in anew; here as errors, each with the accuracy beside."""
    words = re.findall(r"((?:A' |B )?[\w+]+) (\d\d\.\d)", MADRY)
    rows = published.load("madry-table1")
    assert {_row_of_madry(row.model): row.value for row in rows} == {
        name: round(1 - float(accuracy) / 100, 4) for name, accuracy in words
    }
    assert len(rows) == len(words) == 17
    for row in rows:
        assert row.epsilon == (0.3 if row.metric == "adversarial_error" else None)
        assert f"printed as accuracy, {100 - 100 * row.value:.1f} %" in row.note
        source = row.model.split(", ")[0]
        of_others = "clean_error" if row.model == "A, natural" else "adversarial_error"
        assert row.metric == (of_others if source == "A" else "transfer_error")


XIE = """
ResNet152 Baseline     37.7  47.5 5.5  58.3 31.0  61.0 36.1
ResNet152 Denoise      34.7  44.3 4.9  54.5 26.6  57.2 32.7
ResNeXt101 DenoiseAll  31.6  44.0 4.9  55.6 31.5  59.6 38.1
"""


def test_the_model_zoo_of_feature_denoising():
    """Errors of 10, 100 and 1,000 steps, and how often the target was reached, typed in anew."""
    wanted = {}
    for line in XIE.strip().split("\n"):
        name, clean, *cells = re.split(r"\s{2,}", line)
        wanted[name, "clean_error"] = float(clean)
        for steps, cell in zip((10, 100, 1000), cells, strict=True):
            for metric, value in zip(
                ("adversarial_error", "target_success"), cell.split(), strict=True
            ):
                wanted[f"{name}, PGD of {steps} steps", metric] = float(value)
    rows = published.load("xie-model-zoo")
    found = {(row.model, row.metric): pytest.approx(100 * row.value) for row in rows}
    assert found == wanted
    assert {row.epsilon for row in rows} == {None, 0.0627}


# A word of the model's name and the number, as remembered by somebody and found in no source.
REMEMBERED = """
RSGAN 55.29; RaSGAN 37.92; RSGAN-GP 28.13; SGAN 40.64; LSGAN 29.53; RaLSGAN 30.92; SGAN 41.32
LSGAN 187.01; RaLSGAN 219.39; Hinge 49.53; Hinge 39.12; WGAN-GP 83.89; Hinge 80.85; Hinge 37.72
WGAN-GP 27.81; VAE 86.76; VAE 86.47; VAE 86.35; IWAE 86.76; IWAE 85.54; IWAE 84.78; CoGAN .40
CoGAN .10; CoGAN .06; BiGAN .19; BiGAN .06; BiGAN .02; SimGAN .20; SimGAN .10; SimGAN .04; feat .06
feat .04; feat .01; alone .51; alone .11; alone .08; alone .22; alone .07; alone .02; GAN -3661
LAPGAN -2906; VAE 23.8; BigGAN 98.8; BigGAN 8.7; BigGAN 166.5; BigGAN 7.4; StackGAN 3.70
StackGAN 3.20; StackGAN 8.45; GAN-CLS 2.88; GAN-CLS 2.66; GAN-CLS 7.88; ProGAN 8.80; ProGAN 7.30
StyleGAN 5.06; StyleGAN 4.40
"""


def test_no_number_is_from_memory():
    """None of those that were found in no source; the spreads of LAPGAN's neither."""
    for pair in REMEMBERED.replace("\n", ";").strip("; ").split(";"):
        word, value = pair.split()
        same = [row for _, row in ROWS if word in row.model and row.value == float(value)]
        assert not same, pair
    assert all(row.spread is None for row in published.load("lapgan-parzen"))
    assert {row.value for row in published.load("lapgan-parzen")} == {-3617, -1799}


def test_second_hand_numbers_say_so():
    """Where the paper itself was not read."""
    for name in ("are-gans-created-equal-mnist", "lapgan-parzen", "cyclegan-tables2-3"):
        assert all("secondary source" in row.note for row in published.load(name)), name
    cifar = [row for row in published.load("relativistic-fid") if row.dataset == "cifar10"]
    assert all("secondary source" in row.note for row in cifar)
    (dcgan,) = [row for row in published.load("dcgan-tables") if row.dataset == "cifar10"]
    assert dcgan.value == 0.828
    assert "secondary source" in dcgan.note


def test_the_stacks_of_others_are_never_comparable():
    """All digits, another classifier: whatever is run."""
    rows = [row for _, row in ROWS if row.dataset.startswith("stack")]
    assert len(rows) > 50
    for row in rows:
        assert row.requires == {}
        assert not_comparable(row, {"protocol": "small-dcgan"}, 100) == row.note != ""


def test_published_numbers_are_listed(capfd):
    """Every one, as a row and as JSON."""
    listed = api.list("published")
    assert len(listed) == len(ROWS)
    assert {"table", "paper", "source", "value", "spread_kind", "n", "note"} <= set(listed)
    capfd.readouterr()
    assert bench("list", "published") == 0
    out = capfd.readouterr().out
    assert "veegan-table2" in out
    assert "48.7" in out
    assert bench("list", "published", "--json") == 0
    rows = json.loads(capfd.readouterr().out)
    assert len(rows) == len(ROWS)
    assert {row["table"] for row in rows} == set(published.names())


def _run(metrics, settings, seeds=10):
    """The manifest and the records of a finished run of one model on the ring."""
    cells = [
        {
            "block": "b",
            "parts": {"dataset": "ring8@pacgan", "model": "nsgan"},
            "cell_id": "cell",
            "key": str(seed),
            "settings": settings,
        }
        for seed in range(seeds)
    ]
    block = {"name": "b", "task": "mixture", "metrics": metrics, "published": ["pacgan-table1"]}
    value = {"metric": "modes_raw", "value": 6.0, "std_error": None, "n": 2_500, "final": True}
    record = {"status": "ok", "reason": "", "values": [value]}
    manifest = {"blocks": [block], "cells": cells, "metrics": {}, "parts": {}}
    return manifest, {cell["key"]: record for cell in cells}


def test_published_rows_stand_beside_ours():
    """With value and spread, their source, what they require, and why they can't be compared."""
    row = next(row for row in published.load("pacgan-table1") if row.counterpart)
    table = summarise(*_run(["modes_raw"], _settings(row)))
    beside = table[(table.role == "published") & (table.model == "GAN")].iloc[0]
    assert (beside.value, beside.low, beside.high) == (6.3, pytest.approx(5.8), pytest.approx(6.8))
    assert (beside.interval, beside.seeds, beside.note) == ("standard error", 10, "comparable")
    assert json.loads(beside.settings) == row.requires
    assert "arXiv:1712.04086, Table 1" in beside.source
    ali = table[(table.role == "published") & (table.model == "ALI")].iloc[0]
    assert ali.note == "not comparable: no counterpart here"


@pytest.mark.parametrize("metrics", [["modes_raw", "js_modes"], ["js_modes", "modes_raw"]])
def test_a_metric_without_values_makes_nothing_incomparable(metrics):
    """Seeds are counted where a model has values, whichever metric comes last."""
    row = next(row for row in published.load("pacgan-table1") if row.counterpart)
    table = summarise(*_run(metrics, _settings(row)))
    beside = table[(table.role == "published") & (table.model == "GAN")].iloc[0]
    assert beside.note == "comparable"


def test_a_short_run_is_not_comparable():
    """The note says by what."""
    row = next(row for row in published.load("pacgan-table1") if row.counterpart)
    table = summarise(*_run(["modes_raw"], {**_settings(row), "steps": 2_500}, seeds=3))
    beside = table[(table.role == "published") & (table.model == "GAN")].iloc[0]
    assert beside.note == "not comparable: steps 2,500 not 400,000, seeds 3 not 10"


def test_scores_by_a_judge_stand_beside_published_ones():
    """Under the name of ours, which the judge and its hash are part of; each with its reason."""
    ours = [f"{name}@digits-cnn:1b13" for name in (*STACK, "stack_modes")]
    manifest, records = _run(ours, {"samples": 26_000}, seeds=3)
    manifest["blocks"][0]["published"] = ["veegan-table2", "engan-stacked"]
    for cell in manifest["cells"]:
        cell["parts"]["dataset"] = "stack3@mnist5k"
    for record in records.values():
        record["values"] = [{**record["values"][0], "metric": name} for name in ours]
    table = summarise(manifest, records)
    beside = table[table.role == "published"]
    found = {(row.model, row.metric.partition("@")[0]): row.value for row in beside.itertuples()}
    for model, cells in VEEGAN_2.items():
        name = "Unrolled GAN" if model == "Unrolled" else model
        assert [found[name, metric] for metric in STACK] == [*map(float, cells.split())]
    assert set(beside.metric) == {f"{name}@digits-cnn:1b13" for name in STACK}
    assert len(beside) == 2 * 4 + 2 * 2
    assert all(beside.note.str.startswith("not comparable: stacks of all 70,000 digits"))
    assert set(beside.n) == {26_000}


def test_a_rule_in_a_name_is_no_judge():
    """`high_quality@veegan` is a metric of its own, and not `high_quality`."""
    manifest, records = _run(["high_quality@veegan"], {}, seeds=1)
    for record in records.values():
        record["values"][0]["metric"] = "high_quality@veegan"
    assert set(summarise(manifest, records).role) == {"model"}
