"""A classifier behind a defence: of what it is made, by which keys, and what it stores."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from attacks.classifiers import CLASSIFIERS, Classifier, ClassifierFacts, Decoder, Defended, Prior
from attacks.classifiers.ape_gan import Behind
from bench.core.digests import digest_of
from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.models import classifiers, priors
from bench.models.classifiers import ClassifierOrder, training_seconds, unfit, victim
from bench.models.generators import Trained
from bench.models.store import ArtifactStore
from bench.run.run import plan_of
from bench.tasks import TASKS
from generative import RECIPES, Training

PRIOR = Prior("nsgan", "dense", (("steps", 2), ("latent", 5)))
HELD = "optdigits"
OWN = """
name = "own"
[tiers.standard]
seeds = 1
[[block]]
name = "one"
task = "image"
grid.dataset = ["optdigits"]
grid.model = ["nsgan"]
settings = { protocol = "dense", steps = 2, latent = 5 }
metrics = []
"""


@dataclass(frozen=True)
class Linear(Classifier):
    """One layer that is drawn, and moved by the mean of the labels."""

    cost: float = 3.0
    size: float = 1.0

    def build(self, shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

    def train(self, network, images, labels):
        network[1].weight.data *= self.size

    def settings(self):
        return {"size": self.size}

    def seconds(self, examples):
        return self.cost


class Shift(nn.Module):
    """A parameter and a buffer of the defence's own before the member; the decoder beside it."""

    def __init__(self, member, decoder):
        super().__init__()
        self.shift = nn.Parameter(torch.randn(1))
        self.register_buffer("counted", torch.zeros(1))
        self.member, self.decoder = member, decoder

    def forward(self, images):
        return self.member(images + self.shift + self.counted)


@dataclass(frozen=True)
class Shifted(Defended):
    member: str = "linear"
    prior: Prior | None = PRIOR
    by: float = 2.0
    trained = []

    def build(self, member, decoder, shape):
        assert shape == (1, 8, 8)
        assert (decoder is None) == (self.prior is None)
        return Shift(member, decoder)

    def train(self, network, images, labels):
        self.trained.append((images, labels))
        network.shift.data.fill_(self.by)
        network.counted += len(images)

    def settings(self):
        return {"by": self.by}

    def seconds(self, examples):
        return 0.5 * examples


def registered(monkeypatch, **parts):
    for name, part in parts.items():
        entry = Entry(name, part, "", "", "attacks.classifiers.cnn", ClassifierFacts())
        monkeypatch.setitem(CLASSIFIERS._entries, name, entry)


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


@pytest.fixture
def order(monkeypatch):
    registered(monkeypatch, linear=Linear(), shifted=Shifted(), plain=Shifted(prior=None))
    Shifted.trained.clear()
    return ClassifierOrder("shifted", HELD, 3)


def test_its_member_and_its_prior_are_of_its_seed_and_data(order, store):
    """The member is the artifact that is attacked without a defence, the prior's that of its order;
    its generator draws what the registered model draws.
    """
    found = victim(order, store, "cpu")
    member = store.find("classifier", ClassifierOrder("linear", HELD, 3).key("cpu"))
    drawn = store.find("generator", priors.order_of(PRIOR, HELD, 3).key("cpu"))
    assert member is not None
    assert drawn is not None
    assert torch.equal(found.model.member[1].weight, member.tree["1.weight"])
    decoder = found.model.decoder
    assert (decoder.latent, decoder.drawn) == (5, "uniform")
    codes = torch.rand(6, 5)
    recipe, source = RECIPES["nsgan"].part, classifiers.labelled(HELD).source(3)
    training = Training("dense", steps=2, latent=5)
    known = recipe.trainer(training, (1, 8, 8)).restore(source, drawn.tree["fitted"])
    torch.testing.assert_close(decoder(codes), known.decode(codes))


def test_its_artifact_holds_what_is_its_own(order, store):
    found = victim(order, store, "cpu")
    artifact = store.find("classifier", found.key)
    assert artifact is not None
    source = classifiers.labelled(HELD).source(3)
    wanted = {
        "shift": torch.full((1,), 2.0),
        "counted": torch.full((1,), 1.0 * source.training_bytes.shape[0]),
    }
    assert {k: v.item() for k, v in artifact.tree.items()} == {
        k: v.item() for k, v in wanted.items()
    }
    ((images, labels),) = Shifted.trained
    assert torch.equal(images, source.training_bytes.float() / 255)
    assert torch.equal(labels, source.training_labels)


