"""The 25 conditions of the ICU benchmark, from diagnosis codes."""

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from .variables import RESOURCES

Flags = npt.NDArray[np.bool_]


@cache
def phenotypes() -> tuple[str, ...]:
    """Return the names of the 25 conditions, in alphabetical order."""
    return tuple(_conditions()["phenotype"])


def phenotype_flags(
    codes: pl.DataFrame, stays: pl.DataFrame, *, with_version: bool, all_icd10: bool
) -> tuple[Flags, Flags]:
    """Return the conditions ``[N, 25]`` of stays and which have any diagnosis at all ``[N]``.

    ``codes`` has subject_id, hadm_id, code (without a dot), icd_version; ``stays`` subject_id and hadm_id. The code
    lists are HCUP CCS single-level groups for ICD-9; for ICD-10 with ``all_icd10`` everything that CMS's equivalence
    map translates to them, otherwise the few codes of the benchmark's port to MIMIC-IV.
    """
    key = ["subject_id", "hadm_id"]
    numbered = stays.select(*key, stay=pl.int_range(pl.len()))
    groups = _conditions().select("ccs", condition=pl.int_range(pl.len()))
    lists = pl.read_csv((RESOURCES / "phenotype_codes.csv").read_bytes(), schema_overrides={"code": pl.String}).join(
        groups, on="ccs"
    )
    lists = lists.filter(pl.col("clean" if all_icd10 else "benchmark") == 1)
    of_stay = codes.join(numbered, on=key)
    matched = of_stay.join(lists, on=["code", "icd_version"] if with_version else ["code"])
    flags = np.zeros((len(stays), len(groups)), dtype=bool)
    flags[matched["stay"].to_numpy(), matched["condition"].to_numpy()] = True
    diagnosed = np.zeros(len(stays), dtype=bool)
    diagnosed[of_stay["stay"].unique().to_numpy()] = True
    return flags, diagnosed


@cache
def _conditions() -> pl.DataFrame:
    return pl.read_csv((RESOURCES / "phenotypes.csv").read_bytes())
