"""Factor analysis: the estimate of factors in closed form, what mofapy2 finds of planted ones, the filling."""

import contextlib
import io
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.parts.completion.factors import PACKAGE, FactorModel
from omnifuse.fusion.parts.completion.filling import new_completion
from torch import Tensor

EVERYTHING = torch.ones(1, 2, dtype=torch.bool)
needs_mofapy2 = pytest.mark.skipif(find_spec(PACKAGE) is None, reason="needs mofapy2")


def given() -> FactorModel:
    """One factor, in two columns of the first modality and one of the second."""
    model = FactorModel([2, 1], 1)
    model.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    model.loadings.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
    model.precision.copy_(torch.tensor([4.0, 1.0, 0.5]))
    return model


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        # W'T(x - mean) = 4 * 1 + 2 * 3 and 1.5 * -2; W'TW = 4 + 4 and 4.5
        ([True, True], (10 - 3) / (1 + 8 + 4.5)),
        ([True, False], 10 / (1 + 8)),
        ([False, True], -3 / (1 + 4.5)),
        ([False, False], 0.0),
    ],
)
def test_factors_of_what_is_present(present: list[bool], expected: float) -> None:
    views = [torch.tensor([[2.0, 5.0]]), torch.tensor([[1.0]])]
    factors = given()(views, torch.tensor([present]))
    torch.testing.assert_close(factors, torch.tensor([[expected]]))


def test_what_is_absent_may_hold_anything() -> None:
    views = [torch.tensor([[2.0, 5.0]]), torch.tensor([[torch.nan]])]
    assert given()(views, torch.tensor([[True, False]])).isfinite().all()


def test_factors_make_the_modalities_again() -> None:
    first, second = given().reconstruct(torch.tensor([[0.5], [0.0]]))
    torch.testing.assert_close(first, torch.tensor([[1.5, 3.0], [1.0, 2.0]]))
    torch.testing.assert_close(second, torch.tensor([[4.5], [3.0]]))


def planted(samples: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Embeddings [n, 3, 8] of three standard normal factors and noise, who has which, and the factors' loadings."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(samples, 3, generator=generator)
    loadings = [torch.randn(3, 8, generator=generator) for _ in range(3)]
    noise = 0.3 * torch.randn(samples, 3, 8, generator=generator)
    embeddings = torch.stack([5 + z @ one for one in loadings], dim=1) + noise
    present = torch.rand(samples, 3, generator=generator) < 0.8
    return torch.where(present[:, :, None], embeddings, torch.nan), present, [z, embeddings]


def explained(truth: Tensor, estimate: Tensor) -> float:
    return 1 - float(((truth - estimate) ** 2).sum() / ((truth - truth.mean(0)) ** 2).sum())


@needs_mofapy2
def test_planted_factors_are_found_in_unseen_samples_by_any_modality() -> None:
    embeddings, present, (z, complete) = planted(400)
    model = FactorModel([8, 8, 8], 5)
    model.fit(embeddings[:200].unbind(1), present[:200], seed=0)
    for shown, enough in ((torch.ones(3), 0.97), (torch.tensor([1.0, 0.0, 0.0]), 0.9)):
        factors = model(complete[200:].unbind(1), shown.bool().expand(200, 3))
        solution = torch.linalg.lstsq(factors, z[200:]).solution  # factors are found up to a rotation
        assert explained(z[200:], factors @ solution) > enough


@needs_mofapy2
def test_the_filling_estimates_missing_embeddings_and_leaves_the_others() -> None:
    embeddings, present, (_, complete) = planted(400)
    filler = new_completion("mofa", 3, 8)
    filler.fit(embeddings[:200], present[:200])
    used = torch.tensor([True, False, True]).expand(200, 3)
    filled = filler(torch.where(used[:, :, None], complete[200:], torch.nan), used)
    assert torch.equal(filled[:, [0, 2]], complete[200:, [0, 2]])
    assert explained(complete[200:, 1], filled[:, 1]) > 0.9


@needs_mofapy2
def test_fitting_prints_nothing_and_leaves_the_generator_of_numpy() -> None:
    embeddings, present, _ = planted(50)
    present[:, 2] = False  # a modality that nobody has
    model = FactorModel([8, 8, 8], 2)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        model.fit(embeddings.unbind(1), present, seed=0)
    assert printed.getvalue() == ""
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert (model.loadings[16:] == 0).all()


def test_a_missing_package_is_said_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)  # as if it were not installed
    with pytest.raises(InputError, match=rf"Imputation by 'mofa' needs .*: pip install 'omnifuse\[{PACKAGE}\]'"):
        new_completion("mofa", 3, 8)
