"""DINOv2's and CLIP's image encoders against other implementations, with the same random weights.

The true weights can't be had here. CLIP's peer is torch-fidelity's network; DINOv2's is put
together of PyTorch's own layers, with the layer scales multiplied into what they scale. Random
weights make every layer count: scales, norms and biases are far from what leaves an input alone.
"""

import hashlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from bench import api
from bench.core.errors import UsageError
from bench.extractors import EXTRACTORS, Loading, clip, dinov2

WIDTH, HEADS, DEPTH, DIMS = 128, 2, 3, 40
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_COLOURS = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Means and deviations of the colours as the authors' code has them."""
CLIP, DINO = EXTRACTORS["clip-b32"].part, EXTRACTORS["dinov2-s"].part


def drawn(*shape, centre=0.0, spread=0.3):
    return centre + spread * torch.randn(*shape)


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def images(n=3):
    """Noise of several contrasts in [0, 1], [n, 3, 224, 224]."""
    return torch.rand(n, 3, 224, 224) ** torch.arange(1, n + 1)[:, None, None, None]


def taking(part, path):
    """An extractor that takes a file for the true one."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(part, file=replace(part.file, sha256=digest))


def dino_weights(side=37):
    """Tensors as DINOv2's files name them."""
    found = {
        "cls_token": drawn(1, 1, WIDTH),
        "pos_embed": drawn(1, 1 + side**2, WIDTH),
        "mask_token": torch.zeros(1, WIDTH),
        "patch_embed.proj.weight": drawn(WIDTH, 3, 14, 14, spread=0.05),
        "patch_embed.proj.bias": drawn(WIDTH),
        "norm.weight": drawn(WIDTH, centre=1.0),
        "norm.bias": drawn(WIDTH),
    }
    shapes = {
        "attn.qkv": (3 * WIDTH, WIDTH),
        "attn.proj": (WIDTH, WIDTH),
        "mlp.fc1": (4 * WIDTH, WIDTH),
        "mlp.fc2": (WIDTH, 4 * WIDTH),
    }
    for block in range(DEPTH):
        for name, (rows, columns) in shapes.items():
            found[f"blocks.{block}.{name}.weight"] = drawn(rows, columns, spread=columns**-0.5)
            found[f"blocks.{block}.{name}.bias"] = drawn(rows)
        for at in (1, 2):
            found[f"blocks.{block}.norm{at}.weight"] = drawn(WIDTH, centre=1.0)
            found[f"blocks.{block}.norm{at}.bias"] = drawn(WIDTH)
            found[f"blocks.{block}.ls{at}.gamma"] = drawn(WIDTH, centre=0.7)
    return found


def _named(weights, block, name):
    return weights[f"blocks.{block}.{name}"]


def dino_layers(weights):
    """The same network of PyTorch's layers."""
    layers = []
    for block in range(DEPTH):
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, 0.0, nn.GELU(), 1e-6, batch_first=True, norm_first=True
        )
        get = partial(_named, weights, block)
        first, second = get("ls1.gamma"), get("ls2.gamma")
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": get("attn.qkv.weight"),
                "self_attn.in_proj_bias": get("attn.qkv.bias"),
                "self_attn.out_proj.weight": first[:, None] * get("attn.proj.weight"),
                "self_attn.out_proj.bias": first * get("attn.proj.bias"),
                "linear1.weight": get("mlp.fc1.weight"),
                "linear1.bias": get("mlp.fc1.bias"),
                "linear2.weight": second[:, None] * get("mlp.fc2.weight"),
                "linear2.bias": second * get("mlp.fc2.bias"),
                **{f"norm{i}.{e}": get(f"norm{i}.{e}") for i in (1, 2) for e in ("weight", "bias")},
            }
        )
        layers.append(layer)
    return nn.Sequential(*layers).train()


