"""What holds for every certificate, in each of its norms."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from attacks import ATTACKS, UNIT
from attacks.certificates import CERTIFICATES, Reach
from attacks.certificates.contracts import Bits
from attacks.contracts import Model
from attacks.engine import frozen
from attacks.norms import NORMS
from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from bench.laws.examples import raises
from bench.laws.scenes import IMAGES, assert_as_found, misled, pictures, sizes, state_of

QUICK = {"n": 200, "n0": 20, "steps": 2}
RADII = {
    "linear": {"linf": 0.05, "l2": 0.3, "l1": 1.0},
    "layers": {"linf": 0.01, "l2": 0.04, "l1": 0.06},
    "any": {"linf": 0.03, "l2": 0.2, "l1": 0.5},
}
"""By what a certificate takes: radii at which it says yes to some images of its scene, and no to
others.
"""
ATTACKS_THAT_TRY = ("pgd", "apgd")
POINTS = 12


def _norms(*more: Any) -> Callable[[Entry], base.Cases]:
    return lambda entry: each(entry.part.norms, *more)


about = partial(base.law, CERTIFICATES.kind)
law = partial(about, cases=_norms())
plain_law = partial(law, unless="smoothed")


def network(linear: bool) -> nn.Module:
    """A small one of images 8 x 8, convolutional unless it is linear; far enough from 0."""
    with forked(0):
        first, second = (nn.Conv2d(*of, 3, stride=2, padding=1) for of in ((1, 4), (4, 8)))
        layers = [first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(32, 10)]
        model = nn.Sequential(*([nn.Flatten(), nn.Linear(64, 10)] if linear else layers))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2.5)
    return model.eval()


@dataclass(frozen=True)
class Trial:
    """A certificate in one of its norms on a network that it takes."""

    entry: Entry
    norm: str

    @property
    def part(self) -> Any:
        part: Any = self.entry.part
        known = {field.name for field in fields(part)} if is_dataclass(part) else set()
        fewer = {
            name: min(most, getattr(part, name)) for name, most in QUICK.items() if name in known
        }
        return replace(part, **fewer) if fewer else part  # pyright: ignore[reportArgumentType]

    @property
    def radius(self) -> float:
        return RADII[self.entry.facts.takes][self.norm]

    def scene(self, count: int = 2 * IMAGES) -> tuple[nn.Module, Tensor, Tensor]:
        """A network, images and labels that it agrees with, but for the last one."""
        model, images = network(self.entry.facts.takes == "linear"), pictures(count)
        labels = model(images).argmax(1)
        labels[-1] = (labels[-1] + 1) % 10
        return model, images, labels

    def __call__(self, model: Model, images: Tensor, labels: Tensor, **given: Any) -> Bits:
        usual = {"radius": self.radius, "norm": self.norm, "seeds": torch.arange(len(images)) + 7}
        return self.part(model, images, labels, **{**usual, **given})


@about()
def a_certificate_names_its_norms(certificate: Entry) -> None:
    """One or more of the known ones, each once."""
    norms = certificate.part.norms
    assert 0 < len(norms) == len(set(norms))
    assert set(norms) <= set(NORMS)


@law()
def it_says_yes_and_no(certificate: Entry, norm: str) -> None:
    """To some images of a scene each; to none where the radius is that of the box."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    found = trial(model, images, labels)
    assert found.dtype == torch.bool
    assert found.shape == (len(images),)
    assert 0 < found.sum() < len(images)
    assert not trial(model, images, labels, radius=100 * trial.radius, box=None).any()


@plain_law()
def a_radius_of_0_is_the_network_itself(certificate: Entry, norm: str) -> None:
    """Certified are those, and those alone, that are classified as labelled."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    for box in (UNIT, (-0.5, 1.25), None):
        found = trial(model, images, labels, radius=0.0, box=box)
        assert torch.equal(found, ~misled(model, images, labels))


@law()
def certified_images_are_fewer_in_a_larger_radius(certificate: Entry, norm: str) -> None:
    """One by one."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    radii = [factor * trial.radius for factor in (0, 0.1, 0.3, 0.6, 1, 1.5, 3, 10)]
    bits = [trial(model, images, labels, radius=radius) for radius in radii]
    for near, far in pairwise(bits):
        assert (far <= near).all()


