"""What a difference shows, in a word: the one place where numbers become verdicts."""

from __future__ import annotations

from ..scores.intervals import LEVEL
from .finished import Comparison

NOT_SHOWN, NOT_MEASURED = "not shown", "not measured"

ORDERED = ("better", "worse")
"""What a difference is called that is in favour of the first method, and one against it."""

EQUIVALENT = "equivalent"

SEVERAL = 2
"""Trainings without which nothing is said of methods."""


def verdict(
    found: Comparison | None,
    holm: float | None,
    margin: float,
    words: tuple[str, str] = ORDERED,
    trainings: int = 1,
) -> str:
    """Return what a comparison shows, its p-value adjusted for all rows of its table being ``holm``.

    One of ``words`` where there is a difference, with "by less than" the margin if that is shown too; "equivalent"
    where there may be none and a difference as large as the margin can be excluded; else "not shown". With one training
    it is said of these models alone: of the same method trained twice, one in five may be "better" than the other
    (benchmarks/verdicts.py). Fewer ``trainings`` than are asked for show nothing of methods.
    """
    if found is None or found.difference.value is None or holm is None:
        return NOT_MEASURED
    if found.trainings < trainings:
        return f"{NOT_SHOWN}, one training"
    within = found.equivalence < LEVEL
    if holm < LEVEL:
        word = words[found.is_worse] + (f", by less than {margin:g}" if within else "")
    elif within:
        word = f"{EQUIVALENT} (within {margin:g})"
    else:
        return NOT_SHOWN
    return word if found.trainings > 1 else f"{word}, these models"
