"""Parts of adversarial games by their formulas, and what switches them off."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked
from bench.laws.recipes import PLANE, STACKS, begin, digest, train
from generative import CRITICS, LOSSES, RECIPES, TERMS, VIEWS, Training
from generative.contracts import PENALTIES
from generative.critics import discrimination
from generative.critics.discrimination import Comparing
from generative.generators.virtual import VirtualNorm
from generative.networks import Dcgan, Mlp
from generative.parts import Sight, Term, TermFacts
from generative.recipes.adversarial import Adversarial
from generative.terms.top_k import TopK
from generative.views.augmentation import Augmentation
from generative.views.packing import Packing

SWITCHES = {
    "pacgan2": ("nsgan", {"group": 1}),
    "instance-noise-gan": ("nsgan", {"instance_noise": 0.0}),
    "diffaug-gan": ("nsgan", {"augmentation": 0.0}),
    "unrolled5": ("gan", {"ahead": 0}),
    "historical-gan": ("nsgan", {"history_weight": 0.0}),
    "consensus-gan": ("simultaneous-gan", {"consensus_weight": 0.0}),
    "ebgan-pt": ("ebgan", {"pull_weight": 0.0}),
    "feature-matching-gan": ("gan", {"matching_weight": 0.0}),
    "msgan": ("nsgan", {"seeking_weight": 0.0}),
    "lecam-gan": ("hingegan", {"lecam_weight": 0.0}),
    "topk-gan": ("nsgan", {"top_share": 1.0}),
}
"""What is left of a model without its part, and the setting that takes it away."""
PENALISED = {"r1gan": "nsgan", "r2gan": "nsgan", "r3gan": "rsgan", "dragan": "nsgan"}


def weights(name, place, **settings):
    """Of a trained model, as one digest."""
    told = replace(place, training=place.training.saying(**settings))
    return digest(train(RECIPES[name], told)[2].tensors())


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("place", [PLANE, STACKS], ids=["points", "images"])
def test_a_part_that_is_switched_off_is_not_there(name, place):
    """The plain model, bit for bit."""
    plain, off = SWITCHES[name]
    if RECIPES[name].facts.images_only and place is PLANE:
        pytest.skip(RECIPES[name].facts.images_only)
    assert weights(name, place, **off) == weights(plain, place)
    assert weights(name, place) != weights(plain, place) or name == "topk-gan"


@pytest.mark.parametrize("name", PENALISED)
def test_a_penalty_of_weight_0_is_not_there(name):
    """Nor are its draws; the critic of points has no batch norm to lose."""
    assert weights(name, PLANE, penalty_weight=0.0) == weights(PENALISED[name], PLANE)


def test_a_balance_that_never_moves_is_an_autoencoder():
    """BEGAN whose k stays 0 is EBGAN's game with margin 0, where fakes count for nothing."""
    part = Adversarial("energy-margin", critic="energy-l1", own_settings={"margin": 0.0})
    plain = digest(train(replace(RECIPES["ebgan"], part=part), PLANE)[2].tensors())
    assert weights("began", PLANE, balance_rate=0.0) == plain


def sight(real=None, fake=None, codes=None, features=None, epoch=0, loss=None):
    """What a term sees of two batches whose features, and logits, are given."""
    of_real, of_fake = features or (real, fake)
    judged = [lambda f=f: (f.flatten(1).sum(1), f.flatten(1)) for f in (of_real, of_fake)]
    return Sight(
        loss or LOSSES["nonsaturating"].part(),
        lambda: real,
        lambda: fake,
        lambda: codes,
        *judged,
        lambda: epoch,
        lambda at: at.loss.generator(at.of_fake[0], at.of_fake[0]),
    )


