"""Certificates of many images, a part of them at a time."""

from __future__ import annotations

import torch

from attacks.certificates.contracts import Bits, Certificate, Reach, Reached
from attacks.contracts import Box, Images, Labels, Model, Radius, Seeds
from attacks.engine import chunk_of


def certify(
    certificate: Certificate,
    model: Model,
    images: Images,
    labels: Labels,
    *,
    radius: Radius,
    norm: str,
    seeds: Seeds,
    box: Box,
) -> Bits:
    """Which images are certified. Raises UsageError as the certificate does."""
    radii = torch.as_tensor(radius, device=images.device).expand(len(images))
    size = chunk_of(images)
    parts = zip(*(values.split(size) for values in (images, labels, radii, seeds)), strict=True)
    given = {"norm": norm, "box": box}
    return torch.cat([certificate(model, x, y, radius=r, seeds=s, **given) for x, y, r, s in parts])


def reached(
    certificate: Reach, model: Model, images: Images, *, norm: str, seeds: Seeds, box: Box
) -> Reached:
    """What images are taken for, and how far that holds. Raises UsageError likewise."""
    parts = zip(images.split(chunk_of(images)), seeds.split(chunk_of(images)), strict=True)
    found = [certificate.reach(model, x, norm=norm, seeds=s, box=box) for x, s in parts]
    return Reached(*(torch.cat(values) for values in zip(*found, strict=True)))
