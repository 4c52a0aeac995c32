"""metrics.json: what a run found, in numbers that a reader can check against predictions.parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from . import decisions, metrics
from .batches import Cohort
from .config import TrainConfig
from .fold_result import FoldResult
from .metrics import FloatArray
from .missingness import MissingConfig
from .notes import calibration_notes, missing_notes, size_notes
from .subgroups import per_subgroup


def summarise(
    cohort: Cohort,
    config: TrainConfig,
    folds: Sequence[FoldResult],
    hidden: npt.NDArray[np.bool_],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return everything of metrics.json that follows from cohort, settings and predictions.

    ``hidden`` [N, M] bool is what was hidden on purpose. Of every measure there is the ``mean`` over folds with its
    standard deviation ``sd``, and ``pooled``, the measure of all tested samples together: they were predicted by
    different models, which costs an AUROC a little.
    """
    kind = cohort.task.kind
    tested = np.concatenate([fold.tested for fold in folds])
    y, probability = cohort.y[tested], np.concatenate([fold.probability for fold in folds])
    truth, chance = metrics.one_vs_rest(kind, y, probability)
    interval = metrics.bootstrap(truth, chance, cohort.subject_id[tested], config.seed)
    scores = _over_folds(cohort, folds, [fold.probability for fold in folds])
    rows = [_fold_row(cohort, number, fold) for number, fold in enumerate(folds)]
    patterns = _per_pattern(cohort, folds)
    binary = _binary(cohort, tested, probability)
    missing = _missing(cohort, config.missing, folds, hidden)
    return {
        "task": cohort.task.name,
        "method": config.method,
        "kind": kind,
        "labels": list(cohort.task.labels),
        "modalities": list(cohort.modalities),
        "seed": config.seed,
        "samples": len(tested),
        "positives": int(np.nansum(y)) if kind == "binary" else None,
        "folds": rows,
        **{name: scores[name] | ({"ci": interval[name]} if name in interval else {}) for name in metrics.MEASURES},
        **binary,
        "per_label": _per_label(cohort.task.labels, truth, metrics.score(truth, chance)) if kind != "binary" else [],
        "per_pattern": patterns,
        "cohort": _counts(cohort),
        "presence": presence_counts(cohort),
        "missing": missing,
        "notes": [
            *notes,
            *size_notes(cohort.without_input, rows, truth),
            *missing_notes(missing),
            *calibration_notes(patterns, binary["per_subgroup"]),
        ],
        "method_details": _details(cohort, folds),
    }


def _binary(cohort: Cohort, tested: npt.NDArray[np.int64], probability: FloatArray) -> dict[str, Any]:
    """Return what is known of a binary task alone, of all tested samples together."""
    if cohort.task.kind != "binary":
        return {"calibration": None, "alert": None, "per_subgroup": []}
    y, p = cohort.y[tested, 0], probability[:, 0]
    groups = {name: of_sample[tested] for name, of_sample in cohort.groups.items()}
    return {
        "calibration": metrics.calibration(y, p) | {"ece": decisions.expected_calibration_error(y, p)},
        "alert": decisions.at_alert_rate(y, p),
        "per_subgroup": per_subgroup(groups, y, p),
    }


def _fold_row(cohort: Cohort, number: int, fold: FoldResult) -> dict[str, Any]:
    y, kind = cohort.y[fold.tested], cohort.task.kind
    return {
        "fold": number,
        "rows": len(y),
        "positives": int(np.nansum(y)) if kind == "binary" else None,
        **metrics.measures(kind, y, fold.probability),
        "epochs": fold.epochs,
        "seconds": round(fold.seconds, 2),
        **({"search": [asdict(trial) for trial in fold.trials]} if fold.trials else {}),
    }


def _over_folds(
    cohort: Cohort, folds: Sequence[FoldResult], probabilities: Sequence[FloatArray]
) -> dict[str, dict[str, float | None]]:
    """Return of every measure its mean and deviation over the folds that have a value, and its pooled value."""
    kind = cohort.task.kind
    truths = [cohort.y[fold.tested] for fold in folds]
    pooled = metrics.measures(kind, np.concatenate(truths), np.concatenate(probabilities))
    each = [metrics.measures(kind, *pair) for pair in zip(truths, probabilities, strict=True)]
    return {name: mean_and_sd([one[name] for one in each]) | {"pooled": pooled[name]} for name in metrics.MEASURES}


