"""Combinations of modalities: their order and names, and one pass over all of them."""

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.parts.combinations import (
    combination_called,
    combination_name,
    combination_table,
    every_combination,
)
from torch import Tensor


def rows(*values: str) -> Tensor:
    """Bool rows from text: ``rows("110", "001")``."""
    return torch.tensor([[character == "1" for character in value] for value in values])


def test_all_combinations_small_ones_first() -> None:
    assert combination_table(3).equal(rows("100", "010", "001", "110", "101", "011", "111"))
    assert combination_table(1).equal(rows("1"))
    assert len(combination_table(6)) == 63


def test_above_six_modalities_only_singles_full_set_and_full_sets_without_one() -> None:
    sizes = combination_table(7).sum(1)
    assert sizes.bincount().tolist() == [0, 7, 0, 0, 0, 0, 7, 1]


def test_names_are_sorted() -> None:
    assert combination_name(rows("101")[0], ("rep", "ehr", "cxr")) == "cxr+rep"


def test_batched_passes_equal_a_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(3000, 3, 4, generator=generator)
    present = torch.rand(3000, 3, generator=generator) < 0.7
    weight = torch.randn(3, 4, 2, generator=generator)

    def predict(shown: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
        return torch.einsum("bmd,mdk->bk", shown * used.unsqueeze(-1), weight).tanh(), used

    table = combination_table(3)
    together, patterns = every_combination(predict, embeddings, present, table)
    one_by_one = torch.stack([predict(embeddings, present & shown)[0] for shown in table])
    torch.testing.assert_close(together, one_by_one, atol=1e-5, rtol=0)
    assert patterns.equal(table.unsqueeze(1) & present)


def test_combinations_are_found_by_name_in_any_order() -> None:
    table, names = combination_table(3), ("rep", "ehr", "cxr")
    assert table[combination_called("ehr + cxr", names, table)].tolist() == [False, True, True]
    with pytest.raises(InputError, match="no combination 'ct' of modalities; there are: rep, ehr, cxr, "):
        combination_called("ct", names, table)
