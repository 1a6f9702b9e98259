"""What a class, or a code, counts in a game: whose label, once through softmax, and for whom."""

from math import log

import pytest
import torch
from reference.loops import Known, advanced
from torch.nn.functional import cross_entropy

from bench.core.errors import UsageError
from bench.core.randomness import stream
from generative import LOSSES, RECIPES, TERMS, Sight, Training
from generative.classheads import Apart, FakeClass
from generative.games.informing import Layout, unread
from generative.games.sorting import entropy, entropy_of_all
from generative.latentspace import TRAVERSED, traversal
from generative.recipes.adversarial import Adversarial
from generative.terms.class_told import ClassTold

SHAPE, CLASSES = (1, 8, 8), 3


def sight(of_real, of_fake, told_of_real, told_of_fake):
    def unasked():
        raise AssertionError("nobody needs that here")

    return Sight(
        LOSSES["nonsaturating"].part(),
        *3 * [unasked],
        lambda: (of_real[:, 0], of_real),
        lambda: (of_fake[:, 0], of_fake),
        *3 * [unasked],
        lambda: (told_of_real,),
        lambda: (told_of_fake,),
    )


def test_a_perfect_classifier_loses_nothing():
    """As its logits grow: a softmax of a softmax would stay above log(e + 9) - 1 = 1.461."""
    labels = torch.arange(10)
    for size, most in ((1.0, 1.47), (10.0, 5e-4), (40.0, 1e-12)):
        logits = size * torch.eye(10)
        at = sight(logits, logits, labels, labels)
        for name in ("class-of-reals", "class-of-fakes", "class-asked"):
            lost = TERMS[name].part(at)
            assert lost.shape == (10,)
            assert 0 <= float(lost.max()) < most
    assert float(cross_entropy(torch.eye(10).softmax(1), labels)) > 1.46


@pytest.mark.parametrize(
    ("name", "of"), [("class-of-reals", 0), ("class-of-fakes", 1), ("class-asked", 1)]
)
def test_whose_classes(name, of):
    """Of reals their own class, of fakes the one that was asked for."""
    both = [torch.randn(4, 5, generator=stream(at)) for at in ("reals", "fakes")]
    labels = [torch.tensor([0, 1, 2, 3]), torch.tensor([4, 4, 0, 1])]
    wanted = cross_entropy(both[of], labels[of], reduction="none")
    torch.testing.assert_close(TERMS[name].part(sight(*both, *labels)), wanted)


@pytest.mark.parametrize("name", ["class-of-fakes", "class-asked"])
def test_reals_are_not_drawn_where_nobody_looks_at_them(name):
    logits, labels = torch.randn(4, 5, generator=stream("x")), torch.arange(4)
    at = sight(logits, logits, labels, labels)
    at._judged = (lambda: pytest.fail("it looked at reals"), at._judged[1])
    at._told = (lambda: pytest.fail("it asked for their classes"), at._told[1])
    TERMS[name].part(at)


def test_a_class_of_fakes_is_a_softmax_over_one_more():
    """The logit is that of all real classes; a number added to every output changes nothing."""
    outputs = 3 * torch.randn(50, 6, generator=stream("outputs"), dtype=torch.float64)
    logits, classes = FakeClass().split(outputs)
    shares = outputs.softmax(1)
    torch.testing.assert_close(logits.sigmoid(), shares[:, :5].sum(1))
    torch.testing.assert_close(
        classes.softmax(1), shares[:, :5] / shares[:, :5].sum(1, keepdim=True)
    )
    moved = FakeClass().split(outputs + 7.5)
    torch.testing.assert_close(moved[0], logits)
    torch.testing.assert_close(moved[1].softmax(1), classes.softmax(1))


def test_a_head_apart_is_a_logit_and_the_classes():
    outputs = torch.arange(12.0).reshape(3, 4)
    logits, classes = Apart().split(outputs)
    assert torch.equal(logits, outputs[:, 0])
    assert torch.equal(classes, outputs[:, 1:])


def test_logits_do_not_hang_on_the_label_that_is_asked_of():
    """The critic says a class and is told none."""
    for name in ("acgan", "amgan"):
        _, model = trained(name)
        x = torch.rand(4, *SHAPE, generator=stream("x"))
        first, other = (model.logits(x, torch.full((4,), k)) for k in (0, 2))
        assert torch.equal(first, other)


def trained(name, data=None, **told):
    training = Training("small-dcgan", steps=9, batch=8, **told)
    trainer = RECIPES[name].part.trainer(training, SHAPE)
    state = advanced(trainer, data or Known(SHAPE, CLASSES))
    return state, trainer.finish(state)


