"""What counts in games that learn from few labels: signs, whose labels, once through softmax."""

from math import log

import pytest
import torch
from reference.loops import Known, advanced
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from generative import RECIPES, Completer, ConditionalSampler, Contested, Labeller, Training
from generative.classheads import FakeClass, Grounded, Unsure
from generative.games.context import filled, known_outside
from generative.games.taught import missed
from generative.games.triple import deceiving, unlike_all

SHAPE, CLASSES = (1, 8, 8), 3
TAUGHT = ["improved-gan", "ssl-gan", "catgan-labelled", "triple-gan", "ccgan"]


def trained(name, data=None, protocol="small-dcgan", **told):
    training = Training(protocol, steps=9, batch=8, **told)
    trainer = RECIPES[name].part.trainer(training, SHAPE)
    state = advanced(trainer, data or Known(SHAPE, CLASSES))
    return state, trainer.finish(state)


def test_a_class_of_fakes_at_0_says_all_that_k_plus_1_logits_can():
    """Subtracting the last of K + 1 logits from all changes neither the logit nor the classes; a
    number added to the K that are left changes how real an example is, and no class.
    """
    outputs = 3 * torch.randn(50, 6, generator=stream("outputs"), dtype=torch.float64)
    logits, classes = FakeClass().split(outputs)
    own, said = Grounded().split(outputs[:, :-1] - outputs[:, -1:])
    torch.testing.assert_close(own, logits)
    torch.testing.assert_close(said.softmax(1), classes.softmax(1))
    shares = torch.cat([said, torch.zeros(50, 1)], 1).softmax(1)
    torch.testing.assert_close(own.sigmoid(), 1 - shares[:, -1])
    moved, again = Grounded().split(said + 2.0)
    torch.testing.assert_close(moved, own + 2.0)
    torch.testing.assert_close(again.softmax(1), said.softmax(1))


def test_a_perfect_classifier_misses_nothing():
    """As its logits grow: a softmax of a softmax would stay above 1.461 of 10 classes and 1.543 of
    11.
    """
    labels = torch.arange(10)
    for size, most in ((1.0, 1.47), (10.0, 5e-4), (40.0, 1e-12)):
        lost = missed(size * torch.eye(10), labels)
        assert lost.shape == (10,)
        assert 0 <= float(lost.max()) < most
    assert float(missed(torch.eye(10).softmax(1), labels).min()) > 1.46


@pytest.mark.parametrize("name", TAUGHT)
def test_a_critic_loses_nothing_of_classes_that_it_has_right(name):
    """In the game itself, where its logits are large and right: no second softmax on the way."""
    training = Training("small-dcgan", steps=9, batch=8, unlabelled_weight=0.0)
    trainer = RECIPES[name].part.trainer(training, SHAPE)
    state = trainer.start(Known(SHAPE, CLASSES), torch.Generator().manual_seed(5))
    state.table.memory["told"] = Given(torch.rand(8, *SHAPE), torch.arange(8) % CLASSES)
    player = "classifier" if name == "triple-gan" else "critic"
    (move,) = (each for each in trainer.game.moves if each.player == player)
    state.table.turn(move)

    def right(x, classes=False):
        return 60.0 * torch.eye(CLASSES)[torch.arange(len(x)) % CLASSES]

    with state.table.playing(**{player: right}):
        assert float(state.table.loss(move)) < 1e-12


class Given:
    def __init__(self, x, labels):
        self.both = x, labels

    def next(self, n):
        return self.both


def test_a_classifier_deceives_where_the_critic_takes_a_class_for_real():
    """It pays less the more mass lies there; its gradient moves mass there, and none moves where
    the critic takes all classes alike.
    """
    said = torch.zeros(1, 3, requires_grad=True)
    costs = torch.tensor([[3.0, 0.1, 1.0]])
    (slope,) = torch.autograd.grad(deceiving(said, costs).sum(), said)
    assert slope[0].argmin() == 1
    assert slope[0, 1] < 0 < slope[0, 0]
    sure = torch.tensor([[0.0, 50.0, 0.0]])
    torch.testing.assert_close(deceiving(sure, costs), torch.tensor([0.1]))
    (flat,) = torch.autograd.grad(deceiving(said, torch.ones(1, 3)).sum(), said)
    assert flat.abs().max() < 1e-7


