"""McGAN written by hand, beside the game of all GANs: the same weights after three steps. Here both
players see means and covariances of a batch, and no example has a logit.
"""

from __future__ import annotations

import pytest
import torch
from reference.loops import stepped
from reference.partloops import BOTH, Loop, compared
from torch import nn

pytestmark = pytest.mark.usefixtures("double")
BOUND, STEPS = 0.05, 2


def flat(network):
    """Layers, one after another."""
    if type(network) is not nn.Sequential:
        return [network]
    return [layer for part in network for layer in flat(part)]


class Matched(Loop):
    """Mroueh et al. 2017, algorithms 1 and 3 at once. q: of the norm of means, 0 for none. k: how
    many directions covariances are seen in.
    """

    beta, q, k = 0.0, 2, 8

    def new_critic(self):
        *body, head = flat(self.place.networks[1].encoder(self.seen, 1))
        width = head.in_features
        sizes = [*[1] * (self.q > 0), *[self.k] * (2 * (self.k > 0))]
        own = [nn.Linear(width, size, bias=False) for size in sizes]
        return nn.ModuleList([nn.Sequential(*body), *own])

    @property
    def heads(self):
        """v, U and V, a column a direction."""
        own = [layer.weight.T for layer in self.critic[1:]]
        v = own.pop(0)[:, 0] if self.q else None
        return v, *(own or (None, None))

    def build(self):
        super().build()
        self.settle()

    def settle(self):
        with torch.no_grad():
            v, *rest = self.heads
            if self.q == 1:
                v.copy_(v.sign() * v.abs().minimum(torch.ones(())))
            if self.q == 2:
                v.mul_(min(1.0, 1 / float(v.norm())))
            for each in rest if self.k else ():
                done = []
                for column in each.unbind(1):
                    for other in done:
                        column -= (column @ other) * other
                    column /= column.norm()
                    done.append(column.clone())

    def told(self, f):
        """What the critic says of a batch of features: of their mean and their covariance."""
        v, left, right = self.heads
        said = v @ f.mean(0) if self.q else 0.0
        if self.k:
            covariance = torch.einsum("ni,nj->ij", f, f) / len(f)
            said = said + (left.T @ covariance @ right).diagonal().sum()
        return said

    def critics(self, real, fake):
        body = self.critic[0]
        if self.place.mixes:
            of_real, of_fake = body(real).flatten(1), body(fake).flatten(1)
        else:
            of_real, of_fake = body(torch.cat([real, fake])).flatten(1).chunk(2)
        return self.told(of_fake) - self.told(of_real)

    def step(self):
        for _ in range(STEPS):
            real, z = self.reals(), self.codes()
            loss = self.critics(real, self.made(z).detach())
            stepped(loss, self.critic, self.descents[1].adam)
            with torch.no_grad():
                for weight in self.critic[0].parameters():
                    weight.copy_(weight.maximum(torch.tensor(-BOUND)).minimum(torch.tensor(BOUND)))
            self.settle()
        fake = self.made(self.codes())
        loss = -self.told(self.critic[0](fake).flatten(1))
        stepped(loss, self.generator, self.descents[0].adam)


TOLD = {"clip_bound": BOUND, "critic_steps": STEPS}


@BOTH
@pytest.mark.parametrize(("q", "k"), [(2, 8), (1, 3), (0, 2)])
def test_mcgan(protocol, q, k):
    compared("mcgan", protocol, Matched, told={**TOLD, "mean_norm": q, "directions": k}, q=q, k=k)


@BOTH
def test_mcgan_of_means(protocol):
    compared("mcgan-mean", protocol, Matched, told=TOLD, k=0)
