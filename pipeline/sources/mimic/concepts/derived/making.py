"""From concept events to scores: the ingredients as they were known, by stay or by patient."""

from collections.abc import Callable, Iterator, Mapping

import polars as pl

from ..definitions import Concept, Version
from ..held import ENDS
from ..reading import EVENT
from . import Derived
from .given import FRAME, Given, as_known

_NAMES = ("subject_id", "time", "end", "known", "value", "open_end", "end_known", "ends")
NEEDED = {name: EVENT[name] for name in _NAMES}
"""Columns of concept events that scores are made of."""

Ingredients = Mapping[str, tuple[Concept, pl.DataFrame]]
"""Concepts and their events, by name."""


class Making:
    """Makes scores of the events of some patients; what several are made of is made once.

    Parameters
    ----------
    ingredients
        With the columns `NEEDED`.
    stays
        key, subject_id, begin, stop and age, see :class:`.given.Given`.
    codes
        Coded diagnoses of the patients.
    version
        Of MIMIC.
    at_once
        Whether a value counts as known when it was charted.
    """

    def __init__(
        self, ingredients: Ingredients, stays: pl.DataFrame, codes: pl.DataFrame, version: Version, *, at_once: bool
    ) -> None:
        self._ingredients, self._stays, self._codes = ingredients, stays, codes
        self._version, self._at_once = version, at_once
        self._given: dict[tuple[int | None, bool], Given] = {}

    def make(self, score: Derived, *, as_charted: bool = False) -> pl.DataFrame:
        """Return key, time, end, known and value of a score; the key is the subject_id where it has no ``before``."""
        return score.make(self.given(score.before, as_charted=as_charted))

    def given(self, before: int | None, *, as_charted: bool = False) -> Given:
        """Return the ingredients of stays from ``before`` seconds before them on, or all of patients."""
        how = before, as_charted
        if how not in self._given:
            events = _Lazily(self._ingredients, lambda of, rows: self._keyed(self._timed(of, rows, as_charted), before))
            stays = self._stays.clear() if before is None else self._stays
            self._given[how] = Given(events, stays, self._codes, self._version)
        return self._given[how]

    def _timed(self, concept: Concept, rows: pl.DataFrame, as_charted: bool) -> pl.DataFrame:
        """Return the events of an ingredient with the times at which they count."""
        none = pl.lit(None, pl.Int64)
        if self._at_once:
            rows = rows.with_columns(known="time", end_known=none, ends=pl.lit(None, ENDS))
        if not concept.kind.startswith("interval"):
            return rows.with_columns(end=none)
        return rows if as_charted else as_known(rows)

    def _keyed(self, rows: pl.DataFrame, before: int | None) -> pl.DataFrame:
        if before is None:
            return rows.select(key="subject_id", **{name: pl.col(name) for name in FRAME if name != "key"})
        owners = self._stays.select("key", "subject_id", "begin")
        owned = rows.join(owners, on="subject_id", maintain_order="left")
        return owned.filter(pl.coalesce("end", "time") >= pl.col("begin") - before).select(*FRAME)


class _Lazily(Mapping[str, pl.DataFrame]):
    """Ingredients that are brought into form when a score first asks for them."""

    def __init__(self, ingredients: Ingredients, form: Callable[[Concept, pl.DataFrame], pl.DataFrame]) -> None:
        self._ingredients, self._form = ingredients, form
        self._formed: dict[str, pl.DataFrame] = {}

    def __getitem__(self, name: str) -> pl.DataFrame:
        if name not in self._formed:
            self._formed[name] = self._form(*self._ingredients[name])
        return self._formed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ingredients)

    def __len__(self) -> int:
        return len(self._ingredients)
