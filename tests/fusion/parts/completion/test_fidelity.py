"""How near imputed embeddings are to the true ones, by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.fusion.parts.completion.fidelity import cosine_similarity, explained_variance


def test_explained_variance_by_hand() -> None:
    """Modality 0: means (2, 0), spread 2, error 1. Modality 1 is worse than its mean; modality 2 exists once."""
    truth = torch.tensor([[[1.0, 0.0], [1.0, 1.0], [4.0, 4.0]], [[3.0, 0.0], [2.0, 2.0], [8.0, 8.0]]])
    imputed = torch.tensor([[[2.0, 0.0], [9.0, 9.0], [4.0, 4.0]], [[3.0, 0.0], [9.0, 9.0], [0.0, 0.0]]])
    slots = torch.tensor([[True, True, True], [True, True, False]])
    assert explained_variance(imputed, truth, slots).tolist() == pytest.approx([0.5, 0.0, 0.0])


def test_cosine_similarity_by_hand() -> None:
    """Modality 0: cosines 2 / sqrt 5 and 1, about the mean (2, 2) 0 and -1; 1 counts once, 2 never."""
    truth = torch.tensor([[[3.0, 3.0], [0.0, 2.0], [1.0, 1.0]], [[1.0, 1.0], [5.0, 5.0], [1.0, 1.0]]])
    imputed = torch.tensor([[[1.0, 3.0], [0.0, 1.0], [1.0, 1.0]], [[4.0, 4.0], [5.0, 5.0], [1.0, 1.0]]])
    slots = torch.tensor([[True, True, False], [True, False, False]])
    expected = [(2 / 5**0.5 + 1) / 2, 1.0]
    assert cosine_similarity(imputed, truth, slots, centred=False)[:2].tolist() == pytest.approx(expected)
    assert cosine_similarity(imputed, truth, slots, centred=True)[0].item() == pytest.approx((0 - 1) / 2)
    assert cosine_similarity(imputed, truth, slots, centred=False)[2].isnan()


@given(st.integers(0, 99))
def test_an_imputed_mean_is_similar_until_it_is_centred(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth = 3 + torch.randn(50, 2, 8, generator=generator)
    mean, slots = truth.mean(0).expand_as(truth), torch.ones(50, 2, dtype=torch.bool)
    assert (cosine_similarity(mean, truth, slots, centred=False) > 0.8).all()
    assert cosine_similarity(mean, truth, slots, centred=True).abs().max() < 1e-3