def test_classes_said_alike_often_cost_least():
    """log K, whoever says which; more where one class is said of all."""
    each = 50.0 * torch.eye(4)
    torch.testing.assert_close(unlike_all(each), torch.tensor(log(4)))
    torch.testing.assert_close(unlike_all(torch.zeros(7, 4)), torch.tensor(log(4)))
    assert unlike_all(each[:1].expand(5, -1)) > 10


def test_a_critic_of_pairs_judges_every_class_as_it_judges_one():
    state, _ = trained("triple-gan")
    critic, x = state.players["critic"], torch.rand(5, *SHAPE, generator=stream("x"))
    with torch.no_grad():
        every = critic(x)
        for label in range(CLASSES):
            one = critic(x, torch.full((5,), label))
            torch.testing.assert_close(every[:, label], one)
    assert every.shape == (5, CLASSES)
    assert (every[:, 0] != every[:, 1]).any()


@pytest.mark.parametrize(("hole", "side"), [(0.5, 4), (0.3, 2), (0.01, 1), (1.0, 8)])
def test_a_hole_is_a_square_anywhere_inside(hole, side):
    known = known_outside(hole, (3, 8, 8), 3_000, stream("holes"))
    assert known.shape == (3_000, 1, 8, 8)
    hidden = ~known[:, 0]
    assert (hidden.sum((1, 2)) == side * side).all()
    rows, columns = hidden.any(2), hidden.any(1)
    for axis in (rows, columns):
        assert (axis.sum(1) == side).all()
        first = axis.int().argmax(1)
        counts = torch.bincount(first, minlength=9 - side)
        assert len(counts) == 9 - side
        assert counts.min() > 0.7 * 3_000 / (9 - side)
    if side < 8:
        assert (rows.int().argmax(1) != columns.int().argmax(1)).any()


def test_what_is_known_stays_as_it_was():
    x, made = torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    known = known_outside(0.5, SHAPE, 4, stream("known"))
    found = filled(x, known, made)
    assert torch.equal(found[known], x[known])
    assert torch.equal(found[~known], made[~known])


def test_a_generator_sees_nothing_of_what_is_hidden():
    """Other pixels under the hole: it makes the same; other ones beside it: it does not."""
    _, model = trained("ccgan")
    assert isinstance(model, Completer)
    x, known = torch.rand(3, *SHAPE), torch.ones(8, 8, dtype=torch.bool)
    known[2:6, 2:6] = False
    found = model.complete(x, known)
    assert torch.equal(found[:, :, known], x[:, :, known])
    inside = torch.where(known, x, torch.rand(3, *SHAPE))
    assert torch.equal(model.complete(inside, known), found)
    outside = torch.where(known, torch.rand(3, *SHAPE), x)
    other = model.complete(outside, known)
    assert (other[:, :, ~known] != found[:, :, ~known]).any()


@pytest.mark.slow
def test_holes_are_filled_with_as_much_contrast_as_there_was():
    """Not with grey, which an encoder without batch norm comes to; and without labels, too."""
    data = DATASETS["few@optdigits"].part.source(0)
    training = Training("small-dcgan", steps=1_200)
    trainer = RECIPES["ccgan"].part.trainer(training, data.shape)
    with forked(0):
        state = trainer.start(data, stream("contrast"))
        model = trainer.finish(trainer.advance(state, trainer.steps))
    known = torch.ones(8, 8, dtype=torch.bool)
    known[2:6, 2:6] = False
    truth = data.held_out[:200]
    made = model.complete(truth, known)
    assert made[:, :, ~known].std() > 0.5 * truth[:, :, ~known].std()


def test_what_a_context_model_draws_is_training_data_with_a_hole():
    data = Known(SHAPE, CLASSES)
    _, model = trained("ccgan", data)
    drawn, pool = model.sample(6, stream("drawn")), data.training
    alike = [(pool == one).flatten(1).sum(1).max() for one in drawn]
    assert min(alike) >= 64 - 16
    assert not any((pool == one).flatten(1).all(1).any() for one in drawn)


