"""How good a run's predictions are for the labels of a cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...cache_schema import FeatureCache, InputError
from ..scores import measures
from ..scores.intervals import of_measure
from .answer import Answer
from .metrics import Measured
from .run import Run
from .stored_predictions import predictions_of


@dataclass(frozen=True)
class Evaluation:
    """Measures by name of the ``samples`` that have a label, with the interval for other patients where there is one.

    A measure is None where it is not defined. ``answer`` has the predictions, and what must be known of them.
    """

    samples: int
    measures: Mapping[str, Measured]
    answer: Answer


def evaluate(run: Run, cache: FeatureCache | str | Path, drop: Sequence[str] = ()) -> Evaluation:
    """Ask a run about a cache and compare with its labels.

    Every measure is the mean over those who were answered by the same models, as in metrics.json: probabilities of
    different models are not ranked among each other. For a cache of other patients these are all of them.

    Raises
    ------
    InputError
        As `Run.predict`, or if the cache has no label of the run's task.
    """
    cache = cache if isinstance(cache, FeatureCache) else FeatureCache.open(cache)
    answer, kind = run.answer(cache, drop), run.metrics.kind
    said = predictions_of(answer.table, kind, run.metrics.modalities, cache.path)
    known = np.flatnonzero(~np.isnan(said.y).all(axis=1))
    if not len(known):
        raise InputError(f"{cache.path} has no label of the task {run.metrics.task!r}, with which to compare.")
    ids = cache.samples.select("sample_id", "subject_id")
    subjects = answer.table.join(ids, on="sample_id", how="left", maintain_order="left")["subject_id"].to_numpy()[known]
    truth, predicted, models = said.y[known], said.predicted[known], np.nan_to_num(said.fold[known], nan=-1)
    y = truth.argmax(axis=1)[:, None].astype(np.float32) if kind == "multiclass" else truth
    found = {}
    for name, value in measures.evaluate_over_folds(kind, y, predicted, models).items():
        held = of_measure(measures.MEASURES.get(name), y, predicted, subjects, models)
        found[name] = Measured(value, (held.low, held.high) if held else None)
    return Evaluation(len(known), found, answer)
