"""Ensembles, goals and targets: who is attacked by whom, and what counts as reached."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

from attacks import ATTACKS, FixedBudget, MinimalNorm
from attacks.autoattack import AutoAttack
from attacks.cascade import Cascade
from attacks.engine import run, traced
from attacks.ensemble import NOBODY, Several, together
from attacks.goals import Goal, check_targets, likeliest
from attacks.heights import Height
from attacks.objectives import dlr, dlr_ahead
from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.models.classifiers import Victim
from bench.tasks.robustness.attack import attack_values
from bench.tasks.robustness.base import Trial
from bench.tasks.robustness.bracket import _choose, bracket_values
from bench.tasks.robustness.certificates import choose_certificate
from bench.tasks.robustness.perturbing import perturb
from bench.tasks.robustness.settings import ChosenAttack, choose_attack
from bench.tasks.robustness.targets import aims_of, counted

N, CLASSES = 12, 4
LABELS = torch.arange(N) % CLASSES
IMAGES = torch.nn.functional.one_hot(LABELS, CLASSES).float() * 0.5
SEEDS = torch.arange(N) + 3
RADII = torch.linspace(0.1, 1.2, N)


def model(x):
    """The logits are the points."""
    return x


@dataclass(frozen=True)
class Writes(FixedBudget):
    """Misleads every `every`-th image by a step of its radius towards the next class, or to its
    target; what it was asked is in `asked`.
    """

    every: int
    asked: list
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def __call__(
        self, model, images, labels, *, radius, norm, seeds, box=None, stop="never", targets=None
    ):
        self.asked.append(SimpleNamespace(images=images, labels=labels, radius=radius, seeds=seeds))
        self.asked[-1].targets = targets
        chosen = (seeds - 3) % self.every == 0
        to = (labels + 1) % CLASSES if targets is None else targets
        step = torch.nn.functional.one_hot(to, CLASSES).float()
        return torch.where(chosen[:, None], step, images)


def _several(*every):
    parts = [Writes(each, []) for each in every]
    return parts, Several(tuple((f"a{i}", part) for i, part in enumerate(parts)), ("linf",))


def _found(ensemble, goal):
    given = {"radius": RADII, "norm": "linf", "seeds": SEEDS, "box": None}
    return ensemble.found(model, IMAGES, goal, **given)


def test_a_member_is_asked_about_those_who_withstood_with_what_is_theirs():
    """Images, labels, radii and seeds; who found which is told."""
    parts, ensemble = _several(2, 3, 4)
    images, finders = _found(ensemble, Goal(LABELS))
    places = torch.arange(N)
    expected = torch.where(places % 2 == 0, 0, torch.where(places % 3 == 0, 1, NOBODY))
    assert torch.equal(finders, expected)
    for part, left in zip(
        parts, (places, places[places % 2 > 0], places[expected < 0]), strict=True
    ):
        (asked,) = part.asked
        assert torch.equal(asked.images, IMAGES[left])
        assert torch.equal(asked.labels, LABELS[left])
        assert torch.equal(asked.radius, RADII[left])
        assert torch.equal(asked.seeds, SEEDS[left])
    assert torch.equal(images.argmax(1) != LABELS, expected >= 0)
    assert torch.equal(images[expected < 0], IMAGES[expected < 0])


def test_targets_are_each_images_own_with_every_member():
    """A member that misleads to another class has not reached them."""
    targets = (LABELS + 2) % CLASSES
    parts, ensemble = _several(2, 3)
    images, finders = _found(ensemble, Goal(LABELS, targets))
    assert torch.equal(parts[1].asked[0].targets, targets[parts[1].asked[0].seeds - 3])
    assert torch.equal(images.argmax(1) == targets, finders >= 0)
    untold, strict = Writes(1, []), Writes(2, [])

    class Elsewhere(Writes):
        def __call__(self, *given, targets=None, **more):
            return super().__call__(*given, targets=None, **more)

    several = Several((("other", Elsewhere(1, untold.asked)), ("own", strict)), ("linf",))
    finders = _found(several, Goal(LABELS, targets))[1]
    assert torch.equal(finders, torch.where(torch.arange(N) % 2 == 0, 1, NOBODY))


def test_where_radii_rise_those_who_were_misled_keep_what_misled_them():
    """With the first success; who found them stays. Else every radius is asked about all."""
    part = Writes(2, [])
    given = {"radii": [0.1, 0.2], "norm": "linf", "seeds": SEEDS, "box": None}
    first, second = run(part, model, IMAGES, LABELS, stop="first_success", **given)
    assert [len(each.images) for each in part.asked] == [N, N // 2]
    assert torch.equal(first, second)
    part.asked.clear()
    list(run(part, model, IMAGES, LABELS, **given))
    assert [len(each.images) for each in part.asked] == [N, N]
    _, ensemble = _several(2, 3)
    by = [f for _, f in traced(ensemble, model, IMAGES, LABELS, stop="first_success", **given)]
    assert torch.equal(by[0], by[1])


def test_several_by_name_know_the_norms_of_all():
    """And say so of a search, of one that is named twice, and where there is no norm in common."""
    found = together([ATTACKS["pgd"], ATTACKS["square"]])
    assert found.name == "pgd+square"
    assert found.part.norms == ("linf", "l2", "l1")
    assert found.facts.aims
    with pytest.raises(UsageError, match="fab searches for the smallest"):
        together([ATTACKS["pgd"], ATTACKS["fab"]])
    with pytest.raises(UsageError, match="expected each attack once"):
        together([ATTACKS["pgd"], ATTACKS["pgd"]])


def test_the_members_of_autoattack():
    """As its authors run them: classes and restarts by norm; and the cheaper schedule ends as
    theirs, in squares.
    """
    names = [name for name, _ in AutoAttack().members("linf")]
    assert names == ["apgd-ce", "apgd-t", "fab-t", "square"]
    ce, t, fab, square = (part for _, part in AutoAttack().members("linf"))
    assert (ce.restarts, ce.loss, ce.steps) == (1, "ce", 100)
    assert (t.restarts, t.classes, t.loss, t.wide) == (0, 9, "dlr", False)
    assert (fab.classes, fab.steps, fab.restarts) == (9, 100, 1)
    assert (square.queries, square.stretch) == (5000, False)
    ce, t, *_ = (part for _, part in AutoAttack().members("l1"))
    assert (ce.restarts, t.classes) == (5, 5)
    assert [p.draws for _, p in AutoAttack("rand").members("l2")] == [20, 20]
    assert len(AutoAttack("plus").members("l2")) == 6
    assert [name for name, _ in Cascade().members("linf")][-1] == "square"


LOGITS = torch.randn(40, 6, generator=stream("logits"), dtype=torch.float64)
OF = torch.arange(40) % 6


def test_the_ratios_of_the_paper_by_hand():
    """Equations 6 and 7, a row at a time; other scales and offsets change nothing."""
    to = (OF + 2) % 6
    for z, y, t, one, two in zip(
        LOGITS, OF, to, dlr(LOGITS, OF), dlr_ahead(LOGITS, OF, to), strict=True
    ):
        ordered = z.sort(descending=True).values
        other = max(z[k] for k in range(6) if k != y)
        assert one.item() == pytest.approx(-((z[y] - other) / (ordered[0] - ordered[2])).item())
        mean = (ordered[2] + ordered[3]) / 2
        assert two.item() == pytest.approx(-((z[y] - z[t]) / (ordered[0] - mean)).item())
    torch.testing.assert_close(dlr(3 * LOGITS - 7, OF), dlr(LOGITS, OF))
    torch.testing.assert_close(dlr_ahead(3 * LOGITS - 7, OF, to), dlr_ahead(LOGITS, OF, to))


def test_a_goal_is_reached_where_the_target_is_answered():
    """It leads by the target's logit minus the highest other; steps go up towards it."""
    targets = (OF + 1) % 6
    goal = Goal(OF, targets)
    others = LOGITS.scatter(1, targets[:, None], -torch.inf).amax(1)
    own = LOGITS.gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(goal.lead(LOGITS), own - others)
    assert torch.equal(goal.reached(LOGITS), LOGITS.argmax(1) == targets)
    higher = LOGITS + torch.nn.functional.one_hot(targets, 6)
    assert (goal.rise(higher) > goal.rise(LOGITS)).all()
    assert torch.equal(goal[torch.tensor([3])].targets, targets[3:4])
    with pytest.raises(UsageError, match="expected targets from 0 to 5, got 6"):
        check_targets(torch.full((40,), 6), OF, 6, "it")
    assert torch.equal(
        likeliest(LOGITS, OF)[0], LOGITS.scatter(1, OF[:, None], -torch.inf).argmax(1)
    )


