"""All that is wrong with a user's table, at once, and what each of its columns would become."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from ....cache_schema import InputError, Task
from ...source import Quarantine
from ...tables.feature_files import SAMPLE_ID, read_table, require_columns
from ...tables.headers import is_row_number
from ...tables.label_spec import LabelSpec, label_columns
from ...tables.labels import read_parts, read_task
from ...tables.sample_table import IF_NOT, OWN_PATIENTS, SUBJECT_ID, SampleColumns, SampleTable, read_samples
from . import Options
from .cells import Levels, cells_modality, levels_of
from .columns import CATEGORIES, LABEL, NUMBERS, T0, Content, Description, contents_of, parse_content, read_description
from .data_set import images
from .draft import draft_yaml, guess
from .event_table import EventTable, Starts

BIN_HOURS = 2.0
PROBLEMS_SHOWN = 50
NO_FILE = "the file is missing"

T = TypeVar("T")


@dataclass(frozen=True)
class TableCheck:
    """What was found: what each column would become, by its name; problems as (where, value, problem); a draft.

    ``yaml`` are the lines of a file for ``--columns``.
    """

    path: Path
    rows: int
    columns: dict[str, str]
    problems: list[tuple[str, str, str]]
    notes: list[str]
    yaml: str

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        problems = [dict(zip(("where", "value", "problem"), problem, strict=True)) for problem in self.problems]
        return {**vars(self), "path": str(self.path), "problems": problems}


def check_table(options: Options) -> TableCheck:
    """Check a table by its description: the file of ``--columns``, or its header, or else what its cells look like.

    Raises
    ------
    InputError
        If a file cannot be read, or that of ``--columns`` is no description.
    """
    path, mapping = options.samples, options.columns
    columns = SampleColumns(options.label, options.split, options.keep)
    table = read_table(path)
    check = _Check(path, table)
    predicted = label_columns(columns.labels, table.columns)
    guessed = guess(table, path).without(predicted)
    described = read_description(mapping) if mapping else Description()
    if described.columns is None:
        described = replace(described, columns=check.header() or guessed.columns)
    named = described.columns or {}
    contents = check.attempt(lambda: contents_of(table.columns, named, path)) or []
    columns = replace(
        columns,
        labels=columns.labels or tuple(named[name] for name in (LABEL,) if name in named),
        sample_id=named.get(SAMPLE_ID, SAMPLE_ID),
        subject_id=named.get(SUBJECT_ID, SUBJECT_ID),
    )
    check.samples_and_labels(columns)
    described = replace(described, levels=check.contents(contents, described.levels))
    check.events(named.get(T0), options.events, described)
    left_out = {name: why for name, why in guessed.left_out.items() if name not in check.becomes}
    return TableCheck(
        path,
        len(table),
        {name: check.becomes.get(name, _unused(name, left_out)) for name in table.columns},
        check.problems(),
        [] if columns.subject_id in table.columns else [f"There is no {SUBJECT_ID}: {OWN_PATIENTS}. {IF_NOT}"],
        draft_yaml(described, left_out),
    )


def _unused(name: str, left_out: Mapping[str, str]) -> str:
    return (
        f"not read: {'row numbers or names' if is_row_number(name) else left_out.get(name, 'nothing says what it is')}"
    )


class _Check:
    """A table whose parts are read one by one; what one refuses does not hide what is wrong with the next."""

    def __init__(self, path: Path, table: pl.DataFrame) -> None:
        self.path, self.table = path, table
        self.becomes: dict[str, str] = {}
        self.refused: list[str] = []
        self.quarantine = Quarantine()
        self.samples: SampleTable | None = None

    def attempt(self, step: Callable[[], T]) -> T | None:
        """Return what a step gives, or note why it is refused."""
        try:
            return step()
        except InputError as error:
            self.refused.append(str(error).removeprefix(f"{self.path}: ").removeprefix(f"{self.path}, "))
            return None

    def has(self, name: str) -> bool:
        """Return whether the table has a column, or note that it has not."""
        self.attempt(lambda: require_columns(self.table, [name], self.path))
        return name in self.table.columns

    def header(self) -> dict[str, str] | None:
        """Return the columns that say what they hold, None if there are none."""
        header = [name for name in self.table.columns if not is_row_number(name)]
        if not any(":" in name for name in header):
            return None
        own = [name for name in (SAMPLE_ID, SUBJECT_ID, T0, LABEL) if name in header]
        return {name: name for name in [*own, *(name for name in header if ":" in name and self._parsed(name))]}

    def _parsed(self, name: str) -> Content | None:
        return self.attempt(lambda: parse_content(name, name, self.path))

    def samples_and_labels(self, columns: SampleColumns) -> None:
        """Read ids, kept columns, labels and split."""
        self.becomes[columns.subject_id] = "the patient"
        self.becomes[columns.sample_id] = "the id of the sample"
        self.becomes |= {name: "kept beside the samples" for name in columns.keep if self.has(name)}
        if not self.has(columns.sample_id):
            return
        known = columns.subject_id in self.table.columns
        subject_id = columns.subject_id if known else columns.sample_id  # which is noted, and not said aloud as well
        ids = replace(columns, labels=(), split=None, keep=(), subject_id=subject_id)
        self.samples = self.attempt(lambda: read_samples(self.path, ids, self.quarantine))
        if self.samples is None:  # a patient is missing: the rest is checked without patients
            ids = replace(ids, subject_id=columns.sample_id)
            self.quarantine = Quarantine()
            self.samples = read_samples(self.path, ids, self.quarantine)
        for label in columns.labels:
            self._label(label, self.samples)
        if columns.split is not None and self.has(columns.split):
            self.becomes[columns.split] = "the part: train, validation or test"
            split = columns.split
            self.attempt(lambda: read_parts(self.samples.table, split, self.path, self.samples.lines))  # type: ignore[union-attr]

    def _label(self, label: str, samples: SampleTable) -> None:
        task: Task | None = self.attempt(lambda: read_task(samples.table, label, self.path, samples.lines))
        spec = LabelSpec.parse(label, samples.table.columns)
        kind = "cannot be one" if task is None else task.kind
        classes = f", {', '.join(task.labels)}" if task and task.kind == "multiclass" else ""
        for column in spec.columns:
            self.becomes[column] = f"the label {spec.name} ({kind}{classes})"

    def contents(self, contents: list[Content], given: Levels) -> dict[str, tuple[str, ...]]:
        """Read the columns of contents; return the levels of categories."""
        levels = dict(given)
        for content in contents:
            self.becomes[content.column] = _words(content)
            if self.samples is None or not self.has(content.column):
                continue
            if content.kind == CATEGORIES:
                column = self.samples.table[content.column]
                known = levels.get(content.name) or self.attempt(lambda: levels_of(column, self.path))  # noqa: B023
                if known is None:
                    continue
                levels[content.name] = known
                self.becomes[content.column] += f": {', '.join(known)}"
            if content.tabular:
                self.attempt(lambda: self._cells(content, levels))  # noqa: B023
            elif content.kind == "image":
                self._images(content, self.samples)
        return levels

    def _cells(self, content: Content, levels: Levels) -> None:
        assert self.samples is not None
        modality = cells_modality(content.modality, [content], levels, self.samples, self.path)
        for _ in modality.blocks(self.quarantine):
            pass

    def _images(self, content: Content, samples: SampleTable) -> None:
        items = images(content, samples, self.path, self.quarantine).items
        for place, file in items.select("place", "path").iter_rows():
            if not Path(file).is_file():
                self.quarantine.add("check", self.path.name, place, "", NO_FILE)

    def events(self, t0: str | None, events: Mapping[str, Path], described: Description) -> None:
        """Read the tables of events, if the samples could be read."""
        if t0 is not None:
            self.becomes[t0] = "the time from which events count"
        if self.samples is None or (t0 is not None and not self.has(t0)):
            return
        samples = self.samples
        starts = self.attempt(lambda: Starts.read(samples, t0, self.path, self.quarantine))
        for name, path in events.items() if starts else ():
            table = EventTable(name, path, described.variables.get(name), BIN_HOURS)
            self.attempt(lambda: self._events(table, starts))  # type: ignore[arg-type]  # noqa: B023

    def _events(self, table: EventTable, starts: Starts) -> None:
        table.require_columns()
        for _ in table.modality(starts).blocks(self.quarantine):
            pass

    def problems(self) -> list[tuple[str, str, str]]:
        """Return all problems: where, value and what is wrong; rows and items as they stand in the file."""
        found = [("", "", refusal) for refusal in dict.fromkeys(self.refused)]
        listed = self.quarantine.to_json()["rows"]
        for _, source, where, value, reason in listed:
            place = where if source == self.path.name else f"{source}, {where}"
            found.append((str(place), str(value), str(reason)))
        counts = {(row["source"], row["reason"]): row["count"] for row in self.quarantine.counts().to_dicts()}
        for (source, reason), count in counts.items():
            shown = sum((row[1], row[4]) == (source, reason) for row in listed)
            if count > shown:
                found.append((str(source), "", f"{reason}: {count - shown:,} more"))
        return found


def _words(content: Content) -> str:
    """Return what a column of contents becomes."""
    kinds = {
        "text": "texts, the modality",
        "image": "image files, the modality",
        NUMBERS: "numbers of the modality",
        CATEGORIES: "categories of the modality",
    }
    return f"{kinds[content.kind]} {content.modality}"


def check_text(check: TableCheck) -> str:
    """Return what was found in words."""
    width = max(map(len, check.columns), default=0)
    lines = [f"{check.path}: {check.rows:,} rows", ""]
    lines += [f"  {name:{width}}  {becomes}" for name, becomes in check.columns.items()]
    lines += ["", *check.notes] if check.notes else []
    lines += ["", f"{len(check.problems):,} problems" if check.problems else "No problems."]
    for where, value, problem in check.problems[:PROBLEMS_SHOWN]:
        lines.append("  " + ": ".join(filter(None, (where, repr(value) if value else "", problem))))
    if len(check.problems) > PROBLEMS_SHOWN:
        lines.append(f"  … and {len(check.problems) - PROBLEMS_SHOWN:,} more; --json lists all.")
    return "\n".join(
        [*lines, "", "As YAML for --columns (--out FILE writes it), to be corrected:", check.yaml.rstrip()]
    )
