"""What trains a model for a cell: its streams, the steps at which it looks, the name it keeps the
model under, and what is made of it.
"""

from dataclasses import dataclass, replace

import pytest
import torch
from tasks.byhand import Given, cell_of, experiment_of

from bench.core.randomness import forked, stream, stream_seed
from bench.models.generators import train
from bench.models.orders import TrainingOrder
from bench.models.store import ArtifactStore
from generative import RECIPES, Recipe, Trainer, Training

STEPS = 7


class Counter(Trainer):
    """It draws once from each of its streams, and counts its steps."""

    steps = STEPS

    def start(self, data, rng):
        drawn = torch.rand((), generator=rng), torch.rand(())
        return {"drawn": torch.stack(drawn), "done": 0}

    def advance(self, state, steps):
        return {**state, "done": state["done"] + steps}

    def finish(self, state):
        return Tells(torch.cat([state["drawn"], torch.tensor([float(state["done"])])]))

    def pack(self, state):
        return state

    def unpack(self, data, tree):
        return tree

    def restore(self, data, tensors):
        return Tells(tensors["said"])


class Tells(Given):
    """All there is to know of it, in every sample."""

    def __init__(self, said):
        super().__init__(said[None])
        self.said = said

    def tensors(self):
        return {"said": self.said}


@dataclass(frozen=True)
class Counting(Recipe):
    """It reads its batch, and the rate."""

    def relevant(self, training):
        return {"batch": training.batch or 5, "generator_lr": training.generator_lr or 0.1}

    def modules(self, training):
        return ()

    def trainer(self, training, shape):
        return Counter()

    def seconds(self, training):
        return 1.0


counting = Counting()
NAME = f"{__name__}:counting"
SOURCE = experiment_of(cell_of("mixture", dataset="ring8@pacgan", model="oracle")).source
ORDER = TrainingOrder(NAME, Training("plane"), "data", 3, 3)


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


def by_hand(seed, *differing):
    """The first draws of a training's noise and of its first weights."""
    purpose = ("artifact", NAME, "plane", str(list(differing)), seed)
    noise = torch.rand((), generator=stream(*purpose))
    with forked(stream_seed(*purpose, "initialisation")):
        return [float(noise), float(torch.rand(()))]


@pytest.mark.parametrize("seed", [0, 3])
def test_the_streams_of_a_training_are_its_recipes_its_settings_and_its_seeds(store, seed):
    fitted = train(replace(ORDER, seed=seed), SOURCE, store).fitted
    assert fitted.said[:2].tolist() == pytest.approx(by_hand(seed), abs=1e-7)
    other = replace(ORDER, seed=seed, training=Training("plane", batch=6))
    said = train(other, SOURCE, store).fitted.said[:2].tolist()
    assert said == pytest.approx(by_hand(seed, ("batch", 6)), abs=1e-7)


def test_a_training_is_looked_at_on_its_way_and_kept_at_its_end(store):
    """At the thirds of seven steps, rounded up; each look is at the model as it is then."""
    found = train(ORDER, SOURCE, store)
    assert found.steps == [3, 5, 7]
    assert found.snapshots[:, 0, 2].tolist() == [3, 5, 7]
    assert float(found.fitted.said[2]) == found.total_steps == STEPS
    again = train(ORDER, SOURCE, store)
    assert torch.equal(again.fitted.said, found.fitted.said)


CHANGES = {
    "recipe": "oracle",
    "training": Training("plane", batch=6),
    "fingerprint": "other data",
    "seed": 4,
    "evaluations": 4,
    "modules": ("bench.datasets.mixtures",),
    "fixed_noise": True,
    "beside": (0, 1),
    "film": 5,
}


def test_a_trained_model_is_kept_under_all_that_decides_it():
    """And under nothing else: a setting that its recipe does not read changes no name."""
    orders = [ORDER, *(replace(ORDER, **{name: value}) for name, value in CHANGES.items())]
    assert set(CHANGES) == {*ORDER.__dataclass_fields__}
    assert len({order.key("cpu") for order in orders}) == len(orders)
    assert ORDER.key("cpu") != ORDER.key("cuda")
    unread = replace(ORDER, training=Training("plane", latent=9))
    assert unread.key("cpu") == ORDER.key("cpu")


@pytest.mark.parametrize(
    ("task", "dataset"), [("mixture", "ring8@pacgan"), ("stack", "stack2@optdigits")]
)
@pytest.mark.parametrize("seed", [0, 3])
def test_a_cell_has_the_data_of_its_seed(task, dataset, seed):
    """And what it makes is drawn by its name and seed, as many as are asked for."""
    cell = cell_of(task, dataset=dataset, model="oracle", seed=seed, settings={"samples": 150})
    at_work = experiment_of(cell)
    assert at_work.order.seed == seed
    own = at_work.entry.part.source(seed)
    assert torch.equal(at_work.source.batches().next(20), own.batches().next(20))
    fitted = at_work.entry.part.source(seed)
    rng = stream(cell.cell_id, seed, "samples")
    made = at_work.make(Fresh(fitted)).values
    assert torch.equal(made, fitted.fresh(150, rng))


class Fresh(Given):
    """Fresh data by the generator alone."""

    def __init__(self, source):
        super().__init__(source.training[:1])
        self._source = source

    def sample(self, n, rng):
        return self._source.fresh(n, rng)


def test_what_bounds_a_table_is_held_out():
    """The oracle's images are; one class alone is that of the seed; another is every other one."""
    at_work = experiment_of(cell_of("image", dataset="optdigits", model="oracle"))
    source, models = at_work.source, {}
    for name in ("oracle", "one-mode", "drop-one"):
        trainer = RECIPES[name].part.trainer(Training("plane"), source.shape)
        models[name] = trainer.finish(trainer.start(source, torch.Generator().manual_seed(13)))
    rest = [0, 1, 2, 4, 5, 6, 7, 8, 9]
    for name, classes in (("oracle", None), ("one-mode", [3]), ("drop-one", rest)):
        wanted = source.fresh(90, stream("bounds"), classes)
        assert torch.equal(models[name].sample(90, stream("bounds")), wanted), name