def test_draws_are_averaged():
    """Slope, height and lead, of a model that answers at random."""
    noise = iter([0.0, 4.0])

    def drawn(x):
        return x + next(noise) * torch.nn.functional.one_hot(LABELS, CLASSES)

    slope, height, lead = Height("lead", draws=2).seen(drawn, IMAGES, Goal(LABELS), None)
    wanted = Goal(LABELS).lead(IMAGES) - 2
    torch.testing.assert_close(lead, wanted)
    torch.testing.assert_close(height, wanted)
    assert slope.gather(1, LABELS[:, None]).unique().tolist() == [-1.0]


def test_the_words_for_targets():
    """Each image's own, never its label; a class that there is not is named."""
    every = aims_of("all", LOGITS, OF, torch.arange(40))
    assert len(every) == 5
    assert all((aims != OF).all() for aims in every)
    assert torch.stack([OF, *every]).sort(0).values.eq(torch.arange(6)[:, None]).all()
    (least,) = aims_of("least-likely", LOGITS, OF, torch.arange(40))
    assert torch.equal(least, LOGITS.scatter(1, OF[:, None], torch.inf).argmin(1))
    assert (least != OF).all()
    (random,) = aims_of("random", LOGITS, OF, torch.arange(40))
    assert (random != OF).all()
    assert len(random.unique()) == 6
    (third,) = aims_of("3", LOGITS, OF, torch.arange(40))
    assert (third[OF != 3] == 3).all()
    assert torch.equal(counted("3", OF), OF != 3)
    assert counted("random", OF).all()
    with pytest.raises(UsageError, match="expected a class from 0 to 5, got 9"):
        aims_of("9", LOGITS, OF, torch.arange(40))


