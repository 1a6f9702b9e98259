"""Networks that repair images: parts that are switched off, projections, holes, searches."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from bench.laws.recipes import STACKS, begin, changed, digest
from generative import RECIPES, Training
from generative.anomalies import Search, searched, weighed
from generative.contracts import Perceiver
from generative.games.completing import Split
from generative.games.magnifying import Balance
from generative.holes import blocks, centre, drawn
from generative.magnifying import Upscaler, bicubic, coarsened, consistent, primes, repeated
from generative.networks import LogitCritic
from generative.protocols.base import PROTOCOLS
from generative.samplers import GeneratorSampler


def trained(name, **settings):
    """All there is to know of a training of a few steps: weights, optimiser, average."""
    place = changed(STACKS, **settings)
    with forked(0):
        trainer, _, state = begin(RECIPES[name], place)
        return digest(trainer.pack(trainer.advance(state, trainer.steps)))


@pytest.mark.parametrize(
    ("contested", "off", "plain", "said"),
    [
        ("srgan", {"adversarial_weight": 0.0}, "srresnet", {"factor": 2}),
        (
            "affgan",
            {"adversarial_weight": 0.0, "content_weight": 1.0},
            "affmse",
            {"factor": 2},
        ),
        (
            "context-encoder",
            {"adversarial_share": 0.0},
            "context-encoder-l2",
            {"hole": "blocks"},
        ),
    ],
)
def test_an_adversary_of_weight_0_is_not_there(contested, off, plain, said):
    """To the bit; and one of any weight is."""
    assert trained(contested, **said, **off) == trained(plain, **said)
    on = {name: 0.5 if value == 0 else value for name, value in off.items()}
    assert trained(contested, **said, **on) != trained(plain, **said)


CHANGED = {
    "protocol": "dcgan-32",
    "steps": 3,
    "batch": 7,
    "generator_lr": 1e-3,
    "critic_lr": 1e-3,
    "critic_steps": 2,
    "factor": 2,
    "upscaler_width": 5,
    "upscaler_blocks": 1,
    "content_weight": 0.5,
    "adversarial_weight": 0.5,
    "instance_noise": 0.5,
    "hole": "blocks",
    "bottleneck": 9,
    "adversarial_share": 0.5,
}


@pytest.mark.parametrize(
    "name", ["srresnet", "srgan", "affgan", "affmse", "context-encoder", "context-encoder-l2"]
)
def test_every_setting_counts(name):
    """Each that is declared relevant changes the training, and its name; of no critic, nothing."""
    part, usual = RECIPES[name].part, trained(name)
    relevant = part.relevant(STACKS.training)
    for setting in relevant:
        said = {setting: CHANGED[setting]}
        assert part.relevant(STACKS.training.saying(**said)) != relevant, setting
        assert trained(name, **said) != usual, setting
    others = {k: v for k, v in CHANGED.items() if k not in relevant}
    assert trained(name, **others) == usual
    assert ("critic_lr" in relevant) == bool(RECIPES[name].facts.parts)


def test_what_learns_from_nothing_is_refused():
    training = Training("small-dcgan", content_weight=0.0, adversarial_weight=0.0)
    with pytest.raises(UsageError, match="content_weight and adversarial_weight are both 0"):
        RECIPES["srgan"].part.trainer(training, (1, 8, 8))


def test_weights_of_their_papers():
    """SRGAN weighs its critic 1e-3 (section 2.2), a context encoder .001 beside .999."""
    assert Balance() == Balance(1.0, 1e-3)
    assert Split() == Split(1e-3)
    relevant = RECIPES["affgan"].part.relevant(Training("small-dcgan"))
    assert (relevant["content_weight"], relevant["adversarial_weight"]) == (0.0, 1.0)


def test_the_projection_is_the_nearest_consistent_image():
    """By least squares with the matrix A written out; projecting twice is projecting once."""
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(3, 2, 6, 4, generator=rng, dtype=torch.float64)
    coarse = torch.rand(3, 2, 3, 2, generator=rng, dtype=torch.float64)
    matrix = torch.zeros(6, 24, dtype=torch.float64)
    for row in range(6):
        for column in range(4):
            matrix[(row // 2) * 2 + column // 2, row * 4 + column] = 0.25
    found = consistent(images, coarse, 2)
    flat = images.reshape(6, 24)
    wanted = flat + (coarse.reshape(6, 6) - flat @ matrix.T) @ torch.linalg.pinv(matrix).T
    torch.testing.assert_close(found.reshape(6, 24), wanted)
    torch.testing.assert_close(coarsened(found, 2), coarse)
    torch.testing.assert_close(consistent(found, coarse, 2), found)
    torch.testing.assert_close(
        repeated(coarse, 2).reshape(6, 24), coarse.reshape(6, 6) @ matrix * 4
    )


def test_bicubic_keeps_a_constant_and_the_box():
    flat = torch.full((1, 1, 3, 3), 0.25)
    torch.testing.assert_close(bicubic(flat, 4), torch.full((1, 1, 12, 12), 0.25))
    edge = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    found = bicubic(edge, 8)
    assert (float(found.min()), float(found.max())) == (0.0, 1.0)


@pytest.mark.parametrize(("factor", "wanted"), [(2, [2]), (4, [2, 2]), (6, [2, 3]), (7, [7])])
def test_a_factor_is_shuffled_prime_by_prime(factor, wanted):
    assert primes(factor) == wanted
    network = Upscaler(factor, 4, 1).build((1, 2 * factor, 3 * factor))
    assert network(torch.rand(2, 1, 2, 3)).shape == (2, 1, 2 * factor, 3 * factor)


def test_the_middle_quarter():
    known = centre(8, 12)
    assert int((~known).sum()) == 4 * 6
    assert not known[2:6, 3:9].any()


def test_squares_lie_anywhere_inside():
    """Four of a quarter of the shorter side, each wholly in the picture, corners included; other
    pictures have others.
    """
    known = blocks(2_000, 8, 12, torch.Generator().manual_seed(0))
    counts = (~known).sum((1, 2))
    assert int(counts.max()) == 4 * 2 * 2
    assert int(counts.min()) >= 4
    shares = (~known).float().mean(0)
    assert float(shares.min()) > 0
    assert float(shares[0, 0]) < float(shares[4, 6])
    torch.testing.assert_close(shares, shares.flip(0), atol=0.05, rtol=0)
    torch.testing.assert_close(shares, shares.flip(1), atol=0.05, rtol=0)
    assert len(known[:50].unique(dim=0)) > 45


def test_a_hole_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match="hole: expected centre or blocks, got 'left'"):
        drawn("left", 1, (8, 8), torch.Generator())
    training = Training("small-dcgan", hole="left")
    with pytest.raises(UsageError, match="hole: expected centre or blocks, got 'left'"):
        RECIPES["context-encoder"].part.trainer(training, (1, 8, 8))


def test_what_is_hidden_is_not_looked_at_and_what_is_known_stays():
    """With a mask of each picture's own, too."""
    trainer = RECIPES["context-encoder-l2"].part.trainer(
        Training("small-dcgan", steps=2, batch=4), (1, 8, 8)
    )
    data = _digits()
    with forked(0):
        model = trainer.finish(trainer.advance(trainer.start(data, stream("x")), 2))
    x, known = data.held_out[:7], blocks(7, 8, 8, stream("masks"))[:, None]
    found = model.complete(x, known)
    assert torch.equal(found[known], x[known])
    other = model.complete(torch.where(known, x, 1 - x), known)
    assert torch.equal(found, other)
    alone = model.complete(x[2:3], known[2, 0])
    torch.testing.assert_close(alone[0], found[2])


