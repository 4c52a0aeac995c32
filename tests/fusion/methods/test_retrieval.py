"""Ranks and measures of cross-modal retrieval."""

import pytest
import torch
from omnifuse.fusion.methods.retrieval import measures, ranks, retrieval
from torch.nn import functional as F


def angles(*degrees: float) -> torch.Tensor:
    """Vectors [n, 2] of these directions."""
    radians = torch.tensor(degrees).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def test_the_rank_counts_who_is_nearer_than_the_partner() -> None:
    queries, gallery = angles(0, 80, 200), angles(50, 85, 10)
    rank, size = ranks(queries, gallery, torch.arange(3))
    assert rank.tolist() == [2, 1, 3]  # 10 degrees are nearer to 0 than 50; 85 is nearest to 80; 10 furthest from 200
    assert size.tolist() == [3, 3, 3]


def test_lengths_do_not_matter() -> None:
    queries, gallery = torch.randn(20, 4), torch.randn(20, 4)
    stretched = gallery * torch.arange(1, 21)[:, None]
    assert ranks(queries, gallery, torch.arange(20))[0].equal(ranks(5 * queries, stretched, torch.arange(20))[0])


def test_embeddings_that_are_all_the_same_share_the_mean_rank() -> None:
    same = torch.tensor([[1.0, 0.0]]).expand(9, 2)
    rank, size = ranks(same, same, torch.arange(9))
    assert (rank == 5).all()
    found = measures(rank, size)
    assert found["median_rank"] == found["median_rank_by_chance"] == 5
    assert found["recall_at_1"] == 0


def test_other_samples_of_the_subject_leave_the_gallery() -> None:
    queries, gallery = angles(0, 0, 90), angles(10, 0, 90)  # the second sample is nearer to the first query
    apart, together = ranks(queries, gallery, torch.arange(3)), ranks(queries, gallery, torch.tensor([7, 7, 8]))
    assert apart[0].tolist() == [2, 1, 1] and apart[1].tolist() == [3, 3, 3]
    assert together[0].tolist() == [1, 1, 1] and together[1].tolist() == [2, 2, 3]


def test_many_queries_are_ranked_in_groups() -> None:
    queries, gallery, subject = torch.randn(2500, 3), torch.randn(2500, 3), torch.arange(2500) // 2
    rank, size = ranks(queries, gallery, subject)
    similarity = F.normalize(queries, dim=1) @ F.normalize(gallery, dim=1).T
    better = (similarity > similarity.diagonal()[:, None]) & (subject[:, None] != subject)
    assert (size == 2499).all()
    assert (rank - 1 - better.sum(1)).abs().max() <= 1  # where rounding differs, two change places


def test_measures_of_known_ranks() -> None:
    found = measures(torch.tensor([1.0, 2.0, 4.0, 20.0]), torch.full((4,), 20))
    assert found == pytest.approx(
        {
            "recall_at_1": 1 / 4,
            "recall_at_1_by_chance": 1 / 20,
            "recall_at_5": 3 / 4,
            "recall_at_5_by_chance": 5 / 20,
            "recall_at_10": 3 / 4,
            "recall_at_10_by_chance": 10 / 20,
            "median_rank": 3.0,
            "median_rank_by_chance": 10.5,
            "mean_reciprocal_rank": (1 + 1 / 2 + 1 / 4 + 1 / 20) / 4,
            "mean_reciprocal_rank_by_chance": sum(1 / rank for rank in range(1, 21)) / 20,
        }
    )


def test_chance_is_what_random_ranks_give() -> None:
    """Every rank once is the uniform distribution exactly."""
    found = measures(torch.arange(1.0, 41.0), torch.full((40,), 40))
    for name in ("recall_at_1", "recall_at_5", "recall_at_10", "median_rank", "mean_reciprocal_rank"):
        assert found[name] == pytest.approx(found[f"{name}_by_chance"])


def test_in_a_small_gallery_chance_finds_everything() -> None:
    found = measures(torch.tensor([1.0, 3.0]), torch.tensor([2, 4]))
    assert found["recall_at_5_by_chance"] == 1
    assert found["recall_at_1_by_chance"] == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert found["mean_reciprocal_rank_by_chance"] == pytest.approx((3 / 4 + 25 / 48) / 2)


def test_there_is_a_row_per_direction_of_every_pair_that_somebody_has() -> None:
    embeddings = torch.randn(6, 3, 4)
    embeddings[:, 1] = embeddings[:, 0]
    present = torch.tensor([[True, True, False]] * 5 + [[False, False, True]])
    rows = retrieval(embeddings, present, torch.arange(6), ("ehr", "cxr", "rep"))
    assert [(row["query"], row["target"], row["samples"]) for row in rows] == [("ehr", "cxr", 5), ("cxr", "ehr", 5)]
    assert all(row["recall_at_1"] == row["mean_reciprocal_rank"] == 1 for row in rows)
