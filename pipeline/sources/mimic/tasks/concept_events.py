"""The events behind the predicates of own tasks: which concepts they name, and one pass over the tables for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from .....cache_schema import InputError, meant, shown
from ..concepts.definitions import Concept, Kind, Version, starter_set, starter_sets
from ..concepts.derived import DERIVED, Derived
from ..concepts.event_tables import EVENT_TABLES
from ..concepts.units import parse_conversion
from .language import ConceptPredicate, TaskFile

COLUMNS = ("time", "end", "known", "value")


@dataclass(frozen=True)
class Named:
    """What a name stands for: a concept, or one derived of others."""

    ingredients: tuple[Concept, ...]
    derived: Derived | None = None

    @property
    def interval(self) -> bool:
        """Whether its events last."""
        return all(one.kind.startswith("interval") for one in self.ingredients)


class TaskConcepts:
    """The concepts that the predicates of some tasks name, and their events.

    Parameters
    ----------
    tasks
        The tasks.
    version
        Of MIMIC, 3 or 4.
    own
        Concepts of the user's files; they come before ours of the same name.

    Raises
    ------
    InputError
        For a name that there is no concept of, here or in this release, or a predicate that a concept cannot be.
    """

    def __init__(self, tasks: Sequence[TaskFile], version: Version, own: Sequence[Concept] = ()) -> None:
        self.version = version
        self._known = {concept.name: concept for name in starter_sets() for concept in starter_set(name, version)}
        self._known |= {concept.name: concept for concept in own}
        self._named: dict[tuple[str, str], tuple[Named, ...]] = {}
        for task in tasks:
            for name, predicate in task.predicates.items():
                if isinstance(predicate, ConceptPredicate):
                    self._named[task.name, name] = self._resolve(task, name, predicate)
        found = {
            repr(one.to_json()): one for named in self._named.values() for each in named for one in each.ingredients
        }
        self.concepts: tuple[Concept, ...] = tuple(found.values())
        """Every concept that is read, each once."""
        self._number = {text: number for number, text in enumerate(found)}
        self._rows: list[list[pl.DataFrame]] = [[] for _ in self.concepts]

    def clear(self) -> None:
        """Forget all events."""
        for kept in self._rows:
            kept.clear()

    def take(self, events: pl.DataFrame, first: int) -> None:
        """Keep the events of these concepts out of a group; their numbers in it begin at ``first``."""
        for number, kept in enumerate(self._rows):
            rows = events.filter(pl.col("concept") == first + number).select("subject_id", *COLUMNS)
            if len(rows):
                kept.append(rows)

    def events(self, task: TaskFile, units: pl.DataFrame) -> dict[str, pl.DataFrame]:
        """Return the events of a task's predicates as :func:`.execute` takes them.

        ``units`` has unit, subject_id and icu_in. With ``available: charttime`` ingredients of derived concepts count
        as known when they were charted.
        """
        events = {}
        for (of_task, name), named in self._named.items():
            if of_task == task.name:
                frames = [self._events_of(one, task, units) for one in named]
                lifted = "unit" in {column for frame in frames for column in frame.columns} and len(frames) > 1
                events[name] = pl.concat(_of_units(frame, units) for frame in frames) if lifted else pl.concat(frames)
        return events

    def treatments(self, task: TaskFile) -> set[str]:
        """Return the predicates of a task that are of intervals, such as drugs that run."""
        return {
            name
            for (of_task, name), named in self._named.items()
            if of_task == task.name and any(one.interval for one in named)
        }

    def _events_of(self, named: Named, task: TaskFile, units: pl.DataFrame) -> pl.DataFrame:
        rows = {one.name: self._rows_of(one) for one in named.ingredients}
        if named.derived is None:
            (events,) = rows.values()
            known = "known" if task.available == "storetime" else "time"
            return events.select("time", "end", "value", known=known, subject="subject_id")
        if task.available == "charttime":
            rows = {name: events.with_columns(known=pl.col("time")) for name, events in rows.items()}
        if named.derived.before is None:
            made = named.derived.make({name: events.rename({"subject_id": "key"}) for name, events in rows.items()})
            return made.select("time", "end", "value", known="time", subject="key")
        begin = pl.col("icu_in") - named.derived.before
        owners = units.select("subject_id", key="unit", begin=begin)
        own = {
            name: events.join(owners, on="subject_id").filter(pl.col("time") >= pl.col("begin"))
            for name, events in rows.items()
        }
        return named.derived.make(own).select("time", "end", "value", known="time", unit="key")

    def _rows_of(self, concept: Concept) -> pl.DataFrame:
        schema = {"subject_id": pl.Int64, "time": pl.Int64, "end": pl.Int64, "known": pl.Int64, "value": pl.Float64}
        return pl.concat([pl.DataFrame(schema=schema), *self._rows[self._number[repr(concept.to_json())]]])

    def _resolve(self, task: TaskFile, name: str, predicate: ConceptPredicate) -> tuple[Named, ...]:
        where = f"{task.source}: predicates.{name}"
        own = f"{task.name}.{name}"
        if predicate.items:
            named: tuple[Named, ...] = (Named((_of_items(own, predicate, where),)),)
        elif predicate.drugs:
            named = (Named((Concept("task", own, {"prescriptions": predicate.drugs}, "categorical"),)),)
        else:
            named = tuple(self._look_up(concept, f"{where}.concept") for concept in predicate.concepts)
        if predicate.where:
            named = tuple(_where(one, predicate.where, where) for one in named)
        if predicate.event != "start" and not all(one.interval for one in named):
            raise InputError(f"{where}.event is {predicate.event!r}, which only an interval can be.")
        return named

    def _look_up(self, name: str, where: str) -> Named:
        if name in self._known:
            return Named((self._known[name],))
        if name in DERIVED:
            ingredients = DERIVED[name].ingredients(self.version)
            if not ingredients:
                raise InputError(f"{where}: MIMIC-{'III' if self.version == 3 else 'IV'} has no items for {name!r}.")
            return Named(ingredients, DERIVED[name])
        other: Version = 4 if self.version == 3 else 3
        if any(concept.name == name for one in starter_sets() for concept in starter_set(one, other)):
            raise InputError(f"{where}: {name!r} has no items in MIMIC-{'III' if self.version == 3 else 'IV'}.")
        known = (*self._known, *DERIVED)
        raise InputError(
            f"{where}: there is no concept {shown(name)}.{meant(name, known)} `omnifuse variables` lists them; derived "
            f"are {', '.join(DERIVED)}."
        )


def _where(named: Named, columns: Mapping[str, str], where: str) -> Named:
    """Return events of rows that have some texts in other columns."""
    if named.derived is not None:
        raise InputError(f"{where}.where: {named.derived.name!r} is made of several tables, and has no columns.")
    (concept,) = named.ingredients
    return Named((replace(concept, where={**concept.where, **columns}),))


def _of_items(name: str, predicate: ConceptPredicate, where: str) -> Concept:
    """Return the concept of items that a predicate names itself: numbers as they are written, whatever their unit."""
    tables = EVENT_TABLES[4]
    if len(predicate.items) != 1:
        raise InputError(f"{where}.item names {len(predicate.items)} tables; make a predicate of each, and or(a, b).")
    ((table, items),) = predicate.items.items()
    if table not in tables:
        raise InputError(f"{where}.item: there is no table {shown(table)}.{meant(table, tables)} {', '.join(tables)}")
    if not tables[table][0].item:
        raise InputError(f"{where}.item: {table} has no ids; write drug_contains, or name a concept.")
    numeric = predicate.low is not None or predicate.high is not None
    kinds: dict[str, Kind] = {
        "outputevents": "output",
        "inputevents": "interval-rate",
        "procedureevents": "categorical",
    }
    kind = kinds.get(table, "numeric" if numeric else "categorical")
    as_written = tuple(parse_conversion(str(item), "as is") for item in items) if kind != "categorical" else ()
    return Concept("task", name, predicate.items, kind, conversions=as_written)


def _of_units(events: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """Return events of subjects as events of each of their units."""
    if "unit" in events.columns:
        return events
    owners = units.select("unit", subject="subject_id")
    return events.join(owners, on="subject").select("time", "end", "value", "known", "unit")
