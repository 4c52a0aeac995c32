"""Folds that are sites: each is tested by models of others, for which a column of the cohort says who is where."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import FeatureCache, InputError, unknown
from ..inputs.batches import Cohort
from ..inputs.splits import Split, by_site, strata
from ..training.config import TrainConfig
from ..training.outcome_checks import nothing_to_rank

MOST_SITES = 50
"""Folds of sites, each of which is a training."""


def site_folds(
    cache: FeatureCache, cohort: Cohort, config: TrainConfig, share: float
) -> tuple[dict[str, Split], list[str]]:
    """Return the split that tests each site, by its name, with a note that says so.

    ``share`` of the training subjects validate.

    Raises
    ------
    InputError
        If the cohort has no such column, or none of the sites; if a site can rank nobody, or leaves nobody to train on.
    """
    column = str(config.folds_by)
    sites = _sites(cache, cohort, column)
    names = np.unique(sites[sites != ""]).tolist()
    for key, wanted in (("train_on", config.train_on), ("test_on", config.test_on)):
        for name in wanted:
            if name not in names:
                raise unknown(f"site for {key}", name, names)
    if not 2 <= len(names) <= MOST_SITES:
        raise InputError(
            f"folds_by = {column!r}: it has {len(names):,} values among these samples; folds take 2 to {MOST_SITES}."
        )
    tested = [name for name in names if name in config.test_on] if config.test_on else names
    for name in tested:
        _refuse_one_class(cohort, sites == name, f"folds_by = {column!r}: {name!r}", [n for n in tested if n != name])
    found = by_site(
        sites, cohort.subject, strata(cohort.y, cohort.task.kind), share, config.seed, tested, config.train_on
    )
    if alone := [name for name, split in found.items() if not len(split.train)]:
        raise InputError(f"folds_by = {column!r}: nobody is left to train on but patients of {alone[0]!r}.")
    numbered = ", ".join(f"{number} {name}" for number, name in enumerate(found))
    others = f"those of {', '.join(config.train_on)}" if config.train_on else "the others"
    return found, [f"Each fold tests all samples of one {column} and was trained on {others}: {numbered}."]


def _sites(cache: FeatureCache, cohort: Cohort, column: str) -> npt.NDArray[np.str_]:
    """Return the site [N] of each sample, "" where it is unknown."""
    samples = cache.samples
    if column not in samples.columns:
        raise unknown("column", column, samples.columns)
    known = samples.select("sample_id", site=pl.col(column).cast(pl.String).fill_null(""))
    ids = pl.DataFrame({"sample_id": cohort.sample_id})
    found = ids.join(known, on="sample_id", how="left", maintain_order="left")["site"]
    sites: npt.NDArray[np.str_] = found.to_numpy().astype(np.str_)
    return sites


def _refuse_one_class(cohort: Cohort, here: npt.NDArray[np.bool_], site: str, others: list[str]) -> None:
    if same := nothing_to_rank(cohort.task, cohort.y[here]):
        serve = f"Test the others, test_on={','.join(others)}; its patients are trained on then." if others else ""
        raise InputError(f"{site}: {same} {serve}".rstrip())
