"""Ridge imputation is the conditional mean of a normal distribution."""

import pytest
import torch
from omnifuse.fusion.parts.completion.ridge import RidgeImputation
from torch import Tensor


def copies(samples: int = 400) -> Tensor:
    """Embeddings [n, 3, 2] of which the second is a linear map of the first and the third is noise."""
    generator = torch.Generator().manual_seed(0)
    first, noise = torch.randn(2, samples, 2, generator=generator)
    second = first @ torch.tensor([[1.0, 2.0], [0.0, -1.0]]) + torch.tensor([5.0, 7.0])
    return torch.stack([first, second, noise], dim=1)


def fitted(embeddings: Tensor, present: Tensor, penalty: float = 1e-6) -> RidgeImputation:
    ridge = RidgeImputation(3, 2, penalty)
    ridge.fit(embeddings, present)
    return ridge


def test_what_follows_from_the_rest_is_found_and_what_does_not_is_the_mean() -> None:
    embeddings = copies()
    ridge = fitted(embeddings, torch.ones(400, 3, dtype=torch.bool))
    used = torch.tensor([[True, False, False]]).expand(400, -1)
    filled = ridge(torch.where(used[:, :, None], embeddings, torch.nan), used)
    torch.testing.assert_close(filled[:, :2], embeddings[:, :2], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(filled[:, 2].mean(0), embeddings[:, 2].mean(0))
    assert filled[:, 2].std(0).max() < 0.2 * embeddings[:, 2].std()


def test_one_dimension_against_the_textbook_formula() -> None:
    x = torch.tensor([0.0, 1.0, 2.0, 5.0])
    y = torch.tensor([1.0, 0.0, 4.0, 3.0])
    ridge = RidgeImputation(2, 1, penalty=0.5)
    ridge.fit(torch.stack([x, y], dim=1)[:, :, None], torch.ones(4, 2, dtype=torch.bool))
    variance, covariance = x.var(correction=0), ((x - x.mean()) * (y - y.mean())).mean()
    expected = y.mean() + covariance / (1.5 * variance) * (10 - x.mean())
    filled = ridge(torch.tensor([[[10.0], [torch.nan]]]), torch.tensor([[True, False]]))
    assert float(filled[0, 1, 0]) == pytest.approx(float(expected), rel=1e-5)


def test_missing_training_slots_are_never_read() -> None:
    embeddings, present = copies(), torch.rand(400, 3, generator=torch.Generator().manual_seed(1)) < 0.7
    poisoned = torch.where(present[:, :, None], embeddings, torch.nan)
    assert torch.equal(fitted(poisoned, present).covariance, fitted(embeddings, present).covariance)
    assert fitted(poisoned, present).covariance.isfinite().all()


def test_what_is_there_stays_and_nothing_gives_the_mean() -> None:
    embeddings = copies()
    ridge = fitted(embeddings, torch.ones(400, 3, dtype=torch.bool))
    everything, nothing = torch.ones(2, 3, dtype=torch.bool), torch.zeros(2, 3, dtype=torch.bool)
    assert torch.equal(ridge(embeddings[:2], everything), embeddings[:2])
    torch.testing.assert_close(ridge(embeddings[:2], nothing).flatten(1), ridge.mean.expand(2, -1))