@law()
def a_box_only_helps(certificate: Entry, norm: str) -> None:
    """What holds in a ball holds in its part within a box."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    found = [trial(model, images, labels, box=box) for box in (None, (-0.5, 1.25), UNIT)]
    for wide, narrow in pairwise(found):
        assert (wide <= narrow).all()


@law()
def each_image_may_have_its_own_radius(certificate: Entry, norm: str) -> None:
    """The bits that it gets when all have that one."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    radii = trial.radius * torch.tensor([0.0, 0.5, 1.0, 2.0] * (len(images) // 4))
    together = trial(model, images, labels, radius=radii)
    for radius in radii.unique():
        alike = trial(model, images, labels, radius=radius.item())
        assert torch.equal(together[radii == radius], alike[radii == radius])


@plain_law(cases=_norms(ATTACKS_THAT_TRY))
def no_attack_succeeds_on_a_certified_image(certificate: Entry, norm: str, attack: str) -> None:
    """In 50 steps, at several radii, with a box and without."""
    trial, part = Trial(certificate, norm), replace(ATTACKS[attack].part, steps=50)  # pyright: ignore[reportArgumentType]
    model, images, labels = trial.scene()
    seeds = torch.arange(len(images))
    for factor, box in ((0.5, UNIT), (1.0, None), (2.0, UNIT)):
        given: dict[str, Any] = {"radius": factor * trial.radius, "box": box, "seeds": seeds}
        sure = trial(model, images, labels, **given)
        attacked = part(model, images, labels, norm=norm, **given)
        assert not (sure & misled(model, attacked, labels)).any()


def within(images: Tensor, norm: str, radius: float, seed: int) -> Tensor:
    """Random points at a distance, clipped to [0, 1]: inside, of every sparsity, and corners."""
    rng = stream("points", norm, seed)
    drawn = torch.randn(images.shape, generator=rng) * (
        torch.rand(images.shape, generator=rng) < torch.rand(len(images), 1, 1, 1, generator=rng)
    )
    way = drawn.sign() if norm == "linf" else drawn
    size = sizes(way, norm).clamp_min(1e-9).to(images).reshape(-1, 1, 1, 1)
    return (images + 0.9999 * radius * way / size).clamp(0, 1)


@plain_law()
def points_of_a_certified_ball_are_classified_as_labelled(certificate: Entry, norm: str) -> None:
    """Whichever are drawn."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    for factor in (0.5, 1.0):
        sure = trial(model, images, labels, radius=factor * trial.radius)
        for seed in range(POINTS):
            points = within(images, norm, factor * trial.radius, seed)
            assert not (sure & misled(model, points, labels)).any()


@law(only="smoothed")
def a_smoothed_classifier_answers_alike_in_its_ball(certificate: Entry, norm: str) -> None:
    """At points of half the radius the class that is certified is the most frequent, too."""
    trial = Trial(certificate, norm)
    model, images, _ = trial.scene()
    given = {"norm": norm, "seeds": torch.arange(len(images))}
    said, radii = trial.part.reach(model, images, **given)
    for seed in range(4):
        points = torch.cat(
            [
                within(image[None], norm, 0.5 * float(radius), seed)
                for image, radius in zip(images, radii, strict=True)
            ]
        )
        counts = trial.part.counts(model, points, torch.arange(len(images)) + 99, 400)
        assert (counts.argmax(1) == said)[said >= 0].all()


@law()
def other_labels_are_not_certified(certificate: Entry, norm: str) -> None:
    """Where the label of an image is, no other class is."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    sure = trial(model, images, labels)
    for step in range(1, 10):
        other = (labels + step) % 10
        assert not (sure & trial(model, images, other)).any()


@law()
def batch_mates_do_not_matter(certificate: Entry, norm: str) -> None:
    """Alone, in another order or before more were there: the same bits."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    seeds = torch.arange(len(images)) + 7
    found = trial(model, images, labels, seeds=seeds)
    for rows in ([0], [7], [3, 1], [0, 1, 2, 3, 4], [*reversed(range(len(images)))]):
        some = trial(model, images[rows], labels[rows], seeds=seeds[rows])
        assert torch.equal(some, found[rows])


@law()
def no_images_are_no_problem(certificate: Entry, norm: str) -> None:
    """An empty batch in, an empty batch out."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    assert trial(model, images[:0], labels[:0]).shape == (0,)


