"""Traceable laziness activation: equations 15 to 17."""

import math

import pytest
import torch
from omnifuse.fusion.methods.omnifuse.laziness import Activation, Distances
from omnifuse.fusion.parts.combinations import (
    combination_table,
)
from torch import Tensor


def rows(*values: str) -> Tensor:
    """Bool rows from text: ``rows("110", "001")``."""
    return torch.tensor([[character == "1" for character in value] for value in values])


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

    @staticmethod
    def attending(combination: int | None) -> Activation:
        activation = Activation(combination_table(2), ("ehr", "rep"), "absolute")
        activation.active = combination
        return activation

    def test_counts_samples_shown_exactly_the_lazy_combination(self) -> None:
        loss = self.attending(0).loss(self.losses, self.used, self.known)
        assert loss.item() == pytest.approx((1.0 + 4.0) / 2)

    def test_an_empty_mask_is_exactly_zero_with_finite_gradient(self) -> None:
        losses = self.losses.clone().requires_grad_()
        loss = self.attending(1).loss(losses, self.used, self.known)
        loss.backward()
        assert loss.item() == 0
        assert losses.grad is not None
        assert losses.grad.eq(0).all()

    def test_nothing_before_the_first_mining(self) -> None:
        assert self.attending(None).loss(self.losses, self.used, self.known).item() == 0


class TestTrace:
    """Two epochs of two modalities. Losses of ehr, rep and both; the second sample lacks rep."""

    present = rows("11", "10")
    known = torch.ones(2, dtype=torch.bool)
    weights = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]], [[0.4, 0.6], [0.2, 0.8]]])  # [C, B, M]

    def distances(self, *losses: tuple[float, float]) -> Distances:
        distances = Distances(combination_table(2), heads=2)
        distances.add(torch.tensor(losses), self.present, self.known, self.weights)
        return distances

    def traced(self, always: int | None = None) -> list[dict[str, object]]:
        activation = Activation(combination_table(2), ("ehr", "rep"), "absolute", always)
        activation.record(0, self.distances((1, 2), (3, 9), (2, 9)), None)
        activation.loss(torch.ones(3), rows("01", "01", "10"), torch.tensor([True, True, False]))
        activation.loss(torch.ones(2), rows("11", "01"), torch.tensor([True, False]))
        activation.record(1, self.distances((2, 2), (1, 9), (2, 9)), self.distances((4, 6), (5, 9), (7, 9)))
        return activation.trace

    def test_what_was_chosen_is_active_in_the_next_epoch(self) -> None:
        trace = self.traced()
        assert [(row["combination"], row["chosen"], row["active"]) for row in trace] == [
            ("ehr", False, False), ("rep", True, False), ("ehr+rep", False, False),
            ("ehr", True, False), ("rep", False, True), ("ehr+rep", False, False),
        ]  # fmt: skip

    def test_what_activation_did(self) -> None:
        """Two of three labelled samples were shown rep alone; its loss fell from 3 to 1."""
        ehr, rep, both = self.traced()[3:]
        assert (rep["selected"], rep["share"]) == (2, pytest.approx(2 / 3))
        assert (ehr["selected"], ehr["share"]) == (0, 0.0)
        assert [row["change"] for row in (ehr, rep, both)] == pytest.approx([0.5, -2.0, 0.0])
        assert {row["change"] for row in self.traced()[:3]} == {None}

    def test_every_epoch_counts_anew(self) -> None:
        activation = Activation(combination_table(2), ("ehr", "rep"), "absolute", always=0)
        for epoch in range(3):
            activation.loss(torch.ones(2), rows("10", "01"), self.known)
            activation.record(epoch, self.distances((1, 2), (3, 9), (2, 9)), None)
        assert [row["selected"] for row in activation.trace if row["active"]] == [1, 1]

    def test_weights_are_means_over_samples_that_have_the_combination(self) -> None:
        ehr, rep, both = self.traced()[:3]
        assert [row["rows"] for row in (ehr, rep, both)] == [2, 1, 1]
        assert (both["ehr.weight"], both["rep.weight"]) == (pytest.approx(0.4), pytest.approx(0.6))

    def test_validation_is_logged_beside_what_is_mined_where_there_is_some(self) -> None:
        trace = self.traced()
        assert "validation_distance" not in trace[0]
        assert [row["validation_distance"] for row in trace[3:]] == pytest.approx([5.0, 5.0, 7.0])
        assert trace[5]["validation_excess"] == pytest.approx(7.0 - 4.0)

    def test_a_fixed_combination_is_lazy_whatever_is_mined(self) -> None:
        assert [row["combination"] for row in self.traced(always=2) if row["chosen"]] == ["ehr+rep"] * 2
