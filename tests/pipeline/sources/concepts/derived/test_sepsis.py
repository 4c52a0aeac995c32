"""When an infection is suspected, and when it is sepsis: by hand."""

import polars as pl
import pytest
from omnifuse.pipeline.sources.mimic.concepts.derived import DERIVED, Given
from omnifuse.pipeline.sources.mimic.concepts.derived.given import FRAME, STAYS, points
from omnifuse.pipeline.sources.mimic.concepts.derived.sepsis import ANTIBIOTIC, CULTURE, ONSETS
from omnifuse.pipeline.sources.mimic.concepts.derived.sofa import sofa

HOUR, DAY = 3600, 86_400
BEGIN = 100 * DAY
"""Midnight, when the stay begins."""
END_OF_DAY = 24 - 1 / HOUR


def events(hours: tuple[float, ...]) -> pl.DataFrame:
    times = [BEGIN + round(hour * HOUR) for hour in hours]
    rows = [(0, time, None, time, 1.0) for time in times]
    return pl.DataFrame(rows, schema=FRAME, orient="row")


def given(
    antibiotics: tuple[float, ...], cultures: tuple[float, ...], scores: tuple[tuple[float, int], ...] = ()
) -> Given:
    """Return a stay of 100 hours with orders, cultures and SOFA at some hours."""
    stay = pl.DataFrame([(0, 1, BEGIN, BEGIN + 100 * HOUR, 60.0)], schema=STAYS, orient="row")
    score = points(events(tuple(hour for hour, _ in scores)).with_columns(
        value=pl.Series([float(value) for _, value in scores], dtype=pl.Float64)
    ))  # fmt: skip
    return Given({ANTIBIOTIC: events(antibiotics), CULTURE: events(cultures)}, stay, _made={sofa: score})


def hours(made: pl.DataFrame) -> list[tuple[float, float]]:
    assert made.columns == list(FRAME)
    return [((time - BEGIN) / HOUR, (known - BEGIN) / HOUR) for time, known in made.select("time", "known").rows()]


@pytest.mark.parametrize(
    ("antibiotic", "culture", "suspected"),
    [
        (10, 10, (10, 10)),
        (75, 3, (3, 75)),  # 72 hours after the culture, not more
        (75.1, 3, None),
        (10, 34, (10, 34)),  # 24 hours before it, not more
        (10, 34.1, None),
        (-20, -40, (-40, -20)),  # before the unit
        (101, 99, None),  # after it
    ],
)
def test_a_culture_and_an_antibiotic(antibiotic: float, culture: float, suspected: tuple[float, float] | None) -> None:
    made = DERIVED["suspected_infection"].make(given((antibiotic,), (culture,)))
    assert hours(made) == ([] if suspected is None else [pytest.approx(suspected)])


def test_the_earliest_culture_of_each_antibiotic_counts_and_one_before_it_more_than_one_after() -> None:
    assert hours(DERIVED["suspected_infection"].make(given((40,), (20, 30, 41)))) == [(20, 40)]
    assert hours(DERIVED["suspected_infection"].make(given((40,), (-33, 50, 45)))) == [(40, 45)]
    two = given((40, 44), (30,))
    assert hours(DERIVED["suspected_infection"].make(two)) == [(30, 40)]  # known with the first of the orders


def test_of_days_without_an_hour_three_and_one_count() -> None:
    """An order or a culture of which only the day is known lies at the last second of it."""
    make = DERIVED["suspected_infection"].make
    last, day = END_OF_DAY, 24
    close = pytest.approx
    assert hours(make(given((3 * day + 9,), (last,)))) == [(close(last), 3 * day + 9)]  # day 3 after day 0
    assert hours(make(given((4 * day,), (last,)))) == []
    assert hours(make(given((9,), (last,)))) == [(9, close(last))]  # of one day: what is known came first
    assert hours(make(given((9,), (day + last,)))) == [(9, close(day + last))]
    assert hours(make(given((9,), (2 * day + last,)))) == []
    assert hours(make(given((last,), (day + 9,)))) == [(close(last), day + 9)]  # an order by its day
    assert hours(make(given((last,), (9,)))) == [(9, close(last))]
    assert hours(make(given((last,), (2 * day + 9,)))) == []


def test_organs_fail_around_the_suspicion() -> None:
    """Suspected at 50, known at 60: SOFA from hour 2 to hour 74."""
    make = DERIVED["sepsis3_onset"].make
    assert hours(make(given((60,), (50,), ((1, 2), (2, 2), (9, 4))))) == [(2, 60)]
    assert hours(make(given((60,), (50,), ((1, 2), (2, 1), (74, 2))))) == [(74, 74)]
    assert hours(make(given((60,), (50,), ((1, 9), (75, 2))))) == []
    assert hours(make(given((60,), (), ((9, 9),)))) == []
    assert hours(make(given((), (), ()))) == []


def test_the_onset_is_what_was_chosen() -> None:
    after, before = given((60,), (50,), ((55, 3),)), given((60,), (50,), ((40, 3),))
    names = {onset: "sepsis3_onset" if onset == "sofa" else f"sepsis3_onset_{onset}" for onset in ONSETS}
    onsets = {onset: [hours(DERIVED[name].make(one))[0] for one in (after, before)] for onset, name in names.items()}
    assert onsets == {
        "sofa": [(55, 60), (40, 60)], "suspicion": [(50, 60), (50, 60)], "earlier": [(50, 60), (40, 60)],
        "later": [(55, 60), (50, 60)],
    }  # fmt: skip


def test_each_suspicion_has_its_onset_and_the_first_is_the_earliest() -> None:
    two = given((10, 90), (10, 90), ((12, 2), (50, 1), (60, 5)))
    assert hours(DERIVED["sepsis3_onset"].make(two)) == [(12, 12), (60, 90)]