def test_dinov2_is_the_network_of_pytorchs_layers(tmp_path):
    """Features to 1e-4 of their size; an image alone gives the same."""
    weights = dino_weights(side=16)
    path = tmp_path / "random.pth"
    torch.save(weights, path)
    read = taking(DINO, path).load(Loading(weights=str(path)))
    shown = images()
    mean, std = (torch.tensor(each)[:, None, None] for each in IMAGENET)
    seen = (shown - mean) / std
    rows = seen.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 1, 4, 5).reshape(3, 256, -1)
    patches = rows @ weights["patch_embed.proj.weight"].flatten(1).T
    patches = patches + weights["patch_embed.proj.bias"]
    first = weights["cls_token"].expand(3, 1, WIDTH)
    tokens = torch.cat([first, patches], 1) + weights["pos_embed"]
    with torch.no_grad():
        told = dino_layers(weights)(tokens)[:, 0]
        norm = nn.functional.layer_norm(
            told, (WIDTH,), weights["norm.weight"], weights["norm.bias"], 1e-6
        )
        found, alone = read(shown).features, read(shown[1:2]).features
    assert float(norm.std(0).mean()) > 0.01
    torch.testing.assert_close(found, norm, rtol=1e-4, atol=1e-4 * float(norm.abs().max()))
    torch.testing.assert_close(alone, found[1:2], rtol=1e-4, atol=1e-5)


def cubic(t):
    """Keys' kernel at a = -3/4."""
    a, t = -0.75, np.abs(t)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def stretched(side, wanted, scale):
    """The matrix of bicubic interpolation along one axis, edges repeated."""
    found = np.zeros((wanted, side))
    for row in range(wanted):
        at = (row + 0.5) / scale - 0.5
        for place in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            found[row, min(max(place, 0), side - 1)] += cubic(at - place)
    return found


def test_positions_are_stretched_as_the_authors_do():
    """37 x 37 to 16 x 16 at the scale 16.1 / 37, by Keys' kernel; the class token's stays."""
    learned = torch.randn(1, 1 + 37**2, 5)
    found = dinov2.positions(learned)
    matrix = stretched(37, 16, 16.1 / 37)
    picture = learned[0, 1:].unflatten(0, (37, 37)).double().numpy()
    wanted = np.einsum("ai,bj,ijw->abw", matrix, matrix, picture).reshape(256, 5)
    assert torch.equal(found[0], learned[0, 0])
    np.testing.assert_allclose(found[1:].numpy(), wanted, atol=1e-4)
    plain = np.einsum("ai,bj,ijw->abw", *[stretched(37, 16, 16 / 37)] * 2, picture).reshape(256, 5)
    assert np.abs(plain - wanted).max() > 0.02


def test_positions_for_as_many_patches_stay():
    learned = torch.randn(1, 1 + 16**2, 5)
    assert torch.equal(dinov2.positions(learned), learned[0])


@pytest.fixture
def clip_peer():
    """torch-fidelity's image encoder, of random weights."""
    library = pytest.importorskip("torch_fidelity.feature_extractor_clip")
    network = library.VisionTransformer(224, 32, WIDTH, DEPTH, HEADS, DIMS)
    for name, tensor in network.named_parameters():
        if name.endswith("bias"):
            tensor.data.normal_(0, 0.3)
        if ".ln_" in name and name.endswith("weight"):
            tensor.data.normal_(1, 0.3)
        if name in ("class_embedding", "positional_embedding"):
            tensor.data.normal_(0, 1)
    return network.eval()


class Whole(nn.Module):
    """As CLIP's archives have it: the image's side beside the text's, and a size."""

    def __init__(self, visual):
        super().__init__()
        self.visual = nn.Module()
        for name, tensor in visual.state_dict().items():
            *folders, last = name.split(".")
            module = self.visual
            for folder in folders:
                if not hasattr(module, folder):
                    module.add_module(folder, nn.Module())
                module = getattr(module, folder)
            module.register_buffer(last, tensor.half())
        self.transformer = nn.Linear(3, 3)
        self.register_buffer("input_resolution", torch.tensor(224))

    def forward(self, x):
        return x


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_clip_is_torch_fidelitys_network(clip_peer, tmp_path):
    """From a TorchScript archive of 16 bits a weight: features to 1e-4 of their size."""
    path = tmp_path / "random.pt"
    torch.jit.script(Whole(clip_peer)).save(str(path))
    clip_peer.load_state_dict({k: v.half().float() for k, v in clip_peer.state_dict().items()})
    read = taking(CLIP, path).load(Loading(weights=str(path)))
    shown = images()
    mean, std = (torch.tensor(each)[:, None, None] for each in CLIP_COLOURS)
    with torch.no_grad():
        wanted, found = clip_peer((shown - mean) / std), read(shown).features
    assert found.shape == (3, DIMS)
    assert float(wanted.std(0).mean()) > 0.01
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))


