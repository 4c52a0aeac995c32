"""Ingredients of scores by hand: a patient whose stay begins at hour 0."""

from collections.abc import Callable, Sequence

import polars as pl
import pytest
from omnifuse.pipeline.sources.mimic.concepts.derived.given import FRAME, STAYS, Given

BEGIN = 1_000_000_000
HOUR = 3600
Points = Sequence[tuple[float, float] | tuple[float, float, float]]
"""Hour, value, and the hour in which it was known where that is another."""


def second(hour: float) -> int:
    return BEGIN + round(hour * HOUR)


def of_points(*rows: tuple[float, ...], key: int = 0) -> pl.DataFrame:
    made = [(key, second(row[0]), None, second(row[-1] if len(row) > 2 else row[0]), row[1]) for row in rows]
    return pl.DataFrame(made, schema=FRAME, orient="row")


def of_spans(*rows: tuple[float, float, float], key: int = 0) -> pl.DataFrame:
    """Hours from and to, and the value."""
    made = [(key, second(start), second(end), second(start), value) for start, end, value in rows]
    return pl.DataFrame(made, schema=FRAME, orient="row")


def hours(score: pl.DataFrame) -> list[tuple[float, float]]:
    """Return hour and value of a score."""
    return [((time - BEGIN) / HOUR, value) for time, value in score.select("time", "value").iter_rows()]


@pytest.fixture
def given() -> Callable[..., Given]:
    """Return what is given of one stay of ``length`` hours: points as rows, or frames."""

    def made(
        length: float | None = 48.0, age: float = 67.0, codes: pl.DataFrame | None = None, **events: object
    ) -> Given:
        stop = None if length is None else second(length)
        stay = pl.DataFrame([(0, 1, BEGIN, stop, age)], schema=STAYS, orient="row")
        frames = {name: one if isinstance(one, pl.DataFrame) else of_points(*one) for name, one in events.items()}  # type: ignore[misc]
        more = {} if codes is None else {"codes": codes}
        return Given(frames, stay, version=3, **more)

    return made
