"""Corruptions, warps, patches and one perturbation for all, as tasks: rows against plain loops."""

import numpy as np
import pytest
import torch
from swapped import Nearest, retrained, usual
from torch import nn

from attacks.classifiers import Ready
from attacks.corruptions import CORRUPTIONS
from attacks.patch import Placing, apply
from attacks.patches import PATCHES, Purpose
from attacks.spatial import Spatial
from attacks.universal import Universal, fit
from bench.core.errors import UsageError
from bench.datasets.digits import digits8
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks import TASKS, Bench
from bench.tasks.robustness.base import image_seeds

__all__ = ["retrained"]
"""Asked for by name."""
ME, N, FITTED = __name__, 60, 50


class Silent(Ready):
    """No number for an answer where a picture is bright."""

    missing = ""

    def load(self):
        network = Nearest(0).load()

        class Blinded(nn.Module):
            def forward(self, images):
                logits = network(images)
                bright = images.flatten(1).mean(1, keepdim=True) > 0.6
                return torch.where(bright, torch.nan, logits)

        return Blinded().eval()


one, other, silent = Nearest(0), Nearest(1), Silent()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("store"), "cpu")


def cell_of(task, seed=0, dataset="usual", source="one", model="one", part="", **settings):
    mine = {"dataset": dataset, "source_model": source, "model": model}
    parts = {axis: f"{ME}:{name}" for axis, name in mine.items()}
    parts |= {"corruption": part, "patch": part}
    parts = {axis: parts[axis] for axis in TASKS[task].part.axes}
    known = TASKS[task].part.resolve(parts, {"images": N, **settings}, None)
    named = (known.settings, seed, "/".join(parts.values()), "key", known.fingerprint)
    return Cell("block", task, parts, *named, "code", skip=known.skip)


@pytest.fixture
def rows(store):
    def measured(task, **given):
        cell = cell_of(task, **given)
        found = TASKS[task].part.measure(cell, Bench(store))
        assert (found.invalid, cell.skip) == ("", "")
        assert {v.metric for v in found.values} <= {*TASKS[task].part.gives(cell.parts, {})}
        return {(v.metric, v.epsilon): v for v in found.values}

    return measured


def held(seed=0):
    images = torch.tensor(digits8().held_images[:N]).float()[:, None] / 255
    return images, torch.tensor(digits8().held_labels[:N]), image_seeds(seed, N)


def training(seed=0, n=FITTED):
    source = usual.source(seed)
    images, labels = source.training_bytes[:n].float() / 255, source.training_labels[:n]
    return images, labels, image_seeds(seed, n)


def wrong(model, images, labels):
    return (model.load()(images).argmax(1) != labels).numpy()


def test_corruptions_by_severity_and_their_mean(rows):
    """Each is the error on that severity's images; the mean's error is over images."""
    images, labels, seeds = held(4)
    found = rows("corruption", part="gaussian_noise", seed=4, severities="5,2")
    corrupt = CORRUPTIONS["gaussian_noise"].part
    bits = [wrong(one, corrupt(images, severity=s, seeds=seeds), labels) for s in (2, 5)]
    assert found["clean_error", None].value == wrong(one, images, labels).mean()
    for severity, errors in zip((2, 5), bits, strict=True):
        value = found["corruption_error", severity]
        assert (value.value, value.n) == (pytest.approx(errors.mean()), N)
        assert value.std_error == pytest.approx(errors.std(ddof=1) / N**0.5)
        assert value.outcomes
    mean, of_each = found["corruption_error", None], np.mean(bits, 0)
    assert mean.value == pytest.approx(np.mean(bits))
    assert mean.std_error == pytest.approx(of_each.std(ddof=1) / N**0.5)
    assert bits[0].mean() < bits[1].mean()
    assert {e for m, e in found if m == "corruption_error"} == {2.0, 5.0, None}


def test_warps_by_degrees(rows):
    """The worst of each grid, what fell stays down; one angle where there are no degrees."""
    images, labels, seeds = held()
    given = {"pixels": 1.0, "angles": 3, "shifts": 3}
    found = rows("spatial", degrees="0,40", **given)
    right, fallen = ~wrong(one, images, labels), np.zeros(N, bool)
    for degrees in (0.0, 40.0):
        attack = Spatial(degrees, 1.0, 3 if degrees else 1, 3)
        bits = wrong(one, attack(one.load(), images, labels, seeds=seeds).images, labels)
        fallen |= bits
        assert found["adversarial_error", degrees].value == pytest.approx(bits.mean())
        assert found["robust_accuracy", degrees].value == pytest.approx((right & ~fallen).mean())
        assert found["attack_success", degrees].value == pytest.approx(bits[right].mean())
    drawn = rows("spatial", degrees="40", tries=1, **given)
    attack = Spatial(40.0, 1.0, 3, 3, 1)
    bits = wrong(one, attack(one.load(), images, labels, seeds=seeds).images, labels)
    assert drawn["adversarial_error", 40.0].value == pytest.approx(bits.mean())
    assert bits.mean() < found["adversarial_error", 40.0].value


