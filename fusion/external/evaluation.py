"""How good a run's predictions are for the labels of a cache, and what is different there from where it was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import AlignedCache, FeatureCache, InputError
from ..inputs.batches import Cohort
from ..inputs.described import describe_columns
from ..inputs.missingness import MissingConfig
from ..runs.answer import Answer
from ..runs.metrics import CacheFacts, Measured, RunMetrics
from ..runs.run import Run
from ..runs.stored_predictions import Predictions, predictions_of
from ..runs.summary import summarise
from ..runs.typed_json import write
from ..scores import decisions, intervals
from ..training.fold_result import FoldResult
from ..training.outcome import evaluation_times
from ..training.outcome_checks import nothing_to_rank
from .drift import describe_outcomes, drift
from .recalibration import Recalibrated, recalibrated

OWN = "This is the cache that the run was trained on: what is said here repeats its own test."

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Site(Run):
    """A run as the patients of another cache see it: their ``metrics`` and ``predictions`` in place of its own."""

    seen: RunMetrics | None = None
    said: pl.DataFrame | None = None

    @cached_property
    def metrics(self) -> RunMetrics:
        """What was found there."""
        assert self.seen is not None
        return self.seen

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """What was predicted of those who have a label, in the columns of a run."""
        assert self.said is not None
        return self.said


@dataclass(frozen=True)
class Evaluation:
    """What a run is worth to the patients of a cache who have a label.

    ``site`` has all that a run has, of these patients; ``drift`` says what is different (see `drift.drift`), None for a
    run that was made before that was stored; ``alert`` is what the run's own threshold does here, of a binary task;
    ``answer`` has the predictions of everybody, and what must be known of them.
    """

    run: Run
    site: Site
    answer: Answer
    drift: pl.DataFrame | None
    alert: Mapping[str, Any] | None
    recalibrated: Recalibrated | None = None

    @property
    def samples(self) -> int:
        """How many have a label."""
        return self.site.metrics.samples

    @property
    def measures(self) -> dict[str, Measured]:
        """Every measure by name with its interval for other patients; None where it is not defined."""
        return {name: Measured(score.mean, score.ci) for name, score in self.site.metrics.measures.items()}

    def differences(self) -> dict[str, Measured | None]:
        """Return by how much each measure differs from that of the run, here minus there, with 95 % intervals.

        Both are of different patients (Newcombe, Statistics in Medicine 17:873, 1998). None where either is unknown.
        """
        pairs = {name: (one, self.run.metrics.measures.get(name)) for name, one in self.measures.items()}
        return {name: _difference(here, there) for name, (here, there) in pairs.items()}

    def to_json(self) -> dict[str, Any]:
        """Return everything but the predictions, as `omnifuse train` does and more."""
        there = {name: write(score) for name, score in self.run.metrics.measures.items()}
        differences = {name: None if one is None else vars(one) for name, one in self.differences().items()}
        rows = None if self.drift is None else self.drift.to_dicts()
        return {
            **self.site.metrics.to_json(),
            "evaluated_run": str(self.run.path),
            "in_training": {"samples": self.run.metrics.samples, "positives": self.run.metrics.positives, **there},
            "differences": differences,
            "alert_of_the_run": self.alert,
            "recalibration": None if self.recalibrated is None else self.recalibrated.to_json(),
            "drift": rows,
            **{name: value for name, value in self.answer.to_json().items() if name != "samples"},
        }


def evaluate(
    run: Run, cache: FeatureCache | str | Path, drop: Sequence[str] = (), recalibrate: str | float | None = None
) -> Evaluation:
    """Ask a run about a cache and compare with its labels.

    Every measure is the mean over those who were answered by the same models, as in metrics.json: probabilities of
    different models are not ranked among each other. For a cache of other patients these are all of them.

    Parameters
    ----------
    drop
        Modalities to hide.
    recalibrate
        Whom corrections of the probabilities are fitted on: a part of the cache's split, such as ``validation``, or a
        share of its patients. They are judged by all others.

    Raises
    ------
    InputError
        As `Run.predict`, or if the cache has no label of the run's task; if there is nothing to recalibrate by.
    """
    cache = cache if isinstance(cache, FeatureCache) else FeatureCache.open(cache)
    answer, cohort = run.ask(cache, drop, partial(_times, cache=cache))
    said = predictions_of(answer.table, cohort.task.kind, run.metrics.modalities, cache.path)
    labelled: BoolArray = ~np.all(np.isnan(cohort.y), axis=1)
    site = Site(run.path, run.device, _metrics(run, cache, cohort, said, labelled, drop, answer),
                answer.table.filter(pl.Series(labelled)))  # fmt: skip
    found = Evaluation(run, site, answer, _drift(run, cohort, said, labelled), _alert(run, cohort, said))
    if recalibrate is None:
        return found
    return replace(found, recalibrated=recalibrated(cache, cohort, said, recalibrate))


def _times(cohort: Cohort, cache: FeatureCache) -> tuple[float, ...]:
    """Return the times at which survival is compared with what happened there; refuse what has nothing to compare."""
    if np.isnan(cohort.y).all():
        raise InputError(
            f"{cache.path} has no label of the task {cohort.task.name!r}, with which to compare. Extract it with that "
            "task, or ask for predictions with `omnifuse predict`."
        )
    if cohort.task.kind == "survival" and (same := nothing_to_rank(cohort.task, cohort.y)):
        raise InputError(f"{cache.path}: {same} Nothing can be compared.")
    return evaluation_times(cohort.task, cohort.y)


def _drift(run: Run, cohort: Cohort, said: Predictions, labelled: BoolArray) -> pl.DataFrame | None:
    """Return how columns and outcomes differ from those of the training, None if the run does not say."""
    if run.columns is None:
        return None
    names = cohort.task.labels
    here = replace(said, y=said.y[labelled])
    columns = describe_columns(cohort.sources, np.arange(len(cohort.presence)))
    return drift(
        pl.concat([describe_outcomes(here, names), columns]),
        pl.concat([describe_outcomes(run.tested, names), run.columns], how="vertical_relaxed"),
    )


def _metrics(
    run: Run, cache: FeatureCache, cohort: Cohort, said: Predictions, labelled: BoolArray, drop: Sequence[str],
    answer: Answer,
) -> RunMetrics:  # fmt: skip
    """Return what metrics.json would hold if these patients were those whom the run was tested on."""
    shown = cohort.presence & [name not in drop for name in cohort.modalities]
    models = np.nan_to_num(said.fold, nan=-1)
    folds = [_result(np.flatnonzero(labelled & (models == one)), shown, said.p) for one in np.unique(models[labelled])]
    config = replace(run.config, missing=MissingConfig())
    same = nothing_to_rank(cohort.task, cohort.y[labelled])
    notes = [*([] if answer.other_cache else [OWN]), *answer.warnings(), *([f"Of this cache {same}"] if same else []),
             *(cache.words() if isinstance(cache, AlignedCache) else [])]  # fmt: skip
    own = run.metrics
    content = {
        **own.to_json(),
        **summarise(cohort, config, folds, np.zeros_like(shown), notes, own),
        "cache": write(CacheFacts(str(cache.path), cache.digest, cache.dataset, cache.versions)),
    }
    return RunMetrics.from_json(content, str(cache.path))


def _result(tested: npt.NDArray[np.int64], shown: BoolArray, p: npt.NDArray[np.floating]) -> FoldResult:
    said = p[tested].astype(np.float32)
    nothing = np.zeros((0, *said.shape), dtype=np.float32)
    return FoldResult(tested, shown[tested], said, None, nothing, said, pl.DataFrame(), {}, {}, [], 0, 0.0)


def _alert(run: Run, cohort: Cohort, said: Predictions) -> dict[str, Any] | None:
    """Return what alerting by the threshold of the run finds here, None unless its task is binary."""
    own = run.metrics.alert
    if cohort.task.kind != "binary" or own is None or own.threshold is None:
        return None
    return decisions.at_threshold(cohort.y[:, 0], said.p[:, 0], cohort.subject, own.threshold)


def _difference(here: Measured, there: Any) -> Measured | None:
    if there is None or None in (here.value, here.ci, there.mean, there.ci):
        return None
    mine = intervals.Measured(here.value, *here.ci)  # type: ignore[arg-type, misc]
    found = mine.minus(intervals.Measured(there.mean, *there.ci))
    return Measured(found.value, (found.low, found.high))
