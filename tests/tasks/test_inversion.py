"""What models make of held-out images by the way back, a code, or a search: known by hand."""

from __future__ import annotations

import pytest
import torch
from tasks.byhand import cell_of, experiment_of

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets.pixels import to_unit
from bench.run.run import plan_of
from bench.tasks import TASKS
from bench.tasks.generation.image import entry_of
from bench.tasks.generation.massscores import scored_masses
from generative import RECIPES, Invertible, MassSampler, Sampler, Training

DATA, SEEN = "optdigits", 20


class Back(Invertible):
    """A function of what it is shown."""

    def __init__(self, function):
        self.function = function

    def returned(self, x):
        self.shown = x
        return self.function(x)

    def sample(self, n, rng):
        raise AssertionError("its samples are not asked for")

    def tensors(self):
        return {}


def experiment(seed=0, model="edm", task="inversion", **settings):
    settings = {"protocol": "small-dcgan", **settings}
    if task == "inversion":
        settings = {"pictures": SEEN, **settings}
    return experiment_of(cell_of(task, seed=seed, dataset=DATA, model=model, settings=settings))


def scores(at_work, model):
    made = at_work.make(model)
    found, kept = at_work.score(model, made)
    return {name: s for name, s, _ in found}, kept


def held_out(at_work):
    return to_unit(torch.from_numpy(entry_of(at_work.cell).part.split.held_images))[:, None]


@pytest.mark.parametrize("seed", [0, 1])
def test_held_out_images_are_asked_for(seed):
    """The first, in their order."""
    at_work, model = experiment(seed), Back(lambda x: x)
    found, kept = scores(at_work, model)
    assert torch.equal(model.shown, held_out(at_work)[:SEEN])
    assert found["squared_error"].value == 0
    assert found["error_share"].n == SEEN
    assert set(kept) == {"originals", "samples"}


def test_errors_by_hand():
    """Of each image at its own place; the share about the mean training image."""
    at_work = experiment()
    half = Back(lambda x: x / 2)
    found, _ = scores(at_work, half)
    x = held_out(at_work)[:SEEN].double()
    errors = (x / 2).square().flatten(1).sum(1)
    mean = at_work.source.training.double().mean(0)
    about = (x - mean).square().flatten(1).sum(1)
    assert found["squared_error"].value == pytest.approx(float(errors.mean()), rel=1e-6)
    assert found["error_share"].value == pytest.approx(float(errors.sum() / about.sum()), rel=1e-6)
    turned, _ = scores(at_work, Back(lambda x: x.roll(1, 0)))
    assert turned["squared_error"].value > 1


def test_bounds():
    at_work = experiment(model="oracle")
    for name, share in (("oracle", 0), ("one-image", 1)):
        model = RECIPES[name].part.engine.fit(at_work.source, 0)
        assert scores(at_work, model)[0]["error_share"].value == pytest.approx(share, abs=1e-6)


def trained(name, steps, **settings):
    """A model, and its source."""
    at_work = experiment(model="oracle")
    recipe, source = RECIPES[name].part, at_work.source
    training = Training("small-dcgan", steps=steps, batch=16).saying(**settings)
    trainer = recipe.trainer(training, source.shape)
    torch.manual_seed(0)
    state = trainer.start(source, stream("training"))
    return source, trainer.finish(trainer.advance(state, steps))


@pytest.mark.parametrize(("name", "passes"), [("edm", 35), ("edm", 200), ("flow-matching", 100)])
def test_the_way_back_ends_where_it_began(name, passes):
    """For any network, as far as steps are small: what a sample's noise is, its sample gives."""
    source, model = trained(name, 10, evaluations_per_sample=passes)
    assert isinstance(model, Invertible)
    x = source.held_out[:6]
    error = (model.returned(x) - x).square().mean() / (x - x.mean(0)).square().mean()
    assert error < (1e-3 if passes == 200 else 0.02)


def test_noise_between_the_ends_is_of_the_image():
    """Or a way back that forgot what it was shown would pass for a sharp one."""
    source, model = trained("edm", 10)
    made = model.returned(source.held_out[:6])
    apart = torch.cdist(made.flatten(1), source.held_out[:6].flatten(1))
    assert apart.argmin(1).tolist() == [0, 1, 2, 3, 4, 5]


def test_codes_of_a_generator_are_searched():
    """A longer search comes nearer, and its settings are told apart."""
    errors = []
    _, model = trained("nsgan", 5)
    for steps in (0, 100):
        settings = {"descent_steps": steps, "descent_rate": 0.3, "starts": 20}
        at_work = experiment(model="nsgan", **settings)
        errors.append(scores(at_work, model)[0]["squared_error"].value)
    assert errors[1] < 0.97 * errors[0]


def test_what_encodes_is_rebuilt_of_its_code():
    source, model = trained("vae", 5)
    found, _ = scores(experiment(model="vae"), model)
    x = source.held_out[:SEEN]
    wanted = (model.decode(model.encode(x)) - x).square().flatten(1).sum(1).mean()
    assert found["squared_error"].value == pytest.approx(float(wanted), rel=1e-5)


def test_settings_of_a_search_are_those_of_models_that_are_searched():
    for model, there in (("nsgan", True), ("edm", False), ("vae", False)):
        found = TASKS["inversion"].part.resolve({"dataset": DATA, "model": model}, {}, None)
        assert ("descent_steps" in found.settings) is there
        assert found.settings["pictures"] == 200


@pytest.mark.parametrize("model", ["made", "pixel-frequencies", "edm-ancestral"])
def test_a_model_without_a_way_back_is_refused(model):
    """Where the command names it alone."""
    only, grid = [("block", "digits-inverted")], [("model", [model])]
    with pytest.raises(UsageError, match=f"'{model}' has no way back from an image"):
        plan_of("families", only=only, grid=grid)


class Masses(MassSampler):
    passes = 7

    def sample(self, n, rng):
        raise AssertionError("its samples are not asked for")

    def log_mass(self, x, rng, draws=1):
        self.shown = x
        return -x.flatten(1).sum(1)

    def tensors(self):
        return {}


class Plain(Sampler):
    def sample(self, n, rng):
        raise AssertionError("its samples are not asked for")

    def tensors(self):
        return {}


def test_bits_are_of_all_held_out_images_a_pixel():
    at_work = experiment(task="image")
    source, model = at_work.source, Masses()
    found = {name: s for name, s, _ in scored_masses(model, source.held_out, stream("u"))}
    bits = source.held_out.flatten(1).sum(1).double() / (64 * torch.tensor(2.0).log())
    assert found["bits_per_dim"].value == pytest.approx(float(bits.mean()), rel=1e-6)
    assert found["bits_per_dim"].n == len(source.held_out)
    assert found["passes"].value == 7
    plain = [name for name, *_ in scored_masses(Plain(), source.held_out, stream("u"))]
    assert plain == ["passes"]


def test_an_image_cell_has_bits_of_what_was_held_out():
    """Digits that were trained on have fewer."""
    at_work = experiment(task="image", model="pixel-frequencies", samples=100)
    recipe, source = RECIPES["pixel-frequencies"].part, at_work.source
    model = recipe.engine.fit(source, 0)
    found, _ = scores(at_work, model)
    by = {
        name: -float(model.log_mass(x, stream("u")).mean()) / (64 * 0.6931471805599453)
        for name, x in (("held", source.held_out), ("seen", source.training))
    }
    assert found["bits_per_dim"].value == pytest.approx(by["held"], rel=1e-6)
    assert abs(by["held"] - by["seen"]) > 1e-4