@law()
def seeds_decide_everything(certificate: Entry, norm: str) -> None:
    """Same seeds, same bits; the global generator changes nothing and is left alone."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    first = trial(model, images, labels)
    torch.manual_seed(5)
    untouched = torch.get_rng_state()
    assert torch.equal(trial(model, images, labels), first)
    assert torch.equal(torch.get_rng_state(), untouched)


@law()
def certificates_that_draw_say_so(certificate: Entry, norm: str) -> None:
    """Other seeds, other bits at some radius; without any, the same."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    radii = [factor * trial.radius for factor in (0.5, 1, 1.5, 2)]
    first, other = (
        [trial(model, images, labels, radius=radius, seeds=seeds) for radius in radii]
        for seeds in (torch.arange(len(images)), torch.arange(len(images)) + 50)
    )
    same = all(torch.equal(*both) for both in zip(first, other, strict=True))
    assert same != certificate.facts.draws


@law()
def a_certificate_leaves_its_arguments_alone(certificate: Entry, norm: str) -> None:
    """Values as they came, whatever mode the caller is in; the network as it was found."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    model[0].requires_grad_(False)  # pyright: ignore[reportIndexIssue]
    kept, before = (images.clone(), labels.clone()), state_of(model)
    found = trial(model, images, labels)
    with frozen(model), torch.inference_mode():
        again = trial(model, images.clone(), labels.clone())
    assert torch.equal(again, found)
    assert_as_found(before, model)
    assert torch.equal(images, kept[0])
    assert torch.equal(labels, kept[1])
    assert not images.requires_grad


@law(cases=_norms([torch.float32, torch.float64]))
def images_of_any_precision(certificate: Entry, norm: str, dtype: torch.dtype) -> None:
    """With a network of theirs: the same bits."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    found = trial(model, images, labels)
    again = trial(copy.deepcopy(model).to(dtype), images.to(dtype), labels)
    assert torch.equal(again, found)


@law(cases=_norms([0.01, 100.0]))
def the_scale_of_logits_does_not_matter(certificate: Entry, norm: str, scale: float) -> None:
    """The classifier is the same: so are the bits."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    found = trial(model, images, labels)
    with torch.no_grad():
        for weight in list(model.parameters())[-2:]:
            weight.mul_(scale)
    assert torch.equal(trial(model, images, labels), found)


@law(where=lambda entry: isinstance(entry.part, Reach))
def a_reach_is_where_certificates_end(certificate: Entry, norm: str) -> None:
    """Of images whose label is the class it is about: yes below, no above."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene()
    given = {"norm": norm, "seeds": torch.arange(len(images))}
    said, radii = trial.part.reach(model, images, **given)
    right = (said == labels) & (radii > 0)
    assert radii.dtype == torch.float64
    assert (radii >= 0).all()
    for factor, sure in ((0.999, right), (1.001, right & radii.isinf())):
        found = trial.part(model, images, labels, radius=factor * radii, **given)
        assert torch.equal(found, sure)


@law()
def an_unknown_norm_is_refused(certificate: Entry, norm: str) -> None:
    """One that nobody knows, and those that others know; the known ones are named."""
    trial = Trial(certificate, norm)
    model, images, labels = trial.scene(2)
    for other in ("l3", *sorted(set(NORMS) - set(certificate.part.norms))):
        with raises(UsageError, rf"unknown norm '{other}': .*knows these"):
            trial(model, images, labels, norm=other)


class _Branched(nn.Module):
    """Two branches that are added."""

    def __init__(self) -> None:
        super().__init__()
        with forked(0):
            self.linear = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        return self.linear(flat) + flat[:, :10]


@law(where=lambda entry: entry.facts.takes != "any")
def a_network_that_it_cannot_read_is_refused(certificate: Entry, norm: str) -> None:
    """With the layer, and what takes it instead; so is one in training mode, and a function."""
    trial, images = Trial(certificate, norm), pictures()
    labels = torch.zeros(IMAGES).long()
    inside = nn.Sequential(nn.Identity(), _Branched()).eval()
    with raises(UsageError, r"layer '1' \(_Branched\) is none .*use the certificate 'smoothing'"):
        trial(inside, images, labels)
    with raises(UsageError, "expected|need a torch.nn.Module"):
        trial(lambda x: x.flatten(1), images, labels)
    training = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 10))
    with raises(UsageError, r"layer '1' \(Dropout\) is in training mode: call \.eval"):
        trial(training, images, labels)
