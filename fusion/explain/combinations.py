"""What a finished run can do with each combination of its modalities, and what each modality adds.

Both describe predictions for test samples, each by the model that never saw its subject; nothing is chosen by them.
"""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import polars as pl

from ...cache_schema import InputError
from ..parts.combinations import MOST_MODALITIES, combination_name, combination_table
from ..runs.replay import BoolArray, Replay
from ..scores.measures import GUESSING, KINDS, of_kind

COMPLETE, AVAILABLE = "complete", "available"
"""Whom a combination is evaluated on: samples that have all modalities of the run, or all that have the combination."""

MEASURED = ("auroc", "auprc")
"""Of classes; of other tasks every measure is."""

WITHOUT_ANY = dict.fromkeys(("auroc", "concordance", "concordance_uno", "auroc_horizon"), GUESSING) | {"r2": 0.0}
"""What measures are worth without any modality, whatever the data."""


def combination_scores(replay: Replay) -> pl.DataFrame:
    """Predict the test samples from each of the 2^M - 1 combinations of modalities alone.

    Returns
    -------
    Two rows for each combination, small ones first: ``combination`` such as ``cxr+ehr``; ``among`` whom it is
    evaluated: ``complete``, the samples that have all modalities of the run, the same for every combination; or
    ``available``, all that have the combination, of which nothing else is shown; ``auroc`` and ``auprc``, or the
    measures of quantities and times, means over folds, null where no fold has a value; ``samples``, how many those are.

    Raises
    ------
    InputError
        For a run of more than six modalities.
    """
    count = len(replay.modalities)
    if count > MOST_MODALITIES:
        raise InputError(
            f"{count} modalities have {2**count - 1} combinations; they are evaluated up to {MOST_MODALITIES} "
            "modalities. Train a run with fewer."
        )
    rows, measured = [], MEASURED if replay.task.kind in KINDS else tuple(of_kind(replay.task.kind))
    complete: BoolArray = np.all(replay.presence, axis=1)
    for combination in combination_table(count):
        shown = combination.numpy()
        probability, name = replay.predict(~shown), combination_name(combination, replay.modalities)
        available: BoolArray = np.all(replay.presence[:, shown], axis=1)
        for among, who in ((COMPLETE, complete), (AVAILABLE, available)):
            scores = replay.scores(probability, who)
            samples = int((who & (replay.fold >= 0)).sum())
            rows.append((name, among, *(scores[measure] for measure in measured), samples))
    numbers = dict.fromkeys(measured, pl.Float64)
    schema = {"combination": pl.String, "among": pl.String, **numbers, "samples": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def shapley(scores: pl.DataFrame, measure: str = "auroc", empty: float | None = None) -> dict[str, float]:
    """Return the Shapley value of each modality: its mean gain over all orders in which modalities can be added.

    The game is the table of `combination_scores` on the complete samples. The values sum to that of all modalities
    less ``empty``. (Shapley 1953, A value for n-person games.)

    They describe out-of-fold predictions of one trained model with modalities hidden; a model that was trained
    without a modality could make up for it. Nothing is chosen by them.

    Parameters
    ----------
    scores : as `combination_scores` returns them
    measure : column that is shared out
    empty : what the measure is worth without any modality: by default that of `WITHOUT_ANY`; else for example the share
        of positives for AUPRC, the error of who always predicts the mean for MAE

    Raises
    ------
    InputError
        If a combination has no value on the complete samples, or nobody says what a measure is worth without any.
    """
    empty = WITHOUT_ANY.get(measure) if empty is None else empty
    if empty is None or measure not in scores.columns:
        raise InputError(
            f"Shapley values of {measure!r} need `empty`, what it is worth without any modality, and a column of the "
            f"scores, which have {', '.join(scores.columns)}."
        )
    known = scores.filter(pl.col("among") == COMPLETE).select("combination", measure)
    if known[measure].null_count():
        raise InputError(
            f"Shapley values need the {measure} of every combination on samples that have all modalities; "
            "no fold tests enough of those, with different outcomes."
        )
    value = {frozenset(name.split("+")): float(score) for name, score in known.iter_rows()} | {frozenset(): empty}
    everyone = max(value, key=len)
    return {modality: _mean_gain(modality, everyone - {modality}, value) for modality in sorted(everyone)}


def _mean_gain(modality: str, others: frozenset[str], value: dict[frozenset[str], float]) -> float:
    count, total = len(others), 0.0
    for size in range(count + 1):
        share = factorial(size) * factorial(count - size) / factorial(count + 1)
        for before in map(frozenset, combinations(sorted(others), size)):  # digits depend on the order
            total += share * (value[before | {modality}] - value[before])
    return total