@pytest.mark.parametrize("name", ["adversarial", "photo", "noise"])
def test_patches_are_fitted_to_training_images_and_shown_on_others(name, rows):
    """By the source, to the asked model, for the target; images of the target are left out."""
    images, labels, seeds = held(2)
    fitted, fitted_labels, fitted_seeds = training(2)
    placing = Placing(0.3, scales=(0.8, 1.0), degrees=10.0)
    purpose = Purpose(one.load(), fitted, fitted_labels, fitted_seeds, 3, placing)
    patch = PATCHES[name].part(purpose)
    shown = apply(images, patch, seeds, placing, 9)
    asked = {"target": 3, "scale": 0.8, "degrees": 10.0, "areas": "0,0.3", "fitted_on": FITTED}
    found = rows("patch", part=name, model="other", seed=2, **asked)
    answers = other.load()(shown).argmax(1)
    right, clean = (~wrong(other, x, labels) for x in (images, shown))
    taken = (answers == 3).numpy()[(labels != 3).numpy() & right]
    assert found["target_success", 0.3].value == pytest.approx(taken.mean())
    assert found["target_success", 0.3].n == len(taken)
    assert found["adversarial_error", 0.3].value == pytest.approx((~clean).mean())
    assert found["adversarial_error", 0.0].value == pytest.approx((~right).mean())


def test_one_perturbation_is_fitted_to_training_images(rows):
    """Clipped where it is shown; what it is fitted on is not what it is shown with."""
    images, labels, _ = held(1)
    plan = Universal(steps=20)
    found = rows(
        "shared-perturbation", model="other", seed=1, radii="0.1,0.3", steps=20, fitted_on=FITTED
    )
    fallen, right = np.zeros(N, bool), ~wrong(other, images, labels)
    for radius in (0.1, 0.3):
        fitted, fitted_labels, fitted_seeds = training(1)
        way = fit(
            plan, one.load(), fitted, fitted_labels, radius=radius, norm="linf", seeds=fitted_seeds
        )
        bits = wrong(other, (images + way).clamp(0, 1), labels)
        fallen |= bits
        assert found["adversarial_error", radius].value == pytest.approx(bits.mean())
        assert found["robust_accuracy", radius].value == pytest.approx((right & ~fallen).mean())
        assert 0 < found["distance", radius].value <= radius + 1e-6
        assert found["distance", radius].norm == "linf"


KEYED = {"part": "adversarial", "areas": "0.1", "fitted_on": FITTED}


def test_what_is_fitted_is_fitted_once_for_whoever_sees_it():
    """Its key holds the source, the training images, the seed, the part and its own settings."""
    task = TASKS["patch"].part

    def key(**given):
        return task.artifact(cell_of("patch", **{**KEYED, **given}))

    kind, kept = key()
    assert kind == "patch"
    assert key(model="other") == key(images=20) == (kind, kept)
    changes = [
        {"source": "other"},
        {"dataset": "retrained"},
        {"seed": 1},
        {"part": "noise"},
        {"areas": "0.2"},
        {"fitted_on": 40},
        {"target": 1},
        {"degrees": 5.0},
    ]
    assert len({key(**change)[1] for change in changes} | {kept}) == len(changes) + 1


def test_a_patch_comes_from_the_store(store, rows, monkeypatch):
    """The second who asks has it without fitting."""
    first = rows("patch", **KEYED, source="one", model="one", seed=7)
    monkeypatch.setattr("bench.tasks.robustness.patch.PatchTask.fit", None)
    again = rows("patch", **KEYED, source="one", model="one", seed=7)
    assert {k: v.value for k, v in first.items()} == {k: v.value for k, v in again.items()}


def test_no_number_for_an_answer_is_invalid(store):
    cell = cell_of("corruption", model="silent", part="brightness", severities="5")
    found = TASKS["corruption"].part.measure(cell, Bench(store))
    assert found.values == []
    assert found.invalid.startswith("after the change ")


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        ("corruption", {"part": "fogg"}, "fog"),
        ("corruption", {"part": "fog", "severities": "1,6"}, "whole numbers from 1 to 5, got 6"),
        ("corruption", {"part": "fog", "severities": "1.5"}, "whole numbers from 1 to 5, got 1.5"),
        ("corruption", {"part": "fog", "severity": "1"}, "severities"),
        ("spatial", {"tries": "0"}, "expected all, or how many, got .0."),
        ("spatial", {"tries": "few"}, "expected all, or how many, got .few."),
        ("spatial", {"angles": 4}, "angles: expected an odd number, got 4"),
        ("spatial", {"degrees": "x"}, "`degrees`: expected numbers"),
        ("patch", {"part": "noise", "target": 10}, "a class from 0 to 9, got 10"),
        ("patch", {"part": "noise", "areas": "0.9"}, "area: expected a share from 0 to 0.7854"),
        ("patch", {"part": "nose"}, "noise"),
        ("shared-perturbation", {"norm": "l0"}, "unknown norm .l0."),
        ("shared-perturbation", {"radii": "-1"}, "0 or more"),
    ],
)
def test_wrong_use_is_told(task, given, said):
    with pytest.raises(UsageError, match=said):
        cell_of(task, **given)


def test_axes_have_all_there_is_and_say_what_to_cite():
    tasks = {name: TASKS[name].part for name in ("corruption", "patch")}
    assert tasks["corruption"].every("corruption") == list(CORRUPTIONS)
    assert tasks["patch"].every("patch") == list(PATCHES)
    assert "one" not in tasks["patch"].every("source_model")
    said = tasks["patch"].describe(cell_of("patch", part="noise"))
    assert said["patch"]["role"] == "floor"
    said = tasks["patch"].describe(cell_of("patch", part="adversarial"))
    assert said["patch"] == {
        "role": "model",
        "summary": PATCHES["adversarial"].summary,
        "papers": ["arXiv:1712.09665"],
    }
    said = tasks["corruption"].describe(cell_of("corruption", part="fog"))
    assert said["corruption"]["papers"] == ["arXiv:1903.12261"]
