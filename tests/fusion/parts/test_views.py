"""Standardisation and principal components of pooled vectors."""

import torch
from omnifuse.fusion.parts.views import View, Views

from tests.fusion.vectors import noise, spec_of, whole


def fitted(vectors: torch.Tensor, width: int) -> View:
    view = View(vectors.shape[1], width)
    view.fit(vectors)
    return view


def test_columns_are_standardised_over_what_is_known_and_unknown_is_the_mean() -> None:
    vectors = torch.tensor([[1.0, torch.nan], [3.0, 10.0], [torch.nan, 30.0]])
    expected = torch.tensor([[-1.0, 0.0], [1.0, -1.0], [0.0, 1.0]])
    torch.testing.assert_close(fitted(vectors, 64)(vectors), expected)


def test_columns_that_are_constant_or_never_known_become_zero() -> None:
    vectors = torch.tensor([[7.1, torch.nan], [7.1, torch.nan]])
    view = fitted(vectors, 64)
    assert (view(torch.tensor([[8.0, 1.0], [7.1, torch.nan]])) == 0).all()


def test_components_are_uncorrelated_in_order_and_as_good_as_the_best_of_their_number() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(200, 2) @ torch.randn(2, 6) + 0.1 * torch.randn(200, 6)
    reduced = fitted(vectors, 2)(vectors)
    covariance = reduced.T @ reduced / 200
    assert covariance[0, 0] > covariance[1, 1]
    torch.testing.assert_close(covariance[0, 1], torch.tensor(0.0), atol=1e-4, rtol=0)
    standardised = (vectors - vectors.mean(0)) / vectors.std(0, correction=0)
    largest = torch.linalg.svdvals(standardised)[:2] ** 2 / 200
    torch.testing.assert_close(covariance.diagonal(), largest, atol=1e-3, rtol=1e-3)


def test_components_beyond_the_number_of_samples_are_zero() -> None:
    torch.manual_seed(0)
    view = fitted(torch.randn(3, 10), 5)
    reduced = view(torch.randn(4, 10))
    assert reduced.shape == (4, 5)
    assert (reduced[:, 2:] == 0).all()
    assert (reduced[:, :2] != 0).all()


def test_a_missing_modality_is_its_mean_and_is_not_fitted_to() -> None:
    inputs, spec = noise(40), spec_of()
    views = Views(spec.inputs, 2)
    batch = whole(inputs)
    views.fit([batch])
    assert views.widths == [2, 2, 2]
    for m, view in enumerate(views(batch)):
        present = batch.presence[:, m]
        assert (view[~present] == 0).all()
        torch.testing.assert_close(view[present].mean(0), torch.zeros(2), atol=1e-5, rtol=0)
