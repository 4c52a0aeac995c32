"""Diagnoses as events: when the admission that they are of had ended, for they are coded after it."""

from collections.abc import Sequence
from functools import reduce

import polars as pl

from .....cache_schema import InputError
from .language import CodePredicate, TaskFile

CodeEvents = dict[tuple[str, str], pl.DataFrame]
"""By task and predicate: subject, time."""


def ask_for_codes(tasks: Sequence[TaskFile]) -> bool:
    """Return whether some predicate is of diagnoses."""
    return any(isinstance(predicate, CodePredicate) for task in tasks for predicate in task.predicates.values())


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


def code_events(codes: pl.DataFrame, admissions: pl.DataFrame, tasks: Sequence[TaskFile]) -> CodeEvents:
    """Return the events of all predicates of codes.

    ``codes`` as :func:`.read_codes` gives them; ``admissions`` has subject_id, hadm_id, dischtime and deathtime in
    seconds.
    """
    ends = admissions.select("subject_id", "hadm_id", end=pl.max_horizontal("dischtime", "deathtime"))
    of_admission = codes.join(ends, on=["subject_id", "hadm_id"]).drop_nulls("end")
    plain = pl.col("code").str.to_uppercase().str.replace_all(".", "", literal=True)
    of_admission = of_admission.with_columns(code=plain)
    return {
        (task.name, name): of_admission.filter(_has_code(predicate)).select(time="end", subject="subject_id").unique()
        for task in tasks
        for name, predicate in task.predicates.items()
        if isinstance(predicate, CodePredicate)
    }


def _has_code(predicate: CodePredicate) -> pl.Expr:
    return reduce(
        pl.Expr.__or__,
        (
            (pl.col("icd_version") == revision) & pl.col("code").str.starts_with(prefix)
            for revision, prefixes in predicate.icd.items()
            for prefix in prefixes
        ),
    )