@dataclass
class Looking(Term):
    """What a term of a player sees is of the examples and codes beside it."""

    players: dict[str, nn.Module] = field(default_factory=dict)
    looks: int = 0

    @property
    def weight(self):
        return 1.0

    def __call__(self, at):
        critic, generator = (self.players[name] for name in ("critic", "generator"))
        torch.testing.assert_close(at.fake, generator(at.codes))
        for x, judged in ((at.real, at.of_real), (at.fake, at.of_fake)):
            for found, wanted in zip(judged, critic(x, features=True), strict=True):
                torch.testing.assert_close(found, wanted)
        assert len(at.stake()) == len(at.real)
        self.looks += 1
        return 0 * at.of_fake[0]


@pytest.mark.parametrize("player", ["generator", "critic"])
def test_what_a_term_sees_belongs_together(player):
    """Logits and features are of the same examples, those of the codes."""
    term = Looking()
    with forked(0):
        trainer, _, state = begin(RECIPES["nsgan"], PLANE)
        terms = ((term, TermFacts(player, features=True)),)
        trainer = replace(trainer, game=replace(trainer.game, terms=terms))
        term.players = state.players
        trainer.advance(state, 2)
    assert term.looks == 2


def test_pulling_away_is_of_directions():
    """1 for equal codes, 0 at right angles, 1 for opposite ones too; lengths count for nothing."""
    term = TERMS["pulling-away"].part
    equal, apart = torch.ones(5, 3), torch.eye(4)
    scaled = torch.tensor([2.0, 3.0, 0.5, 7.0])[:, None] * torch.randn(4, 6)
    opposite = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
    for codes, wanted in ((equal, 1.0), (apart, 0.0), (opposite, 1.0)):
        assert float(term(sight(codes, codes))) == pytest.approx(wanted, abs=1e-6)
    unscaled = scaled / torch.tensor([2.0, 3.0, 0.5, 7.0])[:, None]
    found = [float(term(sight(codes, codes))) for codes in (scaled, unscaled)]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_pulling_away_is_a_mean_over_pairs_of_the_batch():
    """By a loop over ordered pairs of different codes."""
    codes = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)).double()
    cosines = [
        float(nn.functional.cosine_similarity(codes[i], codes[j], 0)) ** 2
        for i in range(7)
        for j in range(7)
        if i != j
    ]
    found = float(TERMS["pulling-away"].part(sight(codes, codes)))
    assert found == pytest.approx(np.mean(cosines), rel=1e-9)


def test_features_are_matched_between_means():
    """Nothing where the means are equal, however the batches differ; else the squared distance."""
    term = TERMS["feature-matching"].part
    real, fake = torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    assert float(term(sight(real, fake))) == 0
    assert float(term(sight(real, fake + torch.tensor([3.0, 4.0])))) == pytest.approx(25.0)


def test_mode_seeking_of_a_linear_generator():
    """G(z) = a z has 1 / (a + 1e-5), whatever the codes."""
    codes = torch.randn(10, 4, generator=torch.Generator().manual_seed(0)).double()
    for slope in (0.0, 0.5, 3.0):
        found = float(TERMS["mode-seeking"].part(sight(fake=slope * codes, codes=codes)))
        assert found == pytest.approx(1 / (slope + 1e-5), rel=1e-9)


def test_mode_seeking_takes_means_first():
    """And then their ratio, by hand."""
    codes = torch.tensor([[0.0], [1.0], [2.0], [5.0]])
    fake = torch.tensor([[0.0], [0.0], [1.0], [4.0]])
    found = float(TERMS["mode-seeking"].part(sight(fake=fake, codes=codes)))
    assert found == pytest.approx(1 / (((1 + 4) / 2) / ((2 + 4) / 2) + 1e-5), rel=1e-6)


def test_lecam_is_still_while_logits_keep_to_their_past():
    """And counts what goes beyond the other side's average; averages follow by a tenth a step."""
    term = replace(TERMS["lecam"].part, of_reals=1.0, of_fakes=-1.0)
    logits = torch.tensor([[-2.0], [0.5]]), torch.tensor([[3.0], [0.0]])
    found = term(sight(features=logits))
    assert found.tolist() == pytest.approx([0.0 + 0.0, 1.5**2 + 1.0**2])
    moved = term.moved(torch.tensor([3.0, 5.0]), torch.tensor([-2.0, 0.0]), 0)
    assert moved == {"of_reals": pytest.approx(1.3), "of_fakes": pytest.approx(-1.0)}


