"""Context encoders (Pathak et al. 2016, arXiv:1604.07379), with a critic and without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from generative.completing import Context
from generative.contracts import RECIPES
from generative.games.base import Game
from generative.games.completing import Completed, Split
from generative.protocols.base import Protocol
from generative.recipes.restoring import Restoring

TASK = "inpainting"
ALONE = Split(adversarial_share=0.0)
"""Of a network that nobody contests."""
_FACTS = {
    "paper": "arXiv:1604.07379",
    "restores": TASK,
    "images_only": "points have no pixels to hide",
}


def completed(protocol: Protocol, shape: tuple[int, ...], parts: Mapping[str, Any]) -> Game:
    """The game of these parts."""
    split = parts.get("split", ALONE)
    return Completed(parts.get("loss"), parts["context"], split, protocol, shape)


RECIPES.register(
    "context-encoder-l2",
    summary="What is hidden of a picture, by its squared error alone",
    role="baseline",
    **_FACTS,
)(Restoring(completed, {"context": Context()}))

RECIPES.register(
    "context-encoder",
    summary="Context encoder: the same, and a critic of completed pictures (Pathak et al. 2016)",
    parts=("nonsaturating",),
    **_FACTS,
)(Restoring(completed, {"context": Context(), "split": Split()}, "nonsaturating"))
