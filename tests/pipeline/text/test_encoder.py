"""The frozen text encoder against plain transformers, and what must not change its result."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import digest
from omnifuse.pipeline.text.batches import BATCH_TEXTS, batches_of_one_length
from omnifuse.pipeline.text.encoder import TOLERANCE, TextEncoder, Transformers
from omnifuse.pipeline.text.tokens import MAX_TOKENS
from omnifuse.testing import check_encoder
from transformers import BertModel, BertTokenizerFast

Rows = list[npt.NDArray[np.float16]]


@pytest.fixture(scope="module")
def pretrained(minilm: Path) -> TextEncoder:
    return TextEncoder(str(minilm))


@pytest.fixture(scope="module")
def plain(minilm: Path, texts: list[str]) -> list[npt.NDArray[np.float32]]:
    """Each text alone through transformers, in float32."""
    tokenizer = BertTokenizerFast.from_pretrained(minilm)
    model = BertModel.from_pretrained(minilm, dtype=torch.float32).eval()
    with torch.inference_mode():
        return [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy() for text in texts]


def largest_error(rows: Rows, reference: list[npt.NDArray[np.float32]]) -> float:
    """Largest error of a token relative to the length of its vector."""
    ours, theirs = np.concatenate(rows).astype(np.float64), np.concatenate(reference)
    return float((np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)).max())


def test_equals_plain_transformers_within_the_tolerance(
    pretrained: TextEncoder, texts: list[str], plain: list[npt.NDArray[np.float32]]
) -> None:
    assert largest_error(pretrained.encode(texts), plain) < TOLERANCE


def test_in_float32_equals_plain_transformers_to_half_precision(
    minilm: Path, texts: list[str], plain: list[npt.NDArray[np.float32]], plain_processor: None
) -> None:
    encoder = TextEncoder(str(minilm))
    assert encoder.precision == "float32"
    assert largest_error(encoder.encode(texts), plain) < 2**-10


def test_the_batch_changes_a_text_within_the_tolerance(pretrained: TextEncoder, texts: list[str]) -> None:
    many = [f"{text} {words}" for text in texts for words in ("old tube", "new line")]
    alone = [pretrained.encode([text])[0].astype(np.float32) for text in many]
    assert largest_error(pretrained.encode(many), alone) < TOLERANCE


def test_the_same_list_gives_the_same_bytes(pretrained: TextEncoder, minilm: Path, texts: list[str]) -> None:
    again = TextEncoder(str(minilm)).encode(texts)
    assert all(map(np.array_equal, pretrained.encode(texts), again))


def test_rows_are_tokens_in_float16_and_the_width_is_the_models(pretrained: TextEncoder) -> None:
    (rows,) = pretrained.encode(["no effusion"])  # [CLS] no e ##ff ##usion [SEP]
    assert (rows.shape, rows.dtype, pretrained.dim) == ((6, 384), np.float16, 384)


@pytest.mark.parametrize("name", ["pretrained", "random"])
def test_long_texts_are_cut(name: str, pretrained: TextEncoder) -> None:
    encoder = pretrained if name == "pretrained" else TextEncoder("random")
    assert [len(rows) for rows in encoder.encode(["heart " * 148, "heart " * 400])] == [MAX_TOKENS, MAX_TOKENS]


def test_no_texts_give_no_rows(pretrained: TextEncoder) -> None:
    assert pretrained.encode([]) == []


def test_values_that_are_not_finite_are_refused(pretrained: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained._model.embeddings.LayerNorm, "eps", float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        pretrained.encode(["heart"])


def test_random_tells_words_apart_but_not_case_or_punctuation() -> None:
    lower, upper, other = TextEncoder("random").encode(["no effusion", "No, Effusion!", "no edema"])
    np.testing.assert_array_equal(lower, upper)
    assert lower.shape == (4, 768)
    assert not np.allclose(lower[2], other[2], atol=0.1)


def test_random_takes_one_chinese_character_as_a_token() -> None:
    (rows,) = TextEncoder("random").encode(["双肺 CT 清晰"])
    assert len(rows) == 5 + 2


def test_random_is_the_same_in_every_encoder() -> None:
    first, second = (TextEncoder("random").encode(["small effusion"])[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(Transformers("random").weights_digest()) == 64


@given(st.lists(st.integers(1, 5), max_size=200))
def test_every_text_is_in_one_batch_of_its_length(lengths: list[int]) -> None:
    batches = list(batches_of_one_length(lengths))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    assert all(len({lengths[position] for position in batch}) == 1 for batch in batches)
    assert all(len(batch) <= BATCH_TEXTS for batch in batches)


def test_recipe_names_files_by_content_and_random_as_such(minilm: Path) -> None:
    recipe = Transformers(str(minilm)).recipe()
    assert {"config.json", "model.safetensors", "vocab.txt"} <= recipe["files"].keys()
    assert Transformers("random").recipe()["name"] == "random"
    assert digest(recipe["files"]) != Transformers("random").weights_digest()


def test_the_recipe_is_what_caches_were_made_with() -> None:
    assert digest(Transformers("random").recipe()) == "9179994b5bf80ad5d094cb5665aefb931edce44eac363663d957d3d4adbcba46"


@pytest.mark.parametrize("windowed", [False, True])
def test_it_keeps_the_contract_of_frozen_encoders(windowed: bool, minilm: Path, tmp_path: Path) -> None:
    notes = [tmp_path / f"{number}.txt" for number in range(5)]
    for number, note in enumerate(notes):
        note.write_text("Small left effusion. " * (1 + number % 3) + f"No. {number}")
    ours, random, absent = (Transformers(name, windowed) for name in (str(minilm), "random", "/no/such/bert"))
    check_encoder(ours, notes, other_weights=random, without_weights=absent, tolerance=TOLERANCE)


def test_recipe_needs_no_torch(minilm: Path) -> None:
    code = "import sys; from omnifuse.pipeline.text.encoder import Transformers as T; "
    code += f"T({str(minilm)!r}).recipe(); T('random').recipe(); "
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True)


def test_a_missing_folder_is_named_with_the_choices() -> None:
    with pytest.raises(FileNotFoundError, match=r"'/no/such/bert'.*--text-encoder DIR.*--text-encoder random"):
        Transformers("/no/such/bert").recipe()


def test_an_unreachable_hub_is_said_at_once(tmp_path: Path) -> None:
    code = "from omnifuse.pipeline.text.encoder import Transformers; Transformers('bert-base-uncased').recipe()"
    environment = os.environ | {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "'bert-base-uncased' cannot be loaded" in done.stderr
    assert "--text-encoder DIR" in done.stderr


def test_a_pickle_is_not_read_and_the_conversion_explained(tmp_path: Path) -> None:
    for name in ("config.json", "vocab.txt", "pytorch_model.bin"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=r"model\.safetensors.*pickle.*save_pretrained"):
        TextEncoder(str(tmp_path))


def test_weights_that_lack_tensors_are_refused(minilm: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for path in minilm.glob("*.*"):
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(minilm / "model.safetensors")
    absent = "encoder.layer.0.output.dense.weight"
    save_file({name: tensor for name, tensor in tensors.items() if name != absent}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=f"lack 1 tensors of the model, the first {absent}"):
        TextEncoder(str(tmp_path))
