"""Coma scale, weight and ventilation, by hand."""

from collections.abc import Callable

import pytest
from omnifuse.pipeline.sources.mimic.concepts.definitions import starters
from omnifuse.pipeline.sources.mimic.concepts.derived import Given, gcs, ventilation, weight

from .conftest import BEGIN, HOUR, hours, of_points, of_spans

Make = Callable[..., Given]
AWAKE = {"gcs_eye": [(1, 4), (8, 3)], "gcs_motor": [(1, 6), (8, 5)], "gcs_verbal_or_tube": [(1, 5), (3, 0), (8, 4)]}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (gcs.gcs, [(1, 15), (8, 12)]),
        (gcs.gcs_normal, [(1, 15), (3, 15), (8, 12)]),
        (gcs.gcs_one, [(1, 15), (3, 11), (8, 12)]),
        (gcs.gcs_unable, [(1, 0), (3, 1), (8, 0)]),
        (gcs.gcs_eye_motor, [(1, 10), (3, 10), (8, 8)]),
    ],
)
def test_who_has_a_tube_cannot_speak(rule: Callable[..., object], expected: list[object], given: Make) -> None:
    assert hours(rule(given(**AWAKE))) == expected  # type: ignore[arg-type]


def test_parts_count_for_six_hours(given: Make) -> None:
    """At hour 6.5 the eyes are 5.5 hours old, at hour 7 six, and words and movement as of the same row."""
    later = {"gcs_eye": [(1, 3)], "gcs_motor": [(6.5, 4), (7, 4)], "gcs_verbal_or_tube": [(6.5, 2), (7, 2)]}
    assert hours(gcs.gcs(given(**later))) == [(6.5, 9)]
    assert hours(gcs.gcs_normal(given(**later))) == [(1, 14), (6.5, 9), (7, 10)]


def test_what_is_known_late_does_not_replace_what_is_newer(given: Make) -> None:
    late = {"gcs_eye": [(1, 1, 3), (2, 4)], "gcs_motor": [(2, 6)], "gcs_verbal_or_tube": [(2, 5)]}
    assert hours(gcs.gcs(given(**late))) == [(2, 15), (3, 15)]


def test_the_weight_is_never_a_later_one(given: Make) -> None:
    daily, admission = [(-1, 60), (10, 70), (20, 72, 25)], [(-3, 90), (-1.5, 85), (12, 86)]
    one = given(weight_daily=daily, weight_admit=admission)
    assert hours(weight.weight(one)) == [(0, 85), (10, 70), (12, 86), (25, 72)]
    assert hours(weight.weight_known(one)) == [(0, 1), (10, 1), (12, 1), (25, 1)]
    late = given(weight_daily=[(10, 70)])
    assert hours(weight.weight(late)) == [(0, 80), (10, 70)]
    assert hours(weight.weight_known(late)) == [(0, 0), (10, 1)]
    asked = of_points((-5, 0), (0, 0), (9, 0), (10, 0), (30, 0))
    assert weight.weight_at(late, asked).to_list() == [80, 80, 80, 70, 70]


def ran(one: Given) -> list[tuple[float, float]]:
    made = ventilation.ventilated(one)
    return [((start - BEGIN) / HOUR, (end - BEGIN) / HOUR) for start, end in made.select("time", "end").iter_rows()]


DEVICE, MODE = starters(3)["o2_device"].levels, starters(3)["vent_mode"].levels


def test_a_setting_holds_until_something_ends_it_or_for_eight_hours(given: Make) -> None:
    """Begun by a mode, kept by PEEP; a mask ends it; standby is nothing; then a tube, and a gap of ten hours."""
    one = given(
        vent_mode=[(1, MODE.index("controlled")), (9.5, MODE.index("standby"))], peep=[(4, 5), (22, 5)],
        o2_device=[(9, DEVICE.index("mask")), (12, DEVICE.index("endotracheal tube"))],
    )  # fmt: skip
    assert ran(one) == [(1, 9), (12, 20), (22, 30)]


def test_at_one_time_an_extubation_comes_before_a_setting_and_that_before_oxygen(given: Make) -> None:
    none = DEVICE.index("none")
    assert ran(given(peep=[(1, 5), (3, 5)], o2_device=[(1, none)], extubation=[(3, 1)])) == [(1, 3)]


def test_once_a_procedure_is_known_settings_count_no_more(given: Make) -> None:
    one = given(peep=[(1, 5), (2, 5), (20, 5)], invasive_vent=of_spans((3, 10, 1)))
    assert ran(one) == [(1, 10)]
