"""Traceable laziness activation: equations 15 to 17, and the pass over all combinations."""

import math

import pytest
import torch
from omnifuse.fusion.laziness import (
    Distances,
    activation_loss,
    combination_name,
    combination_table,
    every_combination,
)
from torch import Tensor


def rows(*values: str) -> Tensor:
    """Bool rows from text: ``rows("110", "001")``."""
    return torch.tensor([[character == "1" for character in value] for value in values])


def test_all_combinations_small_ones_first() -> None:
    assert combination_table(3).equal(rows("100", "010", "001", "110", "101", "011", "111"))
    assert combination_table(1).equal(rows("1"))
    assert len(combination_table(6)) == 63


def test_above_six_modalities_only_singles_full_set_and_full_sets_without_one() -> None:
    sizes = combination_table(7).sum(1)
    assert sizes.bincount().tolist() == [0, 7, 0, 0, 0, 0, 7, 1]


def test_names_are_sorted() -> None:
    assert combination_name(rows("101")[0], ("rep", "ehr", "cxr")) == "cxr+rep"


def test_one_batched_pass_equals_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(11, 3, 4, generator=generator)
    present = torch.rand(11, 3, generator=generator) < 0.7
    weight = torch.randn(3, 4, 2, generator=generator)

    def predict(shown: Tensor, used: Tensor) -> Tensor:
        return torch.einsum("bmd,mdk->bk", shown * used.unsqueeze(-1), weight).tanh()

    table = combination_table(3)
    monkeypatch.setattr("omnifuse.fusion.laziness._ROWS_PER_PASS", 30)  # several passes
    together = every_combination(predict, embeddings, present, table)
    one_by_one = torch.stack([predict(embeddings, present & shown) for shown in table])
    torch.testing.assert_close(together, one_by_one, atol=1e-5, rtol=0)


class TestDistances:
    """Three samples; the third lacks modality 1. Combinations of two modalities: 10, 01, 11."""

    losses = torch.tensor([[1.0, 2.0, 6.0], [5.0, 1.0, 9.0], [2.0, 4.0, 9.0]])
    present = rows("11", "11", "10")

    def gathered(self, order: list[int] | None = None, batch: int = 3, known: Tensor | None = None) -> Distances:
        order = order or [0, 1, 2]
        known = torch.ones(3, dtype=torch.bool) if known is None else known
        distances = Distances(combination_table(2))
        for chosen in torch.tensor(order).split(batch):
            distances.add(self.losses[:, chosen], self.present[chosen], known[chosen])
        return distances

    def test_distance_is_the_mean_over_samples_that_have_the_combination(self) -> None:
        distances = self.gathered()
        assert distances.rows.tolist() == [3, 2, 2]
        assert distances.distance.tolist() == pytest.approx([3.0, 3.0, 3.0])

    def test_excess_compares_with_the_best_part_on_the_same_samples(self) -> None:
        """11 costs 3 where 10 alone costs 1.5 and 01 alone costs 3."""
        excess = self.gathered().excess.tolist()
        assert math.isnan(excess[0])
        assert math.isnan(excess[1])
        assert excess[2] == pytest.approx(1.5)

    @pytest.mark.parametrize("batch", [1, 2, 3])
    @pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
    def test_neither_batches_nor_order_matter(self, order: list[int], batch: int) -> None:
        torch.testing.assert_close(self.gathered(order, batch).distance, self.gathered().distance)

    def test_samples_without_label_do_not_count(self) -> None:
        distances = self.gathered(known=torch.tensor([True, False, True]))
        assert distances.rows.tolist() == [2, 1, 1]
        assert distances.distance.tolist() == pytest.approx([3.5, 5.0, 2.0])

    def test_laziest(self) -> None:
        distances = self.gathered(known=torch.tensor([True, False, True]))
        assert distances.laziest("absolute") == 1
        assert distances.laziest("excess") == 2

    def test_a_combination_that_nobody_has_is_not_lazy(self) -> None:
        distances = Distances(combination_table(2))
        distances.add(self.losses[:, 2:], self.present[2:], torch.tensor([True]))
        assert distances.rows.tolist() == [1, 0, 0]
        assert math.isnan(distances.distance[1])
        assert distances.laziest("absolute") == 0
        assert distances.laziest("excess") is None


class TestActivation:
    losses = torch.tensor([1.0, 2.0, 4.0, 8.0])
    used = rows("10", "11", "10", "10")
    known = torch.tensor([True, True, True, False])

    def test_counts_samples_shown_exactly_the_lazy_combination(self) -> None:
        loss = activation_loss(self.losses, self.used, torch.tensor([True, False]), self.known)
        assert loss.item() == pytest.approx((1.0 + 4.0) / 2)

    def test_an_empty_mask_is_exactly_zero_with_finite_gradient(self) -> None:
        losses = self.losses.clone().requires_grad_()
        loss = activation_loss(losses, self.used, torch.tensor([False, True]), self.known)
        loss.backward()
        assert loss.item() == 0
        assert losses.grad is not None
        assert losses.grad.eq(0).all()

    def test_nothing_before_the_first_mining(self) -> None:
        assert activation_loss(self.losses, self.used, None, self.known).item() == 0
