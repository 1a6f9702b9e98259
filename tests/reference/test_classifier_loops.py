"""How classifiers are trained, by hand, beside the loop that trains them: the same weights after
three steps of each of two epochs. Rates, radii and weights are written down here once more.
"""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from reference.loops import assert_same, stepped
from torch import nn
from torch.nn.functional import cross_entropy

from attacks.classifiers import CLASSIFIERS
from attacks.classifiers.cnn import Cnn
from attacks.classifiers.denoising import DenoisingCnn
from attacks.classifiers.dense import Dense
from attacks.classifiers.fitting import PLAIN, Fitted, Schedule, halved
from attacks.classifiers.maxout import Maxout
from attacks.classifiers.rbf import Radial
from attacks.noise import SIGN
from attacks.pgd import Pgd

SHAPE, CLASSES, N, BATCH, EPOCHS = (1, 4, 4), 3, 14, 5, 2
pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def data(double):
    """Images in [0, 1] and labels."""
    rng = torch.Generator().manual_seed(1)
    images = torch.rand((N, *SHAPE), generator=rng)
    return images, torch.randint(CLASSES, (N,), generator=rng)


def clean(network, x, y, progress):
    return cross_entropy(network(x), y)


def in_the_box(images):
    return images.clip(0, 1)


def fgsm(network, x, y, radius, box):
    """x + epsilon sign(grad J), of the network as it will answer."""
    at = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(network(at), y), at)
    return box(x + radius * gradient.sign())


def by_part(part, box):
    """An attack of ours, as it is called."""

    def attack(network, x, y, radius, seeds):
        return part(network, x, y, radius=radius, norm="linf", seeds=seeds, box=box)

    return attack


@dataclass
class Against:
    """Goodfellow et al. 2014, section 6: images attacked now, beside the clean ones. ramp: the
    share of the training in which the radius grows.
    """

    attack: object
    radius: float
    clean: float = 0.5
    ramp: float = 0.0

    def __call__(self, network, x, y, progress):
        radius = self.radius * (min(1.0, progress / self.ramp) if self.ramp else 1.0)
        seeds = torch.randint(2**62, (len(x),))
        attacked = self.attack(network.eval(), x, y, radius, seeds).detach()
        network.train()
        loss = (1 - self.clean) * cross_entropy(network(attacked), y)
        return loss + self.clean * cross_entropy(network(x), y) if self.clean else loss


def each_class_by_itself(network, x, y, progress):
    """Binary cross-entropy of the probabilities exp(logit)."""
    chances = network(x).exp()
    present = torch.zeros_like(chances).scatter(1, y[:, None], 1.0)
    return nn.functional.binary_cross_entropy(chances, present, reduction="none").sum(1).mean()


@dataclass
class Apart:
    """Zhang et al. 2019, equation 5: how far the answers to attacked images are from those to clean
    ones. The attack begins at noise of .001 and takes ten signed steps of .25 of the radius.
    """

    radius: float
    beta: float
    ramp: float

    def __call__(self, network, x, y, progress):
        radius = self.radius * min(1.0, progress / self.ramp)
        with torch.no_grad():
            known = network.eval()(x).softmax(1)
        at = x + 0.001 * torch.randn(x.shape)
        for _ in range(10):
            at.requires_grad_()
            apart = nn.functional.kl_div(network(at).log_softmax(1), known, reduction="sum")
            (slope,) = torch.autograd.grad(apart, at)
            at = torch.min(
                torch.max(at.detach() + 0.25 * radius * slope.sign(), x - radius), x + radius
            )
            at = in_the_box(at)
        network.train()
        moved, clean = network(at).log_softmax(1), network(x)
        apart = nn.functional.kl_div(moved, clean.softmax(1), reduction="batchmean")
        return cross_entropy(clean, y) + self.beta * apart


FGSM_IN = Against(lambda net, x, y, r, _: fgsm(net, x, y, r, in_the_box), 0.3, ramp=0.5)
FGSM_OUT = Against(lambda net, x, y, r, _: fgsm(net, x, y, r, lambda z: z), 0.25)
PGD_IN = by_part(Pgd(steps=5, step_size=0.4, keep="last"), (0.0, 1.0))
NETWORKS = {
    "softmax": (Dense(), 3e-3, clean),
    "cnn": (Cnn(), 2e-3, clean),
    "cnn-fgsm": (Cnn(), 2e-3, FGSM_IN),
    "cnn-pgd": (Cnn(), 2e-3, Against(PGD_IN, 0.3, 0.0, 0.5)),
    "cnn-trades": (Cnn(), 2e-3, Apart(0.3, 6.0, 0.5)),
    "cnn-denoise": (DenoisingCnn(), 2e-3, Against(PGD_IN, 0.3, 0.0, 0.5)),
    "cnn-denoise-plain": (DenoisingCnn(), 2e-3, clean),
    "maxout": (Maxout(), 4e-3, clean),
    "maxout-fgsm": (Maxout(), 4e-3, FGSM_OUT),
    "maxout-sign": (Maxout(), 4e-3, Against(by_part(SIGN, None), 0.25)),
    "rbf": (Radial(), 1e-2, each_class_by_itself),
}
"""Layers, Adam's rate and what is minimised."""


