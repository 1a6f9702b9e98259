"""An attack is measured once: the cells of a suite and `bench attack` give the same rows, for every
registered attack, whatever stands beside it.
"""

import json
from dataclasses import fields
from functools import cache

import numpy as np
import pandas as pd
import pytest
from laws.alike import ALIKE

from attacks import ATTACKS, Ensemble, FixedBudget
from bench import api

DATA, MODEL, IMAGES, SEED = "optdigits", "cnn", 16, 1
QUICK = {"queries": 8, "steps": 3, "searches": 1, "looks": 1, "tolerance": 0.1}
RADII = {"linf": (0.1, 0.2), "l2": (0.8, 1.6), "l1": (4.0, 8.0), "l0": (5.0, 10.0)}
OF_THE_CURVE = ("attack_success_within", "attack_forwards", "attack_backwards")
"""Metrics that count every radius of a curve."""
SAID = ["metric", "metric_version", "norm", "epsilon"]
FOUND = ["label", "value", "std_error", "n", "outcomes", "examples"]
HEAD = 'name = "agreement"\ndefault_tier = "quick"\n[tiers.quick]\nseeds = 1\n'


def _cases():
    """Every attack in each of its norms; by default in its first, and none that is like another."""
    for entry in ATTACKS.entries():
        for place, norm in enumerate(entry.part.norms):
            marks = [pytest.mark.slow] if place or entry.name in ALIKE else []
            yield pytest.param(entry.name, norm, id=f"{entry.name}-{norm}", marks=marks)


every_attack = pytest.mark.parametrize(("attack", "norm"), [*_cases()])