def _digits():
    return DATASETS["optdigits"].part.source(0)


class Plane(nn.Module):
    """Codes of two numbers as images of 2 x 2 pixels."""

    def __init__(self):
        super().__init__()
        self.register_buffer("rows", torch.tensor([[1.0, 0.5, 0.0, 0.2], [0.0, -0.5, 1.0, 0.3]]))

    def forward(self, z):
        return (0.5 + z @ self.rows).unflatten(1, (1, 2, 2))


def _gan():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.LeakyReLU(0.2), nn.Linear(3, 1))
    critic = LogitCritic(body, nn.Flatten(0))
    rules = replace(PROTOCOLS["small-dcgan"].part, latent=2)
    return GeneratorSampler(Plane(), critic, rules, (1, 2, 2)), body


IMAGES = torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("share", "starts"), [(0.0, 1), (0.1, 7), (0.6, 7), (1.0, 3)])
def test_a_search_by_hand(share, starts):
    """Schlegl et al. 2017, equations 3 to 5, image by image: the best start, Adam, the best code on
    the way; R and D are sums of absolute differences, and the score is their stated sum.
    """
    model, body = _gan()
    with forked(0):
        search = Search(30, 0.05, share, starts)
        found = searched(model, IMAGES, torch.Generator().manual_seed(9), search)
        tried = torch.randn(starts, 2, generator=torch.Generator().manual_seed(9))

        def parts(z, image):
            made = Plane()(z[None])
            felt = [body[2](body[1](body[0](x))) for x in (made, image[None])]
            return (made - image).abs().sum(), (felt[0] - felt[1]).abs().sum()

        def total(z, image):
            residual, discrimination = parts(z, image)
            return (1 - share) * residual + share * discrimination

        for i, image in enumerate(IMAGES):
            sums = [float(total(code, image).detach()) for code in tried]
            z = tried[sums.index(min(sums))].clone()
            z.requires_grad_()
            adam, best = torch.optim.Adam([z], lr=0.05), (float("inf"), z)
            for _ in range(31):
                loss = total(z, image)
                if loss.item() < best[0]:
                    best = (loss.item(), z.detach().clone())
                adam.zero_grad()
                loss.backward()
                adam.step()
            residual, discrimination = (x.item() for x in parts(best[1], image))
            assert float(found.residual[i]) == pytest.approx(residual, abs=1e-4)
            assert float(found.discrimination[i]) == pytest.approx(discrimination, abs=1e-4)
            assert float(found.score[i]) == pytest.approx(best[0], abs=1e-4)
    torch.testing.assert_close(
        found.score, (1 - share) * found.residual + share * found.discrimination
    )
    torch.testing.assert_close(
        found.residual, (found.drawn - IMAGES).abs().flatten(1).sum(1), rtol=0, atol=1e-6
    )