class Turned(Known):
    """Every label is another's."""

    def labelled_batches(self):
        own = super().labelled_batches()
        drawn = own.next
        own.next = lambda n: (lambda x, y: (x, (y + 1) % CLASSES))(*drawn(n))
        return own


@pytest.mark.parametrize("name", ["acgan", "amgan", "cvae", "cvae-gan"])
def test_labels_of_reals_count(name):
    first, other = (trained(name, data)[1].tensors() for data in (None, Turned(SHAPE, CLASSES)))
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_a_term_of_classes_needs_a_critic_that_says_them():
    part = Adversarial("nonsaturating", terms="class-asked")
    with pytest.raises(UsageError, match="expected players that are told the class and a critic"):
        part.trainer(Training("small-dcgan"), SHAPE)
    told = RECIPES["cgan"].part
    with pytest.raises(UsageError, match="as acgan's"):
        type(told)(**{**vars(told), "terms": "class-asked"}).trainer(Training("small-dcgan"), SHAPE)
    head = RECIPES["acgan"].part
    both = ("class-asked", "pulling-away")
    with pytest.raises(UsageError, match="leave out packing"):
        type(head)(**{**vars(head), "terms": both}).trainer(Training("small-dcgan"), SHAPE)


def test_a_class_of_weight_0_is_not_there():
    """Then AC-GAN's critic says no class, and nothing of it is learned."""
    state, _ = trained("acgan", class_weight=0.0)
    slots = state.table.optimisers["critic"].state
    weights = dict(state.players["critic"].named_parameters())
    last = [weight for name, weight in weights.items() if name.endswith("weight")][-1]
    assert (slots[last]["exp_avg"][1:] == 0).all()
    assert (slots[last]["exp_avg"][0] != 0).any()
    assert ClassTold("reals", 0.0).weight == 0


def informing(information):
    """A game of InfoGAN, its table, and its two moves."""
    training = Training("small-dcgan", steps=9, batch=8, information=information)
    trainer = RECIPES["infogan"].part.trainer(training, SHAPE)
    state = trainer.start(Known(SHAPE), torch.Generator().manual_seed(5))
    state.table.keeps = state.table.attached = False
    return state, trainer.game.moves


def slopes(state, move, network):
    state.table.turn(move)
    weights = list(network.parameters())
    found = torch.autograd.grad(
        state.table.loss(move), weights, allow_unused=True, materialize_grads=True
    )
    return torch.cat([slope.flatten() for slope in found])


def test_the_mutual_information_teaches_generator_and_reader():
    """Through what was made: without the information the generator's slope is another, the reader's
    is there all the same, and the critic's features hear nothing of it.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        (state, (critic, generator)) = informing(1.0)
        torch.manual_seed(0)
        (off, (off_critic, off_generator)) = informing(0.0)
    of = {}
    for name, at, moves in (
        ("on", state, (critic, generator)),
        ("off", off, (off_critic, off_generator)),
    ):
        judge = at.players["critic"]
        of[name] = (
            slopes(at, moves[0], judge.reader),
            slopes(at, moves[0], judge.body),
            slopes(at, moves[1], at.players["generator"]),
        )
    for reader, body, maker in of.values():
        assert reader.norm() > 1e-4
        assert body.norm() > 1e-6
        assert maker.norm() > 1e-6
    assert float((of["on"][2] - of["off"][2]).norm()) > 0


def test_the_information_alone_teaches_the_generator():
    """Its slope at the generator is that of what cannot be read, and it is not 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state, (_, generator) = informing(1.0)
    maker = state.players["generator"]
    state.table.turn(generator)
    stake, asked = generator.objective(state.table)
    weights = list(maker.parameters())
    for part in (stake, asked):
        found = torch.autograd.grad(part.value.mean(), weights, retain_graph=True)
        assert sum(float(slope.abs().sum()) for slope in found) > 1e-4
    assert asked.weight == 1.0


def test_a_bound_on_information_never_passes_the_entropy():
    """log K + E log q is log K at most, whatever the reader says: minus what is unread."""
    category = torch.arange(40) % 10
    none = torch.zeros(40, 0)
    for scale in (0.1, 1.0, 10.0, 1e3):
        read = scale * torch.randn(40, 10, generator=stream("read", scale))
        assert float(log(10) - unread(read, category, none).mean()) <= log(10)
    sure = 1e3 * torch.eye(10)[category]
    assert float(unread(sure, category, none).max()) == 0


