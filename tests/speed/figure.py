"""The time of PGD-40 for robust accuracy over foolbox's and torchattacks', at every radius.

PYTHONPATH=tests python -m speed.figure docs/pgd-speed.png
"""

import importlib.util
import sys
import tempfile
from pathlib import Path

import torch
from matplotlib.figure import Figure
from speed.test_attack_speed import digits, pgd, pgd_of, ratio, trainer

PEERS = ("foolbox", "torchattacks")
RADII = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
VICTIMS = {"cnn": "undefended", "cnn-pgd": "trained against PGD"}


def main(path):
    """Measure, print and draw."""
    torch.set_num_threads(1)
    peers = [name for name in PEERS if importlib.util.find_spec(name)]
    with tempfile.TemporaryDirectory() as folder:
        trained = trainer(Path(folder))
        rows = [row for name in VICTIMS for row in measured(trained(name), name, peers)]
    for victim, radius, share, ratios in rows:
        text = ", ".join(f"{peer} {value:.2f}" for peer, value in ratios.items())
        sys.stdout.write(f"{victim:8} radius {radius:<5g} misled {share:4.0%}  {text}\n")
    draw(rows, peers).savefig(path, dpi=130)


def measured(model, name, peers):
    """Radius, share misled and ratios, for each radius."""
    images, labels = digits(200)
    for radius in RADII:
        share = float(pgd(model, images, labels, radius).double().mean())
        ratios = {
            peer: ratio(
                lambda r=radius: pgd(model, images, labels, r),
                lambda r=radius, p=peer: pgd_of(p, model, images, labels, r),
                3,
            )
            for peer in peers
        }
        yield name, radius, share, ratios


def draw(rows, peers):
    """A panel a classifier: the ratios, and the share of images that PGD-40 misleads."""
    figure = Figure((9, 3.4), layout="constrained")
    panels = figure.subplots(1, len(VICTIMS), sharey=True)
    for panel, (name, about) in zip(panels, VICTIMS.items(), strict=True):
        own = [row for row in rows if row[0] == name]
        radii = [row[1] for row in own]
        for peer in peers:
            panel.plot(
                radii, [row[3][peer] for row in own], marker="o", ms=3, label=f"over that of {peer}"
            )
        panel.plot(radii, [row[2] for row in own], "k:", lw=1, label="share misled")
        panel.axhline(1, color="k", lw=0.5)
        panel.set(title=f"{name} ({about})", xlabel="radius (linf)", ylim=(0, None))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("time")
    panels[0].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    main(sys.argv[1])
