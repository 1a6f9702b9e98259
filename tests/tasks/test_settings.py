"""A setting of a training is declared once and arrives where it is used."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from bench.catalogue.parts import list_parts
from bench.commands.list import command
from bench.core.errors import UsageError
from bench.laws.recipes import another
from bench.run.run import plan_of
from bench.tasks import TASKS
from bench.tasks.generation.image import ImageSettings
from bench.tasks.generation.settings import NAMED, SETTINGS_OF, settings_of_parts
from bench.tasks.generation.translation import TranslationSettings
from bench.tasks.values import checked
from generative import PROTOCOLS, RECIPES, Training

KINDS = {"drawing": ImageSettings, "translating": TranslationSettings}
BOUNDED = [
    (family, name, setting.bounds)
    for family in KINDS
    for name, setting in SETTINGS_OF[family].items()
    if setting.bounds.le is not None
]
TOLD = {
    "steps": 3,
    "batch": 5,
    "generator_lr": 0.25,
    "critic_lr": 0.125,
    "critic_steps": 2,
    "latent": 7,
    "penalty_weight": 0.5,
    "dynamics": "historical",
    "l1_weight": 11.0,
    "cycle_weight": 12.0,
    "identity_weight": 13.0,
    "likeness_weight": 14.0,
    "hole": "blocks",
    "channels_last": True,
    "precision": "bfloat16",
    "compiled": True,
    "prior": "uniform",
    "range": "-1,1",
}


TOLD |= {
    name: another(setting)
    for family in KINDS
    for name, setting in settings_of_parts(family).items()
    if name not in TOLD
}


def test_every_setting_of_a_training_is_known_to_some_family():
    families = [SETTINGS_OF[family].keys() for family in KINDS]
    known = set().union(*families, *map(settings_of_parts, KINDS))
    assert known == TOLD.keys() | {"protocol", *NAMED}
    assert {"protocol", "steps", "precision"} <= families[0] & families[1]


@pytest.mark.parametrize(("family", "name", "bounds"), BOUNDED)
def test_bounds_are_those_that_are_declared(family, name, bounds):
    kind, usual = KINDS[family], KINDS[family]().protocol
    number = type(bounds.le) if bounds.gt is None else float
    inside = [bounds.le] if bounds.gt is not None else [bounds.le, number(bounds.ge)]
    outside = [bounds.le + 1, bounds.gt if bounds.gt is not None else number(bounds.ge - 1)]
    for value in inside:
        training = checked(kind, {name: value}).training()
        assert training == Training(**{"protocol": usual, name: value})
    for value in outside:
        with pytest.raises(UsageError, match=f"setting '{name}': input should be"):
            checked(kind, {name: number(value)})


@pytest.mark.parametrize(
    ("family", "other", "nearest"),
    [("drawing", "l1_weight", ""), ("translating", "latent", ""), ("drawing", "stepz", "steps")],
)
def test_settings_of_the_other_family_are_unknown(family, other, nearest):
    hint = f"did you mean '{nearest}'" if nearest else ""
    with pytest.raises(UsageError, match=f"unknown setting '{other}': {hint}"):
        checked(KINDS[family], {other: 1})


@pytest.mark.parametrize(
    ("task", "dataset", "model"),
    [
        ("mixture", "ring8@pacgan", "dragan"),
        ("image", "optdigits", "vae"),
        ("inpainting", "optdigits", "nsgan"),
        ("translation", "scenes@digits", "pix2pix"),
        ("translation", "scenes@digits", "cyclegan"),
    ],
)
def test_what_a_suite_says_is_what_is_trained(tmp_path, task, dataset, model):
    """From a file to the trainer: each at its own place."""
    family = "translating" if task == "translation" else "drawing"
    known = {*SETTINGS_OF[family], *settings_of_parts(family)}
    said = {name: value for name, value in TOLD.items() if name in known}
    text = "\n".join(f"{k} = {str(v).lower() if v is True else repr(v)}" for k, v in said.items())
    (tmp_path / "told.toml").write_text(
        f'name = "told"\n[[block]]\nname = "b"\ntask = "{task}"\ngrid.dataset = ["{dataset}"]\n'
        f'grid.model = ["{model}"]\n[block.settings]\n{text}\n'
    )
    (cell,) = plan_of(str(tmp_path / "told.toml"), seeds=(0,)).cells
    at_work = TASKS[task].part.experiment(cell, "cpu")
    recipe = RECIPES[model].part
    read = {name: value for name, value in said.items() if name in cell.settings}
    assert read.items() <= cell.settings.items()
    assert recipe.relevant(at_work.order.training).items() <= cell.settings.items()
    trainer = recipe.trainer(at_work.order.training, at_work.source.shape)
    assert vars(trainer.execution) == {name: TOLD[name] for name in vars(trainer.execution)}
    game, protocol = trainer.game, trainer.game.protocol
    assert (protocol.steps, protocol.batch, protocol.generator_adam.lr) == (3, 5, 0.25)
    weights = {name for name in vars(game) if name.endswith("_weight") and name in read}
    assert {name: getattr(game, name) for name in weights} == {name: TOLD[name] for name in weights}
    if "critic_lr" in read:
        assert protocol.critic_adam.lr == 0.125
    if family == "drawing":
        assert protocol.latent == 7
    if "critic_steps" in read:
        assert protocol.critic_steps == 2


ON_POINTS = [
    ("wgan-gp", "penalty_weight", 0.1),
    ("dragan", "penalty_weight", 0.1),
    ("sngan", "spectral_factor", 3.0),
    ("margin-gan", "clip_bound", 0.1),
    ("gogan", "clip_bound", 0.1),
    ("historical-gan", "history_weight", 0.001),
]


@pytest.mark.parametrize(("model", "setting", "usual"), ON_POINTS)
def test_what_is_usual_on_points_stands_on_cells_and_trainings(model, setting, usual):
    """Told or not; and cells of images have no word of it."""

    def cell_of(dataset, task, **told):
        grid = {"dataset": (dataset,), "model": (model,)}
        block = "families" if task == "mixture" else "stacks"
        plan = plan_of("mode-collapse", seeds=(0,), grid=grid, set=told)
        (cell,) = (each for each in plan.cells if each.block == block)
        return cell, TASKS[task].part.experiment(cell, "cpu").order

    cell, order = cell_of("ring8@pacgan", "mixture")
    assert cell.settings[setting] == order.training.settings[setting] == usual
    assert order.identity("cpu")["settings"][setting] == usual
    assert f"{setting}={usual}" in cell.cell_id
    cell, order = cell_of("ring8@pacgan", "mixture", **{setting: 10.0})
    assert cell.settings[setting] == order.identity("cpu")["settings"][setting] == 10.0
    assert (setting in cell.cell_id) == (setting != "penalty_weight")
    cell, order = cell_of("stack2@optdigits", "stack")
    images = {"penalty_weight": 10.0, "history_weight": 0.1, "clip_bound": 0.01}
    assert cell.settings.get(setting) == images.get(setting)
    assert setting not in cell.cell_id
    assert order.purpose()[3] == "[('steps', {})]".format(cell.settings["steps"])


def test_a_listing_says_what_models_have_on_points():
    """And what they have otherwise."""
    rows = list_parts("models").set_index("name")
    told = rows["on_points"].dropna()
    usual = {name: f"{setting}={usual}" for name, setting, usual in ON_POINTS}
    waves = dict.fromkeys(("edm", "edm-ancestral", "flow-matching"), "waves=12")
    several = {"vae-gan": "divergence_weight=10.0, feature_weight=0.01"}
    assert told.to_dict() == usual | waves | several
    assert "penalty_weight=10.0" in rows.loc["dragan", "settings"]
    shown = CliRunner().invoke(command, ["models"]).output
    assert "penalty_weight=0.1" in next(line for line in shown.splitlines() if "wgan-gp" in line)


def test_a_protocol_is_told_what_a_training_says_and_no_more():
    protocol = PROTOCOLS["plane"].part
    assert protocol.told({}) == protocol
    assert protocol.told({"l1_weight": 3.0, "group": 2}) == protocol
    changed = protocol.told({"steps": 3, "critic_lr": 0.5})
    assert (changed.steps, changed.critic_lr) == (3, 0.5)
    assert changed.generator_adam == protocol.generator_adam
    assert changed.critic_adam.betas == protocol.critic_adam.betas
