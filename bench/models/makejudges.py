"""Make a judge: `python -m bench.models.makejudges digits-cnn`. Deterministic on one machine.

On another machine the last bits differ, and with them the hash and every score: the files in
metrics/judges/ are the judges, and this script says how they came to be. Six trainings: one on all
training images, five with a fifth of them left out for the confusion matrix. Each of the five
rejects below its own 5 % quantile of confidence, as the judge does below its gate.

A classifier that has only seen digits is sure of noise, too: this one learns on the side to be sure
of nothing that is no digit (outlier exposure, Hendrycks et al. 2019).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, interpolate

import metrics.judges
from bench.core.errors import unknown
from bench.core.randomness import forked, stream
from bench.datasets import captioned, captions, scenes
from bench.datasets.digits import Split, digits8, fashion, mnist5k, stratified
from metrics.judges.network import CLASSES, JudgeNetwork
from metrics.judges.segmenter import SEGMENTS, SegmenterNetwork
from metrics.judges.towers import TowersNetwork

FOLDER = Path(metrics.judges.__file__).parent
EPOCHS = 40
BATCH = 64
LEARNING_RATE = 4e-3
FOLDS = 5
SHIFT, TURN, ZOOM = 0.14, 0.2, 0.12
GATE = 0.05
EXPOSURE = 0.5


def train(images: Tensor, labels: Tensor, purpose: str) -> JudgeNetwork:
    """A network on images [n, 1, 28, 28] in [0, 1], shifted, turned and scaled at random."""
    rng = stream("judge", purpose)
    with forked(rng.initial_seed()):
        network = JudgeNetwork().train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    total = EPOCHS * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images), generator=rng).split(BATCH):
            seen = jitter(images[chosen], rng)
            others = outliers(seen, rng)
            known, unknown = network(torch.cat([seen, others])).split([len(seen), len(others)])
            loss = cross_entropy(known, labels[chosen], label_smoothing=0.05)
            loss = loss - EXPOSURE * unknown.log_softmax(1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def outliers(images: Tensor, rng: torch.Generator) -> Tensor:
    """Images that are nothing, a quarter of the batch, of four kinds: noise, smooth noise, grey,
    and digits with their pixels shuffled. Nothing that resembles a bad digit: a blurred one is
    for the gate to judge.
    """
    n = max(1, len(images) // 16)
    size, shape = images.shape[-1], (n, 1, *images.shape[2:])
    noise = torch.rand(shape, generator=rng) ** (4 * torch.rand(n, 1, 1, 1, generator=rng))
    coarse = torch.rand(n, 1, size // 4, size // 4, generator=rng)
    smooth = interpolate(coarse, size=(size, size), mode="bilinear")
    grey = torch.rand(n, 1, 1, 1, generator=rng) + 0.05 * torch.randn(shape, generator=rng)
    order = torch.randperm(shape[2] * shape[3], generator=rng)
    shuffled = images[:n].flatten(2)[:, :, order].reshape(shape)
    return torch.cat([noise, smooth, grey, shuffled]).clamp(0, 1)


def jitter(images: Tensor, rng: torch.Generator) -> Tensor:
    """Each image under an affine map of its own, near the identity."""
    n = len(images)
    angle, zoom, x, y = (torch.rand(4, n, generator=rng) * 2 - 1) * torch.tensor(
        [[TURN], [ZOOM], [SHIFT], [SHIFT]]
    )
    cos, sin = torch.cos(angle) * (1 + zoom), torch.sin(angle) * (1 + zoom)
    rows = [torch.stack([cos, -sin, x], 1), torch.stack([sin, cos, y], 1)]
    field = affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return grid_sample(images, field, align_corners=False)


def folds(n: int, purpose: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Training and test indices of each fold."""
    parts = torch.randperm(n, generator=stream("judge folds", purpose)).tensor_split(FOLDS)
    for index, test in enumerate(parts):
        yield torch.cat([part for other, part in enumerate(parts) if other != index]), test


def probabilities(network: JudgeNetwork, images: Tensor) -> Tensor:
    """Class probabilities, [n, 10]."""
    with torch.inference_mode():
        return torch.cat([network(part).softmax(1) for part in images.split(500)])


def make(name: str, split: Split) -> dict[str, Any]:
    """Train, measure and write a judge; its card."""
    images, labels = tensors(split.images, split.labels)
    held, held_labels = tensors(split.held_images, split.held_labels)
    network = train(images, labels, name)
    confusion = np.zeros((CLASSES, CLASSES), dtype=int)
    passing = np.zeros((CLASSES, CLASSES), dtype=int)
    for index, (fit, test) in enumerate(folds(len(images), name)):
        guess = probabilities(train(images[fit], labels[fit], f"{name} {index}"), images[test])
        confidence, guessed = guess.max(1)
        passed = (confidence >= confidence.double().quantile(GATE)).numpy()
        pairs = np.stack([labels[test].numpy(), guessed.numpy()])
        np.add.at(confusion, tuple(pairs), 1)
        np.add.at(passing, tuple(pairs[:, passed]), 1)
    judged = probabilities(network, held)
    gate = float(judged.max(1).values.double().quantile(GATE))
    passed = judged.max(1).values >= gate
    rates = [float(passed[held_labels == c].double().mean()) for c in range(CLASSES)]
    with torch.inference_mode():
        features = network.features(held).double()
    measured = {
        "training_images": len(images),
        "held_out_images": len(held),
        "accuracy": float((judged.argmax(1) == held_labels).double().mean()),
        "out_of_fold_accuracy": float(np.trace(confusion) / confusion.sum()),
        "confusion": confusion.tolist(),
        "confusion_of_passing": passing.tolist(),
        "gate_quantile": GATE,
        "gate": gate,
        "pass_rates": rates,
        "feature_rank": int(torch.linalg.matrix_rank(torch.cov(features.T))),
        "features": features.shape[1],
    }
    return write(name, network, measured)


