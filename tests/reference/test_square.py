"""The Square attack against the paper's formulas, known optima, and the promises of an attack."""

import pytest
import torch

from attacks import ATTACKS
from attacks.norms import size
from attacks.objectives import lead
from attacks.pgd import Pgd
from attacks.square import Square, share
from attacks.squares import bump, peak
from bench.core.errors import UsageError
from bench.core.randomness import stream

NORMS = ("linf", "l2")
RADIUS = {"linf": 0.1, "l2": 1.0}


def _linear(pixels, classes=10, name="square"):
    weights = torch.randn(pixels, classes, generator=stream(name, pixels)) / pixels**0.5
    return lambda images: (images.flatten(1)[:, :, None] * weights).sum(1)


def _images(count, *shape):
    return torch.rand(count, *shape, generator=stream("images", *shape))


def _case(count=6, shape=(1, 8, 8)):
    images = _images(count, *shape)
    model = _linear(images[0].numel())
    return model, images, model(images).argmax(1), torch.arange(100, 100 + count)


def test_the_share_of_pixels_follows_the_table_of_the_paper():
    """Halved after 10, 50, 200, ... of 10,000 queries, whatever the number of queries."""
    halvings = {0: 0, 10: 0, 11: 1, 50: 1, 51: 2, 200: 2, 201: 3, 500: 3, 501: 4, 1000: 4, 1001: 5}
    halvings |= {2000: 5, 2001: 6, 4000: 6, 4001: 7, 6000: 7, 6001: 8, 8000: 8, 8001: 9, 9999: 9}
    for query, times in halvings.items():
        assert share(0.8, query, 10_000) == 0.8 / 2**times
    assert share(0.8, 100, 1000) == share(0.8, 1000, 10_000)


