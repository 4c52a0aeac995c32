"""InfoNCE between the modalities of a sample."""

import math

import pytest
import torch
from omnifuse.fusion.parts.contrast import alignment_losses, info_nce

STRANGERS = torch.ones(2, 2, dtype=torch.bool)


def test_the_loss_of_two_samples() -> None:
    """Partners are parallel, strangers orthogonal: log(1 + exp(-1 / temperature))."""
    losses = info_nce(torch.eye(2), torch.eye(2), 4.0, STRANGERS)
    torch.testing.assert_close(losses, torch.full((2,), math.log(1 + math.exp(-4))))


def test_embeddings_that_are_all_the_same_are_told_apart_by_chance() -> None:
    same = torch.ones(5, 3) / math.sqrt(3)
    torch.testing.assert_close(info_nce(same, same, 10.0, torch.ones(5, 5) > 0), torch.full((5,), math.log(5)))


def test_without_rivals_there_is_nothing_to_tell() -> None:
    anchors, others = torch.randn(2, 4), torch.randn(2, 4)
    torch.testing.assert_close(info_nce(anchors, others, 10.0, ~STRANGERS), torch.zeros(2))
    torch.testing.assert_close(info_nce(anchors[:1], others[:1], 10.0, STRANGERS[:1, :1]), torch.zeros(1))


def test_samples_of_one_subject_are_no_rivals() -> None:
    embeddings = torch.randn(6, 2, 4)
    present = torch.ones(6, 2, dtype=torch.bool)
    subject = torch.tensor([0, 1, 2, 3, 4, 4])
    alone, twice = (alignment_losses(embeddings[:n], present[:n], subject[:n], 5.0)[0, 1] for n in (5, 6))
    first, second = torch.nn.functional.normalize(embeddings, dim=-1).unbind(1)
    rivals = subject[:, None] != subject
    assert not rivals[4, 5] and not rivals[5, 4]
    expected = info_nce(first, second, 5.0, rivals).mean() / 2 + info_nce(second, first, 5.0, rivals).mean() / 2
    torch.testing.assert_close(twice, expected)
    assert not alone.isclose(twice)


def test_only_samples_with_both_modalities_count() -> None:
    embeddings = torch.randn(6, 3, 4)
    present = torch.rand(6, 3) < 0.7
    present[:2] = True
    losses = alignment_losses(embeddings, present, torch.arange(6), 5.0)
    assert list(losses) == [(0, 1), (0, 2), (1, 2)]
    both = present[:, 0] & present[:, 2]
    complete = torch.ones(int(both.sum()), 2, dtype=torch.bool)
    alone = alignment_losses(embeddings[both][:, [0, 2]], complete, torch.arange(len(complete)), 5.0)
    torch.testing.assert_close(losses[0, 2], alone[0, 1])


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_weight_shares_the_directions(weight: float) -> None:
    embeddings, subject = torch.randn(5, 2, 4), torch.arange(5)
    present = torch.ones(5, 2, dtype=torch.bool)
    there, back, mixed = (
        alignment_losses(embeddings, present, subject, 5.0, share)[0, 1] for share in (1.0, 0.0, weight)
    )
    torch.testing.assert_close(mixed, weight * there + (1 - weight) * back)
    swapped = alignment_losses(embeddings.flip(1), present, subject, 5.0, 1.0)[0, 1]
    torch.testing.assert_close(swapped, back)


def test_the_length_of_embeddings_does_not_matter() -> None:
    embeddings, present = torch.randn(5, 2, 4), torch.ones(5, 2, dtype=torch.bool)
    one, other = (alignment_losses(scale * embeddings, present, torch.arange(5), 5.0)[0, 1] for scale in (1.0, 7.0))
    torch.testing.assert_close(one, other)


def test_without_any_pair_the_loss_is_zero_and_has_a_gradient_of_zero() -> None:
    embeddings = torch.randn(3, 2, 4, requires_grad=True)
    present = torch.tensor([[True, False], [False, True], [False, False]])
    loss = alignment_losses(embeddings, present, torch.arange(3), 5.0)[0, 1]
    loss.backward()
    assert loss == 0 and embeddings.grad is not None and not embeddings.grad.any()