@pytest.mark.parametrize(("epoch", "kept"), [(0, 10), (1, 9), (5, 6), (100, 5)])
def test_the_best_fakes_are_fewer_every_epoch(epoch, kept):
    """Down to half; they are those with the highest logits."""
    logits = torch.arange(10.0)[torch.randperm(10)][:, None]
    term = TopK(top_decay=0.9, top_share=0.5)
    found = term(sight(logits, logits, epoch=epoch))
    flat = logits.flatten()
    wanted = LOSSES["nonsaturating"].part().generator(flat, flat).sort().values
    torch.testing.assert_close(found.sort().values, wanted[:kept])


def test_a_pack_is_examples_side_by_side():
    """Coordinates of points, channels of images; in the order of the batch."""
    points = torch.arange(12.0).view(6, 2)
    packed = Packing(3)(points, torch.Generator(), 0.0)
    assert packed.tolist() == [list(range(6)), list(range(6, 12))]
    images = torch.rand(4, 3, 2, 2)
    pair = Packing(2)(images, torch.Generator(), 0.0)
    assert torch.equal(pair[1, :3], images[2])
    assert torch.equal(pair[1, 3:], images[3])


def test_packing_punishes_collapse():
    """The total variation between products grows faster for the one that drops a fifth of the
    outcomes than for the one that has all (Lin et al. 2018): .2 .36 .488 .5904 against .2 .24 .284
    .3392, of one TV of .2 each.
    """
    even, dropped = np.full(10, 0.1), np.array([0.0, 0.0, *[0.125] * 8])
    skewed = np.array([0.06] * 5 + [0.14] * 5)
    for other, wanted in (
        (dropped, [0.2, 0.36, 0.488, 0.5904]),
        (skewed, [0.2, 0.24, 0.284, 0.3392]),
    ):
        p, q = np.ones(1), np.ones(1)
        for value in wanted:
            p, q = np.outer(p, even).ravel(), np.outer(q, other).ravel()
            assert np.abs(p - q).sum() / 2 == pytest.approx(value, abs=1e-12)


def test_augmentation_is_of_the_declared_size():
    """Brightness by a quarter at most on average, holes of half a side, shifts of an eighth."""
    rng, view = torch.Generator().manual_seed(0), Augmentation()
    flat = torch.full((400, 1, 16, 16), 0.9)
    seen = view(flat, rng, 0.0)
    grey = (seen - 0.5).abs() < 1e-6
    assert 0.05 < grey.float().mean() < 0.5
    shade = seen.flatten(1).amax(1)
    assert shade.min() >= 0.65 - 1e-6
    assert shade.max() <= 1.15 + 1e-6
    line = torch.zeros(400, 1, 16, 16)
    line[:, :, :, 8] = 1
    columns = view._moved(line - 0.5, rng)[:, 0, 8].argmax(1)
    assert set(columns.tolist()) == {6, 7, 8, 9, 10}


def test_reals_and_fakes_are_changed_apart():
    """Each batch has draws of its own."""
    x, rng = torch.rand(4, 1, 8, 8), torch.Generator().manual_seed(0)
    assert not torch.equal(Augmentation()(x, rng, 0.0), Augmentation()(x, rng, 0.0))


def test_instance_noise_fades_out():
    """From its width to nothing at the end."""
    view, x = VIEWS["instance-noise"].part, torch.zeros(20_000, 2)
    for progress in (0.0, 0.5):
        noise = view(x, torch.Generator().manual_seed(0), progress)
        assert noise.std() == pytest.approx(0.1 * (1 - progress), rel=0.02)
    assert torch.equal(view(x, torch.Generator(), 1.0), x)


