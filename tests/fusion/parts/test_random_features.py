"""Random features make the Gaussian kernel, and held-out answers are those of fits without what is held out."""

import torch
from omnifuse.fusion.parts.random_features import Ridge, orthogonal_directions, random_features
from torch import Tensor

GENERATOR = torch.Generator().manual_seed(0)


def normal(*size: int) -> Tensor:
    return torch.randn(*size, generator=GENERATOR, dtype=torch.float64)


def test_products_of_features_are_the_kernel() -> None:
    inputs = normal(30, 4) / 2
    features = random_features(inputs, orthogonal_directions(4, 20_000, GENERATOR), width=0.7)
    expected = torch.exp(-0.7 * torch.cdist(inputs, inputs) ** 2)
    torch.testing.assert_close(features @ features.T, expected, atol=0.02, rtol=0)


def test_directions_are_at_right_angles_within_a_block() -> None:
    directions = orthogonal_directions(5, 8, GENERATOR)
    assert directions.shape == (5, 8)
    products = directions[:, :5].T @ directions[:, :5]
    torch.testing.assert_close(products, products.diagonal().diag(), atol=1e-12, rtol=0)


def test_the_ridge_is_that_of_the_normal_equations() -> None:
    features, truth = normal(40, 6), normal(40, 2)
    expected = torch.linalg.inv(features.T @ features + 2 * torch.eye(6)) @ features.T @ truth
    torch.testing.assert_close(Ridge.fit(features, truth, 2.0).coefficients, expected)


def test_held_out_answers_are_those_of_fits_without_the_held_out() -> None:
    features, truth, part = normal(40, 6), normal(40, 2), torch.arange(40) % 3
    said = Ridge.fit(features, truth, 2.0).held_out(part)
    for number in range(3):
        rest = Ridge.fit(features[part != number], truth[part != number], 2.0)
        torch.testing.assert_close(said[part == number], features[part == number] @ rest.coefficients)