def by_hand(network, x, y, rate, loss, decay=()):
    """Minibatches without replacement, a new order each epoch; half a cosine for the rate."""
    adam, done, total = torch.optim.Adam(network.parameters(), rate), 0, EPOCHS * -(-N // BATCH)
    network.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for at in range(0, len(x), BATCH):
            chosen = order[at : at + BATCH]
            (group,) = adam.param_groups
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * done / total))
            value = loss(network, x[chosen], y[chosen], done / total)
            layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
            for share, layer in zip(decay, layers, strict=False):
                value = value + share * (layer.weight**2).sum() / len(layer.weight)
            stepped(value, network, adam)
            done += 1
    return network


def both(build, train, hand):
    """Two networks with the same first weights, trained from the same place of the global
    generator.
    """
    found = []
    for work in (train, hand):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = build(SHAPE, CLASSES)
            torch.manual_seed(4)
            work(network)
            found.append(network)
    return found


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_way_to_train(name, data):
    layers, rate, loss = NETWORKS[name]
    part = CLASSIFIERS[name].part
    part = replace(part, schedule=replace(part.schedule, epochs=EPOCHS, batch=BATCH))
    found, wanted = both(
        part.build,
        lambda network: part.train(network, *data),
        lambda network: by_hand(network, *data, rate, loss),
    )
    assert type(found) is type(layers(SHAPE, CLASSES))
    assert not found.training
    assert_same(found, wanted)


def test_weights_decay_layer_by_layer(data):
    """lambda sum(w^2) / k, of each layer its own."""
    schedule, decay = Schedule(EPOCHS, BATCH, 1e-2, (0.5, 2.0)), (0.5, 2.0)
    part = Fitted(Dense((6,)), schedule, PLAIN)
    found, wanted = both(
        part.build,
        lambda network: part.train(network, *data),
        lambda network: by_hand(network, *data, 1e-2, clean, decay),
    )
    assert_same(found, wanted)


@pytest.mark.parametrize(("half", "chosen"), [(1, slice(0, 7)), (2, slice(7, 14))])
def test_halves_of_the_training_set(half, chosen, data):
    images, labels = halved(*data, half)
    assert torch.equal(images, data[0][chosen])
    assert torch.equal(labels, data[1][chosen])


def test_a_network_fitted_to_all_images_at_once(data):
    """Szegedy et al. 2013, section 4.2, by L-BFGS."""
    part = replace(CLASSIFIERS["fc10-1e-2"].part, iterations=3)

    def hand(network):
        (layer,) = (layer for layer in network.modules() if isinstance(layer, nn.Linear))
        lbfgs = torch.optim.LBFGS(
            network.parameters(),
            max_iter=3,
            history_size=20,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def loss():
            lbfgs.zero_grad()
            value = cross_entropy(network(data[0]), data[1])
            value = value + 1e-2 * (layer.weight**2).sum() / CLASSES
            value.backward()
            return value.detach()

        lbfgs.step(loss)

    found, wanted = both(part.build, lambda network: part.train(network, *data), hand)
    assert_same(found, wanted)


def test_a_classifier_on_the_code_of_an_autoencoder(data):
    """A sparse autoencoder first; then softmax on its code, which stays as it is."""
    part = CLASSIFIERS["ae400-10"].part
    schedules = [replace(s, epochs=EPOCHS, batch=BATCH) for s in (part.features, part.schedule)]
    part = replace(part, features=schedules[0], schedule=schedules[1])

    def sparse(autoencoder, x, y, progress):
        encoder, decoder = autoencoder
        code = torch.sigmoid(encoder(x))
        error = ((torch.sigmoid(decoder(code)) - x) ** 2).sum(1).mean()
        mean = code.mean(0)
        kl = 0.1 * (0.1 / mean).log() + 0.9 * (0.9 / (1 - mean)).log()
        return error + 0.003 * kl.sum()

    def hand(network):
        _, encoder, _, head = network
        flat = data[0].flatten(1)
        decoder = nn.Linear(400, 16)
        by_hand(nn.ModuleList([encoder, decoder]), flat, data[1], 1e-3, sparse)
        code = torch.sigmoid(encoder(flat)).detach()
        by_hand(head, code, data[1], 1e-2, clean, (1e-6,))

    found, wanted = both(part.build, lambda network: part.train(network, *data), hand)
    assert_same(found, wanted)
