"""The sets of variables and what is in them, for a person and for a machine."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from .....cache_schema import InputError, meant
from .....progress import progress
from ....source import Quarantine
from ..folder import MimicFolder
from .definitions import Concept, Item, Version, starter_set, starter_sets, title_of
from .derived import DERIVED, derived_of, ingredients_of
from .named import ENDINGS, NamedSets
from .pairs import asked_for, has_part
from .reading import event_files
from .units import rule_text

COLUMNS = 80
RELEASES: tuple[Version, ...] = (3, 4)
MORE = "What is in a set, a variable or a YAML file of your own: omnifuse variables NAME"

Releases = Mapping[Version, Concept]
"""One concept as each release has it."""


def describe(names: Sequence[str] = (), raw: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return all variables, or those of the sets, files and variables that are named, as JSON values.

    With a folder, those of its release, and how many ``rows`` their items have there.

    Raises
    ------
    InputError
        If nothing has such a name, a file cannot be understood, or the folder cannot be used.
    """
    folder = None if raw is None else MimicFolder.find(raw)
    releases = [release for release in RELEASES if folder is None or release == folder.version]
    found = [concept for name in dict.fromkeys(names or starter_sets()) for concept in _found(name, releases)]
    contents = [_content(concept) for concept in found]
    if folder is not None:
        for content, rows in zip(contents, _rows(folder, [next(iter(c.values())) for c in found]), strict=True):
            content["rows"] = rows
    return {"variables": contents}


def _found(name: str, releases: Sequence[Version]) -> list[Releases]:
    """Return the concepts of a set or a file, or the one of a name."""
    if name in starter_sets():
        return _by_name((release, concept) for release in releases for concept in starter_set(name, release))
    if Path(name).suffix in ENDINGS:
        own = NamedSets.read((name,)).own.values()
        return [
            concept
            for by_release in own
            for concept in _by_name((release, concept) for release in releases for concept in by_release[release])
        ]
    known = [concept for set_name in starter_sets() for concept in _found(set_name, releases)]
    named = [concept for concept in known if next(iter(concept.values())).name == name]
    if not named:
        all_names = [*starter_sets(), *(next(iter(concept.values())).name for concept in known)]
        raise InputError(
            f"There is no set, variable or file {name!r}.{meant(name, all_names)} `omnifuse variables` lists the sets."
        )
    return named


def _by_name(concepts: Iterator[tuple[Version, Concept]]) -> list[Releases]:
    found: dict[str, dict[Version, Concept]] = {}
    for release, concept in concepts:
        found.setdefault(concept.name, {})[release] = _with_items(concept, release)
    return list(found.values())


def _with_items(concept: Concept, release: Version) -> Concept:
    """Return a concept, and a score with the items of all that it is made of."""
    items = dict(concept.items)
    for ingredient in ingredients_of([concept], release):
        for table, ids in ingredient.items.items():
            items[table] = tuple(dict.fromkeys((*items.get(table, ()), *ids)))
    return replace(concept, items=items)


def _rows(folder: MimicFolder, concepts: Sequence[Concept]) -> list[int]:
    """Return how many rows the items of each concept have; each table is read once."""
    counts: dict[str, Counter[Item]] = {}
    for file in event_files(folder, concepts):
        counted = counts.setdefault(file.logical, Counter())
        items = {item for concept in concepts for item in concept.items.get(file.logical, ())}
        ids, names = ([name] if name else [] for name in (file.event_table.item, file.event_table.names))
        keep = asked_for(file.event_table, [*items])
        batches = file.table.batches(ids, names, Quarantine(), keep) if file.table else ()
        for batch in progress(batches, file.event_table.name, unit="batches"):
            for column in (*ids, *names):
                counted.update(dict(batch[column].value_counts().iter_rows()))
    coded = _diagnoses(folder) if any(score.coded for score in derived_of(concepts)) else 0
    return [
        sum(_rows_of_items(items, counts[table]) for table, items in concept.items.items() if table in counts)
        + (coded if concept.derived and DERIVED[concept.derived].coded else 0)
        for concept in concepts
    ]


def _rows_of_items(items: Sequence[Item], counted: Mapping[Item, int]) -> int:
    """Return how many rows have one of some ids, or of some parts in their names."""
    parts = [item for item in items if isinstance(item, str)]
    ids = sum(counted.get(item, 0) for item in items if isinstance(item, int))
    if not parts:
        return ids
    names = pl.DataFrame([(n, c) for n, c in counted.items() if not isinstance(n, int)], ["name", "rows"], orient="row")
    return ids + int(names.filter(has_part(pl.col("name"), parts))["rows"].sum()) if len(names) else ids


