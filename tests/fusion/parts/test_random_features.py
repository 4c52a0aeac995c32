"""Random features make the Gaussian kernel, and held-out answers are those of fits without what is held out."""

import numpy as np
from omnifuse.fusion.parts.random_features import Ridge, orthogonal_directions, random_features

RNG = np.random.default_rng(0)


def test_products_of_features_are_the_kernel() -> None:
    inputs = RNG.normal(size=(30, 4)) / 2
    features = random_features(inputs, orthogonal_directions(4, 20_000, np.random.default_rng(1)), width=0.7)
    distance = ((inputs[:, None] - inputs[None]) ** 2).sum(-1)
    np.testing.assert_allclose(features @ features.T, np.exp(-0.7 * distance), atol=0.02)


def test_directions_are_at_right_angles_within_a_block() -> None:
    directions = orthogonal_directions(5, 8, np.random.default_rng(0))
    assert directions.shape == (5, 8)
    products = directions[:, :5].T @ directions[:, :5]
    np.testing.assert_allclose(products - np.diag(np.diag(products)), 0, atol=1e-12)


def test_the_ridge_is_that_of_the_normal_equations() -> None:
    features, truth = RNG.normal(size=(40, 6)), RNG.normal(size=(40, 2))
    expected = np.linalg.inv(features.T @ features + 2 * np.eye(6)) @ features.T @ truth
    np.testing.assert_allclose(Ridge.fit(features, truth, 2.0).coefficients, expected)


def test_held_out_answers_are_those_of_fits_without_the_held_out() -> None:
    features, truth, part = RNG.normal(size=(40, 6)), RNG.normal(size=(40, 2)), RNG.integers(0, 3, 40)
    said = Ridge.fit(features, truth, 2.0).held_out(part)
    for number in range(3):
        rest = Ridge.fit(features[part != number], truth[part != number], 2.0)
        np.testing.assert_allclose(said[part == number], features[part == number] @ rest.coefficients)
