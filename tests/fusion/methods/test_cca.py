"""Canonical correlation: planted correlations, another implementation, samples that lack modalities."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.cca import CCA, canonical_directions, covariances
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.multiview import ViewTable
from omnifuse.fusion.training.loop import Parts, fit
from torch import Tensor

from tests.fusion.vectors import noise, spec_of


def planted(samples: int, correlation: float, widths: tuple[int, ...] = (5, 4)) -> ViewTable:
    """Standard normal views, rotated, with one variable in each whose correlation with those of others is given."""
    torch.manual_seed(0)
    shared = torch.randn(samples, 1)
    views = []
    for width in widths:
        view = torch.randn(samples, width)
        view[:, :1] = correlation**0.5 * shared + (1 - correlation) ** 0.5 * view[:, :1]
        rotation, _ = torch.linalg.qr(torch.randn(width, width))
        view = view @ rotation
        views.append(view - view.mean(0))
    return ViewTable(views, torch.ones(samples, len(widths), dtype=torch.bool), torch.zeros(samples, 1))


def hide(table: ViewTable, present: Tensor) -> ViewTable:
    views = [view * shown[:, None] for view, shown in zip(table.views, present.T, strict=True)]
    return replace(table, views=views, present=present)


def correlations(table: ViewTable, shrinkage: float = 1e-6, count: int = 3) -> torch.Tensor:
    return torch.from_numpy(canonical_directions(*covariances(table, shrinkage), count)[0])


def test_a_planted_correlation_is_the_first_and_others_are_near_zero() -> None:
    found = correlations(planted(20_000, 0.8))
    assert found[0] == pytest.approx(0.8, abs=0.01)
    assert found[1:].max() < 0.05


def test_three_modalities_have_twice_the_correlation_of_each_pair() -> None:
    assert correlations(planted(20_000, 0.6, (5, 4, 3)))[0] == pytest.approx(1.2, abs=0.03)


def test_samples_that_lack_a_modality_still_count() -> None:
    table = planted(20_000, 0.8, (5, 4, 3))
    pairs = ~torch.eye(3, dtype=torch.bool)[torch.arange(20_000) % 3]  # everyone lacks one of three
    assert correlations(hide(table, pairs))[0] == pytest.approx(1.6, abs=0.05)


@pytest.mark.parametrize("shrinkage", [0.01, 0.5, 1.0])
def test_directions_are_those_of_cca_zoo(shrinkage: float) -> None:
    linear = pytest.importorskip("cca_zoo.linear")
    table = planted(300, 0.7, (5, 4, 3))
    views = [(view / view.pow(2).mean().sqrt()).double() for view in table.views]
    ours = canonical_directions(*covariances(replace(table, views=views), shrinkage), 2)[1]
    views = [view.numpy() * np.sqrt(299 / 300) for view in views]  # cca-zoo divides by n - 1
    theirs = linear.MCCA(n_components=2, shrinkage=shrinkage).fit(views).weights_
    for mine, other in zip(np.split(ours, [5, 9]), theirs, strict=True):
        ratio = np.diag(mine.T @ other) / np.linalg.norm(mine, axis=0) / np.linalg.norm(other, axis=0)
        np.testing.assert_allclose(np.abs(ratio), 1, atol=1e-3)


def test_variates_of_a_missing_modality_follow_from_the_others() -> None:
    table = planted(2000, 0.95)
    method = CCA(spec_of(modalities=("ehr", "cxr")), CCA.Options(dimensions=1, shrinkage=1e-3))
    method.learn(table, 0)
    variates = method.scores(table.views, table.present)  # [n, 2]
    hidden = hide(table, table.present & torch.tensor([True, False]))
    estimated = method.scores(hidden.views, hidden.present)
    torch.testing.assert_close(estimated[:, 0], variates[:, 0])
    assert torch.corrcoef(torch.stack([estimated[:, 1], variates[:, 1]]))[0, 1] == pytest.approx(0.95, abs=0.02)


def test_no_sample_with_two_modalities_is_an_error() -> None:
    inputs = noise(40)
    inputs = replace(inputs, presence=torch.eye(3, dtype=torch.bool)[torch.arange(40) % 3])
    with pytest.raises(InputError, match="needs samples with two modalities; the training part has none"):
        fit(CCA(spec_of()), inputs, Parts(torch.arange(40), torch.arange(0)), FitConfig(), 0)


@pytest.mark.parametrize("wrong", [{"dimensions": 0}, {"shrinkage": 0.0}, {"shrinkage": 1.5}, {"components": 0}])
def test_wrong_options_are_refused_with_their_value(wrong: dict[str, float]) -> None:
    (name, value), *_ = wrong.items()
    with pytest.raises(InputError, match=rf"{name} must .*; got {value}"):
        CCA.Options(**wrong)
