"""Texts on an accelerator: batches by tokens, padded where the model masks it; the accelerator is a CPU here."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.pipeline import frozen_torch
from omnifuse.pipeline.batch_limit import BatchLimit
from omnifuse.pipeline.text.batches import BATCH_TOKENS, batches_by_tokens
from omnifuse.pipeline.text.encoder import PROBE, TOLERANCE, TextEncoder
from omnifuse.pipeline.text.model import masks_padding
from omnifuse.pipeline.text.tokens import Extent
from transformers import BertConfig, BertModel, ConvBertConfig, ConvBertModel

Rows = list[npt.NDArray[np.float16]]
Load = Callable[..., TextEncoder]

SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "hidden_size": 16, "vocab_size": 11}


@pytest.fixture
def load(minilm: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a pretrained encoder for the CPU, or as for an accelerator."""

    def load(accelerated: bool, windowed: bool = False) -> TextEncoder:
        monkeypatch.setattr(frozen_torch, "is_accelerator", lambda device: accelerated)
        return TextEncoder(str(minilm), Extent(windowed=windowed))

    return load


def least_cosine_and_largest_error(ours: Rows, theirs: Rows) -> tuple[float, float]:
    """Compare every token with the same one: cosine, and error relative to the length of its vector."""
    a, b = (np.concatenate(rows).astype(np.float64) for rows in (ours, theirs))
    lengths = [np.linalg.norm(rows, axis=1) for rows in (a, b)]
    return float(((a * b).sum(1) / lengths[0] / lengths[1]).min()), float(
        (np.linalg.norm(a - b, axis=1) / lengths[1]).max()
    )


@pytest.mark.parametrize("windowed", [False, True])
def test_rows_are_those_of_a_cpu_within_the_tolerance(load: Load, texts: list[str], windowed: bool) -> None:
    many = [*texts, " ".join(texts * 9), ""]
    ours, theirs = (load(accelerated, windowed).encode(many) for accelerated in (True, False))
    assert [len(rows) for rows in ours] == [len(rows) for rows in theirs]
    cosine, error = least_cosine_and_largest_error(ours, theirs)
    assert (cosine, error) == (pytest.approx(1, abs=0.001), pytest.approx(0, abs=TOLERANCE))


def test_texts_of_all_lengths_are_one_batch_as_far_as_the_limit_goes(load: Load, texts: list[str]) -> None:
    encoder, shapes = load(True), list[tuple[int, ...]]()
    count_batches(encoder, shapes)
    longest = max(map(len, encoder.encode(texts)))
    assert shapes == [(len(texts), longest)]


def test_memory_that_runs_out_gives_the_same_rows_in_smaller_batches(
    load: Load, texts: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    encoder, shapes = load(True), list[tuple[int, ...]]()
    whole = encoder.encode(texts)
    count_batches(encoder, shapes, tokens=250)
    cosine, error = least_cosine_and_largest_error(encoder.encode(texts), whole)
    assert (cosine, error) == (pytest.approx(1, abs=0.001), pytest.approx(0, abs=TOLERANCE))
    assert [message for message in caplog.messages if "ran out" in message] == caplog.messages[:1]
    shapes.clear()
    encoder.encode(texts)  # the limit is known now
    assert all(number * tokens <= 250 for number, tokens in shapes)


def count_batches(encoder: TextEncoder, shapes: list[tuple[int, ...]], tokens: int = BATCH_TOKENS) -> None:
    """Note the shapes of an encoder's batches, and let its memory hold so many tokens."""
    model = encoder._model

    def forward(input_ids: torch.Tensor, **mask: torch.Tensor) -> Any:
        shapes.append(tuple(input_ids.shape))
        if input_ids.numel() > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return model(input_ids=input_ids, **mask)

    encoder._model = forward  # type: ignore[assignment]


@given(st.lists(st.integers(1, 150), max_size=80), st.integers(1, 600), st.booleans())
def test_batches_hold_every_text_once_within_the_limit(lengths: list[int], size: int, padded: bool) -> None:
    limit = BatchLimit(size, "tokens", torch.device("cpu"))
    batches = list(batches_by_tokens(limit, lengths, padded=padded))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        found = [lengths[position] for position in batch]
        assert found == sorted(found)
        assert len(found) * found[-1] <= size or len(found) == 1
        assert padded or len(set(found)) == 1


def test_a_limit_that_is_lowered_holds_for_the_batches_that_follow() -> None:
    limit = BatchLimit(40, "tokens", torch.device("cpu"))
    batches = batches_by_tokens(limit, [10] * 10, padded=False)
    assert len(next(batches)) == 4
    limit.size = 20
    assert [len(batch) for batch in batches] == [2, 2, 2]


SHORT, LONG = [2, 3, 4], [2, 3, 4, 5, 6, 7, 8, 9]


def test_attention_masks_padding_and_a_convolution_over_tokens_does_not() -> None:
    torch.manual_seed(0)
    attention = BertModel(BertConfig(**SMALL)).eval()
    convolution = ConvBertModel(ConvBertConfig(**SMALL, embedding_size=16, head_ratio=1)).eval()
    assert masks_padding(attention, SHORT, LONG)
    assert not masks_padding(convolution, SHORT, LONG)


def test_a_model_that_takes_no_mask_is_not_padded() -> None:
    class Mixing:
        config = SimpleNamespace(pad_token_id=None)

        def __call__(self, input_ids: torch.Tensor) -> Any:
            return SimpleNamespace(last_hidden_state=torch.ones(*input_ids.shape, 4))

    assert not masks_padding(Mixing(), SHORT, LONG)  # type: ignore[arg-type]


def test_the_texts_that_try_the_mask_differ_in_length(minilm: Path) -> None:
    short, long = TextEncoder(str(minilm)).encode(PROBE)
    assert len(short) < len(long)
