"""Stored samples: how alike others are, and what is borrowed of them."""

import math

import pytest
import torch
from omnifuse.fusion.parts.neighbours import Nodes, kernel, mean_of_neighbours, median_distance


def test_kernels_of_five_bandwidths_are_averaged() -> None:
    samples, nodes = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    expected = sum(math.exp(-2 / (factor * 4.0)) for factor in (0.25, 0.5, 1, 2, 4)) / 5
    torch.testing.assert_close(kernel(samples, nodes, torch.tensor(4.0)), torch.tensor([[1.0, expected]]))


def test_the_bandwidth_is_the_median_squared_distance() -> None:
    assert float(median_distance(torch.tensor([[0.0], [1.0], [3.0]]))) == pytest.approx(4)
    assert float(median_distance(torch.zeros(1, 3))) == 1
    assert float(median_distance(torch.zeros(5, 3))) > 0


def test_only_neighbours_that_have_a_modality_are_borrowed_from() -> None:
    values = torch.tensor([[[1.0], [9.0]], [[4.0], [2.0]]])  # [R, M, D]
    there, weights = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[2.0, 1.0], [3.0, 0.0]])
    mean, some = mean_of_neighbours(weights, values, there)
    assert some.tolist() == [[True, True], [True, False]]
    torch.testing.assert_close(mean[:, :, 0], torch.tensor([[2.0, 2.0], [1.0, 0.0]]))


def test_what_is_stored_comes_back() -> None:
    nodes, again = Nodes(2, 3), Nodes(2, 3)
    nodes.store(torch.randn(5, 2, 3), torch.randn(5, 2, 3), torch.rand(5, 2) < 0.5)
    again.load_state_dict(nodes.state_dict())
    assert all(torch.equal(getattr(again, name), getattr(nodes, name)) for name in ("embeddings", "around", "there"))
