"""Squares give up on images that would not get there: on those alone, and after so many queries."""

from __future__ import annotations

import pytest
import torch

from attacks.cascade import Cascade
from attacks.engine import Counted, run
from attacks.goals import Goal
from attacks.gradients import misled
from attacks.square import Square, _Going
from attacks.squares import Found
from bench.core.errors import UsageError

SIDE, QUERIES, PATIENCE = 8, 200, 20
BARS = torch.tensor([3.0, 0.14, 0.02, 0.12, 0.3, 0.06, 0.1])
"""How much brighter an image has to become in the mean, in units of the radius, to be misled."""
RADIUS = 0.2


class Barred(torch.nn.Module):
    """Two logits: a bar that is written in the image's first row, which squares may not tell, and
    how bright the rest is.
    """

    def forward(self, x):
        bars = BARS[x[:, 1, 0, 0].mul(10).round().long().clamp(0, len(BARS) - 1)]
        raised = (x[:, 0].mean((1, 2)) - 0.4) / RADIUS
        return torch.stack([bars, raised], 1)


def images():
    """Grey, with their place among the bars in a second channel that the radius can't change: it
    counts tenths, and the radius moves them by less than a half.
    """
    x = torch.full((len(BARS), 2, SIDE, SIDE), 0.4)
    x[:, 1] = (torch.arange(len(BARS)) / 10)[:, None, None]
    return x


def found(patience, radius=0.04, **more):
    counted = Counted(Barred())
    part = Square(queries=QUERIES, patience=patience)
    labels = torch.zeros(len(BARS), dtype=torch.long)
    given = {"norm": "linf", "box": (0.0, 1.0), "stop": "first_success", **more}
    (made,) = run(part, counted, images(), labels, radii=[radius], seeds=labels, **given)
    return misled(Barred()(made), labels), counted.forwards


def test_without_patience_nobody_is_left():
    """Each image that withstands costs all queries."""
    won, forwards = found(0)
    assert 0 < int(won.sum()) < len(BARS)
    assert forwards >= int((~won).sum()) * QUERIES


def test_who_has_no_hope_is_left_and_nobody_else():
    """The same are misled, for fewer queries; each that withstands costs a multiple of the
    patience.
    """
    (won, most), (same, fewer) = found(0), found(PATIENCE)
    assert same.tolist() == won.tolist()
    assert fewer < 0.7 * most


def test_hope_is_as_much_a_query_as_since_it_was_asked_last():
    """From -4 to -1 in one span: -1 + left * 3 is ahead from a third of a span on."""
    then, leads = torch.tensor([-4.0, -1.0, -2.0, -1.0]), torch.tensor([-1.0, -1.0, -1.0, -0.5])
    none = torch.zeros(4)
    on = _Going(torch.arange(4), None, None, none, then)
    assert on.hopeless(leads, 0.25).tolist() == [True, True, True, True]
    assert on.hopeless(leads, 0.5).tolist() == [False, True, True, True]
    assert on.hopeless(leads, 1.5).tolist() == [False, True, False, False]
    assert on.asked(leads).then.tolist() == leads.tolist()


def test_an_image_alone_is_left_as_in_a_batch():
    """Patience is each image's own."""
    labels = torch.zeros(1, dtype=torch.long)
    whole, _ = found(PATIENCE)
    for place in range(len(BARS)):
        part = Square(queries=QUERIES, patience=PATIENCE)
        one = images()[place : place + 1]
        (made,) = run(
            part, Barred(), one, labels, radii=[0.04], seeds=labels,
            norm="linf", box=(0.0, 1.0), stop="first_success",
        )  # fmt: skip
        assert bool(misled(Barred()(made), labels)[0]) == bool(whole[place])


def test_who_goes_on_keeps_what_is_theirs():
    pixels = torch.zeros(3, 1, 2, 2)
    found, goal = Found(pixels, pixels, torch.ones(3, 1, 1, 1)), Goal(torch.arange(3))
    on = _Going(torch.arange(3), found, goal, torch.arange(3), torch.tensor([1.0, 2.0, 3.0]))
    rest = on.only(torch.tensor([False, True, True]))
    assert rest.then.tolist() == [2.0, 3.0]
    assert rest.index.tolist() == rest.seeds.tolist() == rest.goal.labels.tolist() == [1, 2]


def test_the_cascade_asks_five_times():
    name, square = Cascade(queries=1000).members("linf")[-1]
    assert (name, square.queries, square.patience) == ("square", 1000, 200)


def test_patience_is_no_debt():
    with pytest.raises(UsageError, match="patience: expected queries, 0 or more, got -1"):
        Square(patience=-1)
