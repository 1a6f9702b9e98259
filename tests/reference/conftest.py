"""What tests by reference share."""

import pytest
import torch


@pytest.fixture
def double(monkeypatch):
    """Everything in double precision, what is cast to floats too: two ways of the same formula then
    differ by nothing that an optimiser could make large.
    """
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