def test_the_activation_is_no_other_gelu():
    """1.702 at the sigmoid, as torch-fidelity has it; the exact GELU is another function."""
    x = torch.linspace(-4, 4, 81)
    library = pytest.importorskip("torch_fidelity.feature_extractor_clip")
    torch.testing.assert_close(clip.quick_gelu(x), library.QuickGELU()(x))
    assert float((clip.quick_gelu(x) - nn.functional.gelu(x)).abs().max()) > 0.01


@pytest.mark.parametrize("name", ["dinov2-s", "dinov2-b", "dinov2-l", "clip-b32", "clip-l14"])
def test_other_weights_are_refused(name, tmp_path):
    """Before anything of them is read."""
    part = EXTRACTORS[name].part
    (tmp_path / "other.pth").write_bytes(b"no weights")
    with pytest.raises(
        UsageError, match=f"features '{name}': expected weights with sha256 [0-9a-f]{{8}}..., got"
    ):
        part.load(Loading(weights=str(tmp_path / "other.pth")))
    assert len(part.file.sha256) == 64


def test_missing_weights_are_asked_for(tmp_path):
    """Nothing is fetched unless it is asked for; the message says how, and how much."""
    with pytest.raises(UsageError, match=r"need the weights of DINOv2's ViT-S/14, .* \(88 MB\)"):
        DINO.load(Loading(weights=str(tmp_path / "none.pth")))


def test_a_download_lands_in_the_data_folder(tmp_path, monkeypatch):
    """Under its own name, once: the second time nothing is fetched."""
    monkeypatch.setenv("MINIMAX_DATA", str(tmp_path / "data"))
    source = tmp_path / DINO.file.name
    torch.save(dino_weights(side=16), source)
    part = taking(DINO, source)
    part = replace(part, file=replace(part.file, url=source.as_uri()))
    with pytest.raises(UsageError, match="`download` fetches them"):
        part.load(Loading())
    found = part.load(Loading(download=True))(images(1)).features
    assert (tmp_path / "data" / source.name).is_file()
    source.unlink()
    assert part.load(Loading())(images(1)).features.shape == found.shape


def test_a_download_that_is_another_file_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIMAX_DATA", str(tmp_path / "data"))
    source = tmp_path / "other.pth"
    source.write_bytes(b"another")
    part = replace(DINO, file=replace(DINO.file, url=source.as_uri()))
    with pytest.raises(UsageError, match="can't fetch"):
        part.load(Loading(download=True))
    assert not (tmp_path / "data" / source.name).exists()


def test_scores_over_them_have_their_name(tmp_path, monkeypatch):
    """`frechet@dinov2-s` of two folders' worth of images, from a file of the user's."""
    path = tmp_path / "random.pth"
    torch.save(dino_weights(side=16), path)
    entry = EXTRACTORS["dinov2-s"]
    monkeypatch.setattr(
        EXTRACTORS,
        "_entries",
        {**EXTRACTORS._entries, "dinov2-s": replace(entry, part=taking(DINO, path))},
    )
    rng = np.random.default_rng(0)
    real, fake = (rng.integers(0, top, (20, 9, 7, 3), dtype=np.uint8) for top in (256, 100))
    given = {
        "features": "dinov2-s",
        "weights": str(path),
        "metrics": ["frechet", "kernel_distance"],
    }
    found, same = (api.score(real, other, **given) for other in (fake, real))
    assert set(found["metric"]) == {"frechet@dinov2-s", "kernel_distance@dinov2-s"}
    assert same["value"].iloc[0] < 1e-6 < 0.1 < found["value"].iloc[0]
