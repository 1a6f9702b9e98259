"""Figures that teach: what they show is what closed forms and other ways of computing it say."""

from __future__ import annotations

import json
from functools import cache, partial

import numpy as np
import pytest
import torch
from harness import bench
from scipy.integrate import quad
from scipy.stats import norm

from attacks.classifiers.photos import EfficientNetLite
from bench import api
from bench.core.errors import UsageError
from bench.core.randomness import forked
from bench.figures import FIGURES
from bench.figures.densities import alpha_divergence, gaussian, jensen_shannon
from bench.figures.fits import Mixture, fits, profile
from bench.figures.phase_portraits import PANELS, PhasePortraits, orbit
from bench.laws.duels import Duel, played
from generative import DYNAMICS
from generative.training import told

NAMES = [entry.name for entry in FIGURES.entries() if not entry.facts.needs]
SMALL = {"likelihood": {"centres": 300}, "optimal-critic": {"steps": 60}}
FORWARD, REVERSE = (partial(alpha_divergence, alpha=a) for a in (1, 0))


@cache
def shown(name):
    return api.figure(name, settings=SMALL.get(name, {}))


def value(table, where, quantity):
    here = table[(table["where"] == where) & (table["quantity"] == quantity)]
    assert len(here) == 1, (where, quantity)
    return float(here["value"].iloc[0])


