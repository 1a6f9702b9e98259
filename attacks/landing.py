"""The end of a search: onto the boundary, from the nearest point that was found."""

from __future__ import annotations

from functools import partial

import torch

from attacks.contracts import Box, Images, Model
from attacks.goals import Goal
from attacks.gradients import look
from attacks.halfspace import reach
from attacks.norms import rows, size, spread
from attacks.sides import Mask, rounding, sides, sloped

LANDING, SHARE = 3, 4
BEYOND = 1e-3
"""Of the way: how far beyond the plane, or short of where a line is level."""


def landing_of(steps: int) -> int:
    """How many points of a search of `steps` are its landing; none where that were more than a
    quarter of them.
    """
    return LANDING if steps >= SHARE * LANDING else 0


def land(model: Model, images: Images, goal: Goal, found: Images, norm: str, box: Box) -> Images:
    """What was found, or what is nearer and reaches the goal as well, of two points more. One is
    the nearest of the box in the half-space beyond the boundary, if this is the plane that it is
    to first order where something was found (the step of FAB, Croce and Hein 2020, section 2.3).
    Where it falls short, the other is on the line from what was found to it, where the lead would
    be 0 if it fell evenly; in l0, where nothing lies between, there is none.

    Three passes, one of them with a gradient. Images that were not moved stay, and so do those with
    one changed pixel in l0.
    """
    moved = size(found - images, "l0") > (1 if norm == "l0" else 0)
    if not bool(moved.any()):
        return found
    result, images, goal, best = found.clone(), images[moved], goal[moved], found[moved]
    slope, here = sloped(model, best, partial(sides, goal))
    gain = (slope * (best - images)).flatten(1).sum(1) - here.lead
    gain = (1 + BEYOND) * gain + 2 * rounding(here.logits)
    plane = reach(images, slope, gain, norm, box)
    there = sides(goal, look(model, plane))
    at = _nearer(images, best, plane, there.won, norm)
    short = ~there.won
    if norm != "l0" and bool(short.any()):
        level = (1 - BEYOND) * here.lead / (here.lead - there.lead)
        line = torch.lerp(best, plane, spread(level.nan_to_num(0).clamp(0, 1), best))[short]
        won = sides(goal[short], look(model, line)).won
        at[short] = _nearer(images[short], best[short], line, won, norm)
    result[moved] = at
    return result


def _nearer(images: Images, best: Images, at: Images, won: Mask, norm: str) -> Images:
    """Points that reach the goal and are nearer than the best; the best elsewhere."""
    nearer = won & (size(at - images, norm) < size(best - images, norm))
    return torch.where(rows(nearer, at), at, best)
