"""Attacks for transfer against torchattacks', and against formulas of their papers."""

import importlib.util
import sys

import pytest
import torch
from torch.nn.functional import conv2d, interpolate, pad

from attacks import ATTACKS
from attacks.bim import Bim
from attacks.diversity import diverse, placed
from attacks.gradients import ascent, look, misled
from attacks.transfer import Transfer, blurred
from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.datasets.digits import mnist5k

RADIUS = 0.2
PEERS = {
    "ni-fgsm": ("NIFGSM", {}),
    "di-fgsm": ("DIFGSM", {"decay": 1.0}),
    "ti-fgsm": ("TIFGSM", {"decay": 1.0, "len_kernel": 7, "diversity_prob": 0.0}),
    "vmi-fgsm": ("VMIFGSM", {"N": 20}),
}


def trained(seed, width):
    """A small CNN on 4,000 digits."""
    data = mnist5k()
    images = torch.tensor(data.images).float().reshape(-1, 1, 28, 28) / 255
    labels = torch.tensor(data.labels)
    with forked(seed):
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, width, 4, stride=2, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(width, 16, 4, stride=2, padding=1),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(784, 10),
        )
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(100):
            some = torch.randint(len(images), (64,))
            loss = torch.nn.functional.cross_entropy(model(images[some]), labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def networks():
    """A surrogate, and the network that its images are to mislead."""
    return trained(0, 8), trained(1, 12)


@pytest.fixture(scope="module")
def digits():
    data = mnist5k()
    images = torch.tensor(data.held_images[::10]).reshape(-1, 1, 28, 28).float() / 255
    return images, torch.tensor(data.held_labels[::10])


def attacked(attack, networks, digits, **given):
    images, labels = digits
    given = {"radius": RADIUS, "norm": "linf", "seeds": torch.arange(len(images))} | given
    return attack(networks[0], images, labels, **given)


def peer(name, settings, surrogate):
    if importlib.util.find_spec("torchattacks") is None:
        pytest.skip("torchattacks is not installed: pip install torchattacks --no-deps")
    known = importlib.import_module(f"torchattacks.attacks.{name.lower()}")
    made = getattr(known, name)(surrogate, eps=RADIUS, alpha=RADIUS / 10, steps=10, **settings)
    if name == "TIFGSM":
        made.stacked_kernel = made.stacked_kernel[:1]
    return made


@pytest.mark.parametrize("name", PEERS)
def test_it_transfers_as_well_as_torchattacks(name, networks, digits, monkeypatch):
    """Success on a second network, at equal steps."""
    images, labels = digits
    kind, settings = PEERS[name]
    theirs = peer(kind, settings, networks[0])
    if kind == "TIFGSM":  # it is made for three channels
        monkeypatch.setattr(
            sys.modules["torchattacks.attacks.tifgsm"].F,
            "conv2d",
            lambda *args, **given: conv2d(*args, **({**given, "groups": 1} if given else {})),
        )
    with forked(0):
        found = theirs(images, labels)
    monkeypatch.undo()
    ours = attacked(ATTACKS[name].part, networks, digits)
    rates = [misled(look(networks[1], x), labels).float().mean() for x in (ours, found)]
    assert rates[1] > 0.2
    assert rates[0] >= rates[1] - 0.05


def test_without_changes_it_is_the_method_with_momentum(networks, digits):
    """Bit for bit but for the scale of the velocity, which has no influence in linf."""
    found = attacked(Transfer(), networks, digits)
    wanted = attacked(Bim(momentum=1.0), networks, digits)
    assert (found - wanted).abs().max() < 1e-6


def test_looking_ahead_takes_the_gradient_there(networks, digits):
    """Two steps by hand: the second at x1 + decay * length * velocity."""
    images, labels = digits
    length = 0.5 * RADIUS

    def level(slope):
        return slope / slope.abs().mean((1, 2, 3), keepdim=True)

    first = level(ascent(networks[0], images, labels)[0])
    at = (images + length * first.sign()).clamp(0, 1)
    ahead = at + 0.7 * length * first
    velocity = 0.7 * first + level(ascent(networks[0], ahead, labels)[0])
    wanted = (at + length * velocity.sign()).clamp(0, 1)
    attack = Transfer(steps=2, step_size=0.5, decay=0.7, lookahead=True)
    found = attacked(attack, networks, digits)
    assert (found - wanted).abs().mean() < 1e-6


def test_variance_is_that_of_the_step_before(networks, digits):
    """The first step is along the gradient alone, the second has what its neighbours added."""
    once = Transfer(steps=1, neighbours=3)
    assert torch.equal(
        attacked(once, networks, digits), attacked(Transfer(steps=1), networks, digits)
    )
    twice = attacked(Transfer(steps=2, neighbours=3), networks, digits)
    assert not torch.equal(twice, attacked(Transfer(steps=2), networks, digits))


def test_at_a_beta_of_0_there_is_no_variance(networks, digits):
    """All neighbours are the image itself."""
    found = attacked(Transfer(neighbours=2, beta=0.0), networks, digits)
    assert (found - attacked(Transfer(), networks, digits)).abs().mean() < 1e-4


@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_the_blur_is_a_convolution(kernel):
    """With the outer product of a Gaussian up to three deviations, channel by channel."""
    slope = torch.randn(2, 3, 9, 7, generator=stream("slope"))
    bell = (-torch.linspace(-3, 3, kernel).square() / 2).exp()
    weights = torch.outer(bell, bell) / bell.sum() ** 2
    wanted = conv2d(slope, weights.expand(3, 1, -1, -1), padding=kernel // 2, groups=3)
    torch.testing.assert_close(blurred(slope, kernel), wanted, rtol=0, atol=1e-6)


def test_an_even_kernel_is_refused():
    """It has no middle."""
    with pytest.raises(UsageError, match="kernel: expected an odd number of pixels, or 0, got 4"):
        Transfer(kernel=4)


def test_a_placed_image_is_shrunk_and_padded():
    """As torch's nearest neighbour has it, zeros around."""
    images = torch.rand(1, 2, 12, 10, generator=stream("placed"))
    numbers = (torch.tensor([n]) for n in (9, 7, 2, 3))
    found = placed(images, *numbers)
    wanted = pad(interpolate(images, size=(9, 7)), [3, 0, 2, 1])
    assert torch.equal(found, wanted)


def test_each_image_is_shrunk_by_its_own_chance():
    """Half of them are left alone; the others are 25 to 28 pixels high, somewhere."""
    images = torch.ones(400, 1, 28, 28)
    found = diverse(images, torch.arange(400), 3, probability=0.5, smallest=0.9)
    heights = found[:, 0].amax(2).sum(1).long()
    assert set(heights.tolist()) == {25, 26, 27, 28}
    assert 0.52 < (heights == 28).float().mean() < 0.73
    tops = found[heights == 25][:, 0].amax(2).argmax(1)
    assert set(tops.tolist()) == {0, 1, 2, 3}
    same = diverse(images, torch.arange(400), 3, probability=0.0, smallest=0.9)
    assert torch.equal(same, images)


@pytest.mark.parametrize("name", PEERS)
def test_targets_are_climbed_for(name, networks, digits):
    """Where asked, images are taken for them more often than untargeted ones are."""
    _, labels = digits
    targets = (labels + 3) % 10
    plain = attacked(ATTACKS[name].part, networks, digits, radius=0.3)
    aimed = attacked(ATTACKS[name].part, networks, digits, radius=0.3, targets=targets)
    rates = [(look(networks[0], x).argmax(1) == targets).float().mean() for x in (plain, aimed)]
    assert rates[1] > rates[0] + 0.4