def test_without_labels_a_taught_catgan_is_catgan():
    """Bit for bit, under a protocol without batch norm: generator and critic."""
    data = Known(SHAPE, 10)
    state, _ = trained("catgan-labelled", data, "dense", class_weight=0.0, dropout=0.0)
    other, _ = trained("catgan", data, "dense")
    for name, network in state.players.items():
        wanted = other.players[name].state_dict().values()
        found = network.state_dict().values()
        assert all(torch.equal(*both) for both in zip(found, wanted, strict=True))


def test_values_are_dropped_in_training_alone():
    """Of inputs two fifths as many as of hidden values, after each activation; none at 0."""
    critic = trained("improved-gan")[0].players["critic"]
    shares = [layer.p for layer in critic.modules() if isinstance(layer, nn.Dropout)]
    assert shares == pytest.approx([0.2, 0.5, 0.5])
    x = torch.rand(4, *SHAPE, generator=stream("x"))
    assert not torch.equal(critic(x, classes=True), critic(x, classes=True))
    critic.eval()
    assert torch.equal(critic(x, classes=True), critic(x, classes=True))
    plain = trained("improved-gan", dropout=0.0)[0].players["critic"]
    assert not any(isinstance(layer, nn.Dropout) for layer in plain.modules())


@pytest.mark.parametrize("name", [*TAUGHT, "supervised"])
def test_every_classifier_drops_as_many(name):
    state, _ = trained(name)
    role = "critic" if "classifier" not in state.players else "classifier"
    shares = [layer.p for layer in state.players[role].modules() if isinstance(layer, nn.Dropout)]
    assert shares == pytest.approx([0.2, 0.5, 0.5])


def test_an_unsure_critic_has_the_logit_of_its_entropy():
    outputs = torch.randn(6, 4, generator=stream("outputs"), dtype=torch.float64)
    logits, classes = Unsure().split(outputs)
    p = outputs.softmax(1)
    torch.testing.assert_close(logits, (p * p.log()).sum(1))
    assert torch.equal(classes, outputs)


@pytest.mark.parametrize("name", TAUGHT)
def test_something_has_to_be_learned_from(name):
    with pytest.raises(UsageError, match="expected one of them above 0, or the classifier learns"):
        trained(name, class_weight=0.0, unlabelled_weight=0.0)


class Swapped(Known):
    """Examples of one stream for those of the other."""

    def __init__(self, told=0, others=0):
        super().__init__(SHAPE, CLASSES)
        self.told, self.others = told, others

    def batches(self):
        self.training_seed = 1 + self.others
        return super().batches()

    def labelled_batches(self):
        self.training_seed = 1 + self.told
        return super().labelled_batches()


@pytest.mark.parametrize("name", TAUGHT)
def test_both_streams_count(name):
    usual = trained(name)[1].tensors()
    for swapped in (Swapped(told=20), Swapped(others=20)):
        other = trained(name, swapped)[1].tensors()
        assert any(not torch.equal(usual[key], other[key]) for key in usual)


def test_what_each_model_can_do():
    kinds = {name: trained(name)[1] for name in (*TAUGHT, "supervised")}
    assert all(isinstance(model, Labeller) for model in kinds.values())
    drawing = ("improved-gan", "ssl-gan", "catgan-labelled")
    assert [name for name in kinds if isinstance(kinds[name], Contested)] == list(drawing)
    assert isinstance(kinds["triple-gan"], ConditionalSampler)
    for name in kinds:
        assert RECIPES[name].facts.draws == (name in (*drawing, "triple-gan"))


def test_a_critic_of_classes_reads_them_without_batch_norm():
    """Under every protocol: labelled reals, others and fakes are classified by one function."""
    for name in (*TAUGHT, "supervised"):
        state, _ = trained(name)
        for role in {"critic", "classifier"} & state.players.keys():
            layers = state.players[role].modules()
            assert not any("BatchNorm" in type(layer).__name__ for layer in layers)