def test_an_energy_is_how_far_an_example_is_from_what_is_restored():
    """Minus the norm of the difference, or its mean; the features are the codes."""
    for name, distance in (("energy", "l2"), ("energy-l1", "l1")):
        torch.manual_seed(0)
        critic = CRITICS[name].part.build(Mlp((8,)), Mlp((8,)), (3,))
        x = torch.randn(5, 3)
        logits, codes = critic(x, features=True)
        gap = critic.decoder(critic.encoder(x)) - x
        wanted = gap.norm(dim=1) if distance == "l2" else gap.abs().mean(1)
        torch.testing.assert_close(logits, -wanted)
        torch.testing.assert_close(codes, critic.encoder(x))
        assert codes.shape == (5, 16)


def test_the_balance_of_began():
    """k moves by the rate times gamma L(x) - L(G), within 0 and 1, and stands where they agree."""
    loss = replace(LOSSES["boundary-equilibrium"].part(), balance_rate=0.1, k=0.3)
    real, fake = -torch.tensor([2.0, 4.0]), -torch.tensor([1.0, 1.0])
    assert float(loss.moved(real, fake, 0)["k"]) == pytest.approx(0.3 + 0.1 * (0.5 * 3 - 1))
    assert float(loss.moved(real, -torch.tensor([1.5, 1.5]), 0)["k"]) == pytest.approx(0.3)
    assert float(loss.moved(real * 100, fake, 0)["k"]) == 1
    assert float(loss.moved(real, fake * 100, 0)["k"]) == 0
    torch.testing.assert_close(loss.critic(real, fake), torch.tensor([2 - 0.3, 4 - 0.3]))


def test_the_margin_of_magan():
    """The mean energy of the first epoch's reals; then lower ones, while the fakes' goes up."""
    loss = LOSSES["margin-adaptation"].part()

    def steps(loss, reals, fakes, epoch):
        return replace(loss, **loss.moved(-torch.tensor(reals), -torch.tensor(fakes), epoch))

    for _ in range(2):
        loss = steps(loss, [4.0, 6.0], [8.0, 8.0], 0)
    loss = steps(loss, [3.0], [9.0], 1)
    assert float(loss.margin) == pytest.approx(5.0)
    loss = steps(loss, [1.0], [7.0], 2)
    assert float(loss.margin) == pytest.approx(3.0)
    loss = steps(loss, [1.0], [0.5], 3)
    assert float(loss.margin) == pytest.approx(3.0), "the fakes' energy fell"
    loss = steps(loss, [1.0], [8.0], 4)
    assert float(loss.margin) == pytest.approx(3.0), "fakes are restored better than reals"


def test_ebgan_at_its_optimum():
    """margin (1 - TV) for the critic that is best at every atom (Zhao et al. 2017, equation 10)."""
    p, q, margin = np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.1, 0.3, 0.4, 0.2]), 10.0
    best = sum(min(a * 0.0 + b * margin, a * margin + b * 0.0) for a, b in zip(p, q, strict=True))
    assert best == pytest.approx(margin * (1 - np.abs(p - q).sum() / 2))
    loss = LOSSES["energy-margin"].part()
    energies = torch.where(torch.tensor(p < q), margin, 0.0)
    of_reals = loss.critic(-energies, torch.full((4,), -1e3))
    of_fakes = loss.critic(torch.zeros(4), -energies)
    value = torch.tensor(p) @ of_reals.double() + torch.tensor(q) @ of_fakes.double()
    assert float(value) == pytest.approx(best)


def test_a_loss_that_sees_pairs_has_margins_as_wide():
    """relu(sensitivity |x - G|_1 + L(x) - L(G)), by hand."""
    loss = LOSSES["loss-sensitive"].part()
    real, fake = torch.tensor([[0.0, 1.0], [2.0, 2.0]]), torch.tensor([[3.0, 1.0], [2.0, 2.0]])
    seen = replace(loss, sensitivity=0.5).seeing(real, fake)
    logits = torch.tensor([0.25, 1.0]), torch.tensor([0.0, 2.0])
    torch.testing.assert_close(seen.critic(*logits), torch.tensor([1.25, 1.0]))


