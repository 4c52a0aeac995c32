"""Sum of embeddings, as a mean, and sum of linear logits, over what a sample has."""

import pytest
import torch
from omnifuse.fusion.methods.sum import Sum
from torch import Tensor

from tests.fusion.vectors import spec_of

SHOWN = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0]]).bool()
LEVELS = ("embeddings", "logits")


def method(level: str) -> Sum:
    torch.manual_seed(0)
    return Sum(spec_of(), Sum.Options(level=level)).eval()  # type: ignore[arg-type]


def embeddings() -> Tensor:
    return torch.randn(len(SHOWN), 3, 8, generator=torch.Generator().manual_seed(1))


def test_the_head_reads_the_mean_of_what_is_shown() -> None:
    v, fused = embeddings(), method("embeddings")
    expected = torch.stack([(v[0, 0] + v[0, 1] + v[0, 2]) / 3, (v[1, 0] + v[1, 2]) / 2, v[2, 1]])
    torch.testing.assert_close(fused.fuse(v, SHOWN), fused.head(expected))


def test_how_many_modalities_there_are_does_not_change_the_scale() -> None:
    alike = embeddings()[:, :1].expand(-1, 3, -1)
    fused = method("embeddings")
    torch.testing.assert_close(fused.fuse(alike, SHOWN), fused.fuse(alike, torch.ones_like(SHOWN)))


def test_linear_logits_of_what_is_shown_add_up_with_their_biases() -> None:
    v, fused = embeddings(), method("logits")
    z = [v[:, m] @ head.weight.T + head.bias for m, head in enumerate(fused.heads)]
    expected = torch.stack([z[0][0] + z[1][0] + z[2][0], z[0][1] + z[2][1], z[1][2]])
    torch.testing.assert_close(fused.fuse(v, SHOWN), expected)


@pytest.mark.parametrize("level", LEVELS)
def test_slots_that_are_not_shown_are_not_read(level: str) -> None:
    v, fused = embeddings(), method(level)
    other = torch.where(SHOWN[:, :, None], v, 7.0)
    assert torch.equal(fused.fuse(other, SHOWN), fused.fuse(v, SHOWN))


@pytest.mark.parametrize("level", LEVELS)
def test_the_logits_of_nothing_are_finite(level: str) -> None:
    assert method(level).fuse(embeddings(), torch.zeros_like(SHOWN)).isfinite().all()
