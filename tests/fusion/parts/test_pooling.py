"""Reductions over flat rows equal the same thing done sample by sample."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.fusion.inputs.batches import Rows
from omnifuse.fusion.parts.pooling import GatedAttention, padded, segment_softmax, weighted_sum

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def random_rows(lengths: list[int], columns: int = 5) -> Rows:
    torch.manual_seed(sum(lengths))
    return Rows(torch.randn(sum(lengths), columns), torch.tensor(lengths))


@settings(deadline=None, max_examples=50)
@given(LENGTHS, st.floats(0.1, 100))
def test_segment_softmax_is_a_softmax_per_sample(lengths: list[int], scale: float) -> None:
    rows = random_rows(lengths)
    scores = scale * rows.values[:, 0]
    expected = torch.cat([part.softmax(0) for part in scores.split(lengths)])
    torch.testing.assert_close(segment_softmax(scores, rows.segments, len(lengths)), expected)


@settings(deadline=None, max_examples=30)
@given(LENGTHS)
def test_weighted_sum_and_its_gradient(lengths: list[int]) -> None:
    rows = random_rows(lengths)
    weights = rows.values[:, 1].clone().requires_grad_()
    pooled = weighted_sum(rows, weights)
    parts = zip(rows.values.split(lengths), weights.split(lengths), strict=True)
    expected = torch.stack([(values * weight[:, None]).sum(0) for values, weight in parts])
    torch.testing.assert_close(pooled, expected)
    (got,), (wanted,) = (torch.autograd.grad((out**2).sum(), weights, retain_graph=True) for out in (pooled, expected))
    torch.testing.assert_close(got, wanted)


def test_attention_of_one_row_is_that_row() -> None:
    rows = random_rows([1, 1, 1])
    torch.testing.assert_close(GatedAttention(5, 3)(rows), rows.values)


def test_attention_does_not_mix_samples() -> None:
    torch.manual_seed(0)
    pool, rows = GatedAttention(5, 3), random_rows([2, 4, 3])
    alone = [pool(Rows(part, torch.tensor([len(part)]))) for part in rows.values.split([2, 4, 3])]
    torch.testing.assert_close(pool(rows), torch.cat(alone))


def test_padding_keeps_every_row_in_place() -> None:
    rows = random_rows([2, 4, 1])
    values, real = padded(rows)
    assert values.shape == (3, 4, 5)
    torch.testing.assert_close(values[real], rows.values)
    assert (values[~real] == 0).all()
