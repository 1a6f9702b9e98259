"""The steerable pyramid in the frequency domain, as a tight frame.

Simoncelli, Freeman, Adelson and Heeger 1992; Simoncelli and Freeman 1995; the raised cosines of
Portilla and Simoncelli 2000. Their tables of 1,024 entries are closed forms here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.errors import UsageError


@dataclass(frozen=True, eq=False)
class Bands:
    """high: [n, c, h, w], what is finer than every level. oriented: for each level, finest first,
    [n, c, orientations, h, w]; the angle of orientation k is pi k / orientations. low: [n, c, h,
    w], what is coarser.
    """

    high: Tensor
    oriented: list[Tensor]
    low: Tensor

    @property
    def energy(self) -> Tensor:
        """The sum of all squared coefficients of each image, [n]: that of its pixels."""
        every = (self.high, *self.oriented, self.low)
        return torch.stack([band.square().flatten(1).sum(1) for band in every]).sum(0)


def most_levels(size: Sequence[int]) -> int:
    """Of images of (h, w) pixels: the coarsest band has 4 pixels a side at least."""
    return max(0, int(math.log2(min(size))) - 2)


def analyse(images: Tensor, levels: int, orientations: int = 4) -> Bands:
    """The pyramid of images [n, c, h, w] with any sides. Raises UsageError for more levels than the
    sides allow, or no orientation.
    """
    size = _checked(images, levels, orientations)
    radii, angles = _polar(size, images)
    spectrum = _spectrum(images)
    high = _image(spectrum * _high(radii, 0))
    spectrum, oriented = spectrum * _low(radii, 0), []
    for level in range(1, levels + 1):
        masks = _high(radii, level) * _angular(angles, orientations)
        oriented.append(_image(spectrum[:, :, None] * masks))
        rows, columns = _middle(spectrum.shape[-2:])
        radii, angles = radii[rows, columns], angles[rows, columns]
        spectrum = spectrum[..., rows, columns] * _low(radii, level)
    return Bands(high, oriented, _image(spectrum))


def synthesise(bands: Bands) -> Tensor:
    """The images of a pyramid: of a tight frame, each filter again, turned round."""
    size = bands.high.shape[-2:]
    grids = [_polar(size, bands.high)]
    for _ in bands.oriented:
        rows, columns = _middle(grids[-1][0].shape)
        radii, angles = grids[-1]
        grids.append((radii[rows, columns], angles[rows, columns]))
    found = _spectrum(bands.low)
    for level in range(len(bands.oriented), 0, -1):
        coarse, (radii, angles) = grids[level][0], grids[level - 1]
        band = bands.oriented[level - 1]
        whole = torch.zeros(band.shape[:2] + radii.shape, dtype=found.dtype, device=found.device)
        rows, columns = _middle(radii.shape)
        whole[..., rows, columns] = found * _low(coarse, level)
        masks = _high(radii, level) * _angular(angles, band.shape[2])
        found = whole + (_spectrum(band) * masks.conj()).sum(2)
    radii = grids[0][0]
    return _image(found * _low(radii, 0) + _spectrum(bands.high) * _high(radii, 0))


def steered(oriented: Tensor, angle: float) -> Tensor:
    """The band at any angle, [n, c, h, w], from a level's [n, c, orientations, h, w]: with two of
    them cos(angle) times the first and sin(angle) times the second.
    """
    return (oriented * steering(oriented.shape[2], angle).to(oriented)[:, None, None]).sum(2)


def steering(orientations: int, angle: float) -> Tensor:
    """How much of each band is in the one at an angle, [orientations] (Freeman and Adelson 1991):
    cos^(K - 1) has the harmonics K - 1, K - 3, and so on down to 1 or 0.
    """
    apart = angle - math.pi * torch.arange(orientations, dtype=torch.float64) / orientations
    found = torch.zeros_like(apart)
    for harmonic in range(orientations - 1, -1, -2):
        found += (2 if harmonic else 1) * torch.cos(harmonic * apart)
    return found / orientations


def _checked(images: Tensor, levels: int, orientations: int) -> tuple[int, int]:
    if images.ndim != 4 or not images.is_floating_point() or not images.numel():
        raise UsageError(
            "a pyramid expected floats [n, c, h, w], got "
            f"{str(images.dtype).removeprefix('torch.')} {list(images.shape)}"
        )
    height, width = images.shape[2:]
    most = most_levels((height, width))
    if not 0 <= levels <= most:
        raise UsageError(
            f"levels: expected 0 to {most} for a steerable pyramid of {height} x {width} pixels, "
            f"got {levels}"
        )
    if orientations < 1:
        raise UsageError(f"orientations: expected at least 1, got {orientations}")
    return height, width


def _polar(size: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Of every frequency, zero in the middle: the radius, 1 at the highest along an axis, as a
    logarithm to base 2, and the angle.
    """
    y, x = ((torch.arange(n, dtype=torch.float64) - n // 2) / (n / 2) for n in size)
    radii = torch.sqrt(y[:, None].square() + x.square()).clamp(min=1e-12)
    angles = torch.atan2(y[:, None].expand(radii.shape), x.expand(radii.shape))
    return radii.log2().to(like), angles.to(like)


def _high(radii: Tensor, level: int) -> Tensor:
    """0 below half of the level's highest frequency, 1 from it on."""
    return torch.cos(math.pi / 2 * (radii + level).clamp(-1, 0))


def _low(radii: Tensor, level: int) -> Tensor:
    """What completes the same: the squares of both sum to 1."""
    return -torch.sin(math.pi / 2 * (radii + level).clamp(-1, 0))


def _angular(angles: Tensor, orientations: int) -> Tensor:
    """Complex [orientations, h, w]: powers of cosines of which the squares sum to 1, with the phase
    that makes their bands real.
    """
    order = orientations - 1
    scale = 2.0**order * math.factorial(order) / math.sqrt(
        orientations * math.factorial(2 * order)
    )  # fmt: skip
    turns = math.pi * torch.arange(orientations).to(angles) / orientations
    return (-1j) ** order * scale * torch.cos(angles - turns[:, None, None]) ** order


def _middle(size: Sequence[int]) -> tuple[slice, slice]:
    """Where the lower half of the frequencies is: of n, ceil(n / 2), with zero in their middle."""
    halves = [-(-n // 2) for n in size]
    starts = [n // 2 - half // 2 for n, half in zip(size, halves, strict=True)]
    rows, columns = (slice(at, at + n) for at, n in zip(starts, halves, strict=True))
    return rows, columns


def _spectrum(images: Tensor) -> Tensor:
    return torch.fft.fftshift(torch.fft.fft2(images, norm="ortho"), dim=(-2, -1))


def _image(spectrum: Tensor) -> Tensor:
    return torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1)), norm="ortho").real
