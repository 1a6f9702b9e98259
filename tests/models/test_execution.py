"""How a step is computed: bfloat16, channels last, compiled; recorded, and near the plain one."""

import shutil

import pytest
import torch
from small import images_named

from bench.core import trees
from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from generative import RECIPES, Training
from generative.trainers.execution import Execution, recorded

MODELS = ("dcgan", "wgan-gp", "cgan", "vae-mean")
BASE = {"protocol": "small-dcgan", "steps": 4, "batch": 16}


def trained(model, device="cpu", **how):
    """The weights after four steps."""
    source = DATASETS["optdigits"].part.source(0, device)
    with forked(0):
        trainer = RECIPES[model].part.trainer(Training(**BASE, **how), source.shape)
        state = trainer.start(source, stream("execution", device=device))
        return trainer.finish(trainer.advance(state, 4)).tensors()


def agreement(one, two, start):
    """The cosine between two trainings' moves from where they started."""
    names = [name for name in one if one[name].ndim > 1]
    moves = [
        torch.cat([(model[name] - start[name]).float().flatten() for name in names])
        for model in (one, two)
    ]
    return float(torch.nn.functional.cosine_similarity(*moves, dim=0))


def untrained(model):
    """The weights before the first step."""
    source = DATASETS["optdigits"].part.source(0)
    with forked(0):
        trainer = RECIPES[model].part.trainer(Training(**BASE), source.shape)
        return trainer.finish(trainer.start(source, stream("execution"))).tensors()


@pytest.mark.parametrize("model", MODELS)
def test_bfloat16_is_near_and_not_the_same(model):
    """Weights stay in float32 and finite; a mistake in a cast would go another way."""
    plain, halved = trained(model), trained(model, precision="bfloat16")
    assert all(value.dtype == plain[name].dtype for name, value in halved.items())
    assert all(value.isfinite().all() for value in halved.values())
    assert 0.6 < agreement(plain, halved, untrained(model)) < 0.999999


@pytest.mark.parametrize("model", MODELS)
def test_channels_last_goes_the_same_way(model):
    """The rounding of a step is Adam's to enlarge, so that it is not the same bit for bit."""
    plain, other = trained(model), trained(model, channels_last=True)
    assert agreement(plain, other, untrained(model)) > 0.9


@pytest.mark.parametrize("how", [{}, {"channels_last": True}, {"precision": "bfloat16"}])
@pytest.mark.parametrize("model", ["dcgan", "wgan-gp"])
def test_a_resume_from_a_file_is_bit_identical(model, how):
    """A file keeps no strides; two layers of convolutions, so that some are not contiguous."""
    source = images_named("optdigits", 16).source(0)
    training = Training("dcgan-32", batch=8, **how)

    def finished(interrupted):
        with forked(0):
            trainer = RECIPES[model].part.trainer(training, source.shape)
            state = trainer.advance(trainer.start(source, stream("resume")), 2)
            if interrupted:
                tree = trees.parse(trees.dump(trainer.pack(state)))
                state = trainer.unpack(source, tree)
            return trainer.finish(trainer.advance(state, 2)).tensors()

    whole, resumed = finished(False), finished(True)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", ["dcgan", "vae-mean"])
def test_compiled_goes_the_same_way(model):
    plain, compiled = trained(model), trained(model, compiled=True)
    assert plain.keys() == compiled.keys()
    assert agreement(plain, compiled, untrained(model)) > 0.9


def test_what_differs_from_the_usual_is_recorded():
    """It stands on the rows, and names what was trained."""
    assert recorded(Training("plane")) == {}
    assert recorded(Training("plane", channels_last=False, precision="float32")) == {}
    how = {"channels_last": True, "precision": "bfloat16", "compiled": True}
    assert recorded(Training("plane", **how)) == how
    for model in (*MODELS, "pix2pix", "cyclegan"):
        protocol = "" if RECIPES[model].facts.translates else "small-dcgan"
        relevant = RECIPES[model].part.relevant(Training(protocol, **how))
        assert how.items() <= relevant.items()


def test_weights_keep_their_names():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    names = list(network.state_dict())
    prepared = Execution(channels_last=True, compiled=True).prepared(network)
    assert list(prepared.state_dict()) == names
    assert prepared.state_dict()["0.weight"].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("model", MODELS)
def test_every_way_trains_on_cuda(model):
    plain = trained(model, "cuda")
    fast = trained(model, "cuda", channels_last=True, precision="bfloat16")
    assert all(value.is_cuda for value in fast.values())
    start = {name: value.cuda() for name, value in untrained(model).items()}
    assert agreement(plain, fast, start) > 0.5
