"""Diagnoses as events: when the admission that they are of had ended, for they are coded after it."""

from collections.abc import Iterator, Sequence
from functools import reduce

import polars as pl

from .....cache_schema import InputError
from ....source import Quarantine
from ..folder import MimicFolder
from .language import CodePredicate, TaskFile

TABLE = "diagnoses_icd"
CodeEvents = dict[tuple[str, str], pl.DataFrame]
"""By task and predicate: subject, time."""


def check_codes(task: TaskFile, version: int) -> None:
    """Raise :class:`InputError` for a predicate that does not say which codes of this release it means."""
    for name, predicate in task.predicates.items():
        if not isinstance(predicate, CodePredicate):
            continue
        where = f"{task.source}: predicates.{name}.icd"
        if version == 3 and not predicate.icd.get(9):
            raise InputError(f"{where} has no codes of ICD-9, and MIMIC-III has no others.")
        if version == 4 and len(predicate.icd) < 2:
            lacking = 10 if 9 in predicate.icd else 9
            raise InputError(
                f"{where} says nothing of ICD-{lacking}: MIMIC-IV has codes of both. Add them, or `{lacking}: []`."
            )


def code_events(
    folder: MimicFolder, admissions: pl.DataFrame, tasks: Sequence[TaskFile], quarantine: Quarantine
) -> CodeEvents:
    """Return the events of all predicates of codes, from one pass over the table of diagnoses.

    ``admissions`` has subject_id, hadm_id, dischtime and deathtime in seconds.
    """
    wanted = {
        (task.name, name): predicate
        for task in tasks
        for name, predicate in task.predicates.items()
        if isinstance(predicate, CodePredicate)
    }
    if not wanted:
        return {}
    ends = admissions.select("subject_id", "hadm_id", time=pl.max_horizontal("dischtime", "deathtime"))
    found: dict[tuple[str, str], list[pl.DataFrame]] = {key: [] for key in wanted}
    for codes in _codes(folder, quarantine):
        of_admission = codes.join(ends, on=["subject_id", "hadm_id"]).drop_nulls("time")
        for key, predicate in wanted.items():
            found[key].append(of_admission.filter(_has_code(predicate)).select("time", subject="subject_id"))
    schema = {"time": pl.Int64, "subject": pl.Int64}
    return {key: pl.concat([pl.DataFrame(schema=schema), *parts]).unique() for key, parts in found.items()}


def _codes(folder: MimicFolder, quarantine: Quarantine) -> Iterator[pl.DataFrame]:
    """Yield subject_id, hadm_id, revision and code."""
    table = folder.table(TABLE)
    column = "icd9_code" if folder.version == 3 else "icd_code"
    revision = [] if folder.version == 3 else ["icd_version"]
    table.require(["subject_id", "hadm_id", column, *revision])
    for batch in table.batches(["subject_id", "hadm_id", *revision], [column], quarantine):
        yield batch.select(
            "subject_id",
            "hadm_id",
            revision=pl.col("icd_version") if revision else pl.lit(9, pl.Int64),
            code=pl.col(column).str.strip_chars().str.to_uppercase().str.replace_all(".", "", literal=True),
        )


def _has_code(predicate: CodePredicate) -> pl.Expr:
    return reduce(
        pl.Expr.__or__,
        (
            (pl.col("revision") == revision) & pl.col("code").str.starts_with(prefix)
            for revision, prefixes in predicate.icd.items()
            for prefix in prefixes
        ),
    )