def test_it_is_found_again_as_it_was(order, store):
    """And trained once."""
    images = torch.rand(5, 1, 8, 8)
    once, again = (victim(order, store, "cpu") for _ in range(2))
    assert len(Shifted.trained) == 1
    assert once.key == again.key
    assert torch.equal(once.logits(images), again.logits(images))
    shifted = victim(ClassifierOrder("linear", HELD, 3), store, "cpu").logits(
        images + 2 + float(once.model.counted)
    )
    torch.testing.assert_close(once.logits(images), shifted)
    assert not once.model.training
    assert not any(weight.requires_grad for weight in once.model.member.parameters())


OTHERS = {
    "the seed": {"order": {"seed": 4}},
    "the data set": {"order": {"dataset": "mnist5k"}},
    "its settings": {"shifted": Shifted(by=3.0)},
    "the member's settings": {"linear": Linear(size=2.0)},
    "another member": {"shifted": Shifted(member="softmax")},
    "the generator's training": {
        "shifted": Shifted(prior=replace(PRIOR, settings=(("steps", 3),)))
    },
    "the generator's protocol": {"shifted": Shifted(prior=replace(PRIOR, protocol="small-dcgan"))},
    "another generator": {"shifted": Shifted(prior=replace(PRIOR, recipe="wgan-gp"))},
    "no generator": {"shifted": Shifted(prior=None)},
}


@pytest.mark.parametrize("what", OTHERS)
def test_replacing_what_it_is_made_of_changes_its_key(order, monkeypatch, what):
    changed = dict(OTHERS[what])
    before, own = order.key("cpu"), replace(order, **changed.pop("order", {}))
    registered(monkeypatch, **changed)
    assert own.key("cpu") != before


@pytest.mark.parametrize("module", ["bench.models.priors", "generative.losses.nonsaturating"])
def test_other_code_of_its_generator_changes_its_key(order, monkeypatch, module):
    """And of no classifier that rests on none."""
    alone, plain = ClassifierOrder("linear", HELD, 3), ClassifierOrder("plain", HELD, 3)
    before = [one.key("cpu") for one in (order, alone, plain)]
    real = digest_of

    def other(modules):
        from bench.core import digests

        seen, waiting = set(), list(modules)
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += digests._imports(one)
        return real(modules) + ("changed" if module in seen else "")

    monkeypatch.setattr(classifiers, "digest_of", other)
    monkeypatch.setattr("bench.models.orders.digest_of", other)
    after = [one.key("cpu") for one in (order, alone, plain)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True, True]


def test_its_generator_is_the_artifact_of_the_task_image(tmp_path):
    """A suite that trains one of the same settings and seed trains it for both."""
    (tmp_path / "own.toml").write_text(OWN)
    (cell,) = plan_of(str(tmp_path / "own.toml"), seeds=[3]).cells
    found = TASKS["image"].part.artifact(cell)
    assert found == ("generator", priors.order_of(PRIOR, HELD, 3).key("cpu"))


def test_its_forecast_counts_all_that_is_trained(order):
    examples = len(classifiers.labelled(HELD).split.images)
    own = RECIPES["nsgan"].part.seconds(Training("dense", steps=2, latent=5))
    assert training_seconds("plain", HELD) == pytest.approx(0.5 * examples + 3.0)
    assert training_seconds("shifted", HELD) == pytest.approx(0.5 * examples + 3.0 + own)


def test_it_is_unfit_where_its_member_is(monkeypatch):
    registered(monkeypatch, behind=Shifted(member="efficientnet-lite0", prior=None))
    assert unfit("behind", HELD)
    assert unfit("cnn@ape-gan", HELD) == ""


def test_a_prior_that_draws_no_codes_is_refused(monkeypatch, store):
    registered(monkeypatch, linear=Linear(), shifted=Shifted(prior=Prior("pca-gaussian", "dense")))
    with pytest.raises(
        UsageError, match=r"model 'pca-gaussian' gives a .*: a defence needs a gener"
    ):
        victim(ClassifierOrder("shifted", HELD, 0), store, "cpu")


def test_a_prior_that_diverged_is_refused(order, monkeypatch, store):
    diverged = Trained("", None, np.empty(0), [], 2, "a weight is not finite")
    monkeypatch.setattr(priors, "train", lambda *of: diverged)
    with pytest.raises(
        UsageError, match=r"model 'nsgan', seed 3, diverged: a weight .*: the defence needs one"
    ):
        victim(order, store, "cpu")


def test_a_codes_decoder_is_asked_in_evaluation_mode():
    """Whatever mode it was handed over in: an image's rests on no batch."""
    decoder = Decoder(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4)).train(), 2, "normal")
    assert not decoder.network.training
    assert Behind(nn.Identity(), nn.Flatten())(torch.ones(2, 1, 2, 2)).shape == (2, 4)
