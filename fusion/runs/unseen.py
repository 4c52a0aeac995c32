"""Which models of a run answer for a sample: those that have not seen its subject."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import CacheError, FeatureCache, InputError, renamed_here
from ..files import read_table
from ..inputs.batches import Cohort
from ..inputs.splits import Positions
from .folder import RunFolder
from .metrics import CacheFacts

OUT_OF_FOLD, MEAN, SEEN = "out-of-fold", "mean", "seen"
"""Who answers for a sample: the model of the fold that tested its subject; the mean of all models, none of which knows
the subject; or, for want of such models, the mean of all although they were trained on the subject."""


@dataclass(frozen=True)
class Asked:
    """Samples, positions [n] in the cohort, that the models of the same ``folds`` answer; ``models`` as above."""

    samples: Positions
    folds: tuple[int, ...]
    models: str

    @property
    def fold(self) -> int | None:
        """The fold that tested these subjects, if there is one."""
        return self.folds[0] if self.models == OUT_OF_FOLD else None


def refuse_renamed(trained: CacheFacts, cache: FeatureCache) -> None:
    """Raise InputError if a cache has patients that the run was trained on, under ids by which it cannot know them.

    That is so between a joined cache and those that it was made of.
    """
    for place, digest in renamed_here(cache).items():
        if digest == trained.digest:
            raise InputError(
                f"{cache.path} holds the cache that the run was trained on, as {place!r} and under other ids: its "
                "patients would be taken for new ones. Ask about the other caches by themselves."
            )
    if cache.digest in _renamed_where_trained(trained).values():
        raise InputError(
            f"The run was trained on {trained.path}, which holds {cache.path} under other ids: its patients would be "
            "taken for new ones. Ask about the joined cache, or one that is not in it."
        )


def _renamed_where_trained(trained: CacheFacts) -> dict[str, str]:
    """Return what the joined cache of a training was made of, as far as it is still there and the same."""
    try:
        own = FeatureCache.open(trained.path)
    except CacheError:
        return {}
    return renamed_here(own) if own.digest == trained.digest else {}


def who_answers(run: RunFolder, cohort: Cohort, folds: Collection[int]) -> list[Asked]:
    """Return who answers each sample of a cohort, given the folds whose models can be asked.

    The subject decides, since other samples of a subject that was trained on are not new either. Samples that a fold
    tested are asked about in the order of the test and without others, so that the answers are the same to the last
    digit.
    """
    splits = _splits(run, cohort)
    tested = splits.filter(pl.col("part") == "test", pl.col("fold").is_in(list(folds)))
    sample, subject = (ids.astype(str) for ids in (cohort.sample_id, cohort.subject_id))
    fold = _tested_by(subject, tested)
    known = np.isin(subject, splits["subject_id"].to_numpy())
    itself = np.isin(sample, tested["sample_id"].to_numpy())
    if cohort.queries is not None:
        itself &= ~np.isnan(cohort.y).all(axis=1)  # of a sample's predictions, those with a label were tested
    each: list[tuple[npt.NDArray[np.bool_], tuple[int, ...], str]] = [
        (chosen & (fold == number), (number,), OUT_OF_FOLD) for number in folds for chosen in (itself, ~itself)
    ]
    each += [(~known, tuple(folds), MEAN), (known & (fold < 0), tuple(folds), SEEN)]
    return [Asked(np.flatnonzero(chosen), asked, models) for chosen, asked, models in each if chosen.any()]


def _splits(run: RunFolder, cohort: Cohort) -> pl.DataFrame:
    """Return the folds of a run, ids as text. What an earlier version left out, whose a sample is, the cohort knows."""
    splits = read_table(run.splits, ["sample_id", "fold", "part"])
    splits = splits.with_columns(pl.col("^(sample|subject)_id$").cast(pl.String))
    if "subject_id" in splits.columns:
        return splits
    ids = {"sample_id": cohort.sample_id.astype(str), "subject_id": cohort.subject_id.astype(str)}
    return splits.join(pl.DataFrame(ids), on="sample_id")


def _tested_by(subject: npt.NDArray[np.str_], tested: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Return the fold that tested each subject, -1 for none, int [N]."""
    of_subject = tested.select("subject_id", "fold").unique("subject_id")
    found = pl.DataFrame({"subject_id": subject}).join(of_subject, on="subject_id", how="left", maintain_order="left")
    return found["fold"].fill_null(-1).cast(pl.Int64).to_numpy()