@pytest.mark.parametrize(("rows", "columns"), [(1, 3), (2, 5), (3, 7), (5, 5), (12, 25), (13, 25)])
def test_a_peak_has_the_closed_form_of_equation_2(rows, columns):
    """At distance t from the middle (in the maximum norm) 1 / (t + 1)^2 + ... + 1 / (n + 1)^2."""
    n = max(rows // 2, columns // 2)
    down = (torch.arange(rows) - rows // 2).abs()[:, None]
    distance = torch.maximum(down, (torch.arange(columns) - columns // 2).abs())
    tails = torch.tensor([sum(1 / (k + 1) ** 2 for k in range(t, n + 1)) for t in range(n + 1)])
    wanted = tails[distance].double()
    assert torch.allclose(peak(rows, columns), wanted / wanted.norm())


@pytest.mark.parametrize("side", [1, 2, 3, 5, 6, 25])
def test_a_bump_is_two_opposite_peaks_of_length_1(side):
    """Upright and lying; a single pixel is one peak."""
    upright, lying = bump(side)
    assert torch.equal(upright.T, lying)
    assert upright.norm().item() == pytest.approx(1)
    assert (upright[: side // 2] > 0).all()
    assert (upright[side // 2 :] < 0).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (2, 1, 1), (1, 2, 3), (1, 12, 4)])
@pytest.mark.parametrize("box", [(0.0, 1.0), (-1.0, 2.0), None])
def test_results_keep_the_radius_and_the_box(norm, shape, box):
    """Of every shape, to 1e-6, each image its own radius; what moves, moves by all of it."""
    model, images, labels, seeds = _case(4, shape)
    radius = torch.tensor([0.0, 0.01, 0.3, 2.0])
    found = Square(queries=40)(
        model, images, labels, radius=radius, norm=norm, seeds=seeds, box=box
    )
    sizes = size(found - images, norm)
    assert found.shape == images.shape
    assert (sizes <= radius + 1e-6).all()
    assert torch.equal(found[0], images[0])
    if box is None:
        assert torch.allclose(sizes, radius, atol=1e-5)
    else:
        assert found.min() >= box[0]
        assert found.max() <= box[1]


@pytest.mark.parametrize("norm", NORMS)
def test_an_image_is_attacked_alike_alone_and_in_a_batch(norm):
    """To the bit, in any order; another seed gives another image."""
    model, images, labels, seeds = _case()
    attack = Square(queries=30)
    given = {"radius": RADIUS[norm], "norm": norm}
    found = attack(model, images, labels, seeds=seeds, **given)
    for i in range(len(images)):
        one = slice(i, i + 1)
        assert torch.equal(
            attack(model, images[one], labels[one], seeds=seeds[one], **given), found[one]
        )
    assert torch.equal(
        attack(model, images.flip(0), labels.flip(0), seeds=seeds.flip(0), **given),
        found.flip(0),
    )
    other = attack(model, images, labels, seeds=seeds + 1, **given)
    assert (other != found).flatten(1).any(1).all()


@pytest.mark.parametrize(
    ("norm", "fraction", "queries"), [("linf", 0.999999, 600), ("l2", 0.6, 600)]
)
def test_the_known_optimum_of_a_linear_model(norm, fraction, queries):
    """Two classes, no box: the lead can rise by the radius times the dual norm of the weights.

    Single pixels add up to the optimum in linf. Bumps of nine pixels do not in l2: the code of the
    paper's authors reaches .56 of it on such weights in 1,000 queries (.49 of it on 28 x 28).
    """
    weights = torch.randn(36, 2, generator=stream("two classes"))
    images = _images(3, 1, 6, 6)
    labels = (images.flatten(1) @ weights).argmax(1)
    given = {"radius": 0.1, "norm": norm, "seeds": torch.arange(3), "box": None}
    found = Square(queries=queries)(lambda x: x.flatten(1) @ weights, images, labels, **given)
    steepest = weights[:, 1] - weights[:, 0]
    gained = lead(found.flatten(1) @ weights, labels) - lead(images.flatten(1) @ weights, labels)
    best = 0.1 * (steepest.abs().sum() if norm == "linf" else steepest.norm())
    assert (gained <= best * 1.00001).all()
    assert (gained >= fraction * best).all()


@pytest.mark.parametrize("norm", NORMS)
def test_images_leave_at_the_first_success_only_where_asked(norm):
    """Forwards are counted: `queries` for each image, fewer once it has succeeded."""
    model, images, labels, seeds = _case(20)
    seen = []

    def counted(x):
        assert not torch.is_grad_enabled()
        seen.append(len(x))
        return model(x)

    given = {"radius": RADIUS[norm] / 4, "norm": norm, "seeds": seeds}
    always = Square(queries=50)(counted, images, labels, **given)
    assert seen == [20] * 50
    seen.clear()
    early = Square(queries=50)(counted, images, labels, stop="first_success", **given)
    won = lead(model(early), labels) > 0
    assert 0 < won.sum() < 20
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == (~won).sum()
    assert torch.equal(won, lead(model(always), labels) > 0)
    assert (lead(model(always), labels) >= lead(model(early), labels)).all()
    assert torch.equal(always[~won], early[~won])


def test_no_query_goes_on_a_square_that_changes_nothing():
    """On black images half of the signs are clipped away: they are drawn again."""
    images, seen = torch.zeros(4, 1, 8, 8), []

    def indifferent(x):
        seen.append(x.clone())
        return torch.zeros(len(x), 3)

    Square(queries=60)(
        indifferent, images, torch.zeros(4).long(), radius=0.1, norm="linf", seeds=torch.arange(4)
    )
    changed = [(later != seen[0]).flatten(1).any(1) for later in seen[1:]]
    assert torch.stack(changed).float().mean() > 0.98


@pytest.mark.parametrize("norm", NORMS)
def test_vectors_of_a_square_number_of_pixels_are_images_of_one_channel(norm):
    """As are images without a channel."""
    model, images, labels, seeds = _case()
    given = {"radius": RADIUS[norm], "norm": norm, "seeds": seeds}
    attack = Square(queries=20)
    wanted = attack(model, images, labels, **given)
    for shape in ((6, 64), (6, 8, 8)):
        found = attack(model, images.reshape(shape), labels, **given)
        assert torch.equal(found, wanted.reshape(shape))


@pytest.mark.parametrize("shape", [(2, 3072), (2, 2), (2, 1, 1, 4, 4)])
def test_other_points_are_refused(shape):
    """Squares need rows and columns."""
    with pytest.raises(UsageError, match=r"square expected images \[batch, channels, height,"):
        Square()(
            _linear(9),
            torch.zeros(shape),
            torch.zeros(2).long(),
            radius=0.1,
            norm="linf",
            seeds=torch.arange(2),
        )


def test_an_unknown_norm_is_refused():
    """Two papers have three."""
    model, images, labels, seeds = _case()
    with pytest.raises(UsageError, match="unknown norm 'l0'"):
        Square()(model, images, labels, radius=0.1, norm="l0", seeds=seeds)


@pytest.mark.parametrize("norm", NORMS)
def test_it_beats_noise_and_not_gradients(norm):
    """On a linear model of ten classes, at a radius where PGD takes most images."""
    linear, images, labels, seeds = _case(40, (1, 10, 10))
    entry = ATTACKS["square"]
    assert not entry.facts.gradients
    given = {"radius": 0.7 * RADIUS[norm], "norm": norm, "seeds": seeds}

    def model(x):
        return 100 * linear(x)

    def rate(attack):
        return (model(attack(model, images, labels, **given)).argmax(1) != labels).float().mean()

    noise = rate(ATTACKS["sign-noise"].part)
    square, pgd = rate(Square(queries=200)), rate(Pgd())
    assert noise + 0.2 < square <= pgd