def test_nearness_counts_the_others():
    """n - 1 for equal rows, 0 for rows far apart; the same in another order."""
    torch.manual_seed(0)
    critic = Comparing(nn.Identity(), 3, 4, 5)
    torch.testing.assert_close(critic.nearness(torch.ones(6, 3)), torch.full((6, 4), 5.0))
    far = critic.nearness(1e4 * torch.eye(3))
    assert float(far.detach().max()) < 1e-6
    x = torch.randn(6, 3)
    torch.testing.assert_close(critic.nearness(x).flip(0), critic.nearness(x.flip(0)))


def test_nearness_by_hand():
    """exp(-|M_i - M_j|_1) over the others, kernel by kernel."""
    torch.manual_seed(0)
    critic, x = Comparing(nn.Identity(), 3, 2, 4), torch.randn(5, 3)
    projected = (x @ critic.projection.weight.T).view(5, 2, 4)
    wanted = torch.zeros(5, 2)
    for i in range(5):
        for j in {*range(5)} - {i}:
            wanted[i] += torch.exp(-(projected[i] - projected[j]).abs().sum(1))
    torch.testing.assert_close(critic.nearness(x), wanted)
    logits, seen = critic(x, features=True)
    torch.testing.assert_close(logits, critic.head(torch.cat([x, wanted], 1))[:, 0])
    assert torch.equal(seen, x)


def test_nearness_has_both_its_gradients():
    """The first and the second, against differences of values, and those of the formula written
    out; for one kernel at a time too.
    """
    torch.manual_seed(0)
    critic = Comparing(nn.Identity(), 3, 2, 4).double()
    x = torch.randn(5, 3, dtype=torch.double, requires_grad=True)

    def written_out(x):
        projected = critic.projection(x).unflatten(1, (2, 4))
        gaps = (projected[:, None] - projected[None]).abs().sum(3)
        return torch.exp(-gaps).sum(1) - 1

    assert torch.autograd.gradcheck(critic.nearness, x)
    assert torch.autograd.gradgradcheck(critic.nearness, x)
    found = {}
    for name, nearness in (("ours", critic.nearness), ("alone", None), ("written", written_out)):
        with pytest.MonkeyPatch.context() as patch:
            if name == "alone":
                patch.setattr(discrimination, "PAIRS", 1)
            values = (nearness or critic.nearness)(x)
            (slope,) = torch.autograd.grad(values.square().sum(), x, create_graph=True)
            (bent,) = torch.autograd.grad(slope.square().sum(), x)
        found[name] = torch.cat([values.flatten(), slope.flatten(), bent.flatten()])
    torch.testing.assert_close(found["ours"], found["written"])
    torch.testing.assert_close(found["alone"], found["written"])


def test_equal_rows_pull_on_nobody():
    """Their gap has no slope, as that of |0|."""
    critic = Comparing(nn.Identity(), 3, 2, 4)
    x = torch.ones(4, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(critic.nearness(x).sum(), x)
    assert torch.equal(slope, torch.zeros(4, 3))


def test_reals_and_fakes_are_compared_apart():
    """A critic that compares sees each batch by itself: by recording what it is given."""
    seen = []
    own = Comparing.forward

    def recording(self, x, features=False):
        seen.append(len(x))
        return own(self, x, features)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Comparing, "forward", recording)
        train(RECIPES["minibatch-gan"], PLANE)
    assert set(seen) == {32}
    assert len(seen) == 6 * 3


