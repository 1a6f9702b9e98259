"""Which class is left out, of what, and which scores are compared: models known by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from tasks.byhand import cell_of, experiment_of

from bench.core.errors import UsageError
from bench.datasets.pixels import to_unit
from bench.tasks import TASKS
from bench.tasks.generation import anomaly
from bench.tasks.generation.anomaly import known_as, without
from bench.tasks.generation.image import entry_of
from generative import RECIPES, Autoencoder, Training
from generative.recipes.bounds import OneImage
from metrics import METRICS

TASK = TASKS["anomaly"].part
LEFT_OUT = 4


class Shifting(Autoencoder):
    """Rebuilds images off by a constant that is theirs: their mean, times a weight."""

    def __init__(self, weight):
        self.weight = weight

    def encode(self, x):
        return x.flatten(1)

    def decode(self, z):
        x = z.reshape(-1, 1, 8, 8)
        return x + self.weight * x.mean((1, 2, 3), keepdim=True)

    def codes(self, n, rng):
        raise AssertionError("nothing is drawn")

    def sample(self, n, rng):
        raise AssertionError("nothing is drawn")

    def tensors(self):
        return {}


def experiment(dataset="optdigits", model="pca", seed=0, **settings):
    settings = {"left_out": LEFT_OUT, "pictures": 1_000, **settings}
    cell = cell_of("anomaly", seed=seed, dataset=dataset, model=model, settings=settings)
    return experiment_of(cell)


def whole(at_work):
    return entry_of(at_work.cell).part.split


def scores(at_work, model):
    made = at_work.make(model)
    return {name + suffix: s for name, s, suffix in at_work.score(model, made)[0]}


def test_nothing_is_trained_on_the_class_that_is_left_out():
    """And everything on all others, held-out images on neither side."""
    at_work = experiment()
    split = whole(at_work)
    rest = split.labels != LEFT_OUT
    trained = {x.tobytes() for x in (at_work.source.training_bytes[:, 0].numpy())}
    assert trained == {x.tobytes() for x in split.images[rest]}
    assert len(at_work.source.training) == rest.sum()
    assert at_work.source.classes == 9
    assert set(at_work.source.training_labels.tolist()) == set(range(9))


def test_held_out_images_of_both_sides_are_told_apart():
    at_work = experiment()
    split = whole(at_work)
    strange = split.held_labels == LEFT_OUT
    belong, other = at_work.pictures
    torch.testing.assert_close(other[:, 0], to_unit(torch.from_numpy(split.held_images[strange])))
    torch.testing.assert_close(belong[:, 0], to_unit(torch.from_numpy(split.held_images[~strange])))
    few = experiment(pictures=7).pictures
    assert [len(x) for x in few] == [7, 7]
    assert torch.equal(few[0], belong[:7])
    assert torch.equal(few[1], other[:7])


@pytest.mark.parametrize("weight", [0.3, -0.3])
def test_an_error_that_is_larger_is_stranger(weight):
    """The squared error ranks, whatever its sign: by hand, and by scikit-learn."""
    at_work = experiment()
    found = scores(at_work, Shifting(weight))
    belong, other = (x.mean((1, 2, 3)).numpy() ** 2 for x in at_work.pictures)
    labels = np.repeat([0, 1], [len(belong), len(other)])
    wanted = roc_auc_score(labels, np.concatenate([belong, other]))
    assert set(found) == {"auroc"}
    assert found["auroc"].value == pytest.approx(wanted, abs=1e-3)  # images that tie, to rounding
    assert found["auroc"].n == len(labels)


def test_the_mean_image_is_that_of_the_others():
    at_work = experiment(model="one-image")
    mean = at_work.source.training.mean(0)
    split = whole(at_work)
    rest = to_unit(torch.from_numpy(split.images[split.labels != LEFT_OUT])).mean(0)
    torch.testing.assert_close(mean[0], rest)
    found = scores(at_work, OneImage(mean))
    errors = [(x - mean).square().sum((1, 2, 3)).numpy() for x in at_work.pictures]
    labels = np.repeat([0, 1], [len(x) for x in errors])
    assert found["auroc"].value == pytest.approx(roc_auc_score(labels, np.concatenate(errors)))


@pytest.mark.parametrize("left_out", [1, 8])
def test_the_judge_knows_the_class_by_its_own_number(left_out):
    """Also where the data have some classes alone, numbered anew."""
    at_work = experiment(model="oracle", left_out=left_out)
    found = scores(at_work, RECIPES["oracle"].part.engine.fit(at_work.source, 0))
    assert found["auroc"].value > 0.98
    few = replace(entry_of(at_work.cell).part, only=(3, left_out), classes=2)
    assert known_as(few) == (3, left_out)
    assert known_as(without(few, 0)) == (left_out,)


def _trained(at_work):
    trainer = RECIPES["nsgan"].part.trainer(Training("small-dcgan", steps=2, batch=8), (1, 8, 8))
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    return trainer.finish(trainer.advance(trainer.start(at_work.source, rng), 2))


def test_a_search_ranks_by_its_sum_and_each_part_by_itself():
    """The settings are the search's; parts are named as what they are."""
    at_work = experiment(model="nsgan", descent_steps=4, starts=3, discrimination=0.75, pictures=20)
    model = _trained(at_work)
    made = at_work.make(model)
    total, residual, discrimination = made.drawn
    torch.testing.assert_close(total, 0.25 * residual + 0.75 * discrimination)
    torch.testing.assert_close(
        residual, (made.values - at_work.both).abs().flatten(1).sum(1), rtol=1e-4, atol=1e-4
    )
    found = scores(at_work, model)
    labels = np.repeat([0, 1], [len(x) for x in at_work.pictures])
    for suffix, each in (("", total), ("@residual", residual), ("@discrimination", discrimination)):
        wanted = roc_auc_score(labels, each.numpy())
        assert found[f"auroc{suffix}"].value == pytest.approx(wanted)
    other = experiment(model="nsgan", descent_steps=0, starts=3, discrimination=0.75, pictures=20)
    assert not torch.equal(other.make(model).drawn, made.drawn)
    again = experiment(model="nsgan", descent_steps=4, starts=3, discrimination=0.75, pictures=20)
    assert torch.equal(again.make(model).drawn, made.drawn)
    seeded = experiment(
        model="nsgan", seed=1, descent_steps=4, starts=3, discrimination=0.75, pictures=20
    )
    assert torch.equal(seeded.both, at_work.both)
    assert not torch.equal(seeded.make(model).drawn, made.drawn)


