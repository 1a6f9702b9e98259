"""The universal perturbation: fitted to some images, for others."""

import pytest
import torch

from attacks.norms import into_box, size
from attacks.universal import Universal, fit
from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.laws.scenes import scene

RADIUS = {"linf": 0.1, "l2": 0.8}


def rate(model, images, labels):
    return (model(images).argmax(1) != labels).float().mean().item()


@pytest.fixture(scope="module")
def case():
    model, images, _ = scene(400)
    labels = model(images).argmax(1)
    return model, images, labels, torch.arange(400)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_misleads_images_that_it_was_not_fitted_to(case, norm):
    """More than noise of the same size, and within the radius."""
    model, images, labels, seeds = case
    given = {"radius": RADIUS[norm], "norm": norm}
    plan = Universal(steps=60, batch=64)
    found = fit(plan, model, images[:200], labels[:200], seeds=seeds[:200], **given)
    assert found.shape == (1, 1, 8, 8)
    assert float(size(found, norm)) <= RADIUS[norm] * (1 + 1e-5)
    drawn = torch.randn(20, 1, 8, 8, generator=stream("noise"))
    drawn = drawn.sign() if norm == "linf" else drawn / size(drawn, "l2")[:, None, None, None]
    noise = [
        rate(model, into_box(images[200:] + RADIUS[norm] * way, (0, 1)), labels[200:])
        for way in drawn
    ]
    held = rate(model, into_box(images[200:] + found, (0, 1)), labels[200:])
    assert held > max(noise) + 0.05


def test_a_linear_model_has_a_closed_form(case):
    """Radius times the sign of the difference of the weights, for the class that most images have;
    the first one has the other.
    """
    weights = torch.randn(64, 2, generator=stream("weights"))

    def model(x):
        return x.flatten(1) @ weights

    images = case[1]
    images = images[model(images).argmax(1) == 0][:50]
    labels, seeds = torch.zeros(50).long(), torch.arange(50)
    labels[0] = 1
    found = fit(Universal(), model, images, labels, radius=0.1, norm="linf", seeds=seeds, box=None)
    wanted = 0.1 * (weights[:, 1] - weights[:, 0]).sign().reshape(1, 1, 8, 8)
    torch.testing.assert_close(found, wanted)


def test_the_attack_is_the_fit_of_its_own_images(case):
    """All images move by the same, as far as the box lets them."""
    model, images, labels, seeds = case
    attack = Universal(steps=20)
    given = {"radius": 0.1, "norm": "linf", "seeds": seeds}
    found = attack(model, images, labels, **given)
    shared = fit(attack, model, images, labels, **given)
    torch.testing.assert_close(found, into_box(images + shared, (0, 1)))


def test_targets_draw_images_to_them(case):
    """To one class for all: each of two takes more images when it is asked for than when the other
    one is, and than without a target.
    """
    model, images, labels, seeds = case
    given = {"radius": 0.2, "norm": "linf", "seeds": seeds}
    classes = model(images).mean(0).argsort()[-3:-1].tolist()
    plain = Universal()(model, images, labels, **given)
    aimed = [
        Universal()(model, images, labels, targets=torch.full_like(labels, k), **given)
        for k in classes
    ]
    hits = [[(model(x).argmax(1) == k).float().mean() for k in classes] for x in (*aimed, plain)]
    assert hits[0][0] > max(hits[1][0], hits[2][0]) + 0.1
    assert hits[1][1] > max(hits[0][1], hits[2][1]) + 0.1


def test_a_ceiling_spares_images_that_are_misled(case):
    """At a ceiling of 0 those have no say: another perturbation."""
    model, images, labels, seeds = case
    given = {"radius": 0.1, "norm": "linf", "seeds": seeds}
    found = [fit(Universal(ceiling=c), model, images, labels, **given) for c in (None, 0.0)]
    assert not torch.equal(*found)


def test_no_images_are_refused(case):
    model, images, labels, seeds = case
    with pytest.raises(UsageError, match="expected some, got none"):
        fit(Universal(), model, images[:0], labels[:0], radius=0.1, norm="linf", seeds=seeds[:0])
