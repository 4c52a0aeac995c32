"""A user's own variables: a YAML file that maps the name of a modality to its concepts."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, cast

from .....cache_schema import InputError, MissingInputError, meant, shown
from .....yaml_file import is_number, load_yaml
from ....tables.labels import check_name
from .definitions import (
    AGGREGATES,
    DEFAULT_AGGREGATE,
    KINDS,
    MISSING,
    NAMED,
    TABLES,
    Aggregate,
    Concept,
    Item,
    Kind,
    Version,
    starters,
)
from .event_tables import EVENT_TABLES
from .units import Conversion, parse_conversion

EXAMPLE = "mini: {lactate: {items: {labevents: [50813]}, unit: mmol/L, low: 0, high: 50, aggregate: last}}"
KEYS = (
    "concept", "items", "kind", "unit", "conversions", "low", "high", "aggregate", "texts", "levels", "where",
    "without", "faster_than", "note",
)  # fmt: skip
KEYS_OF_OURS = ("concept", "aggregate", "note")
"""What can be said of a concept that is one of ours."""
VERSIONS: dict[str, Version] = {"mimic3": 3, "mimic4": 4}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ .-]*")
WITH_UNITS = ("labevents", "chartevents", "outputevents", "inputevents")
AFTER_DISCHARGE = ("diagnoses_icd", "procedures_icd", "drgcodes")
SHORTEST_NAME = 3
BEYOND_IDS = 1 << 31

UserSets = dict[str, dict[Version, tuple[Concept, ...]]]
"""Concepts of each set, for each release."""


def read_user_file(path: Path) -> UserSets:
    """Return the sets of a file.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If it is no YAML of plain values, or anything in it is not understood: the message names file, key and value.
    """
    if not path.is_file():
        raise MissingInputError(f"There is no file {path}; give a starter set or a YAML file with --variables.")
    content = load_yaml(path)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path} names no variables; write lines such as `{EXAMPLE}`.")
    sets: UserSets = {}
    for name, concepts in content.items():
        named = check_name(str(name), f"{path}: the modality")
        if not isinstance(concepts, dict) or not concepts:
            raise InputError(f"{path}: {named}: {shown(concepts)} names no concepts; write `{EXAMPLE}`.")
        read = [_Definition(path, named, concept, said).concepts() for concept, said in concepts.items()]
        sets[named] = {
            version: tuple(by_version[version] for by_version in read if version in by_version)
            for version in VERSIONS.values()
        }
    return sets


def is_item_id(said: object) -> bool:
    """Return whether this can be the id of an item."""
    return isinstance(said, int) and not isinstance(said, bool) and 0 < said < BEYOND_IDS


class _Definition:
    """What a file says of one concept."""

    def __init__(self, path: Path, set_name: str, name: Any, said: Any) -> None:
        self.path, self.set_name, self.name = path, set_name, str(name)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.refuse(
                "", "this is no name of a concept; use letters, digits, blanks, _, - and dots, numbers in quotes"
            )
        if not isinstance(said, dict):
            self.refuse("", f"{shown(said)} is no definition; write `{EXAMPLE}`")
        self.said: dict[Any, Any] = said
        for key in said:
            if key not in KEYS:
                self.refuse("", f"unknown key {shown(key)}.{meant(key, KEYS)} Known are: {', '.join(KEYS)}")
        self.kind = cast("Kind", self._one_of("kind", self.said.get("kind", "numeric"), KINDS))

    def refuse(self, key: str, problem: str) -> NoReturn:
        """Raise the error of what a key says."""
        place = f"{self.set_name}: {self.name}{': ' if key else ''}{key}"
        raise InputError(f"{self.path}: {place}: {problem}.")

    def concepts(self) -> dict[Version, Concept]:
        """Return the concept for each release that it has items of."""
        if "concept" in self.said:
            return self._of_ours()
        by_version = self._items()
        low, high = self._number("low"), self._number("high")
        if low is not None and high is not None and low > high:
            self.refuse("low", f"{low:g} is more than high, {high:g}")
        faster_than = self._number("faster_than")
        if faster_than is not None and self.kind != "interval-amount":
            self.refuse("faster_than", f"a concept of kind {self.kind!r} has no amounts; kind: interval-amount has")
        if faster_than is not None and faster_than < 0:
            self.refuse("faster_than", f"{faster_than:g} is below 0")
        measured = any(table in WITH_UNITS for items in by_version.values() for table in items)
        if measured and self.kind != "categorical" and "unit" not in self.said:
            self.refuse("unit", "none is given; write the one that values are to be in, or '' if they have none")
        levels, texts = self._levels()
        conversions = self._conversions(
            [item for items in by_version.values() for ids in items.values() for item in ids if isinstance(item, int)]
        )
        return {
            version: Concept(
                self.set_name, self.name, items, self.kind, self._text("unit"), conversions, low, high,
                self._aggregates(self.kind, levels), texts, levels, self._where(), self._text("note"),
                self._without(), faster_than,
            )
            for version, items in by_version.items()
        }  # fmt: skip

    def _of_ours(self) -> dict[Version, Concept]:
        """Return the concept of a starter set or the score that this one is, with its own name and aggregates."""
        for key in self.said:
            if key not in KEYS_OF_OURS:
                self.refuse(key, f"a concept of ours has its own; beside it stand {', '.join(KEYS_OF_OURS[1:])} alone")
        name = self.said["concept"]
        ours = {version: starters(version) for version in VERSIONS.values()}
        self._one_of_ours(name, tuple(dict.fromkeys(one for concepts in ours.values() for one in concepts)))
        return {version: self._like(concepts[name]) for version, concepts in ours.items() if name in concepts}

    def _like(self, ours: Concept) -> Concept:
        aggregates = self._aggregates(ours.kind, ours.levels) if "aggregate" in self.said else ours.aggregates
        note = self._text("note") if "note" in self.said else ours.note
        return replace(ours, set=self.set_name, name=self.name, aggregates=aggregates, note=note)

    def _one_of_ours(self, said: Any, known: tuple[str, ...]) -> None:
        if said not in known:
            self.refuse("concept", f"unknown {shown(said)}.{meant(said, known)} `omnifuse variables` lists them")

    def _items(self) -> dict[Version, dict[str, tuple[Item, ...]]]:
        said = self.said.get("items")
        if not isinstance(said, dict) or not said:
            self.refuse("items", f"{shown(said)} is no mapping of tables to ids; write items: {{labevents: [50813]}}")
        if set(said) & set(VERSIONS):
            for release in said:
                self._one_of("items", release, tuple(VERSIONS))
            by_version = {VERSIONS[release]: self._by_table(f"items: {release}", said[release]) for release in said}
            for release in said:
                for table in said[release]:
                    if not EVENT_TABLES[VERSIONS[release]][table]:
                        self.refuse(f"items: {release}", f"{table} is no table of this release")
            return by_version
        items = self._by_table("items", said)
        of_release = {
            version: {table: ids for table, ids in items.items() if EVENT_TABLES[version][table]}
            for version in VERSIONS.values()
        }
        return {version: there for version, there in of_release.items() if there}

    def _by_table(self, key: str, said: Any) -> dict[str, tuple[Item, ...]]:
        if not isinstance(said, dict) or not said:
            self.refuse(key, f"{shown(said)} is no mapping of tables to ids; write {{labevents: [50813]}}")
        for table in said:
            if table in AFTER_DISCHARGE:
                self.refuse(key, f"{table!r} is written after the discharge: it is no input; a task may ask for icd")
            self._one_of(key, table, tuple(TABLES))
            if self.kind not in TABLES[table]:
                self.refuse(
                    "kind", f"{self.kind!r} cannot be made of {table}, only {', '.join(map(repr, TABLES[table]))}"
                )
        return {
            table: self._names(f"{key}: {table}", ids, NAMED[table])
            if table in NAMED and (isinstance(ids, dict) or not EVENT_TABLES[4][table][0].item)
            else self._ids(f"{key}: {table}", ids)
            for table, ids in said.items()
        }

    def _names(self, key: str, said: Any, word: str) -> tuple[Item, ...]:
        """Return parts of names, in small letters."""
        if not isinstance(said, dict) or list(said) != [word]:
            example = "sputum, blood" if word == NAMED["microbiologyevents"] else "vancomycin, cef"
            self.refuse(key, f"{shown(said)} names nothing; write {{{word}: [{example}]}}")
        names = [text.lower() for text in self._texts(f"{key}: {word}", said[word])]
        if short := next((name for name in names if len(name) < SHORTEST_NAME), None):
            self.refuse(
                f"{key}: {word}", f"{shown(short)} is in too many names; write {SHORTEST_NAME} letters at least"
            )
        return tuple(dict.fromkeys(names))

    def _ids(self, key: str, said: Any) -> tuple[Item, ...]:
        ids = said if isinstance(said, list) else [said]
        for item in ids:
            if not is_item_id(item):
                self.refuse(key, f"{shown(item)} is no item id, a whole number such as 50813")
        if not ids or len(set(ids)) < len(ids):
            self.refuse(key, f"{shown(said)} lists no id, or one twice")
        return tuple(ids)

    def _aggregates(self, kind: Kind, levels: tuple[str, ...]) -> tuple[Aggregate, ...]:
        default = DEFAULT_AGGREGATE[kind]
        said = self.said.get("aggregate", "any" if kind == "categorical" and not levels else default)
        names = said if isinstance(said, list) else [said]
        for name in names:
            self._one_of("aggregate", name, AGGREGATES[kind])
        if not names or len(set(names)) < len(names):
            self.refuse("aggregate", f"{shown(said)} lists none, or one twice")
        if "last" in names and kind == "categorical" and not levels:
            self.refuse("aggregate", "'last' of a categorical concept needs its levels: {asleep: [Sleeping]}")
        return cast("tuple[Aggregate, ...]", tuple(names))

    def _levels(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the levels of a categorical concept, and what texts mean."""
        levels, texts = self.said.get("levels", {}), self.said.get("texts", {})
        if levels and self.kind != "categorical":
            self.refuse("levels", f"a concept of kind {self.kind!r} has none; kind: categorical has")
        if isinstance(levels, list):
            levels = {level: [level] for level in self._texts("levels", levels)}
        for key, said in (("levels", levels), ("texts", texts)):
            if not isinstance(said, dict):
                self.refuse(key, f"{shown(said)} is no mapping, such as {{asleep: [Sleeping]}} or {{Pinpoint: 1}}")
        pairs = [("levels", text, str(level)) for level, ways in levels.items() for text in self._texts("levels", ways)]
        for text, meaning in texts.items():
            number = is_number(meaning) and self.kind != "categorical"
            if not number and meaning != MISSING:
                self.refuse("texts", f"{shown(text)}: {shown(meaning)} is no number, nor {MISSING!r}")
            pairs.append(("texts", str(text).strip(), str(meaning)))
        named: dict[str, str] = {}
        for key, text, meaning in pairs:
            if named.get(text.lower(), meaning) != meaning:
                self.refuse(key, f"{shown(text)} means two things; capitals do not matter")
            named[text.lower()] = meaning
        return tuple(map(str, levels)), named

    def _texts(self, key: str, said: Any) -> list[str]:
        texts = said if isinstance(said, list) else [said]
        if not texts or not all(isinstance(text, str) for text in texts):
            self.refuse(key, f"{shown(said)} is no list of texts; write numbers and yes or no in quotes")
        return [text.strip() for text in texts]

    def _conversions(self, items: Iterable[int]) -> tuple[Conversion, ...]:
        said = self.said.get("conversions", {})
        if not isinstance(said, dict):
            self.refuse("conversions", f"{shown(said)} is no mapping, such as {{mg/dL: x 10}}")
        rules = []
        for when, how in said.items():
            try:
                rules.append(parse_conversion(str(when), str(how)))
            except ValueError as error:
                self.refuse("conversions", str(error).rstrip("."))
            if rules[-1].item is not None and rules[-1].item not in set(items):
                self.refuse("conversions", f"{shown(when)}: {rules[-1].item} is none of the items")
        return tuple(rules)

    def _where(self) -> dict[str, str]:
        said = self.said.get("where", {})
        if not isinstance(said, dict) or not all(isinstance(part, str) for pair in said.items() for part in pair):
            self.refuse("where", f"{shown(said)} is no mapping of columns to texts; write numbers in quotes")
        self._once("where", said)
        return {column.lower(): text for column, text in said.items()}

    def _once(self, key: str, columns: Iterable[str]) -> None:
        """Refuse a column that is there twice, in other letters."""
        seen: set[str] = set()
        for column in columns:
            if column.lower() in seen:
                self.refuse(key, f"{shown(column)} is there twice; capitals do not matter")
            seen.add(column.lower())

    def _without(self) -> dict[str, tuple[str, ...]]:
        said = self.said.get("without", {})
        if not isinstance(said, dict) or not all(isinstance(column, str) for column in said):
            self.refuse("without", f"{shown(said)} is no mapping of columns to texts, such as {{route: [TP, '*ear*']}}")
        self._once("without", said)
        without = {column.lower(): tuple(self._texts("without", texts)) for column, texts in said.items()}
        for text in (text for texts in without.values() for text in texts):
            if "*" in text and not (len(text) > 2 and "*" not in text[1:-1] and text[0] == text[-1]):
                self.refuse("without", f"{shown(text)} is understood with letters between two stars alone, as '*ear*'")
        return without

    def _number(self, key: str) -> float | None:
        said = self.said.get(key)
        if said is None:
            return None
        if not is_number(said):
            self.refuse(key, f"{shown(said)} is no number")
        return float(said)

    def _text(self, key: str) -> str:
        said = self.said.get(key, "")
        if isinstance(said, bool) or not isinstance(said, str | int):
            self.refuse(key, f"{shown(said)} is no text")
        return str(said)

    def _one_of(self, key: str, said: Any, known: tuple[str, ...]) -> str:
        if said not in known:
            self.refuse(key, f"unknown {shown(said)}.{meant(said, known)} Known are: {', '.join(known)}")
        return cast("str", said)
