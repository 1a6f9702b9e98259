"""A program of the user's own that maps codes to samples: TorchScript, or an exported program."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.arguments import numbers
from bench.core.errors import UsageError, one_line
from bench.datasets.images import shown
from bench.datasets.pixels import outside
from bench.models.files import load_program
from bench.models.generatorfiles import FromFile
from bench.models.programs import is_script
from generative import Data, Decoder, Sampler, Training
from generative.contracts import Codes
from generative.recipes.ready import LATENT, Unfit
from generative.samplers import drawn_in_parts
from generative.training import Setting

CODES = "minimax.json"
"""The file in a program of ours that says what its codes are, and whose they were."""
LATENT_NAMES = ("latent", "latent_dim", "z_dim", "nz")
MOST = 1_000_000
WHERE = Setting(int, None, LATENT)


@dataclass(frozen=True)
class Program(FromFile):
    """TorchScript or an exported program that maps codes [n, z] to samples."""

    @property
    def once(self) -> bool:
        return False

    def relevant(self, training: Training) -> dict[str, Any]:
        told = training.settings
        return {name: told[name] for name in ("latent", "prior", "range") if name in told}

    def load(self, training: Training, data: Data, seed: int) -> Sampler:
        path, told = self.place(seed), training.settings
        program = _loaded(path)
        about = facts_of_program(path)
        if isinstance(program, nn.Module):
            program = program.to(data.device)
        prior = told.get("prior") or about.get("prior") or "normal"
        low, high = numbers("range", told.get("range") or "0,1", 2)
        shape = tuple(data.shape)
        latent = _latent(program, told.get("latent") or about.get("latent"), path, data.device)
        refuse_program_settings(prior, low, high)
        box = None if data.box is None else (low, high)
        return Coded(shown(path), program, latent, prior, box, shape)

    def refuse(self, training: Training, shape: tuple[int, ...], samples: int) -> None:
        told = training.settings
        refuse_program_settings(
            told.get("prior") or "normal", *numbers("range", told.get("range") or "0,1", 2)
        )
        for path in self.places():
            program = _loaded(path)
            size = told.get("latent") or facts_of_program(path).get("latent")
            latent = _latent(program, size, path, "cpu")
            with torch.no_grad():
                made = _called(program, torch.zeros(2, latent), shown(path))
            if isinstance(made, Tensor) and tuple(made.shape[1:]) != shape:
                raise Unfit(f"{shown(path)}: makes {list(made.shape[1:])}, expected {list(shape)}")

    def drawn_as(self, seed: int) -> str:
        return str(facts_of_program(self.place(seed)).get("cell", ""))


def _loaded(path: Path) -> Any:
    if path.suffix != ".pt2" and path.is_file() and not is_script(path):
        raise UsageError(
            f"{shown(path)} is no TorchScript file: expected a program that maps codes to samples "
            f"(torch.jit.save); samples:{path} is a tensor of samples"
        )
    program = load_program(path, False)
    if isinstance(program, nn.Module) and path.suffix != ".pt2":
        program.eval()
    return program


def refuse_program_settings(prior: str, low: float, high: float) -> None:
    """Raise UsageError for codes or a range that are none."""
    if prior not in ("normal", "uniform"):
        raise UsageError(f"setting 'prior': expected normal or uniform, got '{prior}'")
    if not low < high:
        raise UsageError(f"setting 'range': expected two rising numbers, got {low:g},{high:g}")


class Coded(Decoder):
    """A program of codes. box: what its images lie between; None for points."""

    def __init__(
        self,
        name: str,
        program: Any,
        latent: int,
        prior: Any,
        box: tuple[float, float] | None,
        shape: tuple[int, ...],
    ) -> None:
        self.prior = prior
        self._name, self._program, self._latent = name, program, latent
        self._box, self._shape = box, shape

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        made = drawn_in_parts(n, self._shape, lambda size: self.decode(self.codes(size, rng)))
        if self._box is not None and bool(torch.isfinite(made).all()) and (wrong := outside(made)):
            raise UsageError(
                f"{self._name}: {wrong}: the setting range says what its images lie between, such "
                'as range="-1,1"'
            )
        return made

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        if self.prior == "uniform":
            return torch.rand(n, self._latent, generator=rng, device=rng.device) * 2 - 1
        return torch.randn(n, self._latent, generator=rng, device=rng.device)

    def decode(self, z: Codes) -> Tensor:
        with torch.set_grad_enabled(z.requires_grad):
            made = _called(self._program, z, self._name)
        if not isinstance(made, Tensor) or tuple(made.shape) != (len(z), *self._shape):
            got = list(made.shape) if isinstance(made, Tensor) else f"a {type(made).__name__}"
            raise UsageError(
                f"{self._name}: expected samples {[len(z), *self._shape]} of codes "
                f"{list(z.shape)}, got {got}"
            )
        made = made / 255 if made.dtype == torch.uint8 else made.float()
        if self._box in (None, (0.0, 1.0)):
            return made
        low, high = self._box or (0.0, 1.0)
        return (made - low) / (high - low)

    def tensors(self) -> dict[str, Tensor]:
        return {}


def _called(program: Any, z: Tensor, name: str) -> Any:
    try:
        return program(z)
    except Exception as error:  # whatever is in a program
        text = one_line(str(error).strip().rpartition("\n")[2] or error, 150)
        raise UsageError(f"{name}: can't be called with codes {list(z.shape)}: {text}") from error


def _latent(program: Any, told: Any, path: Path, device: str) -> int:
    """The dimensions of a program's codes: as told, or the first that it takes."""
    if told:
        return WHERE.checked("latent", told)
    for size in dict.fromkeys(_sizes(program)):
        with suppress(UsageError), torch.no_grad():
            made = _called(program, torch.zeros(2, size, device=device), shown(path))
            if isinstance(made, Tensor) and len(made) == 2:
                return size
    raise UsageError(
        f"{shown(path)}: it does not say how many dimensions its codes [n, z] have: the setting "
        "latent does, such as latent=64"
    )


def _sizes(program: Any) -> Iterator[int]:
    """What the dimensions of codes may be: as the program names them, else a side of its first
    weights.
    """
    for name in LATENT_NAMES:
        if isinstance(size := getattr(program, name, None), int) and 0 < size <= MOST:
            yield size
    tensors = program.parameters() if isinstance(program, nn.Module) else ()
    first = next((weights for weights in tensors if weights.ndim > 1), None)
    if first is not None:
        yield from (first.shape[1], first.shape[0])


def facts_of_program(path: Path) -> dict[str, Any]:
    """What a program of ours says of its codes; nothing for others."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.endswith(f"/extra/{CODES}"))
            found = json.loads(archive.read(name))
    except (OSError, StopIteration, ValueError, zipfile.BadZipFile):
        return {}
    return found if isinstance(found, dict) else {}