def write(name: str, network: nn.Module, measured: dict[str, Any]) -> dict[str, Any]:
    """Write a judge's weights and its card; the card."""
    weights = save({key: value.contiguous() for key, value in network.state_dict().items()})
    (FOLDER / f"{name}.safetensors").write_bytes(weights)
    card = {"name": name, "sha256": hashlib.sha256(weights).hexdigest(), **measured}
    (FOLDER / f"{name}.json").write_text(json.dumps(card, indent=1) + "\n")
    return card


def tensors(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    """Images as float32 [n, 1, h, w] in [0, 1], and labels."""
    return torch.from_numpy(images)[:, None].float() / 255, torch.from_numpy(labels)


def fashion_part() -> Split:
    """A sixth of Fashion-MNIST to train on and a fifth of its test set, every class equally often:
    as much as the digits' judge needs, and what a core trains on in a quarter of an hour.
    """
    whole = fashion()
    train = stratified(whole.images, whole.labels, 1_000)
    held = stratified(whole.held_images, whole.held_labels, 200)
    return Split(train.held_images, train.held_labels, held.held_images, held.held_labels)


SCENE_STEPS = 3_000
SCENE_RATE = 3e-3


def make_segmenter(name: str, split: Split) -> dict[str, Any]:
    """Train on new scenes of the training digits at every step, measure on the data set's held-out
    ones, and write; its card.
    """
    rng, draws = stream("judge", name), np.random.default_rng(scenes.SEED + 1)
    with forked(rng.initial_seed()):
        network = SegmenterNetwork().train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=SCENE_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, SCENE_RATE, SCENE_STEPS)
    for _ in range(SCENE_STEPS):
        photos, maps = scenes.draw(split.images, split.labels, BATCH, draws)
        loss = cross_entropy(network(as_scene(photos)), torch.from_numpy(maps))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()
    found = scenes.scenes()
    assert found.maps is not None
    with torch.inference_mode():
        parts = as_scene(found.held_second).split(100)
        read = torch.cat([network(part).argmax(1) for part in parts]).numpy()
    confusion = np.zeros((SEGMENTS, SEGMENTS), dtype=int)
    np.add.at(confusion, (found.maps.ravel(), read.ravel()), 1)
    right = np.diagonal(confusion)
    union = confusion.sum(0) + confusion.sum(1) - right
    measured = {
        "training_images": len(split.images),
        "held_out_images": len(read),
        "pixel_accuracy": float(right.sum() / confusion.sum()),
        "class_accuracy": float((right / confusion.sum(1)).mean()),
        "class_iou": float((right / union).mean()),
        "confusion": confusion.tolist(),
    }
    return write(name, network, measured)


def as_scene(photos: np.ndarray) -> Tensor:
    """Photos uint8 [n, h, w, 3] as float32 [n, 3, h, w] in [0, 1]."""
    return torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255


TOWERS_STEPS = 2_500


def make_towers(name: str, split: Split) -> dict[str, Any]:
    """Train on the training pairs of captions@digits, each picture to be told its caption among
    those of the others, measure on its held-out ones among all captions, and write; the card.
    """
    found, rng = captioned.digits().split, stream("judge", name)
    images, labels = tensors(found.images, found.labels)
    held, held_labels = tensors(found.held_images, found.held_labels)
    every = torch.from_numpy(captions.tokens_of(captions.every_combination()))
    known = labels.unique()
    place = torch.zeros(len(every), dtype=torch.int64)
    place[known] = torch.arange(len(known))
    with forked(rng.initial_seed()):
        network = TowersNetwork().train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, TOWERS_STEPS)
    for _ in range(TOWERS_STEPS):
        chosen = torch.randint(len(images), (BATCH,), generator=rng)
        logits = network(shifted(images[chosen], rng), every[known])
        loss = cross_entropy(logits, place[labels[chosen]])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()
    with torch.inference_mode():
        right = network(held, every).argmax(1) == held_labels
    out = torch.from_numpy(captioned.unseen())[held_labels]
    measured = {
        "training_images": len(images),
        "held_out_images": len(held),
        "captions": len(every),
        "r_precision": float(right[~out].double().mean()),
        "unseen_r_precision": float(right[out].double().mean()),
    }
    return write(name, network, measured)


def shifted(images: Tensor, rng: torch.Generator) -> Tensor:
    """Each batch moved by up to two pixels either way: a slant and a thickness stay what they
    are.
    """
    down, right = (int(torch.randint(-2, 3, (), generator=rng)) for _ in range(2))
    return images.roll((down, right), (2, 3))


SEGMENTER, TOWERS = "scenes-fcn", "captions-towers"
MAKERS = {SEGMENTER: make_segmenter, TOWERS: make_towers}
SPLITS = {
    SEGMENTER: mnist5k,
    TOWERS: mnist5k,
    "digits-cnn": mnist5k,
    "optdigits-cnn": digits8,
    "fashion-cnn": fashion_part,
}


def main() -> None:
    """One argument: the judge's name."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in SPLITS:
        raise unknown("judge", name, SPLITS)
    torch.set_num_threads(1)
    card = MAKERS.get(name, make)(name, SPLITS[name]())
    shown = {key: value for key, value in card.items() if "confusion" not in key}
    sys.stdout.write(json.dumps(shown) + "\n")


if __name__ == "__main__":
    main()