def test_what_is_shown_has_both_sides():
    at_work = experiment(pictures=5)
    _, kept = at_work.score(Shifting(0.3), at_work.make(Shifting(0.3)))
    assert len(kept["inputs"]) == 10
    shown = torch.from_numpy(kept["inputs"]).float() / 255
    torch.testing.assert_close(shown, at_work.both, atol=3e-3, rtol=0)


def resolved(model="pca", dataset="optdigits", **settings):
    return TASK.resolve({"dataset": dataset, "model": model}, settings, None)


@pytest.mark.parametrize("left_out", [10, 99])
def test_a_digit_that_the_data_do_not_have_is_refused(left_out):
    message = f"left_out: expected a class of 'optdigits', 0 to 9, got {left_out}"
    with pytest.raises(UsageError, match=message):
        resolved(left_out=left_out)
    with pytest.raises(UsageError, match="0 to 1, got 2"):
        resolved(dataset="mnist5k-3v7", left_out=2)


def test_what_can_not_be_asked_is_refused():
    with pytest.raises(UsageError, match="setting 'left_out'"):
        resolved(left_out=-1)
    with pytest.raises(UsageError, match=r"offers .*, and task anomaly needs"):
        resolved(dataset="ring8@pacgan")
    with pytest.raises(UsageError, match="expected auroc, auroc@residual or auroc@discrimination"):
        TASK.metric_facts("auroc@pixels")
    at_work = experiment()
    drawing = RECIPES["noise"].part.engine.fit(at_work.source, 0)
    with pytest.raises(UsageError, match="neither encodes nor has a critic"):
        at_work.make(drawing)


def test_one_class_alone_can_not_be_left_out():
    data = entry_of(experiment("mnist5k-3v7", left_out=0, pictures=9).cell).part
    alone = without(data, 0)
    assert alone.only == (7,)
    with pytest.raises(UsageError, match="one class: nothing is left"):
        without(alone, 0)


def test_another_class_left_out_is_another_training_and_another_cell():
    """And other images, wherever they stand, are other measurements."""
    cells = {n: experiment(left_out=n).cell for n in (3, 4)}
    assert cells[3].fingerprint != cells[4].fingerprint
    keys = {n: experiment(left_out=n).order.key("cpu") for n in (3, 4)}
    assert keys[3] != keys[4]
    assert resolved(left_out=3).differing == {"left_out": 3}
    assert resolved().differing == {}
    assert anomaly._fingerprint(entry_of(cells[3]).part, 3) == cells[3].fingerprint


def test_a_cell_says_what_it_can_have_and_what_it_reads():
    searched = resolved("nsgan")
    assert searched.gives == {"auroc", "auroc@residual", "auroc@discrimination"}
    assert {"discrimination", "descent_steps", "starts"} <= set(searched.settings)
    assert resolved().gives == {"auroc"}
    assert "discrimination" not in resolved().settings
    assert resolved("noise").skip.endswith("can't say what does not belong")
    assert {"nsgan", "pca", "autoencoder", "bigan", "oracle"} <= set(TASK.every("model"))
    assert not {"pacgan2", "cgan", "ebgan", "noise", "srgan"} & set(TASK.every("model"))


@pytest.mark.parametrize("seed", range(3))
def test_the_area_is_that_of_scikit_learn(seed):
    """With ties; its error is DeLong's, by the definition over all pairs."""
    rng = np.random.default_rng(seed)
    belong, strange = rng.integers(0, 9, 40).astype(float), rng.integers(2, 12, 25).astype(float)
    found = METRICS["auroc"].part(belong, strange)
    labels = np.repeat([0, 1], [40, 25])
    assert found.value == pytest.approx(roc_auc_score(labels, np.concatenate([belong, strange])))
    pairs = (strange[:, None] > belong) + 0.5 * (strange[:, None] == belong)
    error = pairs.mean(1).var(ddof=1) / 25 + pairs.mean(0).var(ddof=1) / 40
    assert found.std_error == pytest.approx(error**0.5)
    assert METRICS["auroc"].part(belong[:1], strange).std_error is None