def _block(name, task, metric, settings, **grid):
    """A block as TOML has it."""
    grid = {"dataset": [DATA], "model": [MODEL], **grid}
    lines = [f'name = "{name}"', f'task = "{task}"', f'metrics = ["{metric}"]']
    lines += [f"grid.{axis} = {json.dumps(parts)}" for axis, parts in grid.items()]
    lines += [f"settings.{name} = {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join(["\n[[block]]", *lines, ""])


def _run(folder, *blocks):
    """The rows of a suite, measured in this process; no pictures."""
    (folder / "suite.toml").write_text(HEAD + "".join(blocks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.run.run.draw", lambda *given: ())
        return api.run(str(folder / "suite.toml"), out=str(folder / "run"), seeds=[SEED])


def _quick(attack):
    """Few steps, by the attack's own settings."""
    own = {field.name for field in fields(ATTACKS[attack].part)}
    return {name: value for name, value in QUICK.items() if name in own}


def _asked(attack, norm, clip, radii):
    """The settings of a cell."""
    asked = {"norm": norm, "clip": clip, "images": IMAGES, **_quick(attack)}
    fixed = isinstance(ATTACKS[attack].part, FixedBudget)
    return asked | ({"radii": ",".join(map(str, radii))} if fixed else {})


def _cell(attack, norm, clip, radii, task="attack", metric="robust_accuracy", **grid):
    """A block of one cell."""
    asked = _asked(attack, norm, clip, radii)
    name = "-".join(["of", task, attack, norm, str(clip), *map(str, radii)])
    return _block(name, task, metric, asked, attack=[attack], **grid)


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    return str(tmp_path_factory.mktemp("classifiers"))


@pytest.fixture(autouse=True)
def _trained_once(classifiers, monkeypatch):
    monkeypatch.setenv("MINIMAX_CACHE", classifiers)


@pytest.fixture(scope="module")
def suite(classifiers, tmp_path_factory):
    """What makes the rows of a suite of an attack in a norm, once: with a box and without, a curve
    and its first radius alone, beside an attack of another kind.
    """
    ways = [(True, slice(2)), (False, slice(2)), (True, slice(1))]

    @cache
    def measured(attack, norm):
        fixed = isinstance(ATTACKS[attack].part, FixedBudget)
        cells = [_cell(attack, norm, clip, RADII[norm][some]) for clip, some in ways[: 2 + fixed]]
        beside = _cell("deepfool" if fixed else "sign-noise", "l2", True, RADII["l2"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINIMAX_CACHE", classifiers)
            return _run(tmp_path_factory.mktemp("suite"), *cells, beside)

    return measured


def _row(suite, attack, norm, clip, radii):
    """What the suite says of one cell."""
    suite = suite(attack, norm)
    wanted = _asked(attack, norm, clip, radii).items()
    same = suite["settings"].map(lambda text: wanted <= json.loads(text).items())
    return suite[suite["attack"].eq(attack) & same]


@cache
def _attack(attack, norm, clip, radii, **options):
    """The same by `bench attack`."""
    radii = radii if isinstance(ATTACKS[attack].part, FixedBudget) else None
    options = {"audit": False, "images": IMAGES, "seed": SEED, **options}
    given = {"attack": attack, "norm": norm, "clip": clip, "settings": _quick(attack)}
    return api.attack(MODEL, DATA, epsilons=radii, **given, **options)


def _assert_same(one, other):
    """The same numbers to the bit, and the same outcome of each image, so named that they pair."""
    one, other = (x.sort_values(SAID).reset_index(drop=True)[SAID + FOUND] for x in (one, other))
    assert len(one)
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def _at(table, radius, *without):
    """What a table says of one radius by itself."""
    metrics = table["metric"].str.partition("@")[0]
    at = table["epsilon"].eq(radius) | table["epsilon"].isna()
    return table[at & ~metrics.isin([*OF_THE_CURVE, *without])]


@every_attack
def test_a_suite_and_the_command_agree(suite, attack, norm):
    """On every metric of a curve, with a box and without one."""
    for clip in (True, False):
        row = _row(suite, attack, norm, clip, RADII[norm])
        _assert_same(row, _attack(attack, norm, clip, RADII[norm]))


@every_attack
def test_a_radius_alone_is_that_of_a_longer_list(suite, attack, norm):
    """The first one in robust accuracy too, which counts the smaller ones. An ensemble attacks at a
    larger radius only whom it has not misled at a smaller one.
    """
    first, last = RADII[norm]
    curve = _attack(attack, norm, True, (first, last))
    _assert_same(_at(_row(suite, attack, norm, True, [first]), first), _at(curve, first))
    if isinstance(ATTACKS[attack].part, Ensemble):
        return
    alone = _attack(attack, norm, True, (last,))
    others = ["robust_accuracy"] if isinstance(ATTACKS[attack].part, FixedBudget) else []
    _assert_same(_at(alone, last, *others), _at(curve, last, *others))


def test_a_cell_does_not_know_its_suite(suite, tmp_path):
    """Alone and under another name: the same bits."""
    radii = RADII["linf"]
    row = _run(tmp_path, _cell("pgd", "linf", True, radii))
    _assert_same(row, _row(suite, "pgd", "linf", True, radii))


@pytest.mark.parametrize("attack", ["pgd", "square", "gaussian-noise", "lbfgs"])
def test_images_shown_to_their_own_classifier_mislead_it_as_often(suite, attack, tmp_path):
    """Transfer to the model that they were made on is the attack itself, image by image."""
    norm = ATTACKS[attack].part.norms[0]
    radius = RADII[norm][0]
    metric = "transfer_error"
    shown = _run(
        tmp_path, _cell(attack, norm, True, [radius], "transfer", metric, source_model=[MODEL])
    )
    by_attack = _at(_row(suite, attack, norm, True, [radius]), radius)
    by_attack = by_attack[by_attack["metric"].eq("adversarial_error")]
    (one,), (other,) = (
        table[["value", "outcomes"]].to_numpy().tolist()
        for table in (shown[shown["metric"].eq(metric)], by_attack)
    )
    assert one == other
    assert one[0] > 0


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_audit_is_that_of_the_task(norm, tmp_path, monkeypatch):
    """Every diagnostic of the first images at the radii above 0, and whether it fires."""
    monkeypatch.setattr("bench.attack.evaluate.AUDITED", 6)
    radii = [2 * radius for radius in RADII[norm]]
    asked = {"norm": norm, "radii": ",".join(map(str, radii)), "images": 6}
    task = _run(tmp_path, _block("audit", "audit", "audit_findings", asked))
    table = _attack("fgsm", norm, True, (0.0, *radii), audit=True)
    table = table[table["metric"].str.startswith("audit_")]
    assert 0 < table.set_index("metric")["value"]["audit_noise_success"] < 1
    _assert_same(task.assign(norm="", epsilon=None), table.assign(norm="", epsilon=None))


def _noise(tmp_path, model=MODEL, attack="sign-noise", radii=(0.1,), images=IMAGES, seed=SEED):
    """By how much each image is moved."""
    path = tmp_path / "a.npz"
    options = {"clip": False, "audit": False, "save_adversarials": str(path)}
    api.attack(model, DATA, attack=attack, epsilons=radii, images=images, seed=seed, **options)
    with np.load(path) as saved:
        return saved["images"] - saved["clean"]


def test_noise_is_the_images_own(tmp_path):
    """The run's seed and the image's place decide it: not the classifier, the radii, how many
    images there are; two images and two seeds have each their own.
    """
    usual = _noise(tmp_path)
    for other in ({"model": "fc10-1e-2"}, {"radii": (0.05, 0.1)}):
        np.testing.assert_array_equal(_noise(tmp_path, **other), usual)
    np.testing.assert_array_equal(_noise(tmp_path, images=9), usual[:9])
    assert len(np.unique(usual.reshape(IMAGES, -1), axis=0)) == IMAGES
    assert np.mean(np.isclose(_noise(tmp_path, seed=SEED + 1), usual)) < 0.6
