"""A trained generator as a program of codes: TorchScript that other tools and `bench run` take."""

from __future__ import annotations

import copy
import io
import json
import warnings

import torch

from bench.core.errors import UsageError, one_line
from bench.core.threads import with_threads
from bench.models.codeprograms import CODES
from bench.models.store import ArtifactStore
from bench.sample.trained import task_of
from bench.suites.cell import Cell
from bench.tasks import Bench
from generative.games.informing import InformedSampler
from generative.samplers import GeneratorSampler, UncontestedSampler

LOOKED_AT = 5
"""How many codes are decoded by both, the model and the program."""


def program_of(cell: Cell, store: ArtifactStore) -> bytes:
    """A cell's trained generator as TorchScript of codes [n, latent], with what it is in the file.

    Raises UsageError for a model that is more than a network of codes.
    """
    with with_threads():
        model = task_of(cell).fitted(cell, Bench(store, cell.device))
        if isinstance(model, UncontestedSampler | InformedSampler):
            model = model.own
        if not isinstance(model, GeneratorSampler):
            raise UsageError(
                f"model '{cell.part('model')}' is no network of codes alone: expected a GAN; "
                "x.safetensors takes the weights of every model"
            )
        about = {"cell": cell.cell_id, "seed": cell.seed, "prior": model.prior}
        about |= {"model": cell.part("model"), "latent": model.latent}
        return _script(copy.deepcopy(model.network).cpu(), model.latent, about)


def _script(network: torch.nn.Module, latent: int, about: dict) -> bytes:
    rng, buffer = torch.Generator().manual_seed(0), io.BytesIO()
    codes = torch.randn(LOOKED_AT, latent, generator=rng)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is old, and is what most tools read
        try:
            program = torch.jit.trace(network, codes[:2])
            same = torch.equal(program(codes), network(codes))  # pyright: ignore
        except Exception as error:  # whatever a network of the user's own does
            text = one_line(error, 150)
            raise UsageError(f"the generator can't be written as TorchScript: {text}") from error
        if not same:
            raise UsageError("the generator can't be written as TorchScript: it draws otherwise")
        torch.jit.save(program, buffer, _extra_files={CODES: json.dumps(about)})
    return buffer.getvalue()