def test_an_image_is_searched_alone():
    """Whoever is searched for beside it."""
    model, _ = _gan()
    together = searched(model, IMAGES, torch.Generator().manual_seed(9), Search(20))
    alone = searched(model, IMAGES[3:], torch.Generator().manual_seed(9), Search(20))
    torch.testing.assert_close(alone.score, together.score[3:])
    torch.testing.assert_close(alone.drawn, together.drawn[3:])


def test_a_longer_search_is_no_worse():
    model, _ = _gan()
    scores = [
        searched(model, IMAGES, torch.Generator().manual_seed(9), Search(steps, 0.05)).score
        for steps in (0, 5, 40)
    ]
    assert (scores[1] <= scores[0] + 1e-6).all()
    assert (scores[2] <= scores[1] + 1e-6).all()
    assert float(scores[2].sum()) < float(scores[0].sum())


def test_the_sum_is_weighed_as_it_is_said():
    found = weighed(torch.tensor([2.0]), torch.tensor([10.0]), Search(discrimination=0.25))
    assert float(found) == pytest.approx(0.75 * 2 + 0.25 * 10)


def test_a_critic_without_features_says_so():
    rules = PROTOCOLS["small-dcgan"].part
    model = GeneratorSampler(Plane(), nn.Flatten(0), rules, (1, 2, 2))
    assert isinstance(model, Perceiver)
    with pytest.raises(UsageError, match="no layer whose features can be asked for"):
        model.features(IMAGES)