@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_what_its_closed_form_says(name):
    """To the tolerance that the figure declares; and some number of it has a closed form."""
    table = shown(name).table
    known = table[table["expected"].notna()]
    assert len(known)
    assert np.isfinite(table["value"]).all()
    np.testing.assert_allclose(
        known["value"], known["expected"], rtol=0, atol=FIGURES[name].facts.tolerance
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_drawn_to_equal_bytes(name):
    first, second = (shown(name).picture(".svg") for _ in range(2))
    assert first == second
    assert first.startswith(b"<?xml")


def test_in_every_format():
    found = shown("phase-portraits")
    for suffix, begin in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        first, second = found.picture(suffix), found.picture(suffix)
        assert first == second
        assert first.startswith(begin)
    assert found._repr_png_() == found.picture()


def test_computing_a_figure_moves_nobody_elses_draws():
    before = torch.get_rng_state()
    api.figure("optimal-critic", settings={"steps": 3})
    assert torch.equal(torch.get_rng_state(), before)


def test_divergences_are_those_of_gaussians():
    """KL between Gaussians in closed form; alpha-divergences and Jensen-Shannon by another
    quadrature.
    """
    x = np.linspace(-14, 14, 2801)
    (a, s), (b, t) = (0.3, 0.8), (-0.5, 1.3)
    p, q = gaussian(x, a, s), gaussian(x, b, t)
    kl = np.log(t / s) + (s**2 + (a - b) ** 2) / (2 * t**2) - 0.5
    back = np.log(s / t) + (t**2 + (a - b) ** 2) / (2 * s**2) - 0.5
    assert alpha_divergence(x, p, q, 1) == pytest.approx(kl, abs=1e-9)
    assert alpha_divergence(x, p, q, 0) == pytest.approx(back, abs=1e-9)
    one, other = norm(a, s).pdf, norm(b, t).pdf
    for alpha in (-0.3, 0.5, 1.4):
        mixed = quad(lambda at, c=alpha: one(at) ** c * other(at) ** (1 - c), -14, 14)[0]
        wanted = (mixed - 1) / (alpha * (alpha - 1))
        assert alpha_divergence(x, p, q, alpha) == pytest.approx(wanted, rel=1e-7)
        near = alpha_divergence(x, p, q, 1 - 1e-5)
        assert near == pytest.approx(kl, rel=1e-3)
    js = quad(
        lambda at: (
            0.5 * one(at) * np.log(2 * one(at) / (one(at) + other(at)))
            + 0.5 * other(at) * np.log(2 * other(at) / (one(at) + other(at)))
        ),
        -12,
        12,
    )[0]
    assert jensen_shannon(x, p, q) == pytest.approx(js, rel=1e-7)
    assert jensen_shannon(x, p, gaussian(x, 9.0, 0.1)) == pytest.approx(np.log(2), abs=1e-6)


WANTED = [
    (0.5, FORWARD, 0.0, 2.0616, 0.7236),
    (0.5, REVERSE, 2.0, 0.5004, 0.6931),
    (0.5, jensen_shannon, 0.0, 2.042, 0.2010),
    (0.5, partial(alpha_divergence, alpha=0.5), 0.0, 2.007, 0.9408),
    (0.5, partial(alpha_divergence, alpha=2), 0.0, 2.090, 0.7012),
    (0.7, FORWARD, -0.8, 1.9, 0.7242),
    (0.7, REVERSE, -2.0, 0.5003, 0.3566),
    (0.7, jensen_shannon, -2.0, 0.5004, 0.1173),
    (0.7, partial(alpha_divergence, alpha=0.5), -1.9995, 0.5011, 0.6530),
    (0.7, partial(alpha_divergence, alpha=2), -0.785, 1.937, 0.7019),
]
"""Share, divergence, and its best Gaussian by a script that shares no line with ours."""


@pytest.mark.parametrize(("share", "way", "mean", "std", "least"), WANTED)
def test_the_best_gaussian_is_the_one_that_others_find(share, way, mean, std, least):
    best = fits(Mixture(share), way)[0]
    got = (abs(best.mean) if share == 0.5 else best.mean, best.std, best.value)
    assert got == pytest.approx((mean, std, least), abs=6e-4)


@pytest.mark.parametrize("share", [0.5, 0.7])
@pytest.mark.parametrize("way", [FORWARD, REVERSE, jensen_shannon])
def test_what_is_called_a_minimum_is_one(share, way):
    """Nothing around it is less: no saddle, no edge. And no mean has less than the least of all."""
    mixture = Mixture(share)
    found = fits(mixture, way)
    assert [fit.value for fit in found] == sorted(fit.value for fit in found)
    for fit in found:
        for turn in np.linspace(0, 2 * np.pi, 16, endpoint=False):
            mean, std = fit.mean + 0.02 * np.cos(turn), fit.std + 0.02 * np.sin(turn)
            there = way(mixture.x, mixture.density, gaussian(mixture.x, mean, std))
            assert there > fit.value
    along = profile(mixture, way, np.linspace(-3, 3, 13).tolist())
    assert min(along) >= found[0].value - 1e-9
    at = profile(mixture, way, [found[0].mean])[0]
    assert at == pytest.approx(found[0].value, abs=1e-6)


def test_the_alpha_family_turns_where_both_minima_are_level():
    """Below it the best Gaussian is on a mode, above it over both; sooner for even modes."""
    table = shown("alpha-family").table
    turns = {share: value(table, f"share {share}", "alpha of the turn") for share in ("0.5", "0.7")}
    assert turns["0.5"] < turns["0.7"]
    for share, at in turns.items():
        below, above = (
            fits(Mixture(float(share)), partial(alpha_divergence, alpha=at + step))[0]
            for step in (-0.01, 0.01)
        )
        assert below.std < 1 < above.std


@pytest.mark.parametrize("panel", [p for p in PANELS if not p.damping], ids=lambda p: p.title)
def test_an_orbit_is_what_the_game_plays(panel):
    game = Duel(rate=0.2, start=(1.0, 0.0))
    part = told(DYNAMICS[panel.dynamics].part, {"consensus_weight": 1.0, "ahead": 5})
    known = orbit(PhasePortraits()._map(panel), 20)
    np.testing.assert_allclose(played(game, part, 20), known, rtol=1e-9, atol=1e-12)


def test_a_rate_is_the_rate_of_both():
    gentle = api.figure("phase-portraits", settings={"rate": 0.05}).table
    assert value(gentle, "simultaneous", "growth a step") == pytest.approx(np.sqrt(1 + 0.05**2))


def test_in_the_end_the_model_is_the_data_and_the_critic_knows_nothing():
    table = api.figure("optimal-critic").table
    last = table["where"].iloc[-1]
    assert last == "step 150"
    assert value(table, last, "value of the game") == pytest.approx(-np.log(4), abs=1e-3)
    assert value(table, last, "mean of the model") == pytest.approx(1.5, abs=0.01)
    assert value(table, last, "deviation of the model") == pytest.approx(0.8, abs=0.01)
    values = table[table["quantity"] == "value of the game"]["value"].to_list()
    assert values == sorted(values, reverse=True)


def test_parzen_windows_prefer_the_means_to_the_truth():
    """On as many of either, by more than both errors; held-out digits are in neither."""
    table = shown("likelihood").table
    means, truth, noise = (
        value(table, name, "Parzen estimate (nats)") for name in ("k means", "true digits", "noise")
    )
    assert means > truth + 50 > noise + 100
    lost = table[table["quantity"].str.startswith("nats")]["value"].to_list()
    assert lost == pytest.approx(sorted(lost))
    assert lost[0] < 1
    assert max(lost) <= np.log(100) + 1e-9


class _Bright(torch.nn.Module):
    """Class 698 for bright images, 0 for dark ones."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, images):
        bright = self.weight * 20 * (images.mean((1, 2, 3)) - self.middle)
        rest = torch.full((len(images), 1000), -50.0)
        rest[:, 698], rest[:, 0] = 0, 0
        return rest + torch.nn.functional.one_hot(torch.tensor(698), 1000) * bright[:, None]

    middle = 0.0


def test_the_panda_is_one_step_within_the_radius(monkeypatch):
    """The photo as it is, then attacked, and never the other way round."""
    from bench.figures.panda import photo

    network = _Bright()
    network.middle = float(photo().mean()) - 0.01
    monkeypatch.setattr(EfficientNetLite, "load", lambda self: network)
    with forked(0):
        table = api.figure("panda", settings={"radius": 0.05}).table
    assert table["where"].to_list() == ["photo", "attacked", "attacked"]
    assert "palace" in table["quantity"][0]
    assert "tench" in table["quantity"][1]
    assert value(table, "attacked", "largest change of a value") == pytest.approx(0.05, abs=1e-6)
    assert photo().shape == (1, 3, 224, 224)


def test_the_command_prints_numbers_and_draws(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert bench("figure", "phase-portraits") == 0
    text = capfd.readouterr().out
    assert "1.0198" in text
    assert "wrote phase-portraits.png" in text
    assert (tmp_path / "phase-portraits.png").read_bytes().startswith(b"\x89PNG")
    assert bench("figure", "phase-portraits", "--json", "-o", "x.svg") == 0
    rows = json.loads(capfd.readouterr().out)
    assert list(rows[0]) == ["where", "quantity", "value", "expected"]
    assert (tmp_path / "x.svg").read_text().startswith("<?xml")
    assert "phase-portraits" in set(api.list("figures")["name"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("phase",), "unknown figure 'phase'"),
        (
            ("phase-portraits", "-o", "x.gif"),
            "--out: expected a name that ends in .png, .pdf, .svg",
        ),
        (
            ("phase-portraits", "--set", "speed=1"),
            "unknown setting of figure phase-portraits 'speed'",
        ),
        (("phase-portraits", "--set", "rate=9"), "setting 'rate': expected float"),
    ],
)
def test_what_can_not_be_drawn_is_one_line(arguments, said, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert bench("figure", *arguments) == 2
    error = capfd.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(EfficientNetLite, "missing", "comes with the extra `imagenet`: pip install")
    with pytest.raises(UsageError, match="extra `imagenet`"):
        api.figure("panda")
