"""TRADES: the loss on clean images, and how far attacked ones can move the answer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attacks.classifiers.cnn import RADIUS, SCHEDULE, Cnn
from attacks.classifiers.contracts import CLASSIFIERS
from attacks.classifiers.fitting import Fitted, Objective, grown
from attacks.contracts import UNIT, Box, Images, Labels, Model
from attacks.gradients import ascent, look
from attacks.norms import into_box, project
from attacks.objectives import Logits, PerImage


def divergence(answers: Logits, moved: Logits) -> PerImage:
    """KL(p || q) in nats, p the probabilities of the first logits, q those of the second."""
    p, q = answers.log_softmax(1), moved.log_softmax(1)
    return (p.exp() * (p - q)).sum(1)


@dataclass(frozen=True)
class Trades(Objective):
    """J(x, y) + beta KL(f(x) || f(x')), each a mean over the batch (Zhang et al. 2019, equation 5,
    with beta = 1 / lambda and the divergence of the authors' code). beta = 0 is `Plain`.

    x' maximises that divergence within the linf radius, whatever the label: from x plus `start`
    times normal noise `steps` steps of `step_size` times the radius along the gradient's sign, each
    put back into the ball and the box; the last one, a constant of the step, of the network as it
    will answer (without dropout, batch norm by its running statistics). Gradients reach the weights
    through both answers. Of the authors' protocol the radius here grows from 0 over the training's
    share `ramp`, steps are fewer and longer, and f(x) is computed once for both terms.
    """

    radius: float
    beta: float = 6.0
    steps: int = 10
    step_size: float = 0.25
    start: float = 1e-3
    box: Box = UNIT
    ramp: float = 0.0

    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, progress: float
    ) -> Tensor:
        if not self.beta:
            return cross_entropy(network(images), labels)
        network.eval()
        moved = self.attacked(network, images, labels, grown(self.radius, self.ramp, progress))
        network.train()
        answers = network(images)
        apart = divergence(answers, network(moved)).mean()
        return cross_entropy(answers, labels) + self.beta * apart

    def attacked(self, model: Model, images: Images, labels: Labels, radius: float) -> Images:
        """Where the answers are furthest from those to the images; labels are not looked at."""
        answers = look(model, images)

        def rise(logits: Logits, _: Labels) -> PerImage:
            return divergence(answers, logits)

        at = images + self.start * torch.randn_like(images)
        for _ in range(self.steps):
            gradient, _ = ascent(model, at, labels, rise)
            stepped = at + self.step_size * radius * gradient.sign()
            at = into_box(images + project(stepped - images, radius, "linf"), self.box)
        return at


CLASSIFIERS.register(
    "cnn-trades",
    paper="arXiv:1901.08573",
    summary="The small CNN trained by TRADES",
    trained_against="pgd",
)(Fitted(Cnn(), SCHEDULE, Trades(RADIUS, ramp=0.5), cost=12, milliseconds=10.0))