LAYER = torch.nn.Linear(CLASSES, CLASSES)
LAYER.weight.data, LAYER.bias.data = torch.eye(CLASSES), torch.zeros(CLASSES)


def _trial():
    return Trial(
        Victim(LAYER, lambda z: z.double().softmax(1).amax(1), ""), IMAGES, LABELS, SEEDS, "x"
    )


def _chosen(attack, name="pgd", **settings):
    chosen = choose_attack(name, {"clip": False, **settings})
    return ChosenAttack(chosen.settings, attack, chosen.relevant)


def test_of_all_targets_the_clearest_image_counts_and_every_one_that_is_reached():
    """The attack misleads every second image, to every target."""
    steps = list(perturb(_chosen(Writes(2, []), radii="0.5", targets="all"), LAYER, _trial()))
    (step,) = steps
    even = torch.arange(N) % 2 == 0
    torch.testing.assert_close(step.reached, even.double())
    assert torch.equal(step.images.argmax(1) != LABELS, even)

    class Fades(Writes):
        def __call__(self, *given, targets=None, **more):
            found = super().__call__(*given, targets=targets, **more)
            return found * (1.0 if targets is None or int(targets[0]) == 1 else 0.7)

    (step,) = perturb(_chosen(Fades(1, []), radii="0.5", targets="all"), LAYER, _trial())
    assert step.images.amax(1)[LABELS == 0].min() == 1