def _diagnoses(folder: MimicFolder) -> int:
    return sum(len(batch) for batch in folder.table("diagnoses_icd").batches(["hadm_id"], [], Quarantine()))


def _content(releases: Releases) -> dict[str, Any]:
    concept = next(iter(releases.values()))
    items = {
        f"mimic{release}": {table: list(ids) for table, ids in there.items.items()}
        for release, there in releases.items()
    }
    return {
        "set": concept.set, "name": concept.name, "kind": concept.kind, "unit": concept.unit,
        "aggregates": list(concept.aggregates), "low": concept.low, "high": concept.high, "items": items,
        "conversions": [rule_text(rule) for rule in concept.conversions], "levels": list(concept.levels),
        "texts": dict(concept.texts), "where": dict(concept.where),
        "without": {column: list(texts) for column, texts in concept.without.items()}, "note": concept.note,
        "made_of": _made_of(releases),
    }  # fmt: skip


def _made_of(releases: Releases) -> list[str]:
    """Return the names of what a score is made of in any release."""
    named = [one.name for release, concept in releases.items() for one in ingredients_of([concept], release)]
    coded = any(score.coded for score in derived_of(releases.values()))
    return [*dict.fromkeys(named), *(["diagnoses_icd"] if coded else [])]


def describe_text(names: Sequence[str], described: Mapping[str, list[dict[str, Any]]]) -> str:
    """Return in words what :func:`describe` found: the sets, the variables of those named, or one at length."""
    lines: list[str] = []
    for name, variables in groupby(described["variables"], lambda variable: variable["set"]):
        members = list(variables)
        if not names:
            lines += _wrapped(f"  {name:14}{_rows_text(members)}", f"{len(members):>3}  {title_of(name)}")
        elif len(members) == 1 or any(member["name"] in names for member in members):
            lines += [line for member in members for line in _at_length(member)]
        else:
            lines += [f"{name}: {title_of(name)}"]
            lines += [line for member in members for line in _wrapped(_start(member), _facts(member))]
        lines += [""] if names else []
    return "\n".join([*lines, *([] if names else ["", MORE])]).rstrip()


def _start(variable: Mapping[str, Any]) -> str:
    return f"  {variable['name']:26}{_rows_text([variable])}"


def _rows_text(variables: Sequence[Mapping[str, Any]]) -> str:
    return f"{sum(variable['rows'] for variable in variables):>11,} rows  " if "rows" in variables[0] else ""


def _facts(variable: Mapping[str, Any]) -> str:
    """Return kind, unit, limits and aggregates of a variable in a line."""
    limits = [variable["low"], variable["high"]]
    low, high = ("" if limit is None else f"{limit:g}" for limit in limits)
    between = {(True, True): "", (False, True): f"from {low}", (True, False): f"to {high}"}
    words = between.get((limits[0] is None, limits[1] is None), f"{low} to {high}")
    return ", ".join(filter(None, [variable["kind"], variable["unit"], words, "/".join(variable["aggregates"])]))


def _at_length(variable: Mapping[str, Any]) -> Iterator[str]:
    yield from _wrapped("", f"{variable['name']} of {variable['set']}: {_facts(variable)}")
    entries = {
        release: "; ".join(f"{table} {' '.join(map(str, ids))}" for table, ids in items.items())
        for release, items in variable["items"].items()
    }
    entries |= {
        "where": "; ".join(f"{column} is {text}" for column, text in variable["where"].items()),
        "without": "; ".join(
            f"{column} {', '.join(text or 'empty' for text in texts)}" for column, texts in variable["without"].items()
        ),
        "conversions": "; ".join(variable["conversions"]),
        "levels": ", ".join(variable["levels"]),
        "texts": "; ".join(f"{text}: {meaning}" for text, meaning in variable["texts"].items()),
        "made of": ", ".join(variable["made_of"]),
        "rows": f"{variable['rows']:,}" if "rows" in variable else "",
        "note": variable["note"],
    }
    for name, text in entries.items():
        yield from _wrapped(f"  {name:13}", text) if text else ()


def _wrapped(start: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, COLUMNS, initial_indent=start, subsequent_indent=" " * len(start), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
