"""How modalities compare pair by pair, and the table that keeps it."""

import math

import torch
from omnifuse.fusion.parts.balance import EpochMeans, pairwise_ratios

SCORES = torch.tensor([[0.8, 0.4, 0.2], [0.6, 0.3, 0.1]])
ALL = torch.ones(2, 3, dtype=torch.bool)


def test_with_everything_there_ratios_are_those_of_the_sums() -> None:
    expected = torch.tensor([[math.nan, 2.0, 14 / 3], [0.5, math.nan, 7 / 3], [3 / 14, 3 / 7, math.nan]])
    torch.testing.assert_close(pairwise_ratios(SCORES, ALL), expected, equal_nan=True)


def test_only_samples_with_both_modalities_count() -> None:
    scored = torch.tensor([[True, True, False], [True, False, True]])
    ratios = pairwise_ratios(torch.where(scored, SCORES, torch.nan), scored)
    torch.testing.assert_close(ratios[0, 1:], torch.tensor([0.8 / 0.4, 0.6 / 0.1]))
    assert ratios[1, 2].isnan() and ratios[2, 1].isnan()  # nobody has both


def test_impossible_truths_give_finite_ratios() -> None:
    ratios = pairwise_ratios(torch.tensor([[0.0, 0.5], [0.0, 0.5]]), ALL[:, :2])
    assert ratios[0, 1] == 0 and ratios[1, 0].isfinite()
    assert pairwise_ratios(torch.zeros(1, 2), ALL[:1, :2]).nan_to_num(0).isfinite().all()


def test_the_table_has_the_mean_over_steps_of_every_epoch() -> None:
    means = EpochMeans(["ehr", "cxr"])
    means.add(ratio=torch.tensor([1.0, math.nan]))
    means.add(ratio=torch.tensor([3.0, math.nan]))
    means.close(0)
    means.add(ratio=torch.tensor([5.0, 6.0]))
    means.close(1)
    assert means.rows == [
        {"epoch": 0, "modality": "ehr", "ratio": 2.0},
        {"epoch": 0, "modality": "cxr", "ratio": None},
        {"epoch": 1, "modality": "ehr", "ratio": 5.0},
        {"epoch": 1, "modality": "cxr", "ratio": 6.0},
    ]
