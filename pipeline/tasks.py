"""Cohorts and labels of the ICU benchmark: in-hospital mortality and phenotyping.

Harutyunyan et al. 2019. A label is NaN outside the task's cohort; what is left after every filter is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..cache_schema import Task
from .ehr.variables import RESOURCES

MORTALITY_HOURS = 48.0
EPSILON = 1e-6
"""Hours: the tolerance of the benchmark at the ends of a window."""

SELECTION: dict[str, dict[str, Any]] = {
    "cxr": {"rows": "last", "where": {"view_position": ["AP", "PA"]}},
    "rep": {"rows": "last"},
}
"""Inputs of both tasks: the last frontal image and the last report of the window."""

Flags = npt.NDArray[np.bool_]
Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Stays:
    """What decides cohorts and labels, aligned with the samples.

    ``los_hours`` ``[N]`` float64 (NaN unknown), ``died`` ``[N]``, ``diagnosed`` ``[N]`` (any diagnosis code),
    ``phenotypes`` ``[N, 25]``; ``first_hours`` ``[N]`` float64, time of the first event within the stay (NaN without
    any), or None where events were not read; ``counts``: filters before.
    """

    los_hours: npt.NDArray[np.float64]
    died: Flags
    diagnosed: Flags
    phenotypes: Flags
    first_hours: npt.NDArray[np.float64] | None
    counts: Counts


def mortality(stays: Stays, modalities: Sequence[str]) -> Task:
    """Death in hospital, from the first 48 hours of stays that last at least as long."""
    filters = [
        ("a diagnosis", stays.diagnosed),
        ("at least 48 hours long", stays.los_hours >= MORTALITY_HOURS - EPSILON),
        *_with_event(stays, MORTALITY_HOURS),
    ]
    kept, counts = _apply(filters, stays.counts)
    y = np.where(kept, stays.died, np.nan).astype(np.float32)[:, None]  # [N, 1]
    return Task("mortality", "binary", ("died",), y, MORTALITY_HOURS, _selection(modalities), counts)


def phenotyping(stays: Stays, modalities: Sequence[str]) -> Task:
    """25 conditions coded for the admission, from the whole stay."""
    filters = [
        ("a diagnosis", stays.diagnosed),
        ("a length of stay", ~np.isnan(stays.los_hours)),
        *_with_event(stays, np.inf),
    ]
    kept, counts = _apply(filters, stays.counts)
    y = np.where(kept[:, None], stays.phenotypes, np.nan).astype(np.float32)  # [N, 25]
    return Task("phenotyping", "multilabel", phenotypes(), y, None, _selection(modalities), counts)


@cache
def phenotypes() -> tuple[str, ...]:
    """Return the names of the 25 conditions, in alphabetical order."""
    return tuple(_conditions()["phenotype"])


def phenotype_flags(codes: pl.DataFrame, stays: pl.DataFrame, *, with_version: bool) -> tuple[Flags, Flags]:
    """Return the conditions ``[N, 25]`` of stays and which have any diagnosis at all ``[N]``.

    ``codes`` has subject_id, hadm_id, code (without a dot), icd_version; ``stays`` subject_id and hadm_id. The code
    lists are HCUP CCS single-level groups for ICD-9 and their counterparts for ICD-10.
    """
    key = ["subject_id", "hadm_id"]
    numbered = stays.select(*key, stay=pl.int_range(pl.len()))
    groups = _conditions().select("ccs", condition=pl.int_range(pl.len()))
    lists = pl.read_csv(RESOURCES / "phenotype_codes.csv", schema_overrides={"code": pl.String}).join(groups, on="ccs")
    of_stay = codes.join(numbered, on=key)
    matched = of_stay.join(lists, on=["code", "icd_version"] if with_version else ["code"])
    flags = np.zeros((len(stays), len(groups)), dtype=bool)
    flags[matched["stay"].to_numpy(), matched["condition"].to_numpy()] = True
    diagnosed = np.zeros(len(stays), dtype=bool)
    diagnosed[of_stay["stay"].unique().to_numpy()] = True
    return flags, diagnosed


@cache
def _conditions() -> pl.DataFrame:
    return pl.read_csv(RESOURCES / "phenotypes.csv")


def _with_event(stays: Stays, window_hours: float) -> list[tuple[str, Flags]]:
    """Return the filter on events: the benchmark needs one of the 17 variables within the window."""
    if stays.first_hours is None:
        return []
    return [("an EHR event in the window", stays.first_hours < window_hours + EPSILON)]


def _selection(modalities: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {name: rule for name, rule in SELECTION.items() if name in modalities}


def _apply(filters: Sequence[tuple[str, Flags]], counts: Counts) -> tuple[Flags, Counts]:
    kept = np.ones(len(filters[0][1]), dtype=bool)
    for name, passed in filters:
        kept = kept & passed
        counts = (*counts, (name, int(kept.sum())))
    return kept, counts
