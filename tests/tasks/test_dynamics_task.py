"""Games of two numbers through the harness: every orbit beside its closed form."""

from __future__ import annotations

import numpy as np
import pytest

from bench import api
from bench.core.errors import UsageError
from bench.run.run import plan_of
from generative import DYNAMICS
from metrics import METRICS
from metrics.orbits import growth, seen, verdict

ERROR = 0.02
"""Of an orbit, over its radius: what a loss bends where it is near the equilibrium, and floats."""


def orbit(factor, angle=0.3, steps=200):
    """A spiral."""
    at = np.arange(steps)
    return (factor**at)[:, None] * np.stack([np.cos(angle * at), np.sin(angle * at)], 1)


@pytest.mark.parametrize("factor", [0.9, 0.99, 1.0, 1.01])
def test_the_growth_of_a_spiral(factor):
    assert growth(orbit(factor)) == pytest.approx(factor, rel=1e-6)
    assert verdict(growth(orbit(factor))) == np.sign(factor - 1)


def test_an_orbit_is_looked_at_while_it_is_near():
    """Down to three hundredths of its radius, up to ten times."""
    assert seen(orbit(0.5)) == 6
    assert seen(orbit(2.0)) == 4
    assert seen(orbit(1.0)) == 200
    assert np.isnan(growth(orbit(0.01)))


def test_measured_and_expected_are_not_exchanged():
    """real is the closed form, fake what was played."""
    known, played = orbit(0.9), orbit(1.02)
    scores = {e.name: e.part for e in METRICS.entries() if e.facts.takes == "orbit"}
    assert scores["growth"](known, played) == pytest.approx(1.02)
    assert scores["growth_expected"](known, played) == pytest.approx(0.9)
    assert scores["verdict"](known, played) == 1
    assert scores["verdict_expected"](known, played) == -1
    assert scores["orbit_error"](known, 1.5 * known) == pytest.approx(0.5)


def played(place, patch, **told):
    """The last figures of a run of the suite, a row for each cell."""
    patch.setenv("MINIMAX_CACHE", str(place / "cache"))
    table = api.run("dynamics", out=str(place / "run"), executor="processes", workers=2, **told)
    return table.pivot_table(index=["cell_id", "settings"], columns="metric", values="value")


def assert_as_in_closed_form(wide):
    assert (wide.orbit_error < ERROR).all(), wide[wide.orbit_error >= ERROR]
    np.testing.assert_allclose(wide.growth, wide.growth_expected, rtol=2e-3)
    assert (wide.verdict == wide.verdict_expected).all()


def test_every_orbit_is_the_closed_form_for_a_while(tmp_path, monkeypatch):
    """The figures of a cell, and their verdicts, are those that mathematics says."""
    wide = played(tmp_path, monkeypatch, set={"steps": 40}, only={"model": "[rw]*gan"})
    assert len(wide) == 30
    assert_as_in_closed_form(wide)


@pytest.mark.slow
def test_every_orbit_is_the_closed_form(tmp_path, monkeypatch):
    """The suite as it ships: some games diverge, some circle, some converge."""
    wide = played(tmp_path, monkeypatch)
    assert len(wide) == 45
    assert_as_in_closed_form(wide)
    assert set(wide.verdict) == {-1.0, 0.0, 1.0}


def suite(tmp_path, model, settings=""):
    """A suite of one cell."""
    path = tmp_path / "duel.toml"
    path.write_text(
        'name = "duel"\n[[block]]\nname = "b"\ntask = "dynamics"\ngrid.dataset = ["dirac"]\n'
        f'grid.model = ["{model}"]\nsettings = {{ {settings} }}\n'
    )
    return str(path)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("wgan-gp", "no linear game"),
        ("sngan", "no linear game"),
        ("lsgan", "no linear game"),
        ("vae", "no game of a generator against a critic"),
        ("historical-gan", "no closed form"),
    ],
)
def test_what_has_no_closed_form_is_skipped_with_the_reason(tmp_path, model, reason):
    (cell,) = plan_of(suite(tmp_path, model), seeds=(0,)).cells
    assert reason in cell.skip


def test_other_protocols_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"'plane': task dynamics is for games of two numbers"):
        plan_of(suite(tmp_path, "gan", 'protocol = "plane"'), seeds=(0,))


def test_dynamics_are_all_in_the_suite():
    """But for those without a closed form."""
    known = {name for name in DYNAMICS if DYNAMICS[name].part.linear(np.eye(2), 0.1) is not None}
    cells = plan_of("dynamics", seeds=(0,)).cells
    assert {cell.settings["dynamics"] for cell in cells} == known
