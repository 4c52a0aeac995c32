"""Encoders of other families than BERT, built here as small as they can be; and windows of texts that are long."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError, difference
from omnifuse.pipeline.text.encoder import TOLERANCE, TextEncoder, Transformers
from omnifuse.pipeline.text.tokens import Extent
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    T5Config,
)

WORDS = ("small", "left", "effusion", "heart", "a", "双", "肺")
BERT = ("[PAD]", "[CLS]", "[SEP]")
ROBERTA = ("<s>", "<pad>", "</s>")
"""Special tokens in the order of their ids; ``[UNK]`` is 3, the words follow."""

SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "hidden_size": 16, "vocab_size": 11}
FAMILIES = {
    "bert": (BertConfig(**SMALL, max_position_embeddings=40), BERT, 40),
    "roberta": (RobertaConfig(**SMALL, max_position_embeddings=42, pad_token_id=1), ROBERTA, 40),
    "distilbert": (DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=24, vocab_size=11), BERT, 512),
    "modernbert": (ModernBertConfig(**SMALL, pad_token_id=0, bos_token_id=1, eos_token_id=2), BERT, 8192),
}
"""A configuration, the special tokens, and the number of positions (RoBERTa's first two stay unused)."""


def save_model(folder: Path, config: PreTrainedConfig, special: tuple[str, str, str] = BERT) -> Path:
    """Save a model with seeded weights and a tokeniser that makes one token of a word."""
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    ids = {word: number for number, word in enumerate((*special, "[UNK]", *WORDS))}
    before, after = ("[CLS]", "[SEP]") if special == BERT else ("<s>", "</s>")
    words = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    around = [(token, ids[token]) for token in (before, after)]
    words.post_processor = processors.TemplateProcessing(single=f"{before} $A {after}", special_tokens=around)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", cls_token=before, sep_token=after)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {name: save_model(root / name, config, special) for name, (config, special, _) in FAMILIES.items()}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def encoder(family: str, folders: dict[str, Path]) -> TextEncoder:
    return TextEncoder(str(folders[family]))


@pytest.fixture(scope="module")
def in_windows(family: str, folders: dict[str, Path]) -> TextEncoder:
    return TextEncoder(str(folders[family]), Extent(windowed=True))


def test_rows_are_those_of_plain_transformers(family: str, encoder: TextEncoder, folders: dict[str, Path]) -> None:
    (rows,) = encoder.encode(["small left 双"])
    assert (rows.shape, rows.dtype, encoder.dim) == ((5, 16), np.float16, 16)
    ids = torch.tensor([[1, 4, 5, 9, 2]] if FAMILIES[family][1] == BERT else [[0, 4, 5, 9, 2]])
    model = AutoModel.from_pretrained(folders[family], dtype=torch.float32).eval()
    with torch.inference_mode():
        plain = model(ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0].numpy()
    errors = np.linalg.norm(rows.astype(np.float32) - plain, axis=1) / np.linalg.norm(plain, axis=1)
    assert errors.max() < TOLERANCE


def test_long_texts_are_cut_at_150_tokens_or_at_the_positions_of_the_model(family: str, encoder: TextEncoder) -> None:
    limit = min(150, FAMILIES[family][2])
    whole, cut = encoder.encode(["heart " * (limit - 2), "heart " * 1000])
    assert len(whole) == limit
    np.testing.assert_array_equal(whole, cut)


def test_windows_cover_1748_characters(family: str, in_windows: TextEncoder) -> None:
    inner = min(512, FAMILIES[family][2]) - 2
    (rows,) = in_windows.encode(["a " * 5000])  # 874 words of two characters
    assert len(rows) == 874 + 2 * -(-874 // inner)


def test_a_window_is_encoded_as_a_text_of_its_own(family: str, in_windows: TextEncoder) -> None:
    inner = min(512, FAMILIES[family][2]) - 2
    words = ["a" if number % 3 else "双" for number in range(inner + 5)]
    (rows,) = in_windows.encode([" ".join(words)])
    first, second = in_windows.encode([" ".join(words[:inner]), " ".join(words[inner:])])
    np.testing.assert_array_equal(rows, np.concatenate([first, second]))


def test_a_text_of_one_window_has_the_rows_that_it_has_without_windows(
    encoder: TextEncoder, in_windows: TextEncoder
) -> None:
    texts = ["small effusion", "", "heart"]
    for windowed, plain in zip(in_windows.encode(texts), encoder.encode(texts), strict=True):
        np.testing.assert_array_equal(windowed, plain)


@pytest.mark.parametrize("tokens", [151, 300, 512, 600])
def test_a_text_of_another_length_is_cut_into_equal_windows_where_the_model_has_fewer_positions(
    family: str, folders: dict[str, Path], tokens: int
) -> None:
    positions = FAMILIES[family][2]
    number = -(-tokens // positions)
    longer = TextEncoder(str(folders[family]), Extent(tokens))
    words = ["a" if place % 3 else "双" for place in range(2000)]
    short, rows = longer.encode(["heart", " ".join(words)])
    inner = tokens // number - 2
    pieces = [" ".join(words[start : start + inner]) for start in range(0, number * inner, inner)]
    assert (len(short), len(rows)) == (3, number * (inner + 2))
    np.testing.assert_array_equal(rows, np.concatenate(longer.encode(pieces)))


def test_the_number_of_tokens_stands_behind_the_name_and_in_the_recipe(folders: dict[str, Path]) -> None:
    folder = folders["bert"]
    usual, same, longer = (Transformers(f"{folder}{said}") for said in ("", "@150", "@700"))
    assert usual.recipe() == same.recipe() and longer.recipe()["max_tokens"] == 700
    assert usual.recipe() | {"max_tokens": 700, "windows": longer.recipe()["windows"]} == longer.recipe()
    (rows,) = longer.load()(["heart " * 5000])
    number = -(-700 // FAMILIES["bert"][2])
    assert len(rows) == number * (700 // number)
    assert Transformers("random@400").weights_digest() != Transformers("random").weights_digest()
    assert len(Transformers("random@400").load()(["heart " * 5000])[0]) == 400


@pytest.mark.parametrize(
    ("model", "windowed", "message"),
    [("random@7", False, "at least 8"), ("random@0", False, "at least 8"), ("random@300", True, "no number")],
)
def test_a_number_of_tokens_that_cannot_be_is_refused(model: str, windowed: bool, message: str) -> None:
    with pytest.raises(InputError, match=f"The text encoder '{model}' is to read .* tokens of a text; give {message}"):
        Transformers(model, windowed).recipe()


def test_random_has_windows_of_its_150_positions() -> None:
    (rows,) = TextEncoder("random", Extent(windowed=True)).encode(["肺" * 5000])
    assert len(rows) == 1748 + 2 * 12  # 11 windows of 148 characters and one of 120


def test_the_recipe_says_how_long_a_text_may_be() -> None:
    plain, windowed = Transformers("random").recipe(), Transformers("random", windowed=True).recipe()
    assert difference(plain, windowed) == [
        "max_characters: (absent) -> 1748",
        "max_tokens: 150 -> (absent)",
        "window_tokens: (absent) -> 512",
    ]


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=11),
        T5Config(d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, vocab_size=11),
        BertConfig(**SMALL, is_decoder=True),
    ],
    ids=["gpt2", "t5", "bert as a decoder"],
)
def test_what_is_no_encoder_is_refused(config: PreTrainedConfig, tmp_path: Path) -> None:
    folder = save_model(tmp_path, config)
    with pytest.raises(InputError, match=rf"\({config.model_type}\) is not a text encoder.*--text-encoder"):
        TextEncoder(str(folder))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 440449768\n"


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A folder of the smallest BERT, to be damaged."""
    return Path(shutil.copytree(folders["bert"], tmp_path / "enc"))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (POINTER, "is a pointer of Git LFS")])
def test_what_stands_in_place_of_a_file_is_said_with_the_recipe(
    copied: Path, name: str, content: bytes, reason: str
) -> None:
    (copied / name).write_bytes(content)
    for use in (lambda name: Transformers(name).recipe(), TextEncoder):
        with pytest.raises(InputError, match=f"enc/{name} {reason}"):
            use(str(copied))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_file_that_is_cut_off_is_refused(copied: Path, name: str, kept: float) -> None:
    os.truncate(copied / name, int((copied / name).stat().st_size * kept))
    with pytest.raises(InputError, match=r"The (text encoder|tokenizer|model) in .*/enc ") as refusal:
        TextEncoder(str(copied))
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_weights_that_give_no_finite_vectors_are_refused(copied: Path, value: float) -> None:
    tensors = load_file(copied / "model.safetensors")
    tensors["encoder.layer.1.output.LayerNorm.weight"][3] = value
    save_file(tensors, copied / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"(weights in .*enc are damaged|encoder '.*enc' gave values).* not finite"):
        TextEncoder(str(copied)).encode(["small heart"])


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "enc", BertConfig(**{**SMALL, "vocab_size": 10}, max_position_embeddings=40))
    with pytest.raises(InputError, match=r"The tokenizer in .*/enc has 11 tokens and the model 10"):
        TextEncoder(str(folder))


def test_positions_that_the_weights_do_not_have_are_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 512}))
    with pytest.raises(InputError, match=r"The text encoder in .*/enc cannot be loaded"):
        TextEncoder(str(copied))


def test_positions_for_special_tokens_alone_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "enc", BertConfig(**SMALL, max_position_embeddings=2))
    with pytest.raises(
        InputError, match=r"enc' has positions for 2 tokens, and 2 special ones stand around every text"
    ):
        TextEncoder(str(folder))


def test_code_that_comes_with_a_model_is_never_run(folders: dict[str, Path], tmp_path: Path) -> None:
    for path in folders["bert"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="code that comes with a model is never run"):
        TextEncoder(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_a_model_with_other_vectors_than_one_a_token_is_refused(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = TextEncoder(str(folders["bert"]))
    pooled = SimpleNamespace(last_hidden_state=torch.zeros(1, 1, 16))
    monkeypatch.setattr(encoder, "_model", lambda input_ids: pooled)
    with pytest.raises(InputError, match="gives 1 vectors for 3 tokens"):
        encoder.encode(["heart"])
