"""The same promises on a GPU; skipped where there is none."""

import pytest
import torch

from bench import api
from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from generative import RECIPES, Training

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_training_goes_on_bit_for_bit_on_cuda():
    """Pack, unpack, go on: the samples of an undisturbed training."""
    source = DATASETS["ring8@pacgan"].part.source(0, "cuda")
    trainer = RECIPES["rsgan"].part.trainer(Training("plane", batch=32), source.shape)

    def trained(cut: int) -> torch.Tensor:
        with forked(0):
            state = trainer.start(source, stream("training", device="cuda"))
            state = trainer.advance(state, cut)
            state = trainer.unpack(source, trainer.pack(state))
            fitted = trainer.finish(trainer.advance(state, 20 - cut))
        return fitted.sample(100, stream("samples", device="cuda"))

    assert torch.equal(trained(0), trained(7))


def test_a_suite_on_cuda(tmp_path):
    """Every model of the smoke suite is measured, and its rows say where."""
    table = api.run("smoke", device="cuda", out=str(tmp_path / "run"), set={"steps": 20})
    assert set(table["status"]) == {"ok"}
    assert set(table["device"]) == {"cuda"}