def test_numbers_are_read_by_a_gaussian_of_variance_one():
    """Half the squared error of each, summed."""
    category, numbers = torch.zeros(3, dtype=torch.long), torch.tensor([[0.5, -1.0]] * 3)
    read = torch.cat([1e3 * torch.eye(4)[category], numbers + torch.tensor([[2.0, 1.0]])], 1)
    torch.testing.assert_close(unread(read, category, numbers), torch.full((3,), 2.5))


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_a_code_is_spelt_as_it_says(prior):
    """Noise first, then numbers, then a unit for the category."""
    layout = Layout(4, 2, prior)
    draw = torch.randn if prior == "normal" else torch.rand
    z = draw(500, 9, generator=stream("z"))
    z = z if prior == "normal" else 2 * z - 1
    seen, (category, numbers) = layout.spelt(z), layout.said(z)
    assert torch.equal(seen[:, :3], z[:, :3])
    assert torch.equal(seen[:, 3:5], numbers)
    assert torch.equal(seen[:, 5:].argmax(1), category)
    assert torch.equal(seen[:, 5:].sum(1), torch.ones(500))
    if prior == "uniform":
        assert torch.equal(numbers, z[:, 3:5])


def test_a_sheet_has_a_row_for_each_category():
    """One noise and one other number; the chosen one goes from one end to the other."""
    _, model = trained("infogan", Known(SHAPE))
    said, decode = [], model.decode
    model.decode = lambda z: said.append(z) or decode(z)
    images = traversal(model, stream("sheet"), 1)
    assert images.shape == (10 * TRAVERSED, *SHAPE)
    (z,) = said
    category, numbers = model.said(z)
    assert torch.equal(category, torch.arange(10).repeat_interleave(TRAVERSED))
    torch.testing.assert_close(
        numbers[:, 1], torch.linspace(-1, 1, TRAVERSED).repeat(10), rtol=0, atol=1e-3
    )
    assert (numbers[:, 0] - numbers[0, 0]).abs().max() < 1e-5
    assert len(z[:, :16].unique(dim=0)) == 1


def test_codes_are_read_in_what_was_made_of_them_by_the_critic():
    """By the reader on the critic's features, in evaluation mode."""
    state, model = trained("infogan", Known(SHAPE))
    x = torch.rand(5, *SHAPE, generator=stream("x"))
    critic = state.players["critic"].eval()
    outputs = critic.reader(critic.body(x).flatten(1))
    log_read, numbers = model.read(x)
    torch.testing.assert_close(log_read, outputs[:, :10].log_softmax(1))
    torch.testing.assert_close(numbers, outputs[:, 10:])


@pytest.mark.parametrize("name", ["cvae", "cvae-gan"])
def test_layers_in_units_of_the_images_are_told_no_class(name):
    with pytest.raises(UsageError, match="layers that see pixels as they are"):
        RECIPES[name].part.trainer(Training("hinton-2006-faces"), SHAPE)


def test_entropies_of_categories():
    """Of one that is sure 0, of one that is not log K; of all together log K where each is sure of
    another.
    """
    sure, unsure = 1e3 * torch.eye(5), torch.zeros(5, 5)
    torch.testing.assert_close(entropy(sure), torch.zeros(5))
    torch.testing.assert_close(entropy(unsure), torch.full((5,), log(5)))
    torch.testing.assert_close(entropy_of_all(sure), torch.tensor(log(5)))
    torch.testing.assert_close(entropy_of_all(sure[:1].expand(4, -1)), torch.tensor(0.0))


def test_examples_are_sorted_by_the_critic():
    state, model = trained("catgan", Known(SHAPE))
    x = torch.rand(5, *SHAPE, generator=stream("x"))
    outputs = state.players["critic"].eval().network(x)
    torch.testing.assert_close(model.sort(x), outputs.log_softmax(1))
    torch.testing.assert_close(model.logits(x), -entropy(outputs))


@pytest.mark.parametrize("name", ["cvae", "cvae-gan"])
def test_the_code_of_an_image_is_the_mean_of_what_an_encoder_that_knows_its_class_says(name):
    state, model = trained(name)
    x, labels = torch.rand(6, *SHAPE, generator=stream("x")), torch.arange(6) % CLASSES
    outputs = state.players["coder"].eval().encoder(x, labels)
    found = model.encode(x, labels)
    torch.testing.assert_close(found, outputs[:, : outputs.shape[1] // 2])
    with pytest.raises(UsageError, match="outside the classes"):
        model.encode(x, labels + 1)