def mean_and_sd(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return mean and standard deviation of the values that are not None; no deviation of a single one."""
    known = [value for value in values if value is not None]
    return {
        "mean": float(np.mean(known)) if known else None,
        "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
    }


def _per_pattern(cohort: Cohort, folds: Sequence[FoldResult]) -> list[dict[str, Any]]:
    """Return measures and calibration of the tested samples that have exactly each combination of modalities."""
    kind = cohort.task.kind
    y, probability, presence = (
        np.concatenate(parts)
        for parts in zip(*((cohort.y[fold.tested], fold.probability, fold.presence) for fold in folds), strict=True)
    )
    names = combination_names(presence, cohort.modalities)
    rows = []
    for name in np.unique(names):
        has = names == name
        rows.append(
            {
                "modalities": str(name),
                "rows": int(has.sum()),
                "positives": int(np.nansum(y[has])) if kind == "binary" else None,
                **metrics.measures(kind, y[has], probability[has]),
                "calibration": metrics.calibration(y[has, 0], probability[has, 0]) if kind == "binary" else None,
            }
        )
    return rows


def _missing(
    cohort: Cohort, config: MissingConfig, folds: Sequence[FoldResult], hidden: npt.NDArray[np.bool_]
) -> dict[str, Any] | None:
    """Return what was hidden on purpose and, if in the test alone, every draw beside the complete test."""
    if not config.rate:
        return None
    lost = dict(zip(cohort.modalities, hidden.sum(axis=0).tolist(), strict=True))
    described = {**asdict(config), "lost": lost}
    if config.protocol == "train-and-test":
        return described
    draws = [_over_folds(cohort, folds, [fold.draws[draw] for fold in folds]) for draw in range(config.draws)]
    over_draws = {name: mean_and_sd([draw[name]["mean"] for draw in draws]) for name in metrics.MEASURES}
    complete = _over_folds(cohort, folds, [fold.complete for fold in folds])
    return {**described, "complete": complete, "over_draws": over_draws, "each_draw": draws}


def _per_label(labels: Sequence[str], truth: npt.NDArray[Any], pooled: metrics.Scores) -> list[dict[str, Any]]:
    return [
        {"label": label, "auroc": area, "auprc": precision, "positives": int(positives)}
        for label, area, precision, positives in zip(
            labels, pooled.auroc_per_label, pooled.auprc_per_label, np.nansum(truth, axis=0), strict=True
        )
    ]


def _counts(cohort: Cohort) -> list[list[Any]]:
    counts = [list(step) for step in cohort.task.counts]
    return [*counts, [f"any of {', '.join(cohort.modalities)}", len(cohort)]]


def combination_names(presence: npt.NDArray[np.bool_], modalities: Sequence[str]) -> npt.NDArray[np.str_]:
    """Return which modalities each sample has, [N] of presence [N, M]: names sorted and joined by "+"."""
    order = np.argsort(modalities)
    patterns, which = np.unique(presence[:, order], axis=0, return_inverse=True)
    names = np.array(modalities)[order]
    return np.array(["+".join(names[pattern]) for pattern in patterns])[which.reshape(-1)]


def presence_counts(cohort: Cohort) -> dict[str, int]:
    """Return how many samples have exactly each combination of modalities."""
    names, counts = np.unique(combination_names(cohort.presence, cohort.modalities), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _details(cohort: Cohort, folds: Sequence[FoldResult]) -> dict[str, Any]:
    """Return what the models of the folds say of themselves, and how good each modality is alone, if they say so."""
    details: dict[str, Any] = {}
    if any(fold.details for fold in folds):
        details["folds"] = [fold.details for fold in folds]
    if cohort.task.kind == "binary" and all(fold.alone is not None for fold in folds):
        details["modalities"] = [_alone(cohort, m, name, folds) for m, name in enumerate(cohort.modalities)]
    return details


def _alone(cohort: Cohort, m: int, name: str, folds: Sequence[FoldResult]) -> dict[str, Any]:
    """Return the fold-mean AUROC of one modality alone: on the samples that have it, and on all tested samples."""
    areas: dict[str, list[float | None]] = {"auroc_where_present": [], "auroc_on_all": []}
    for fold in folds:
        assert fold.alone is not None
        y, p, present = cohort.y[fold.tested, 0], fold.alone[:, m], fold.presence[:, m]
        areas["auroc_where_present"].append(metrics.auroc(y[present], p[present]))
        areas["auroc_on_all"].append(metrics.auroc(y, p))
    return {"modality": name} | {key: metrics.mean_defined(values) for key, values in areas.items()}
