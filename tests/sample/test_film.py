"""Films of trainings: frames of one noise that change nothing of what is trained."""

from __future__ import annotations

import io
import itertools
import re
import time

import numpy as np
import pytest
import torch
from harness import bench
from PIL import Image

from bench import api
from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import DATASETS
from bench.models import generators
from bench.models.fields import GRID
from bench.models.filming import IMAGES, POINTS, Film, shots
from bench.models.generators import film_of, restored, train
from bench.models.orders import TrainingOrder
from bench.models.store import ArtifactStore
from generative import Sampler, Training
from results.pictures import films
from results.pictures.films import Take, film

POINTS_ORDER = ("nsgan", "ring8@pacgan", Training("plane", steps=30, batch=16))
IMAGES_ORDER = ("nsgan", "optdigits", Training("small-dcgan", steps=6, batch=8))
RING = ("--dataset", "ring8@pacgan")
SUITE = """
name = "filmed"
default_tier = "quick"
[tiers.quick]
seeds = 2
[[block]]
name = "points"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["nsgan", "gan", "gmm"]
grid.critic_lr = [1e-3, 1e-4]
settings = { steps = 20, samples = 100, evaluations = 2, film = 5 }
[[block]]
name = "images"
task = "image"
grid.dataset = ["optdigits"]
grid.model = ["nsgan"]
settings = { protocol = "small-dcgan", steps = 3, samples = 200, evaluations = 1, film = 4 }
metrics = ["class_coverage@optdigits-cnn"]
"""


def ordered(recipe, dataset, training, **more):
    part = DATASETS[dataset].part
    order = TrainingOrder(recipe, training, part.fingerprint, 4, 3, **more)
    return order, part.source(4, "cpu")


