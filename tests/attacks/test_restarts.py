"""Attacks in parts and from several starts: each image with its own seed, radius and label, and of
several climbs the best.
"""

import pytest
import torch

from attacks import UNIT, FixedBudget, MinimalNorm, engine, pgd
from attacks.engine import run, search
from attacks.fgsm import Fgsm
from attacks.goals import Goal
from attacks.pgd import Pgd
from attacks.restarts import tried

N, SHAPE = 7, (1, 2, 2)
IMAGES = torch.rand((N, *SHAPE), generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 0, 1, 1, 0, 1])
SEEDS = torch.arange(N) + 100
WEIGHT = torch.tensor([[-1.0, 2.0, -3.0, 0.5], [1.0, -2.0, 3.0, -0.5]])


def model(images):
    return (images.flatten(1) - 0.5) @ WEIGHT.T


class Written(FixedBudget):
    """It writes each image's seed, label and radius over its pixels."""

    norms = ("linf",)

    def __call__(self, model, images, labels, *, radius, norm, seeds, box=UNIT, stop="never"):
        return _written(images, seeds, labels, radius)


class Sought(MinimalNorm):
    """The same of what it is to be taken for."""

    norms = ("l2",)

    def __call__(self, model, images, labels, *, norm, seeds, box=UNIT, targets=None):
        return _written(images, seeds, labels, -1 if targets is None else targets)


def _written(images, seeds, labels, last):
    last = torch.as_tensor(last).expand(len(images))
    rows = torch.stack([images[:, 0, 0, 0], seeds, labels, last], 1)
    return rows.reshape(images.shape)


@pytest.fixture(params=[2, 100])
def parts(request, monkeypatch):
    """How many images are attacked at once."""
    monkeypatch.setattr(engine, "CHUNK_VALUES", 4 * request.param)


def test_images_in_parts_keep_their_seeds_and_labels(parts):
    given = {"norm": "linf", "seeds": SEEDS, "box": UNIT}
    found = list(run(Written(), model, IMAGES, LABELS, radii=[0.25, 0.5], **given))
    for radius, images in zip((0.25, 0.5), found, strict=True):
        assert torch.equal(images, _written(IMAGES, SEEDS, LABELS, radius))


@pytest.mark.parametrize("targets", [None, 1 - LABELS])
def test_a_search_in_parts_keeps_its_targets(parts, targets):
    """None where none are given: the choice is the attack's."""
    given = {"norm": "l2", "seeds": SEEDS, "box": UNIT, "targets": targets}
    found = search(Sought(), model, IMAGES, LABELS, **given)
    assert torch.equal(found, _written(IMAGES, SEEDS, LABELS, -1 if targets is None else targets))


def test_a_ray_in_parts_goes_each_images_own_way(parts):
    found = run(Fgsm(), model, IMAGES, LABELS, radii=[0.1, 0.2], norm="linf", seeds=SEEDS, box=None)
    way = (WEIGHT[1 - LABELS] - WEIGHT[LABELS]).sign().reshape(IMAGES.shape)
    for radius, images in zip((0.1, 0.2), found, strict=True):
        torch.testing.assert_close(images, IMAGES + radius * way)


RADII = torch.linspace(0.1, 0.7, N)


@pytest.mark.parametrize("stop", ["never", "first_success"])
def test_every_restart_has_its_own_start_and_the_radii_of_its_images(monkeypatch, stop):
    """Those that are misclassified already are spared where the first success is enough."""
    asked = []

    def starts(images, radius, norm, seeds, restart, box):
        asked.append((images, radius, seeds, restart))
        return images

    def climb(model, x, y, begun, steps, *, radius, norm, box, stop):
        assert torch.equal(radius, asked[-1][1])
        return x

    monkeypatch.setattr(pgd, "starts", starts)
    monkeypatch.setattr(pgd, "climb", climb)
    attack = Pgd(restarts=3)
    attack(model, IMAGES, LABELS, radius=RADII, norm="linf", seeds=SEEDS, stop=stop)
    right = model(IMAGES).argmax(1) == LABELS
    assert 0 < right.sum() < N
    assert not right[: int(right.sum())].all()
    for number, (images, radius, seeds, restart) in enumerate(asked):
        kept = right if number and stop == "first_success" else torch.ones(N, dtype=torch.bool)
        assert restart == number
        assert torch.equal(images, IMAGES[kept])
        assert torch.equal(radius, RADII[kept])
        assert torch.equal(seeds, SEEDS[kept])
    assert len(asked) == 3


def test_of_several_climbs_each_image_keeps_its_best():
    """By its lead over the label, wherever in the order it was."""
    rng = torch.Generator().manual_seed(1)
    climbs = torch.rand((4, N, *SHAPE), generator=rng)
    lots = [[0], [1, 2], [3]]

    def once(numbers, chosen):
        return [climbs[number][chosen].clone() for number in numbers]

    found = tried(once, lots, model, IMAGES, Goal(LABELS), "never")
    logits = torch.stack([model(x) for x in climbs])
    leads = (logits[:, :, 1] - logits[:, :, 0]) * (1 - 2 * LABELS)
    best = leads.argmax(0)
    assert len(best.unique()) > 2
    assert torch.equal(found, climbs[best, torch.arange(N)])
