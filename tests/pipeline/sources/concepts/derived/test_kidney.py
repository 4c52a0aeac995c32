"""Stages of acute kidney injury by urine and by all criteria, by hand; creatinine is in the tests of tasks."""

from collections.abc import Callable

import pytest
from omnifuse.pipeline.sources.mimic.concepts.derived import Given, kdigo
from omnifuse.pipeline.sources.mimic.concepts.derived.urine import urine_windows

from .conftest import hours, of_spans

Make = Callable[..., Given]


def hourly(amount: float, until: int = 24, start: int = 1) -> list[tuple[float, float]]:
    return [(hour, amount) for hour in range(start, until + 1)]


def by_urine(given: Given) -> dict[float, float]:
    return dict(hours(kdigo.urine_stage(given)))


@pytest.mark.parametrize(
    ("amount", "stages"),
    [
        (20, {6: 1, 11: 1, 12: 2, 23: 2, 24: 3}),  # 0.25 mL/kg/h of 80 kg
        (30, {6: 1, 12: 2, 24: 2}),  # 0.375
        (40, {6: 0, 12: 0, 24: 0}),  # 0.5, which is enough
        (0, {6: 1, 11: 1, 12: 3}),
    ],
)
def test_a_rate_counts_over_hours_that_are_documented(amount: float, stages: dict[int, int], given: Make) -> None:
    found = by_urine(given(urine=hourly(amount)))
    assert min(found) == 6
    assert {hour: found[hour] for hour in stages} == stages


def test_an_output_covers_the_time_since_the_one_before(given: Make) -> None:
    """100 mL of the first 5 hours, 30 of 3: 130 of 8; then nothing is charted for 10 hours: 40 of 10, and 170 of 18."""
    windows = urine_windows(given(urine=[(5, 100), (8, 30), (18, 40)]))
    rows = windows.select("urine6", "hours6", "urine12", "hours12", "urine24", "hours24").rows()
    assert rows == [(100, 5, 100, 5, 100, 5), (130, 8, 130, 8, 130, 8), (40, 10, 70, 13, 170, 18)]
    assert windows["rate24"].to_list() == pytest.approx([100 / 400, 130 / 640, 170 / 1440])


def test_what_was_run_in_is_subtracted_and_less_than_nothing_tells_nothing(given: Make) -> None:
    """The concept of urine has what was run in as an amount below 0."""
    assert by_urine(given(urine=[*hourly(100, 12), *hourly(-80, 12)]))[12] == 2
    assert by_urine(given(urine=[*hourly(80, 12), *hourly(-100, 12)]))[12] == 0


def test_the_weight_is_that_known_then(given: Make) -> None:
    """20 mL/h are 0.5 mL/kg/h of 40 kg, and 0.25 of 80 kg."""
    assert by_urine(given(urine=hourly(20, 12), weight_daily=[(11.5, 40)])) == {
        **dict.fromkeys(range(6, 12), 1), 12: 0,
    }  # fmt: skip


def test_rows_that_are_stored_together_count_from_then(given: Make) -> None:
    stored = [(hour, 20, 7) for hour in range(1, 7)]
    assert by_urine(given(urine=stored)) == {7: 1}


def test_the_highest_stage_of_six_hours_counts(given: Make) -> None:
    """Creatinine 1.6 after 1.0 is stage 1 at hour 2; filtration is charted at hour 10; urine is enough all the time."""
    one = given(creatinine_lab=[(-24, 1.0), (2, 1.6)], urine=hourly(100, 20), crrt_charted=[(10, 120), (12, 0)])
    stages = dict(hours(kdigo.stage(one)))
    assert stages == {
        -24: 0, 2: 1, **dict.fromkeys((6, 7), 1), **dict.fromkeys((8, 9), 0), **dict.fromkeys(range(10, 16), 3),
        **dict.fromkeys(range(16, 21), 0),
    }  # fmt: skip


@pytest.mark.parametrize("what", ["haemodialysis", "crrt", "peritoneal"])
def test_a_procedure_counts_while_it_runs(what: str, given: Make) -> None:
    one = given(**{what: of_spans((3, 5.5, 1))}, dialysis_carevue=[(-2, 1), (20, 1)], crrt_mode=[(21, 2)])
    stages = hours(kdigo.stage(one))
    assert stages == [(hour, 3) for hour in (3, 4, 5, 20, 21)]


def test_what_the_next_stay_charts_says_nothing_of_this_one(given: Make) -> None:
    """Its first output would cover the days between, at a rate of almost nothing."""
    one = given(24, urine=[*hourly(100), (200, 100), (201, 100)], crrt_charted=[(202, 100)])
    assert set(by_urine(one).values()) == {0}
    assert max(dict(hours(kdigo.stage(one)))) == 24
