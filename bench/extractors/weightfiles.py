"""Weights that come as no package: a file of the user's, one in the data folder, or a fresh one."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.core.errors import UsageError, one_line
from bench.core.files import user_path
from bench.datasets.digits import data_folder
from bench.extractors.base import Loading

Weights = dict[str, Tensor]
CHUNK = 1 << 22


@dataclass(frozen=True)
class WeightFile:
    """features: whose. about: what they are, in words. url: where its owners offer it; its last
    part is the file's name in the data folder. sha256: of the file, or the first letters of it.
    megabytes: its size. otherwise: what another file would mean. scripted: whether it is an archive
    of TorchScript, of which the tensors are taken.
    """

    features: str
    about: str
    url: str
    sha256: str
    megabytes: int
    otherwise: str
    scripted: bool = False

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    def tensors(self, loading: Loading) -> Weights:
        """Its tensors by name, on the CPU. Raises UsageError where it is missing, can't be fetched,
        or is not the file that is meant: it is opened only after that.
        """
        path = self._found(loading)
        self._check(path)
        try:
            if self.scripted:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # TorchScript is old, and is what was published
                    return dict(torch.jit.load(str(path), "cpu").state_dict())
            return dict(torch.load(path, "cpu", weights_only=True))
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError) as error:
            raise UsageError(f"features '{self.features}': {one_line(error, 120)}") from error

    def _found(self, loading: Loading) -> Path:
        path = user_path(loading.weights) if loading.weights else data_folder() / self.name
        if path.is_file():
            return path
        if loading.weights or not loading.download:
            raise UsageError(
                f"features '{self.features}' need {self.about}, and {path} is not there: "
                f"`download` fetches them ({self.megabytes:,} MB) from {self.url}, or "
                "`weights=FILE` names yours"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(self.url, str(path), self.sha256, progress=False)
        except (OSError, RuntimeError) as error:
            raise UsageError(f"can't fetch {self.url}: {one_line(error, 120)}") from error
        return path

    def _check(self, path: Path) -> None:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        found = digest.hexdigest()
        if not found.startswith(self.sha256):
            raise UsageError(
                f"features '{self.features}': expected weights with sha256 {self.sha256[:8]}..., "
                f"got {found[:8]}...: {self.otherwise}"
            )
