"""Tokens of a modality: what each is made of, and that none is made of a sample that is not its own."""

import math

import torch
from omnifuse.fusion.inputs.batches import ModalityBatch, Rows
from omnifuse.fusion.inputs.spec import EncoderConfig, InputSpec
from omnifuse.fusion.parts.encoders import score_terms
from omnifuse.fusion.parts.tokens import MOST_TOKENS, ModalityTokens, VectorTokens, places

CONFIG = EncoderConfig(input_dropout=0.0)
NOBODY = torch.arange(0)


def of(kind: str, summary: int, rows: int) -> ModalityTokens:
    torch.manual_seed(0)
    return ModalityTokens(InputSpec("m", kind, summary, rows), CONFIG, 4).eval()


def vectors(values: torch.Tensor) -> ModalityBatch:
    return ModalityBatch(torch.arange(len(values)), values, None)


def test_the_statistics_of_a_variable_are_one_token() -> None:
    make = of("timeseries", 2 * 17 + 3, 0)
    values = torch.randn(5, 37)
    values[0, 3] = torch.nan
    tokens, real = make(vectors(values))
    assert tokens.shape == (5, 3, 4) and real.all()
    assert make.vector is not None
    second = score_terms(values[:, 17:34]) @ make.vector.weight[1] + make.vector.bias[1]
    torch.testing.assert_close(tokens[:, 1], second)
    values[:, 34] += 1  # a share: the third token alone
    moved = (make(vectors(values))[0] != tokens).any(-1).any(0)
    assert moved.tolist() == [False, False, True]


def test_every_feature_is_a_token_until_they_are_many() -> None:
    assert make_tokens(3) == 3
    assert make_tokens(MOST_TOKENS) == MOST_TOKENS
    assert make_tokens(2 * MOST_TOKENS + 1) == math.ceil((2 * MOST_TOKENS + 1) / 3)


def make_tokens(columns: int) -> int:
    vector = of("features", columns, 0).vector
    assert isinstance(vector, VectorTokens)
    return vector.tokens


def test_a_mean_of_rows_is_one_token() -> None:
    tokens, _ = of("embedding", 6, 0)(vectors(torch.randn(5, 6)))
    assert tokens.shape == (5, 1, 4)


def test_rows_are_tokens_and_padding_is_not_real() -> None:
    make, lengths = of("embedding", 0, 3), torch.tensor([1, 3])
    values = torch.randn(4, 3)
    tokens, real = make(ModalityBatch(NOBODY, None, Rows(values, lengths)))
    assert real.tolist() == [[True, False, False], [True, True, True]]
    assert make.rows is not None
    torch.testing.assert_close(tokens[real], make.rows.project(values))


def test_both_vector_and_rows_can_be_read() -> None:
    batch = ModalityBatch(torch.arange(2), torch.randn(2, 17), Rows(torch.randn(4, 3), torch.tensor([1, 3])))
    tokens, real = of("timeseries", 17, 3)(batch)
    assert tokens.shape == (2, 1 + 3, 4)
    assert real.sum(1).tolist() == [2, 4]


def test_a_place_is_told_among_the_rows_of_the_sample() -> None:
    told = places(torch.tensor([1, 2]))
    expected = [[1, 0, 0, -1, 1], [0.5, 1, 0, 0, -1], [1, 0, 0, -1, 1]]
    torch.testing.assert_close(told, torch.tensor(expected, dtype=torch.float32), atol=1e-6, rtol=0)
