"""Auto-PGD against its algorithm, written out for one image after another."""

import pytest
import torch
from reference.test_peers import digits, trained

from attacks.apgd import Apgd, checkpoints
from attacks.pgd import starts

COUNT, STEPS = 6, 30


def test_the_checkpoints_of_the_paper():
    """Of 100 steps: ceil(100 p) for p = .22, .41, .57, .7, .8, .87, .93, .99."""
    assert sorted(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]


def lead_of(model, image, label):
    """The highest wrong logit minus the label's, and its gradient."""
    point = image.clone().requires_grad_()
    logits = model(point[None])[0]
    wrong = torch.cat([logits[:label], logits[label + 1 :]])
    value = wrong.max() - logits[label]
    (gradient,) = torch.autograd.grad(value, point)
    return value.item(), gradient


def literal(model, image, label, start, radius, norm):
    """Croce and Hein 2020, algorithm 1, with the lead for the loss."""

    def inside(point):
        offset = point - image
        if norm == "linf":
            offset = offset.clamp(-radius, radius)
        elif offset.norm() > radius:
            offset = offset * radius / offset.norm()
        return (image + offset).clamp(0, 1)

    def step(point, gradient, size):
        way = gradient.sign() if norm == "linf" else gradient / gradient.norm()
        return inside(point + size * way)

    marks = [0, *sorted(checkpoints(STEPS))]
    x, before, size = start, start, 2 * radius
    value, gradient = lead_of(model, x, label)
    best, best_value, best_gradient = x, value, gradient
    halved_last, best_then, rises = True, value, 0
    for k in range(1, STEPS + 1):
        z = step(x, gradient, size)
        share = 1.0 if k == 1 else 0.75
        x, before = inside(x + share * (z - x) + (1 - share) * (x - before)), x
        new, gradient = lead_of(model, x, label)
        rises += new > value
        value = new
        if value > best_value:
            best, best_value, best_gradient = x, value, gradient
        if k in marks:
            since = k - marks[marks.index(k) - 1]
            few, stuck = rises < 0.75 * since, not halved_last and best_value <= best_then
            if few or stuck:
                size, x, before = size / 2, best, best
                value, gradient = best_value, best_gradient
            halved_last, best_then, rises = few or stuck, best_value, 0
    return best


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.06), ("linf", 0.2), ("l2", 1.2)])
def test_a_batch_does_what_the_algorithm_does_for_each_image(norm, radius):
    """The same image in the end, for each, whatever its batch mates do."""
    model, (images, labels) = trained(), digits()
    images, labels, seeds = images[:COUNT], labels[:COUNT], torch.arange(COUNT)
    found = Apgd(steps=STEPS)(model, images, labels, radius=radius, norm=norm, seeds=seeds)
    begun = starts(images, radius, norm, seeds, 0, (0, 1))
    for i in range(COUNT):
        expected = literal(model, images[i], int(labels[i]), begun[i], radius, norm)
        close = (found[i] - expected).abs() < 1e-4
        assert close.double().mean() > 0.99, i
        ours, theirs = (lead_of(model, x, int(labels[i]))[0] for x in (found[i], expected))
        assert ours == pytest.approx(theirs, abs=0.02)