def test_images_of_the_class_that_is_asked_for_are_not_counted():
    """Three quarters are left, and a half of them reach it."""
    chosen = _chosen(Writes(2, []), radii="2", targets="1")
    values = attack_values(chosen, _trial())[0]
    (value,) = [v for v in values if v.metric == "target_success"]
    kept = LABELS != 1
    assert value.n == int(kept.sum())
    assert value.value == pytest.approx(float((torch.arange(N)[kept] % 2 == 0).double().mean()))


@dataclass(frozen=True)
class Near(MinimalNorm):
    """Misleads all, by rising steps."""

    norms: ClassVar[tuple[str, ...]] = ("linf",)

    def __call__(self, model, images, labels, *, norm, seeds, box=None, targets=None):
        far = 0.3 + 0.1 * (seeds - 3)[:, None]
        step = torch.nn.functional.one_hot((labels + 1) % CLASSES, CLASSES)
        own = torch.nn.functional.one_hot(labels, CLASSES)
        return images + far * (step - own)


def test_a_searchs_images_count_at_the_radii_that_they_are_within():
    """One more for each tenth."""
    chosen = choose_attack("fab", {"within": "0.35,0.65,2", "norm": "linf", "clip": False})
    chosen = ChosenAttack(chosen.settings, Near(), chosen.relevant)
    values = [v for v in attack_values(chosen, _trial())[0] if v.metric == "robust_accuracy"]
    at = {v.epsilon: v.value for v in values}
    assert at[0.35] == pytest.approx(1 - 1 / N)
    assert at[0.65] == pytest.approx(1 - 4 / N)
    assert at[2.0] == 0


def test_who_found_how_many_stands_on_the_rows():
    """Of those that were right, by member."""
    _, ensemble = _several(2, 3)
    chosen = _chosen(ensemble, "pgd+square", radii="2")
    found = {v.metric: v.value for v in attack_values(chosen, _trial())[0]}
    assert found["success_by@a0"] == pytest.approx(1 / 2)
    assert found["success_by@a1"] == pytest.approx(2 / N)
    assert "distance" not in found


def test_a_bracket_is_of_one_radius_and_a_contradiction_is_told():
    """The margin of the layer is .5 and falls by twice the radius: certified up to .25."""
    attack = _chosen(ATTACKS["fgsm"].part, "fgsm", radii="0.1,0.2,0.3")
    given = {"norm": "linf", "radii": "0.1,0.2,0.3", "clip": False}
    certificate = choose_certificate("exact", given)
    values, wrong = bracket_values(attack, certificate, _trial())
    assert not wrong
    for name, wanted in (("robust_accuracy", [1, 1, 0]), ("certified_accuracy", [1, 1, 0])):
        found = [v.value for v in values if v.metric == name]
        assert found == wanted, name
    lying = certificate.certificate

    class Liar(type(lying)):
        def reach(self, *given, **more):
            found = super().reach(*given, **more)
            return found[0], found[1] + 10

    told = bracket_values(attack, replace(certificate, certificate=Liar()), _trial())[1]
    assert "are certified at linf 0.3 and misled within it" in told


def test_a_bracket_refuses_what_is_of_another_network_or_has_no_radius():
    """In one line."""
    from bench.tasks import TASKS

    task = TASKS["bracket"].part
    parts = {"dataset": "mnist5k", "model": "cnn", "attack": "pgd", "certificate": "crown-ibp"}
    settings = task.check(parts, {"radii": "0.1", "norm": "linf"})
    assert settings["radii"] == "0.1"
    assert settings["stop"] == "first_success"
    for given in ({"norm": "l2"}, {"norm": "linf", "radii": "0.1,0.7"}):
        attack, certificate = _choose(parts, given)
        assert certificate.radii == attack.radii
        assert certificate.settings.norm == attack.settings.norm == given["norm"]
    with pytest.raises(UsageError, match="is about the classifier under noise"):
        task.check({**parts, "certificate": "smoothing"}, {"norm": "l2"})
    with pytest.raises(UsageError, match="fab has no radius"):
        task.check({**parts, "attack": "fab"}, {})
    assert np.isfinite(task.forecast(parts, settings))
