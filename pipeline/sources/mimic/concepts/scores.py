"""Scores beside the events that they are made of, in the one pass that all variables share."""

from collections import Counter
from collections.abc import Callable, Sequence

import polars as pl

from .definitions import Concept, Version
from .derived import derived_of, ingredients_of
from .derived.given import CODES, DAY, STAYS
from .derived.making import NEEDED, Making
from .reading import Available

EARLIEST = DAY
"""Seconds before anything counts from which events may be ingredients of what does."""


def with_ingredients(concepts: Sequence[Concept], version: Version) -> list[Concept]:
    """Return concepts and behind them what their scores are made of, as far as it is not among them."""
    there = {_events_of(concept) for concept in concepts}
    return [*concepts, *(one for one in ingredients_of(concepts, version) if _events_of(one) not in there)]


def numbers_of_ingredients(concepts: Sequence[Concept], scores: Sequence[Concept], version: Version) -> dict[str, int]:
    """Return by name the numbers in ``concepts`` of what some scores are made of."""
    first = {_events_of(concept): number for number, concept in reversed(list(enumerate(concepts)))}
    return {one.name: first[_events_of(one)] for one in ingredients_of(scores, version)}


def _events_of(concept: Concept) -> str:
    """Return what decides the events of a concept; a bin is made of them later."""
    return repr({name: said for name, said in concept.to_json().items() if name not in ("name", "aggregates")})


def spans_with_ingredients(spans: pl.DataFrame, stays: pl.DataFrame, concepts: Sequence[Concept]) -> pl.DataFrame:
    """Return spans (subject_id, first, last) that reach so far back that all ingredients lie in them.

    ``stays`` has subject_id and intime.
    """
    scores = derived_of(concepts)
    if not scores:
        return spans
    before = max(score.before or 0 for score in scores)
    begin = stays.group_by("subject_id").agg(begin=pl.col("intime").min() - before)
    earliest = pl.when(pl.col("first").is_not_null()).then(pl.min_horizontal("first", "begin") - EARLIEST)
    return spans.join(begin, on="subject_id", how="left").with_columns(first=earliest).drop("begin")


class Scores:
    """Adds scores to groups of events.

    Parameters
    ----------
    concepts
        As :func:`with_ingredients` gives them: their numbers are those of the events.
    stays
        key (the number of the sample), subject_id, begin, stop and age.
    codes
        Reads the coded diagnoses of the patients; asked where a score needs them.
    version
        Of MIMIC.
    available
        When a value counts as known.
    """

    def __init__(
        self, concepts: Sequence[Concept], stays: pl.DataFrame, codes: Callable[[], pl.DataFrame], version: Version,
        available: Available,
    ) -> None:  # fmt: skip
        self.rows = Counter[int]()
        """Values of each score, by the number of its concept."""
        self._concepts, self._version = concepts, version
        self._scores = {number: concept for number, concept in enumerate(concepts) if concept.derived}
        self._numbers = numbers_of_ingredients(concepts, list(self._scores.values()), version)
        self._stays = stays.select(*STAYS)
        coded = any(score.coded for score in derived_of(concepts))
        self._codes = codes() if coded else pl.DataFrame(schema=CODES)
        self._at_once = available == "charttime"
        self._seen: list[pl.Series] = []

    def added_to(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return the events of a group of subjects and what scores they make.

        The column ``only`` is the sample whose score it is, null where it is that of any stay of the subject.
        """
        self._seen.append(events["subject_id"].unique())
        made = self._made(events, self._seen[-1])
        return pl.concat([events, *made], how="diagonal") if made else events

    def of_others(self) -> pl.DataFrame | None:
        """Return the scores of subjects that had no events, None if there are none."""
        everyone = self._stays["subject_id"].unique()
        others = everyone.filter(~everyone.is_in(pl.concat(self._seen).implode())) if self._seen else everyone
        made = self._made(pl.DataFrame(schema={**NEEDED, "concept": pl.UInt32}), others)
        return pl.concat(made) if made else None

    def _made(self, events: pl.DataFrame, subjects: pl.Series) -> list[pl.DataFrame]:
        ingredients = {
            name: (self._concepts[number], events.filter(pl.col("concept") == number).select(*NEEDED))
            for name, number in self._numbers.items()
        }
        stays = self._stays.filter(pl.col("subject_id").is_in(subjects.implode()))
        codes = self._codes.filter(pl.col("subject_id").is_in(subjects.implode()))
        making = Making(ingredients, stays, codes, self._version, at_once=self._at_once)
        owners = stays.select("key", "subject_id")
        found = []
        for number, concept in self._scores.items():
            (score,) = derived_of([concept])
            made = making.make(score).with_row_index("row", 1)
            self.rows[number] += len(made)
            if score.before is None:
                owned = made.with_columns(subject_id="key", only=pl.lit(None, pl.Int64))
            else:
                owned = made.join(owners, on="key", maintain_order="left").with_columns(only="key")
            if len(owned):
                found.append(_as_events(owned, number))
        return found


def _as_events(scores: pl.DataFrame, number: int) -> pl.DataFrame:
    """Return scores as events of a concept, see :meth:`.reading.ConceptEvents.of_subjects`."""
    none = pl.lit(None, pl.Int64)
    return scores.select(
        "subject_id", "time", "end", "known", "value", "only", concept=pl.lit(number, pl.UInt32),
        row=pl.col("row").cast(pl.Int64), stay_id=none, hadm_id=none, spread=pl.lit(False), open_end=none,
        end_known=none, ends=pl.lit(None, NEEDED["ends"]),
    )  # fmt: skip
