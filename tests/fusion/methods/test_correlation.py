"""Debiased linear centred kernel alignment, and that of every pair of modalities."""

from dataclasses import replace

import pytest
import torch
from omnifuse.fusion.inputs.spec import InputSpec
from omnifuse.fusion.methods.correlation import debiased_cka, modality_correlations
from torch import Tensor

from tests.fusion.vectors import changed, noise, spec_of, whole


def drawn(samples: int, columns: int, seed: int) -> Tensor:
    return torch.randn(samples, columns, generator=torch.Generator().manual_seed(seed))


def u_centred(table: Tensor) -> Tensor:
    """Return the inner products of different samples, U-centred (Szekely and Rizzo 2014, Eq. 2.3)."""
    n = len(table)
    products = (table @ table.T).double().fill_diagonal_(0.0)
    rows = products.sum(0) / (n - 2)
    return (products - rows - rows[:, None] + products.sum() / ((n - 1) * (n - 2))).fill_diagonal_(0.0)


def test_it_is_the_cosine_of_centred_inner_products_between_different_samples() -> None:
    x, y = drawn(20, 4, 0), drawn(20, 7, 1)
    y[:, 0] += x[:, 0]
    expected = torch.cosine_similarity(u_centred(x).flatten(), u_centred(y).flatten(), dim=0)
    torch.testing.assert_close(debiased_cka(x, y), expected)


def test_a_rotated_and_scaled_table_is_the_same() -> None:
    x = drawn(30, 5, 0)
    rotation, _ = torch.linalg.qr(drawn(5, 5, 1))
    assert debiased_cka(x, 3 + 2 * x @ rotation) == pytest.approx(1)


def test_chance_does_not_raise_it_in_wide_tables() -> None:
    x, y = drawn(50, 500, 0), drawn(50, 500, 1)
    plain = torch.cosine_similarity((x @ x.T).flatten(), (y @ y.T).flatten(), dim=0)
    assert plain > 0.8
    assert abs(debiased_cka(x, y)) < 0.05


@pytest.mark.parametrize("samples", [0, 1, 3, 9])
def test_a_table_that_says_nothing_has_nothing_in_common(samples: int) -> None:
    assert debiased_cka(torch.full((samples, 3), 7.1), drawn(samples, 2, 0)) == 0


def test_a_pair_is_judged_by_the_samples_that_have_both() -> None:
    inputs, specs = noise(60), spec_of().inputs
    between = modality_correlations(specs, inputs.batches(torch.arange(60), 25))
    assert torch.equal(between, between.T)
    assert torch.equal(between.diag(), torch.ones(3, dtype=torch.float64))
    both = inputs.presence[:, 1] & inputs.presence[:, 2]
    cxr, rep = (inputs.modalities[name].summary for name in ("cxr", "rep"))
    assert cxr is not None and rep is not None
    torch.testing.assert_close(between[1, 2], debiased_cka(cxr[both], rep[both]))
    other = changed(inputs, ~inputs.presence)
    assert torch.equal(modality_correlations(specs, [whole(other)]), modality_correlations(specs, [whole(inputs)]))


def test_what_is_unknown_and_pairs_that_never_meet_are_no_error() -> None:
    inputs = noise(40)
    ehr = inputs.modalities["ehr"].summary
    assert ehr is not None
    ehr[::3, 0] = torch.nan
    inputs = replace(inputs, presence=inputs.presence & torch.tensor([True, True, False]))
    specs: tuple[InputSpec, ...] = spec_of().inputs
    between = modality_correlations(specs, [whole(inputs)])
    assert between.isfinite().all() and between[0, 1] != 0
    assert between[2].tolist() == [0, 0, 1]
