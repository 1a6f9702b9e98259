"""A photo, a step that nobody sees, and what the network makes of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from attacks import ATTACKS
from attacks.classifiers import CLASSIFIERS
from attacks.engine import frozen, run
from bench.core.networks import moved
from bench.figures.contracts import FIGURES, Lesson, Shown, table_of
from generative.training import Bounds

PHOTO, LABEL, SIDE = "china.jpg", 698, 224
NETWORK = "efficientnet-lite0"


@dataclass(frozen=True)
class Panda(Lesson):
    """FGSM on scikit-learn's photo of a palace (Goodfellow et al. 2015, arXiv:1412.6572, figure 1,
    whose panda is not free). radius: in linf, of images in [0, 1].
    """

    radius: Annotated[float, Bounds(ge=0, le=1)] = 0.007

    def show(self) -> Shown:
        model: Any = CLASSIFIERS[NETWORK].part
        attack: Any = ATTACKS["fgsm"].part
        network, image = model.load(), photo()
        label = torch.tensor([LABEL])
        with moved(network, "cpu"), frozen(network):
            (made,) = run(
                attack,
                network,
                image,
                label,
                radii=[self.radius],
                norm="linf",
                seeds=torch.zeros(1, dtype=torch.int64),
                box=(0.0, 1.0),
            )
            before, after = (_answer(network(x)) for x in (image, made))
        change = float((made - image).abs().amax())
        rows = [
            ("photo", f"“{before[0]}” %", 100 * before[1], np.nan),
            ("attacked", f"“{after[0]}” %", 100 * after[1], np.nan),
            ("attacked", "largest change of a value", change, self.radius),
        ]
        return Shown(table_of(rows), lambda: _draw(image[0], made[0], before, after))


def photo() -> Tensor:
    """The middle of the photo, [1, 3, 224, 224] in [0, 1]."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    whole = Image.fromarray(load_sample_image(PHOTO))
    side = min(whole.size)
    left, top = ((length - side) // 2 for length in whole.size)
    cut = whole.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
    return torch.from_numpy(np.asarray(cut).copy()).permute(2, 0, 1)[None].float() / 255


def _answer(logits: Tensor) -> tuple[str, float]:
    """The class that is most likely, by its name, and how likely."""
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    chances = logits.double().softmax(1)[0]
    return _IMAGENET_CATEGORIES[int(chances.argmax())], float(chances.amax())


def _draw(image: Tensor, made: Tensor, before: tuple[str, float], after: tuple[str, float]) -> Any:
    from results.pictures.attack import Example, triptych_figure

    example = Example(image.numpy(), made.numpy(), before, after, "palace")
    return triptych_figure([example], "")


FIGURES.register(
    "panda",
    paper="arXiv:1412.6572",
    summary="A photo, the sign of a gradient, and another answer",
    needs="imagenet",
    tolerance=1e-6,
)(Panda())
