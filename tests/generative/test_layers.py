"""Layers by name in the place of a protocol's: which player gets them, and what names them."""

from __future__ import annotations

import pytest
import torch
from harness import small_suite
from torch import nn

from bench.core.errors import UsageError
from bench.models.orders import TrainingOrder
from bench.run.run import execute, plan_of
from generative import NETWORKS, PROTOCOLS, RECIPES, Training
from generative.networks import Dcgan, Mlp
from generative.protocols.base import layer_modules, protocol_of

OTHER = {"generator_network": "mlp-128", "critic_network": "mlp-400x4-norm"}
MINE = '''
"""A generator of one's own."""

from generative import NETWORKS
from generative.networks import Mlp

narrow = Mlp((7,))
NETWORKS.register("narrow-{mark}", summary="1 x 7 ReLU")(Mlp((7,)))
something = 3
'''


def widths(network):
    """Of its linear layers, the last included."""
    return [layer.out_features for layer in network.modules() if isinstance(layer, nn.Linear)]


def players(model, **told):
    """The generator and the critic of a model of points."""
    trainer = RECIPES[model].part.trainer(Training("plane", steps=1, **told), (2,))
    return trainer.game.built(1)


def test_each_player_gets_its_own():
    generator, critic = players("nsgan", **OTHER)
    assert (widths(generator), widths(critic)) == ([128, 2], [400, 400, 400, 400, 1])
    assert [widths(player) for player in players("nsgan", generator_network="mlp-128")] == [
        [128, 2],
        [128, 128, 128, 1],
    ]


def test_a_critic_without_batch_norm_stays_without():
    """Where a penalty looks at single examples, whatever network is named."""
    norms = [
        any(isinstance(layer, nn.BatchNorm1d) for layer in players(model, **OTHER)[1].modules())
        for model in ("nsgan", "wgan-gp")
    ]
    assert norms == [True, False]


def test_an_autoencoder_decodes_by_the_generators_and_encodes_by_the_critics():
    training = Training("plane", generator_network="mlp-128", critic_network="mlp-128x2")
    rules = RECIPES["vae"].part.rules(training)
    assert (rules.generator, rules.critic) == (Mlp((128,)), Mlp((128, 128)))


def test_the_untrained_row_reads_its_generators_alone():
    part, training = RECIPES["untrained"].part, Training("plane", **OTHER)
    assert part.relevant(training) == {"protocol": "plane", "generator_network": "mlp-128"}
    assert part.trainer(training, (2,)).protocol.generator == Mlp((128,))
    assert part.trainer(training, (2,)).protocol.critic == PROTOCOLS["plane"].part.critic


@pytest.mark.parametrize("model", ["nsgan", "vae", "untrained"])
def test_what_is_not_said_names_nothing(model):
    """Neither settings nor artifacts nor streams know of it."""
    part, plain = RECIPES[model].part, Training("plane")
    assert not set(OTHER) & set(part.relevant(plain))
    assert layer_modules(plain) == ()
    assert protocol_of(plain) is PROTOCOLS["plane"]
    purposes = [
        TrainingOrder(model, training, "", 0, 1).purpose()
        for training in (plain, Training("plane", generator_network="mlp-128"))
    ]
    assert "generator_network" not in str(purposes[0])
    assert "generator_network" in str(purposes[1])


def test_the_names_of_a_protocols_layers_are_those_layers():
    """What the listing says."""
    named = {
        "plane": ("mlp-128x3", "mlp-128x3-leaky"),
        "unrolled-notebook": ("mlp-128x2-tanh", "mlp-128x2-tanh"),
        "pacgan": ("mlp-400x4-norm", "maxout-200x3"),
        "small-dcgan": ("conv-16", "conv-16"),
        "dcgan-32": ("conv-32-to-4", "conv-32-to-4"),
    }
    for protocol, networks in named.items():
        part = PROTOCOLS[protocol].part
        assert tuple(NETWORKS[name].part for name in networks) == (part.generator, part.critic)
    assert NETWORKS["mlp-128x2"].part == PROTOCOLS["unrolled-paper"].part.generator
    assert isinstance(NETWORKS["conv-32"].part, Dcgan)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"generator_network": "conv-16"}, "generator_network 'conv-16': convolutional networks"),
        ({"critic_network": "conv-16"}, "critic_network 'conv-16': .* examples of shape"),
        ({"generator_network": "mlp-12"}, "unknown network 'mlp-12': did you mean 'mlp-128'"),
        ({"generator_network": 3}, "setting 'generator_network': .*valid string, got 3"),
        (
            {"generator_network": "layers_refused:something"},
            "'layers_refused:something' is a int: expected a generat",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, monkeypatch, setting, expected):
    (tmp_path / "layers_refused.py").write_text(MINE.format(mark="refused"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=expected):
        plan_of(small_suite(tmp_path), set=setting, device="cpu")
    NETWORKS._entries.pop("narrow-refused", None)


def test_two_numbers_have_no_other_layers():
    with pytest.raises(UsageError, match="the players of task dynamics are two numbers"):
        plan_of("dynamics", set={"critic_network": "mlp-128"}, device="cpu")


@pytest.mark.usefixtures("undrawn")
def test_networks_are_swept_those_of_a_folder_too(tmp_path, monkeypatch):
    """By name where a module registers it, by its place where none does; their source counts."""
    (tmp_path / "layers_swept.py").write_text(MINE.format(mark="swept"))
    monkeypatch.chdir(tmp_path)
    suite = 'imports = ["layers_swept"]\n' + (tmp_path / small_suite(tmp_path)).read_text()
    (tmp_path / "small.toml").write_text(suite.replace("steps = 20", "steps = 2"))
    grid = [("model", ["gan", "oracle"])]
    grid += [("generator_network", ["mlp-128", "layers_swept:narrow", "narrow-swept"])]
    report = execute(str(tmp_path / "small.toml"), grid=grid, seeds=1, device="cpu")
    assert report.statuses == {"ok": 4}
    codes = {
        cell["settings"].get("generator_network"): cell["code"]
        for cell in report.made.manifest["cells"]
    }
    assert set(codes) == {"mlp-128", "layers_swept:narrow", "narrow-swept", None}
    assert len({codes["mlp-128"], codes["layers_swept:narrow"]}) == 2
    training = Training("plane", generator_network="layers_swept:narrow")
    assert "layers_swept" in RECIPES["gan"].part.modules(training)
    made = torch.nn.ModuleList(RECIPES["gan"].part.trainer(training, (2,)).game.built(1))
    assert widths(made[0]) == [7, 2]
    NETWORKS._entries.pop("narrow-swept")
