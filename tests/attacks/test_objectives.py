"""What attacks ascend."""

import pytest
import torch

from attacks.gradients import ascent
from attacks.norms import spread
from attacks.objectives import entropy, lead, margin, towards
from bench.core.randomness import stream
from bench.laws.scenes import scene


def _logits(scale=1.0, classes=5):
    drawn = torch.randn(6, classes, generator=stream("logits"), dtype=torch.float64)
    return scale * drawn, torch.arange(6) % classes


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_the_margin_is_the_log_odds_of_the_label(scale):
    """log((1 - p) / p), unchanged by a constant; `towards` is its opposite."""
    logits, labels = _logits(scale)
    p = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(margin(logits, labels), ((1 - p) / p).log())
    torch.testing.assert_close(margin(logits + 50, labels), margin(logits, labels))
    assert torch.equal(towards(logits, labels), -margin(logits, labels))
    torch.testing.assert_close(entropy(logits, labels), -p.log())


def test_a_lead_is_positive_where_the_label_is_not_the_likeliest():
    """And is the distance to the best of the others."""
    logits, labels = _logits()
    leads = lead(logits, labels)
    assert torch.equal(leads > 0, logits.argmax(1) != labels)
    for row, label, ahead in zip(logits.tolist(), labels.tolist(), leads, strict=True):
        assert ahead.item() == max(row[:label] + row[label + 1 :]) - row[label]


def test_the_margin_ascends_where_cross_entropy_does():
    """Its gradient is that of cross-entropy over 1 - p, also where the latter is 0 in float32."""
    model, images, labels = scene()
    double = model.double()
    ours, logits = ascent(double, images.double(), labels)
    theirs, _ = ascent(double, images.double(), labels, entropy)
    missed = 1 - logits.softmax(1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(ours * spread(missed, images.double()), theirs)
    single = model.float()
    hidden, _ = ascent(lambda x: 5000 * single(x), images, labels, entropy)
    seen, _ = ascent(lambda x: 5000 * single(x), images, labels)
    assert (hidden[:-1] == 0).flatten(1).all(1).sum() >= 5
    assert (seen != 0).flatten(1).any(1).all()


def test_a_large_scale_leaves_the_likeliest_of_the_wrong_classes():
    """There the margin's gradient is the lead's: what scaling more than two logits changes."""
    model, images, labels = scene()
    sure, _ = ascent(lambda x: 1e4 * model(x), images, labels)
    likeliest, _ = ascent(model, images, labels, lead)
    torch.testing.assert_close(sure, 1e4 * likeliest, rtol=1e-4, atol=1e-2)
    mixed, _ = ascent(model, images, labels)
    assert (mixed - likeliest).abs().max() > 1e-2


def test_a_model_that_cuts_the_graph_has_no_slope():
    """Zeros, with the logits; nothing is raised."""
    model, images, labels = scene()
    for cut in (lambda x: model(x.detach()).detach(), lambda x: model(x.detach())):
        slope, logits = ascent(cut, images, labels)
        assert not slope.any()
        assert torch.equal(logits, model(images).detach())
