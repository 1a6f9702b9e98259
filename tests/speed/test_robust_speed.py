"""AutoAttack, its cheaper cascade, Square and the searches against the code of their authors.

Ratios of processor time in one process with one thread, medians of interleaved rounds; beside each
what it found, which may not be less.
"""

import contextlib
import io
import statistics

import pytest
import torch
from speed.conftest import seconds
from speed.test_attack_speed import digits, peer, trained

from attacks import ATTACKS
from attacks.carlini_wagner import CarliniWagner
from attacks.ddn import Ddn
from attacks.deepfool import DeepFool
from attacks.engine import frozen, run, search
from attacks.fmn import Fmn
from attacks.gradients import misled
from attacks.norms import size
from attacks.pdpgd import Pdpgd
from attacks.sigma_zero import SigmaZero
from attacks.square import Square

__all__ = ["trained"]
IMAGES, NEAR = 100, 1.01
LEVEL = {"ddn": 1.03, "fmn l2": 1.03}
"""The bar on the time of searches that make the passes of the other's, whose rest is a tenth: as
much as a measurement is out.
"""
EVALUATED = [("cnn", "linf", 0.1), ("cnn-pgd", "linf", 0.3), ("cnn-pgd", "l2", 2.0)]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore"),
]


def robust(part, model, images, labels, norm, radius):
    """How many images withstand an attack of ours."""
    with frozen(model):
        (found,) = run(
            part, model, images, labels, radii=[radius], norm=norm,
            seeds=torch.arange(len(images)), box=(0.0, 1.0), stop="first_success",
        )  # fmt: skip
        return int((~misled(model(found), labels)).sum())


def robust_to_reference(model, images, labels, norm, radius):
    """The same of the reference code, its standard version."""
    given = {"norm": {"linf": "Linf"}.get(norm, norm.upper()), "eps": radius, "device": "cpu"}
    theirs = peer("pyautoattack").AutoAttack(model, seed=0, **given)
    with contextlib.redirect_stdout(io.StringIO()):
        found, _ = theirs.run_standard_evaluation(images, labels, batch_size=len(images))
    with torch.no_grad():
        return int((~misled(model(found), labels)).sum())


def timed(action):
    """What it gives, and the seconds it takes."""
    kept = []
    took = seconds(lambda: kept.append(action()))
    return kept[0], took


@pytest.mark.parametrize(("victim", "norm", "radius"), EVALUATED)
def test_autoattack_against_its_reference(trained, hold, victim, norm, radius):
    """No image more withstands, in no more time; the cascade's in a half of it."""
    peer("pyautoattack")
    model, (images, labels) = trained(victim), digits(IMAGES)
    where = f"{victim}, {norm} {radius:g}"
    left, theirs = timed(lambda: robust_to_reference(model, images, labels, norm, radius))
    for name, bar in (("autoattack", 1.0), ("cascade", 0.5)):
        part = ATTACKS[name].part
        kept, ours = timed(lambda p=part: robust(p, model, images, labels, norm, radius))
        more = f"{name}, {where}: {left} images withstand the reference; more"
        hold(more, kept - left, "at most", 1)
        hold(f"{name}, {where}: time over the reference's", ours / theirs, "at most", bar)


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.1), ("l2", 1.0), ("l1", 12.0)])
def test_square_against_its_author(trained, hold, norm, radius):
    """1,000 queries of 100 digits; the images that withstand within 5 of theirs."""
    peer("pyautoattack")
    from pyautoattack.square import SquareAttack

    model, (images, labels) = trained("cnn"), digits(IMAGES)
    right = ~misled(model(images), labels)
    images, labels = images[right], labels[right]
    name = {"linf": "Linf"}.get(norm, norm.upper())
    given = {"n_queries": 1000, "eps": radius, "norm": name, "n_restarts": 1, "seed": 0}
    theirs = SquareAttack(model, p_init=0.8, verbose=False, device="cpu", **given)
    part, ratios = Square(queries=1000), []
    for _ in range(3):
        kept, ours = timed(lambda: robust(part, model, images, labels, norm, radius))
        found, took = timed(lambda: theirs.perturb(images, labels))
        ratios.append(ours / took)
    with torch.no_grad():
        left = int((~misled(model(found), labels)).sum())
    hold(f"Square, {norm}: {left} images withstand the author's; more", kept - left, "at most", 5)
    hold(f"Square, {norm}: time over the author's", statistics.median(ratios), "at most", 1)


def searches():
    """Ours and adversarial-library's, with what that one is called with."""
    weighed = {"learning_rate": 0.01, "initial_const": 0.001, "binary_search_steps": 5}
    orders = {"linf": torch.inf, "l2": 2, "l1": 1, "l0": 0}
    fmn = {
        f"fmn {norm}": (Fmn(steps=100), norm, "fmn", {"norm": order, "steps": 100})
        for norm, order in orders.items()
    }
    return fmn | {
        "ddn": (Ddn(steps=100), "l2", "ddn", {"steps": 100, "levels": None}),
        "deepfool l2": (DeepFool(steps=50), "l2", "df", {"steps": 50}),
        "deepfool linf": (DeepFool(steps=50), "linf", "df", {"steps": 50, "norm": torch.inf}),
        "pdpgd": (Pdpgd(iterations=100), "l1", "pdpgd", {"norm": 1, "num_steps": 100}),
        "carlini-wagner": (
            CarliniWagner(iterations=100, tries=5),
            "l2",
            "carlini_wagner_l2",
            {**weighed, "max_iterations": 100},
        ),
        "sigma-zero": (SigmaZero(steps=100), "l0", "sigma_zero", {"num_steps": 100}),
    }


@pytest.mark.parametrize("name", searches())
def test_searches_against_adversarial_library(trained, hold, name):
    """The median distance of 100 digits no larger, in no more time."""
    peer("adv_lib")
    import adv_lib.attacks as library

    model, (images, labels) = trained("cnn"), digits(IMAGES)
    right = ~misled(model(images), labels)
    images, labels = images[right], labels[right]
    part, norm, called, settings = searches()[name]
    given = {"norm": norm, "seeds": torch.arange(len(images)), "box": (0.0, 1.0)}

    def ours():
        with frozen(model):
            return search(part, model, images, labels, **given)

    def theirs():
        return getattr(library, called)(model, images, labels, **settings)

    ratios, far = [], []
    for _ in range(3):
        (one, own), (other, peers) = timed(ours), timed(theirs)
        ratios.append(own / peers)
    for found in (one, other):
        with torch.no_grad():
            wrong = misled(model(found), labels)
        far.append(torch.where(wrong, size((found - images).double(), norm), torch.inf))
    nearness = float((far[0] / far[1]).nan_to_num(1.0).median())
    hold(f"{name}: median distance over adversarial-library's", nearness, "at most", NEAR)
    took = statistics.median(ratios)
    hold(f"{name}: time over adversarial-library's", took, "at most", LEVEL.get(name, 1))
