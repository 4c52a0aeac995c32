"""The events behind the predicates of own tasks: which concepts they name, and one pass over the tables for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from .....cache_schema import InputError, meant, shown
from ..concepts.definitions import Concept, Kind, Version, starters
from ..concepts.derived import DERIVED, Derived
from ..concepts.derived import VERSION as SCORES_VERSION
from ..concepts.derived.given import CODES
from ..concepts.derived.making import NEEDED, Making
from ..concepts.event_tables import EVENT_TABLES
from ..concepts.units import parse_conversion
from .language import ConceptPredicate, TaskFile


@dataclass(frozen=True)
class Named:
    """What a name stands for: a concept, which may be derived of others."""

    concept: Concept
    ingredients: tuple[Concept, ...]

    @property
    def derived(self) -> Derived | None:
        """How it is made of others."""
        return DERIVED[self.concept.derived] if self.concept.derived else None

    @property
    def interval(self) -> bool:
        """Whether its events last."""
        return self.concept.kind.startswith("interval")


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
        self._known = {**starters(version), **{concept.name: concept for concept in own}}
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
            rows = events.filter(pl.col("concept") == first + number).select(*NEEDED)
            if len(rows):
                kept.append(rows)

    @property
    def scores(self) -> dict[str, int]:
        """The derived ones among them by name, and the version of how they are made."""
        derived = [one.derived for named in self._named.values() for one in named]
        return {one.name: SCORES_VERSION for one in derived if one}

    @property
    def asked_for(self) -> set[str]:
        """The names of the concepts that predicates name themselves."""
        return {one.concept.name for named in self._named.values() for one in named}

    @property
    def coded(self) -> bool:
        """Whether some are made of coded diagnoses."""
        return any(one.derived and one.derived.coded for named in self._named.values() for one in named)

    def events(self, task: TaskFile, units: pl.DataFrame, codes: pl.DataFrame | None = None) -> dict[str, pl.DataFrame]:
        """Return the events of a task's predicates as :func:`.execute` takes them.

        ``units`` has unit, subject_id, icu_in, icu_out and, for concepts made of coded diagnoses (``codes``), age. With
        ``available: charttime`` ingredients of derived concepts count as known when they were charted.
        """
        making = self._making(task, units, pl.DataFrame(schema=CODES) if codes is None else codes)
        events = {}
        for (of_task, name), named in self._named.items():
            if of_task == task.name:
                frames = [self._events_of(one, task, making) for one in named]
                lifted = "unit" in {column for frame in frames for column in frame.columns} and len(frames) > 1
                events[name] = pl.concat(_of_units(frame, units) for frame in frames) if lifted else pl.concat(frames)
        return events

    def _making(self, task: TaskFile, units: pl.DataFrame, codes: pl.DataFrame) -> Making:
        named = [one for (of_task, _), names in self._named.items() if of_task == task.name for one in names]
        needed = {each.name: each for one in named if one.derived for each in one.ingredients}
        ingredients = {name: (concept, self._rows_of(concept)) for name, concept in needed.items()}
        age = pl.col("age") if "age" in units.columns else pl.lit(None, pl.Float64).alias("age")
        stays = units.select("subject_id", age, key="unit", begin="icu_in", stop="icu_out")
        return Making(ingredients, stays, codes, self.version, at_once=task.available == "charttime")

    def treatments(self, task: TaskFile) -> set[str]:
        """Return the predicates of a task that are of intervals, such as drugs that run."""
        return {
            name
            for (of_task, name), named in self._named.items()
            if of_task == task.name and any(one.interval for one in named)
        }

    def _events_of(self, named: Named, task: TaskFile, making: Making) -> pl.DataFrame:
        if named.derived is None:
            known = "known" if task.available == "storetime" else "time"
            return self._rows_of(named.concept).select("time", "end", "value", known=known, subject="subject_id")
        made = making.make(named.derived, as_charted=named.derived.as_charted)
        owner = "subject" if named.derived.before is None else "unit"
        return made.select("time", "end", "value", "known", pl.col("key").alias(owner))

    def _rows_of(self, concept: Concept) -> pl.DataFrame:
        return pl.concat([pl.DataFrame(schema=NEEDED), *self._rows[self._number[repr(concept.to_json())]]])

    def _resolve(self, task: TaskFile, name: str, predicate: ConceptPredicate) -> tuple[Named, ...]:
        where = f"{task.source}: predicates.{name}"
        own = f"{task.name}.{name}"
        if predicate.items:
            found = _of_items(own, predicate, where)
            named: tuple[Named, ...] = (Named(found, (found,)),)
        elif predicate.drugs:
            found = Concept("task", own, {"prescriptions": predicate.drugs}, "categorical")
            named = (Named(found, (found,)),)
        else:
            named = tuple(self._look_up(concept, f"{where}.concept") for concept in predicate.concepts)
        if predicate.where:
            named = tuple(_where(one, predicate.where, where) for one in named)
        if predicate.event != "start" and not all(one.interval for one in named):
            raise InputError(f"{where}.event is {predicate.event!r}, which only an interval can be.")
        return named

    def _look_up(self, name: str, where: str) -> Named:
        if name in self._known:
            concept = self._known[name]
            ingredients = DERIVED[concept.derived].ingredients(self.version) if concept.derived else (concept,)
            return Named(concept, ingredients)
        other: Version = 4 if self.version == 3 else 3
        if name in starters(other):
            raise InputError(f"{where}: {name!r} has no items in MIMIC-{'III' if self.version == 3 else 'IV'}.")
        known = tuple(self._known)
        raise InputError(
            f"{where}: there is no concept {shown(name)}.{meant(name, known)} `omnifuse variables` lists them."
        )


def _where(named: Named, columns: Mapping[str, str], where: str) -> Named:
    """Return events of rows that have some texts in other columns."""
    if named.derived is not None:
        raise InputError(f"{where}.where: {named.derived.name!r} is made of several tables, and has no columns.")
    concept = replace(named.concept, where={**named.concept.where, **columns})
    return Named(concept, (concept,))


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