@pytest.mark.parametrize("told", [POINTS_ORDER, IMAGES_ORDER], ids=["points", "images"])
def test_a_film_changes_nothing_of_what_is_trained(tmp_path, told):
    plain, source = ordered(*told)
    filmed, _ = ordered(*told, film=5)
    one, two = (train(order, source, ArtifactStore(tmp_path)) for order in (plain, filmed))
    assert one.key != two.key
    assert one.steps == two.steps
    np.testing.assert_array_equal(one.snapshots, two.snapshots)
    weights = [found.fitted.tensors() for found in (one, two)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert [s.pulls for s in one.signatures] == [s.pulls for s in two.signatures]
    assert one.film.steps == []
    assert len(two.film.steps) == 5


@pytest.mark.parametrize("told", [POINTS_ORDER, IMAGES_ORDER], ids=["points", "images"])
def test_every_frame_is_of_the_same_noise_and_of_its_step(tmp_path, told):
    """From the untrained model to the trained one; other frames are what a training of as many
    steps would draw.
    """
    order, source = ordered(*told, film=4)
    found = train(order, source, ArtifactStore(tmp_path)).film
    total = told[2].steps
    assert found.steps == [0, *(-(-total * k // 3) for k in (1, 2, 3))]
    trainer = generators.RECIPES[told[0]].part.trainer(told[2], source.shape)
    with generators.forked(generators.stream_seed(*order.purpose(), "initialisation")):
        state = trainer.start(source, stream(*order.purpose()))
        for at, step in enumerate(found.steps):
            state = trainer.advance(state, step - (found.steps[at - 1] if at else 0))
            n = IMAGES if len(source.shape) > 1 else POINTS
            drawn = trainer.finish(state).sample(n, stream(*order.purpose(), "film"))
            wanted = drawn if source.box is None else generators.to_bytes(drawn)
            assert torch.equal(found.frames[at], wanted.cpu())
    assert not torch.equal(found.frames[0], found.frames[-1])


def test_behind_points_is_what_the_critic_says_there(tmp_path):
    """Rows from below, columns from the left; nothing for a model without a critic."""
    order, source = ordered(*POINTS_ORDER, film=3)
    store = ArtifactStore(tmp_path)
    found = train(order, source, store).film
    model = restored(Sampler, order, source, store)
    edge = found.reach
    assert edge == pytest.approx(1.25 * float(source.training.abs().max()))
    corners = torch.tensor([[-edge, -edge], [edge, -edge], [-edge, edge], [edge, edge]])
    last = found.fields[-1]
    assert last.shape == (GRID, GRID)
    said = [last[0, 0], last[0, -1], last[-1, 0], last[-1, -1]]
    torch.testing.assert_close(torch.stack(said), model.logits(corners), rtol=1e-4, atol=1e-5)
    vae, source = ordered("vae", "ring8@pacgan", Training("plane", steps=4, batch=8), film=3)
    made = train(vae, source, store).film
    assert len(made.frames) == 3
    assert made.fields == []
    assert made.arrays()["fields"].size == 0


def test_a_film_that_was_cut_off_goes_on_to_the_same_frames(tmp_path, monkeypatch):
    order, source = ordered(*POINTS_ORDER, film=5)
    whole = train(order, source, ArtifactStore(tmp_path / "whole")).film
    store = ArtifactStore(tmp_path / "cut", checkpoint_seconds=0.0)
    shoot, left = Film.shoot, [3]

    def cut(self, fitted, source, rng, step):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        shoot(self, fitted, source, rng, step)

    monkeypatch.setattr(Film, "shoot", cut)
    with pytest.raises(KeyboardInterrupt):
        train(order, source, store)
    left[0] = 100
    again = train(order, source, store).film
    assert left[0] > 95
    assert again.steps == whole.steps
    for name in ("frames", "fields"):
        for one, two in zip(getattr(again, name), getattr(whole, name), strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("total", "frames", "expected"),
    [(8, 3, [0, 4, 8]), (7, 3, [0, 4, 7]), (2, 60, [0, 1, 2]), (9, 0, []), (9, 1, [9]), (1, 9, [])],
)
def test_frames_are_the_start_the_end_and_equal_parts(total, frames, expected):
    assert shots(total, frames) == expected


def test_an_order_without_a_model_has_no_film(tmp_path):
    order, source = ordered(*POINTS_ORDER, film=5)
    with pytest.raises(UsageError, match="not in the cache of trained models"):
        film_of(order, source, ArtifactStore(tmp_path))


def take(times=3, name="a", images=False, fields=True):
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(times, 50, 2)).astype(np.float32)
    if images:
        frames = rng.integers(0, 255, (times, 9, 1, 8, 8), dtype=np.uint8)
    grids = rng.normal(size=(times, 5, 5)) if fields and not images else np.empty(0)
    ring = np.array([[1.0, 0.0], [0.0, 1.0]])
    steps = [10 * k for k in range(times)]
    return Take(name, steps, frames, grids, 2.0, ring, np.array([0.1, 0.1]))


def frames_in(data):
    """The frames and how long each stands, in milliseconds."""
    image = Image.open(io.BytesIO(data))
    found = []
    for at in range(image.n_frames):
        image.seek(at)
        image.load()
        found.append((np.asarray(image.convert("RGB")).astype(int), image.info["duration"]))
    return image.info.get("loop"), found


@pytest.mark.parametrize("form", [".webp", ".gif"])
@pytest.mark.parametrize("images", [False, True])
def test_a_film_has_each_frame_and_goes_on_for_ever(form, images):
    loop, found = frames_in(film([take(images=images)], form))
    assert loop == 0
    assert len(found) == 3
    assert found[-1][1] >= 1_000 > found[0][1]
    pictures = [picture for picture, _ in found]
    assert all(np.abs(one - two).max() > 60 for one, two in itertools.pairwise(pictures))


def test_the_shorter_training_stands_beside_the_longer_at_the_same_share(monkeypatch):
    """Each panel tells its own step."""
    told, painter = [], films._painter

    def telling(axis, one):
        paint = painter(axis, one)
        return lambda at: (told.append((one.name, at)), paint(at))

    monkeypatch.setattr(films, "_painter", telling)
    list(films._drawn([take(5, "long"), take(3, "short", images=True)]))
    assert [at for name, at in told if name == "long"] == [0, 1, 2, 3, 4]
    assert [at for name, at in told if name == "short"] == [0, 0, 1, 2, 2]


def test_points_beyond_numbers_and_flat_critics_are_no_error():
    one = take()
    one.frames[1, :10] = np.nan
    one.fields[1] = np.nan
    one.fields[2] = 3.0
    assert len(frames_in(film([one, take(fields=False)], ".gif"))[1]) == 3


def test_without_ffmpeg_an_mp4_says_what_to_install(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(films, "import_module", absent)
    with pytest.raises(UsageError, match=r"pip install 'minimax-bench\[film\]'"):
        film([take()], ".mp4")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("filmed")
    (home / "filmed.toml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(home / "cache"))
        patch.chdir(home)
        api.execute("filmed.toml", out=str(home / "run"), seeds=[5, 2])
    return home / "run"


@pytest.fixture(autouse=True)
def cached(request, monkeypatch):
    if "run" in request.fixturenames:
        monkeypatch.setenv("MINIMAX_CACHE", str(request.getfixturevalue("run").parent / "cache"))


@pytest.mark.parametrize(
    ("words", "panels", "frames"),
    [
        (["--model", "nsgan", *RING, "--only", "critic_lr=1e-4"], 1, 5),
        (["--model", "nsgan / critic_lr=0.001, gan / critic_lr=1e-4", *RING], 2, 5),
        (["--model", "nsgan", "--dataset", "optdigits", "--seed", "2"], 1, 4),
    ],
)  # fmt: skip
def test_the_command_writes_a_film(run, tmp_path, monkeypatch, words, panels, frames):
    taken = []
    made = films.film
    monkeypatch.setattr(
        "bench.sample.film.film_in", lambda takes, form: (taken.extend(takes), made(takes, form))[1]
    )
    out = tmp_path / "x.webp"
    assert bench("sample", run, *words, "--film", "-o", out) == 0
    assert len(frames_in(out.read_bytes())[1]) == frames
    assert len(taken) == panels
    assert all(len(each.steps) == frames for each in taken)
    if "ring8@pacgan" in words:
        assert taken[0].centres.shape == (8, 2)
        assert taken[0].fields.shape == (5, GRID, GRID)
        first = api.film(str(run), "nsgan", str(tmp_path / "y.gif"), dataset="ring8@pacgan",
                         only={"critic_lr": "0.001"}, seed=2)  # fmt: skip
        assert first.exists()
        assert taken[-1].name.endswith("seed 2")
        assert not np.array_equal(taken[0].frames, taken[-1].frames)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--model", "gmm", "--dataset", "ring8@pacgan"],
            "has no film in this run: .*--set film=60",
        ),
        (["--model", "nobody"], "unknown model 'nobody'"),
        (["--model", "nsgan"], "say which by --dataset"),
        (["--model", "nsgan", *RING], "say which by --only"),
        ([], "--model: whose training"),
        (["--model", "nsgan", "--codes"], "leave --codes out"),
        (["--model", "nsgan", "--truncation", "2"], "leave --truncation out"),
        (["--model", "nsgan", "-n", "64"], "leave -n out"),
    ],
)
def test_what_has_no_film_is_one_line(run, tmp_path, capfd, words, said):
    out = tmp_path / "x.webp"
    assert bench("sample", run, *words, "--film", "-o", out) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(said, line), line
    assert not out.exists()
    assert bench("sample", run, "--model", "nsgan", "--film", "-o", tmp_path / "x.avi") == 2
    assert "ends in one of .webp, .gif, .mp4" in capfd.readouterr().err


def test_points_that_no_plane_holds_have_no_film(tmp_path, monkeypatch):
    """Whatever the run is told; said before it is run."""
    suite = """
    name = "spaces"
    default_tier = "quick"
    [tiers.quick]
    seeds = 1
    [[mixture]]
    name = "line"
    centres = [[-1.0], [1.0]]
    covariances = [0.01, 0.01]
    [[block]]
    name = "b"
    task = "mixture"
    grid.dataset = ["line", "ring8@pacgan"]
    grid.model = ["nsgan"]
    metrics = ["high_quality"]
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spaces.toml").write_text(suite)
    planned = api.plan("spaces.toml", set={"film": 5}).set_index("dataset")["settings"]
    assert "film" not in planned["line"]
    assert planned["ring8@pacgan"]["film"] == 5


@pytest.mark.slow
def test_sixty_frames_take_twenty_seconds_at_most():
    takes = [take(60, name) for name in "ab"]
    start = time.process_time()
    film(takes, ".webp")
    assert time.process_time() - start < 20
