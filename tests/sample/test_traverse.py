"""A sheet of what codes say: a row for each category, of a trained InfoGAN."""

import pytest
import torch
from reference.loops import Known, advanced
from tasks.byhand import Given, cell_of

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.sample import codes
from bench.sample.codes import Exploration, explored
from generative import RECIPES, Training
from generative.latentspace import TRAVERSED, traversal

SHAPE = (1, 8, 8)


def trained(**told):
    training = Training("small-dcgan", steps=3, batch=4, **told)
    trainer = RECIPES["infogan"].part.trainer(training, SHAPE)
    return trainer.finish(advanced(trainer, Known(SHAPE)))


def cell(seed=0):
    return cell_of("image", dataset="optdigits", model="infogan", seed=seed)


@pytest.fixture
def looked(monkeypatch):
    def look(model, **chosen):
        monkeypatch.setattr(codes, "_decoder", lambda cell, store: model)
        return explored(cell(chosen.pop("seed", 0)), 5, None, Exploration(**chosen))

    return look


@pytest.mark.parametrize("seed", [0, 2])
def test_a_sheet_is_of_the_codes_of_the_cell(looked, seed):
    model = trained()
    images, columns = looked(model, traverse=1, seed=seed)
    assert columns == TRAVERSED
    wanted = traversal(model, stream(cell(seed).cell_id, seed, "codes"), 1)
    assert torch.equal(torch.from_numpy(images), (wanted * 255).round().to(torch.uint8))
    assert not (images == looked(model, traverse=0, seed=seed)[0]).all()


def test_what_can_not_be_traversed_is_refused(looked):
    with pytest.raises(UsageError, match="number 2 of a code: expected 0 to 1"):
        looked(trained(), traverse=2)
    with pytest.raises(UsageError, match="expected none, it was trained with none"):
        looked(trained(numbers=0), traverse=0)
    with pytest.raises(UsageError, match="say nothing that could be read: those of infogan"):
        looked(Given(torch.zeros(1, *SHAPE)), traverse=0)
    with pytest.raises(UsageError, match="expected one of `traverse`, `label`, got 2"):
        _ = Exploration(traverse=0, label=1).asked


def test_no_class_can_be_asked_of_codes_that_were_found(looked):
    with pytest.raises(UsageError, match="can't be asked for one: cgan can"):
        looked(trained(), label=1)
