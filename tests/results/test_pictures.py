"""Curves of a run: a line for each row of its table, over seeds and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from results.pictures import run as pictures
from results.pictures.brackets import draw_brackets
from results.pictures.pyramids import draw_levels, draw_seams, rate_figures
from results.pictures.radii import draw_radii
from results.summary import label_of

BLOCK = {"name": "block"}


def cell(key, seed, swept=None, **parts):
    return {
        "key": key,
        "cell_id": key.rstrip("01"),
        "seed": seed,
        "parts": {"dataset": "ring", "model": "gan", **parts},
        "swept": swept or {},
        "settings": swept or {},
    }


def run_of(values, metric="high_quality", **more):
    """A run whose cells, by key, have one value each."""
    records = {
        key: {"status": "ok", "values": [{"metric": metric, "value": value, **more}]}
        for key, value in values.items()
    }
    manifest = {"metrics": {}, "parts": {"dataset": {"ring": {}}}, "blocks": [BLOCK]}
    return SimpleNamespace(records=records, manifest=manifest)


def lines(axis):
    """The last height of each line, by its label."""
    handles, labels = axis.get_legend_handles_labels()
    return {label: float(line.get_ydata()[-1]) for line, label in zip(handles, labels, strict=True)}


def test_settings_that_a_grid_varies_are_lines_of_their_own():
    """Over the steps: their cells are no seeds of one another."""
    cells = [
        cell(f"{name}{seed}", seed, {"dynamics": name})
        for name in ("alternating", "consensus")
        for seed in (0, 1)
    ]
    values = dict(zip((c["key"] for c in cells), (0.1, 0.3, 0.7, 0.9), strict=True))
    found = pictures._curves(run_of(values, final=False, step=5, epsilon=None), "ring", cells)
    wanted = {"gan / dynamics=alternating": 0.2, "gan / dynamics=consensus": 0.8}
    assert lines(found.axes[0]) == pytest.approx(wanted)


def test_a_source_model_is_a_line_of_its_own():
    """Over the radii, where the attack is the panel's."""
    cells = [cell(name, 0, attack="fgsm", source_model=name) for name in ("cnn", "mlp")]
    run = run_of({"cnn": 0.2, "mlp": 0.6}, "adversarial_error", final=True, step=None, epsilon=0.1)
    for record in run.records.values():
        record["values"].append({**record["values"][0], "epsilon": 0.2})
    found = draw_radii(run, BLOCK, "ring", cells)
    (panel,) = found.axes
    heights = [float(line.get_ydata()[-1]) for line in panel.get_lines()]
    assert heights == pytest.approx([0.2, 0.6])
    labels = [text.get_text() for text in found.legends[0].get_texts()]
    assert labels == ["gan / cnn", "gan / mlp"]


def test_what_no_norm_describes_has_a_panel_each_over_its_own_strength():
    """Six corruptions: two rows of five, each line over the severities, no panel of another's."""
    names = [f"kind{at}" for at in range(6)]
    cells = [cell(name, 0, corruption=name) for name in names]
    heights = {name: at / 10 for at, name in enumerate(names)}
    run = run_of(heights, "corruption_error", epsilon=1.0)
    for record in run.records.values():
        record["values"].append({**record["values"][0], "epsilon": 2.0})
    found = draw_radii(run, {"name": "block", "strength": "severity"}, "ring", cells)
    shown = [panel for panel in found.axes if panel.axison]
    assert [panel.get_title() for panel in shown] == [f"{n}: corruption_error" for n in names]
    assert [panel.get_lines()[0].get_ydata()[-1] for panel in shown] == list(heights.values())
    assert {panel.get_subplotspec().colspan.start for panel in shown} == set(range(5))


def test_an_axis_is_named_by_what_the_attack_has_for_a_radius():
    one = cell("cnn", 0, attack="spatial")
    run = run_of({"cnn": 0.2}, "adversarial_error", epsilon=5.0)
    run.records["cnn"]["values"].append({**run.records["cnn"]["values"][0], "epsilon": 9.0})
    for block, named in ((BLOCK, "radius"), ({**BLOCK, "strength": "degrees"}, "degrees")):
        run.manifest["blocks"] = [{**block, "name": "other", "strength": "area"}, block][::-1]
        (panel,) = draw_radii(run, block, "ring", [one]).axes
        assert panel.get_xlabel() == named


def test_a_label_tells_parts_and_settings():
    """But for the axes that are told elsewhere."""
    one = cell("a", 0, {"ahead": 3}, attack="fgsm")
    assert label_of(one) == "gan / fgsm / ahead=3"
    assert label_of(one, but=("dataset", "attack")) == "gan / ahead=3"


def bracketed(key, seed, above, below):
    """A cell with both bounds at three radii, and its record."""
    radii = (0.3, 0.1, 0.2)
    values = [
        {"metric": metric, "value": value, "epsilon": radius}
        for metric, heights in (("robust_accuracy", above), ("certified_accuracy", below))
        for radius, value in zip(radii, heights, strict=True)
    ]
    clean = {"metric": "clean_error", "value": 0.5, "epsilon": None}
    made = cell(key, seed, attack="autoattack", certificate="crown", model=key.rstrip("01"))
    return made, {"values": [*values, clean]}


