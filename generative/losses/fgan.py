"""The game of f-GAN (Nowozin et al. 2016): an estimate of any f-divergence, made an adversary.

D_f(P || Q) = sum q f(p / q) is the largest E_P[T] - E_Q[f*(T)] over functions T of an example; here
T = g(C), where g maps a logit into the domain of f*. At the best critic T = f'(p / q).

Each divergence has a file of its own; the paper's row GAN is `minimax`.
"""

from __future__ import annotations

from abc import abstractmethod

from generative.contracts import Logits, Loss

EXPONENTIAL = 80.0
"""How far from 0 a logit may lie whose exponential float32 is to hold, with some room (e^88 is the
last).
"""


class FGan(Loss):
    """-g(C(x)) + f*(g(C(G(z)))) against -f*(g(C(G(z)))).

    Deviation: some g of the authors' code fall with the logit (-e^C of reverse KL); here every g
    rises, so that a high logit means real.
    """

    @abstractmethod
    def output(self, logits: Logits) -> Logits:
        """g(C), [batch]: rises with the logits."""

    @abstractmethod
    def conjugate(self, logits: Logits) -> Logits:
        """f*(g(C)), [batch], in one expression, so that nothing overflows on the way."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return self.conjugate(fake) - self.output(real)

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -self.conjugate(fake)