def test_virtual_statistics_are_of_the_reference_and_the_example():
    """Mean and variance over r references and the example itself, by hand."""
    norm, x = VirtualNorm(2, 3), torch.randn(5, 2)
    found = norm(x)
    for row in (3, 4):
        together = torch.cat([x[:3], x[row : row + 1]])
        wanted = (x[row] - together.mean(0)) / (together.var(0, unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(found[row], wanted, rtol=1e-4, atol=1e-5)


def test_virtual_norm_needs_batch_norm_to_replace():
    """Where the protocol has none, a line says what to do."""
    with pytest.raises(UsageError, match=r"whose generator has batch norm.*such as small-dcgan"):
        RECIPES["virtual-gan"].part.trainer(Training("dense"), (1, 8, 8))


def test_augmentation_is_for_images():
    with pytest.raises(UsageError, match="view 'augmentation' is for images: it moves pixels"):
        RECIPES["diffaug-gan"].part.trainer(Training("plane"), (2,))


def test_r2_is_at_the_fakes():
    """And r1 at the reals: half the squared slope there."""
    real, fake = torch.randn(4, 2).double(), torch.randn(4, 2).double()
    for name, points in (("r1", real), ("r2", fake)):
        found = PENALTIES[name].part(lambda x: x.square().sum(1), real, fake, torch.Generator())
        torch.testing.assert_close(found, 2 * points.square().sum(1))


@pytest.mark.parametrize(
    ("name", "setting", "value", "wanted"),
    [
        ("pacgan2", "group", 0, "'group': expected int, 1 at least, 64 at most, got 0"),
        ("unrolled5", "ahead", -1, "'ahead': expected int, 0 at least, 1000 at most, got -1"),
        ("unrolled5", "ahead", 1.5, "'ahead': expected int.* got 1.5"),
        ("ebgan-pt", "pull_weight", float("nan"), "'pull_weight': expected float.* got nan"),
        ("topk-gan", "top_share", 1.5, "'top_share': expected float, 0 at least, 1 at most"),
        ("r1gan", "penalty_weight", -1.0, "'penalty_weight': expected float, 0 at least"),
        ("wgan", "clip_bound", 0.0, "'clip_bound': expected float, above 0"),
    ],
)
def test_a_setting_that_is_wrong_for_a_part_is_refused(name, setting, value, wanted):
    """In a line, with what may stand there."""
    with pytest.raises(UsageError, match=wanted):
        RECIPES[name].part.trainer(Training("plane", **{setting: value}), (2,))


def test_a_margin_of_pairs_is_none_of_packs():
    """A loss that sees examples has no pack to see."""
    part = Adversarial("loss-sensitive", view="packing")
    with pytest.raises(UsageError, match=r"'loss-sensitive' has a margin for each pair.*leave out"):
        part.trainer(Training("plane"), (2,))
    replace(part, own_settings={"group": 1}).trainer(Training("plane"), (2,))


@pytest.mark.parametrize(
    "parts",
    [
        {"view": "packing"},
        {"critic": "energy"},
        {"generator": "virtual-batch-norm"},
        {"terms": ("lecam", "pulling-away")},
    ],
    ids=str,
)
def test_conditional_players_are_the_protocols(parts):
    """Told classes and packs, forms, or features of the critic's don't go together."""
    part = replace(RECIPES["cgan"].part, **parts)
    with pytest.raises(UsageError, match="told the class are those of the protocol, one example"):
        part.trainer(Training("small-dcgan"), (1, 8, 8))


@pytest.mark.parametrize("name", ["pacgan3", "minibatch-gan"])
def test_some_critics_judge_no_single_example(name):
    """So that nobody asks it to, in inpainting: the model has codes, and no logits."""
    model = train(RECIPES[name], PLANE)[2]
    assert not hasattr(model, "logits")
    assert model.sample(5, torch.Generator()).shape == (5, 2)


def test_a_critic_of_other_layers_can_not_compare():
    """One that does not end in a linear layer is refused."""

    class Odd(Mlp):
        def encoder(self, shape, outputs):
            return nn.Sequential(nn.Linear(2, outputs), nn.Tanh())

    with pytest.raises(UsageError, match="ends in a linear layer, got Tanh"):
        CRITICS["minibatch-discrimination"].part.build(Odd(()), Dcgan(4), (2,))