def test_a_bracket_is_a_panel_between_two_curves():
    """Means over seeds, over rising radii: the attack's above, the certificate's below."""
    made = [
        bracketed("cnn0", 0, (0.1, 0.8, 0.4), (0.0, 0.5, 0.2)),
        bracketed("cnn1", 1, (0.3, 1.0, 0.6), (0.0, 0.7, 0.2)),
        bracketed("ibp0", 0, (0.7, 0.9, 0.8), (0.6, 0.9, 0.8)),
    ]
    records = {cell["key"]: record for cell, record in made}
    run, cells = SimpleNamespace(records=records), [cell for cell, _ in made]
    found = draw_brackets(run, "ring", cells)
    first, second = found.axes
    assert first.get_title() == "cnn\nautoattack / crown"
    above, below = first.get_lines()
    assert (above.get_label(), below.get_label()) == ("left by the attack", "certified")
    assert list(above.get_xdata()) == list(below.get_xdata()) == [0.1, 0.2, 0.3]
    assert list(above.get_ydata()) == pytest.approx([0.9, 0.5, 0.2])
    assert list(below.get_ydata()) == pytest.approx([0.6, 0.2, 0.0])
    assert [line.get_ydata()[-1] for line in second.get_lines()] == [0.7, 0.6]


def test_without_both_bounds_there_is_no_bracket():
    """An attack alone, a single radius, a cell that is not measured."""
    made, record = bracketed("cnn0", 0, (0.1, 0.8, 0.4), (0.0, 0.5, 0.2))
    alone = [v for v in record["values"] if v["metric"] != "certified_accuracy"]
    once = [v for v in record["values"] if v["epsilon"] in (0.1, None)]
    for values in (alone, once):
        run = SimpleNamespace(records={"cnn0": {"values": values}})
        assert draw_brackets(run, "ring", [made]) is None
    assert draw_brackets(SimpleNamespace(records={}), "ring", [made]) is None


def coded(key, model, rate, distortion, settings, **swept):
    """A cell of a code, and its record."""
    one = cell(key, 0, swept, model=model) | {"settings": {**settings, **swept}}
    values = [
        {"metric": metric, "value": value}
        for metric, value in (("bits_per_pixel", rate), ("coded_psnr", distortion))
    ]
    return one, {"status": "ok", "values": values}


def test_rates_are_a_line_for_each_code_and_kernel():
    """Along the steps, in the order of what they cost; a code of one step is no line."""
    told = [
        coded("a", "laplacian-open", 3.0, 40.0, {}, a=0.4, step=8.0),
        coded("b", "laplacian-open", 1.0, 30.0, {}, a=0.4, step=32.0),
        coded("c", "laplacian-open", 2.0, 35.0, {}, a=0.6, step=8.0),
        coded("d", "laplacian-open", 0.5, 25.0, {}, a=0.6, step=32.0),
        coded("e", "jpeg", 0.7, 29.0, {}, quality=10),
        coded("f", "jpeg", 2.7, 39.0, {}, quality=90),
        coded("g", "dct8", 2.7, 39.0, {"step": 8.0}),
    ]
    records = {one["key"]: record for one, record in told}
    cells = [one for one, _ in told]
    run = SimpleNamespace(records=records, manifest={"cells": cells})
    ((name, found),) = rate_figures(run)
    assert name == "rates-ring"
    (panel,) = found.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in panel.get_lines()}
    assert drawn == {
        "laplacian-open, a = 0.4": [[1, 30], [3, 40]],
        "laplacian-open, a = 0.6": [[0.5, 25], [2, 35]],
        "jpeg": [[0.7, 29], [2.7, 39]],
    }
    assert [*rate_figures(run_with_no_code())] == []


def run_with_no_code():
    one = cell("a", 0)
    records = {"a": {"status": "ok", "values": [{"metric": "high_quality", "value": 1.0}]}}
    return SimpleNamespace(records=records, manifest={"cells": [one]})


def test_a_sheet_of_seams_has_the_same_images_below_one_another():
    images = np.arange(4 * 6 * 8, dtype=np.uint8).reshape(4, 1, 6, 8)
    panels = [(cell(name, 0, model=name), {}, {"blended": images}) for name in ("cut", "feather")]
    found = draw_seams("ring", panels)
    assert [axis.get_title() for axis in found.axes] == ["cut", "feather"]
    picture = found.axes[1].get_images()[0].get_array()
    assert np.array_equal(picture[4:10, 4:12, 0], images[0, 0])
    assert np.array_equal(picture[4:10, 16:24, 0], images[1, 0])
    assert draw_seams("ring", [(cell("a", 0), {}, {})]) is None


def test_levels_are_drawn_finest_first():
    """Each with its own size, all bands of it."""
    arrays = {f"level0{k}": np.full((1 + k, 1, 8 >> k, 8 >> k), 60 * k, np.uint8) for k in range(3)}
    found = draw_levels("ring", [(cell("a", 0, model="steerable"), {}, arrays)])
    titles = [axis.get_title() for axis in found.axes]
    assert titles == ["steerable\n8 x 8", "4 x 4", "2 x 2"]
    for k, axis in enumerate(found.axes):
        assert axis.get_images()[0].get_array()[6, 6] == 60 * k
    assert draw_levels("ring", [(cell("a", 0), {}, {"samples": arrays["level00"]})]) is None
