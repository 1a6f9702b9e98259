"""HopSkipJump and the boundary attack against foolbox's, and on planes whose distance is known."""

import pytest
import torch

from attacks.boundary import Boundary
from attacks.contracts import MinimalNorm
from attacks.decisions import Oracle, Walkers, noise, to_boundary
from attacks.engine import Counted
from attacks.foolbox_adapter import adapt
from attacks.gradients import look, misled
from attacks.hopskipjump import HopSkipJump
from attacks.norms import size
from bench.core.errors import UsageError
from bench.core.randomness import stream

ATTACKS = [(HopSkipJump, "l2"), (HopSkipJump, "linf"), (Boundary, "l2")]
CLASSES = 4


def model(images):
    """A network of random weights, wide enough for curved boundaries."""
    first = torch.randn(36, 64, generator=stream("first"), dtype=torch.float64).to(images)
    last = torch.randn(64, CLASSES, generator=stream("last"), dtype=torch.float64).to(images)
    return (images.flatten(1) @ first / 3 - 0.3).relu() @ last


def case(count=12):
    images = torch.rand(count, 1, 6, 6, generator=stream("points"))
    return images, model(images).argmax(1), torch.arange(count)


def plane(images):
    """Two classes with a plane between them."""
    weights = torch.randn(16, generator=stream("plane"), dtype=torch.float64).to(images)
    logit = images.flatten(1) @ weights - weights.sum() / 2
    return torch.stack([logit, -logit], 1)


@pytest.mark.parametrize(("kind", "norm", "slack"), [(*ATTACKS[0], 1.02), (*ATTACKS[1], 1.15)])
def test_the_distance_to_a_plane(kind, norm, slack):
    """Without a box, |w x + b| over the dual norm of w."""
    images = torch.rand(6, 16, generator=stream("plane points"), dtype=torch.float64)
    weights = torch.randn(16, generator=stream("plane"), dtype=torch.float64)
    labels = plane(images).argmax(1)
    dual = weights.norm() if norm == "l2" else weights.abs().sum()
    nearest = plane(images)[:, 0].abs() / dual
    given = {"norm": norm, "seeds": torch.arange(6), "box": None}
    found = kind(queries=3000)(plane, images, labels, **given)
    share = size(found - images, norm) / nearest
    assert (share >= 1 - 1e-9).all()
    assert (share <= slack).all()


@pytest.mark.parametrize(("kind", "norm", "name", "steps"), [
    (HopSkipJump, "l2", "HopSkipJumpAttack", 4),
    (HopSkipJump, "linf", "HopSkipJumpAttack", 4),
    (Boundary, "l2", "BoundaryAttack", 800),
])  # fmt: skip
def test_it_is_as_near_as_foolbox_at_equal_queries(kind, norm, name, steps):
    """Median distances on the same network, at as many forwards an image as foolbox took."""
    images, labels, seeds = case(30)
    settings = {"constraint": norm} if kind is HopSkipJump else {}
    theirs = Counted(model)
    part = adapt(f"foolbox:{name}", steps=steps, **settings).part
    assert isinstance(part, MinimalNorm)
    peer = part(theirs, images, labels, norm=norm, seeds=seeds)
    queries = theirs.forwards // len(images)
    ours = Counted(model)
    found = kind(queries=queries)(ours, images, labels, norm=norm, seeds=seeds)
    assert ours.forwards <= theirs.forwards + 2
    assert misled(look(model, found), labels).all()
    medians = [size(x - images, norm).median() for x in (found, peer)]
    assert medians[0] <= 1.05 * medians[1]


@pytest.mark.parametrize(("kind", "norm"), ATTACKS)
@pytest.mark.parametrize("queries", [1, 2, 7, 40, 333])
def test_no_image_has_more_queries_than_its_own(kind, norm, queries):
    """Each asked about at most so often, alone or among others."""
    images, labels, seeds = case(3)
    given = {"norm": norm}
    for rows in ([0], [1], [2]):
        counted = Counted(model)
        alone = kind(queries=queries)(
            counted, images[rows], labels[rows], seeds=seeds[rows], **given
        )
        assert counted.forwards <= queries
        together = kind(queries=queries)(model, images, labels, seeds=seeds, **given)
        torch.testing.assert_close(alone, together[rows], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "norm"), ATTACKS)
def test_more_queries_never_lead_further_away(kind, norm):
    """The nearest point that was asked about is what is returned."""
    images, labels, seeds = case()
    seen = []

    def watched(x):
        seen.append(x.clone())
        return model(x)

    found = kind(queries=300)(watched, images[:1], labels[:1], norm=norm, seeds=seeds[:1])
    asked = torch.cat(seen)
    won = misled(model(asked), labels[:1].expand(len(asked)))
    nearest = size(asked[won] - images[:1], norm).min()
    assert size(found - images[:1], norm).item() <= 1.02 * nearest.item()
    far = [
        size(kind(queries=queries)(model, images, labels, norm=norm, seeds=seeds) - images, norm)
        for queries in (100, 400)
    ]
    assert far[1].median() < far[0].median()


@pytest.mark.parametrize(("kind", "norm"), ATTACKS)
def test_targets_need_an_image_to_start_from(kind, norm):
    """And are reached from one, or the image is returned as it is."""
    images, labels, seeds = case()
    targets = (labels + 1) % CLASSES
    attack, given = kind(queries=200), {"norm": norm, "seeds": seeds}
    with pytest.raises(UsageError, match=r"no image of a target class to start from: call"):
        attack(model, images, labels, targets=targets, **given)
    many = torch.rand(400, 1, 6, 6, generator=stream("pool"))
    classes = model(many).argmax(1)
    starts = torch.stack([many[classes == target][0] for target in targets.tolist()])
    starts[0] = images[0]
    found = attack.nearer(model, images, labels, starts=starts, targets=targets, **given)
    assert torch.equal(model(found).argmax(1)[1:], targets[1:])
    assert torch.equal(found[0], images[0])
    near, far = (size(x - images, norm)[1:] for x in (found, starts))
    assert (near < far).all()
    with pytest.raises(UsageError, match=r"starts: expected one for each image"):
        attack.nearer(model, images, labels, starts=starts[:2], **given)


def test_bisection_ends_at_the_boundary():
    """Within the tolerance, on the misclassified side; in l2 half a percent less is too little."""
    images, labels, seeds = case()
    for norm in ("l2", "linf"):
        oracle = Oracle(model, images, labels, norm, 100, False)
        at = noise(images, seeds, 0, (0.0, 1.0))
        won = oracle.ask(at, torch.arange(len(images)))
        on = Walkers(torch.arange(len(images)), images, seeds, at).only(won)
        found = to_boundary(on, oracle, norm, (0.0, 1.0), tolerance=1e-3)
        assert misled(model(found), labels[won]).all()
        if norm == "l2":
            back = on.images + (found - on.images) * 0.995
            assert not misled(model(back), labels[won]).all()
        assert (size(found - on.images, norm) < size(on.at - on.images, norm)).all()


def test_a_batch_of_several_is_never_asked_about_one():
    """There are models that can't tell of one alone."""

    def picky(images):
        assert len(images) != 1
        return model(images)

    images, labels, seeds = case(3)
    HopSkipJump(queries=60)(picky, images, labels, norm="l2", seeds=seeds)
