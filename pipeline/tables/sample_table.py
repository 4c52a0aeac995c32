"""A user's table of samples: ids, patients, labels, a split and columns to keep."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ...cache_schema import InputError, Task
from ..source import Quarantine
from .feature_files import EXACT, SAMPLE_ID, STAGE, as_text, cell_lines, read_numbered_table, require_columns, row_of
from .ids import as_ids
from .label_spec import label_columns
from .labels import check_name, read_parts, read_task
from .missing import FORMULA_ERRORS
from .numerals import Commas, with_points
from .outcomes import rows_text

logger = logging.getLogger(__name__)

SUBJECT_ID = "subject_id"
OWN_PATIENTS = "every sample is taken for a patient of its own"
IF_NOT = "If some are of one patient, they come to lie on both sides of a split, and results look better than they are."
CODE = r"^[-+]?0\d"
"""Such as 007: as a number it would lose the zeros in front."""
WHOLE_NUMBER = r"^(0|-?[1-9]\d{0,17})$"


@dataclass(frozen=True)
class SampleColumns:
    """Which columns of a table of samples say what.

    Parameters
    ----------
    labels
        Columns to predict, each as `LabelSpec` says: ``COLUMN``, or ``NAME=COLUMN,COLUMN`` for several at once.
    split
        Column with the part of each sample: train, validation or test.
    keep
        Further columns to store, such as age and sex; no model sees them.
    sample_id, subject_id
        The sample and its patient; without the latter column every sample is a patient of its own.
    """

    labels: tuple[str, ...] = ()
    split: str | None = None
    keep: tuple[str, ...] = ()
    sample_id: str = SAMPLE_ID
    subject_id: str = SUBJECT_ID

    def used(self, known: Collection[str]) -> list[str]:
        """Return every column that is named here, of a table with the ``known`` ones."""
        labels = label_columns(self.labels, known)
        return [self.sample_id, self.subject_id, *labels, *filter(None, [self.split]), *self.keep]


@dataclass(frozen=True)
class SampleTable:
    """The samples of a table, sorted by their id.

    ``frame`` has sample_id, subject_id and the kept columns; ``table`` every column as it was read, ``texts`` the ids
    as text, ``every_id`` those of the whole table, whatever the limit, and ``lines`` on which each begins in the
    file, as a text editor counts.
    """

    frame: pl.DataFrame
    table: pl.DataFrame
    texts: pl.Series
    every_id: pl.Series
    lines: pl.Series
    tasks: tuple[Task, ...]
    splits: dict[str, pl.DataFrame]

    def lines_of(self, column: str) -> pl.Series:
        """Return the line on which each cell of a column begins."""
        return cell_lines(self.table, self.lines, column)

    def place_of(self, column: str, sample: int) -> str:
        """Return where a cell lies, in words."""
        return row_of(cell_lines(self.table[[sample]], self.lines[[sample]], column)[0])


def read_samples(path: Path, columns: SampleColumns, quarantine: Quarantine, limit: int | None = None) -> SampleTable:
    """Read the samples, or the first ``limit`` by id; rows whose id is empty or was there already are quarantined.

    Raises
    ------
    InputError
        If the file is no table, lacks a column, or holds a label, part or subject that cannot be meant.
    """
    table, lines = read_numbered_table(path)
    require_columns(table, [columns.sample_id, *columns.keep], path)
    refuse_formula_errors(table, [name for name in columns.used(table.columns) if name in table.columns], lines, path)
    ids = as_ids(table[columns.sample_id])
    first = first_rows(ids, lines, path, quarantine)
    if first.is_empty():
        raise InputError(f"{path} has no row with a {columns.sample_id}.")
    table, ids, lines = table[first], ids[first], lines[first]
    every_id = ids
    typed = _typed_ids(ids)
    kept = {name: _typed(table[name]) for name in columns.keep}
    frame = pl.DataFrame({SAMPLE_ID: typed, SUBJECT_ID: _subjects(table, ids, lines, columns, path), **kept})
    order = typed.arg_sort()[:limit]
    frame, table, ids, lines = frame[order], table[order], ids[order], lines[order]
    tasks = tuple(read_task(table, label, path, lines) for label in columns.labels)
    if columns.subject_id not in table.columns:
        logger.warning("%s has no column %s: %s. %s", path, columns.subject_id, OWN_PATIENTS, IF_NOT)
        tasks = tuple(map(_with_own_patients, tasks))
    splits = {}
    if columns.split is not None:
        parts = frame.select(SAMPLE_ID).with_columns(part=read_parts(table, columns.split, path, lines))
        splits[check_name(columns.split, "The split")] = parts.drop_nulls("part")
    return SampleTable(frame, table, ids, every_id, lines, tasks, splits)


def refuse_formula_errors(table: pl.DataFrame, names: Sequence[str], lines: pl.Series, path: Path) -> None:
    """Raise :class:`InputError` if a cell of these columns is what a spreadsheet shows where a formula has failed.

    Among numbers it is one more cell that is none; an id, a class or a text would be taken for what was meant.
    """
    for name in names:
        wrong = as_text(table[name]).is_in(FORMULA_ERRORS).fill_null(False).arg_true()
        if len(wrong):
            at = int(wrong[0])
            raise InputError(
                f"{path}, {rows_text(cell_lines(table, lines, name)[wrong])}: {name} is {table[name][at].strip()}, a "
                "failed formula of a spreadsheet. Mend the formula, or leave the cell empty."
            )


def first_rows(ids: pl.Series, lines: pl.Series, path: Path, quarantine: Quarantine) -> pl.Series:
    """Return the position of the first row of every id; the other rows are quarantined, each by its line."""
    for reason, wrong in (
        (f"{ids.name} is empty", ids.is_null()),
        (f"{ids.name} is repeated", ids.is_not_null() & ~ids.is_first_distinct()),
    ):
        for at in wrong.arg_true():
            quarantine.add(STAGE, path.name, row_of(lines[at]), str(ids[at] or ""), reason)
    return (ids.is_not_null() & ids.is_first_distinct()).arg_true()


def _with_own_patients(task: Task) -> Task:
    """Say in the counts of a task, which summary and report show, that nothing is known of patients."""
    (step, number), *others = task.counts
    return replace(task, counts=((f"{step}; no {SUBJECT_ID}: {OWN_PATIENTS}", number), *others))


def _subjects(table: pl.DataFrame, ids: pl.Series, lines: pl.Series, columns: SampleColumns, path: Path) -> pl.Series:
    if columns.subject_id not in table.columns:
        return _typed_ids(ids)
    subjects = as_ids(table[columns.subject_id])
    lacking = subjects.is_null().arg_true()
    if len(lacking):
        at = int(lacking[0])
        raise InputError(
            f"{path}, {rows_text(lines[lacking])}: sample {ids[at]} has no {columns.subject_id}; splits are by patient."
        )
    return _typed_ids(subjects)


def _typed_ids(texts: pl.Series) -> pl.Series:
    """Return ids as whole numbers if all of them are written as such, else as text."""
    return texts.cast(pl.Int64) if texts.str.contains(WHOLE_NUMBER).all() else texts


def _typed(column: pl.Series) -> pl.Series:
    """Return numbers if everything that is known is one, and none a code or too long to be exact; else text."""
    text = as_text(column)
    commas, groups, points = pl.select(Commas.counts(pl.lit(text))).row(0)
    numbers = (with_points(text) if commas > groups and not points else text).cast(pl.Float64, strict=False)
    long = text.str.contains(r"^[-+]?\d+$") & (numbers.abs() >= EXACT)
    are_numbers = numbers.null_count() == text.null_count() and not text.str.contains(CODE).any() and not long.any()
    return numbers if are_numbers else text
