"""A verdict says no more than its numbers."""

from dataclasses import replace

import pytest
from omnifuse.fusion.study.finished import Comparison
from omnifuse.fusion.study.results import Estimate
from omnifuse.fusion.study.verdict import verdict


def found(difference: float | None, equivalence: float = 1.0, trainings: int = 5) -> Comparison:
    return Comparison(Estimate(difference), 0.01, equivalence, trainings, None, None)


@pytest.mark.parametrize(
    ("comparison", "holm", "expected"),
    [
        (found(0.02), 0.01, "better"),
        (found(-0.02), 0.01, "worse"),
        (found(0.02), 0.06, "not shown"),
        (found(0.001, equivalence=0.01), 0.5, "equivalent (within 0.005)"),
        (found(0.001, equivalence=0.06), 0.5, "not shown"),
        (found(0.002, equivalence=0.01), 0.01, "better, by less than 0.005"),
        (found(None), None, "not measured"),
        (None, None, "not measured"),
    ],
)
def test_a_verdict_needs_a_difference_after_holm_or_an_interval_within_the_margin(
    comparison: Comparison | None, holm: float | None, expected: str
) -> None:
    assert verdict(comparison, holm, margin=0.005) == expected


def test_a_claim_holds_on_its_side_of_zero_and_fails_on_the_other() -> None:
    above, below = ("holds", "fails"), ("fails", "holds")
    assert [verdict(found(0.02), 0.01, 0.005, words) for words in (above, below)] == ["holds", "fails"]
    assert [verdict(found(-0.02), 0.01, 0.005, words) for words in (above, below)] == ["fails", "holds"]
    assert verdict(found(-0.02), 0.06, 0.005, above) == "not shown"


def test_what_one_training_shows_is_said_to_be_of_these_models() -> None:
    assert verdict(found(0.02, trainings=1), 0.01, 0.005) == "better, these models"
    assert verdict(found(0.001, 0.01, trainings=1), 0.5, 0.005) == "equivalent (within 0.005), these models"
    assert verdict(found(0.02, trainings=1), 0.06, 0.005) == "not shown"


def test_one_training_shows_nothing_where_methods_are_judged() -> None:
    assert verdict(found(0.02, trainings=1), 0.01, 0.005, ("holds", "fails"), trainings=2) == "not shown, one training"
    assert verdict(found(0.02, trainings=2), 0.01, 0.005, ("holds", "fails"), trainings=2) == "holds"


def test_where_lower_is_better_a_difference_below_0_is_in_favour_of_the_first() -> None:
    lower = replace(found(-0.02), higher_is_better=False)
    assert (verdict(lower, 0.01, 0.005), verdict(replace(lower, difference=Estimate(0.02)), 0.01, 0.005)) == (
        "better", "worse",
    )  # fmt: skip
