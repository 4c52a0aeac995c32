"""metrics.json: what a run found, in numbers that a reader can check against predictions.parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import metrics
from .batches import Cohort
from .config import TrainConfig
from .predictions import Predicted

FEW = 100
"""Fewer test positives or negatives than this tell too little to conclude anything."""


@dataclass(frozen=True)
class FoldResult:
    """One fold: positions of the tested samples [n], their predictions, epochs, and what the method says of itself."""

    tested: npt.NDArray[np.int64]
    predicted: Predicted
    epochs: int
    details: dict[str, Any]
    seconds: float


def summarise(cohort: Cohort, config: TrainConfig, folds: Sequence[FoldResult], notes: Sequence[str]) -> dict[str, Any]:
    """Return everything of metrics.json that follows from cohort, settings and predictions."""
    kind = cohort.task.kind
    tested = np.concatenate([fold.tested for fold in folds])
    y, probability = cohort.y[tested], np.concatenate([fold.predicted.probability for fold in folds])
    truth, chance = metrics.one_vs_rest(kind, y, probability)
    pooled = metrics.score(truth, chance)
    interval = metrics.bootstrap(truth, chance, cohort.subject_id[tested], config.seed)
    rows = [_fold_row(number, fold, kind) for number, fold in enumerate(folds)]
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
        "auroc": _over_folds(rows, "auroc") | {"ci": interval["auroc"], "pooled": pooled.auroc},
        "auprc": _over_folds(rows, "auprc") | {"ci": interval["auprc"], "pooled": pooled.auprc},
        "log_loss": metrics.log_loss(kind, y, probability),
        "brier": metrics.brier(kind, y, probability),
        "per_label": _per_label(cohort.task.labels, truth, pooled) if kind != "binary" else [],
        "cohort": _counts(cohort),
        "presence": presence_counts(cohort),
        "notes": [*notes, *_notes(cohort, rows, truth)],
        "method_details": _details(cohort, folds),
    }


def _fold_row(number: int, fold: FoldResult, kind: str) -> dict[str, Any]:
    y = fold.predicted.y
    scores = metrics.score(*metrics.one_vs_rest(kind, y, fold.predicted.probability))
    return {
        "fold": number,
        "rows": len(y),
        "positives": int(np.nansum(y)) if kind == "binary" else None,
        "auroc": scores.auroc,
        "auprc": scores.auprc,
        "epochs": fold.epochs,
        "seconds": round(fold.seconds, 2),
    }


def _over_folds(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, float | None]:
    """Return mean and standard deviation over the folds that have a value; no deviation of a single one."""
    values = [row[name] for row in rows if row[name] is not None]
    return {
        "mean": float(np.mean(values)) if values else None,
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
    }


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


def presence_counts(cohort: Cohort) -> dict[str, int]:
    """Return how many samples have exactly each combination of modalities, names sorted and joined by "+"."""
    order = np.argsort(cohort.modalities)
    patterns, counts = np.unique(cohort.presence[:, order], axis=0, return_counts=True)
    names = np.array(cohort.modalities)[order]
    return {"+".join(names[pattern]): int(count) for pattern, count in zip(patterns, counts, strict=True)}


def _notes(cohort: Cohort, rows: Sequence[Mapping[str, Any]], truth: npt.NDArray[Any]) -> list[str]:
    notes = []
    if cohort.without_input:
        notes.append(f"{cohort.without_input} samples of the task have none of the modalities and were left out.")
    single = [str(row["fold"]) for row in rows if row["auroc"] is None]
    if single:
        notes.append(f"Fold {', '.join(single)} has test samples of one class only: no AUROC; the mean leaves it out.")
    fewest = int(min(np.nansum(truth == 1, axis=0).min(), np.nansum(truth == 0, axis=0).min()))
    if fewest < FEW:
        notes.append(
            f"The smaller class of a label has {fewest} test samples, fewer than {FEW}: too few to conclude anything."
        )
    return notes


def _details(cohort: Cohort, folds: Sequence[FoldResult]) -> dict[str, Any]:
    """Return what the models of the folds say of themselves, and how good each modality is alone, if they say so."""
    details: dict[str, Any] = {}
    if any(fold.details for fold in folds):
        details["folds"] = [fold.details for fold in folds]
    if cohort.task.kind == "binary" and all(f.predicted.prediction.modality_probability is not None for f in folds):
        details["modalities"] = [_alone(m, name, folds) for m, name in enumerate(cohort.modalities)]
    return details


def _alone(m: int, name: str, folds: Sequence[FoldResult]) -> dict[str, Any]:
    """Return the fold-mean AUROC of one modality alone: on the samples that have it, and on all tested samples."""
    areas: dict[str, list[float | None]] = {"auroc_where_present": [], "auroc_on_all": []}
    for fold in folds:
        said = fold.predicted.prediction.modality_probability
        assert said is not None
        y, p, present = fold.predicted.y[:, 0], said[:, m].numpy(), fold.predicted.presence[:, m]
        areas["auroc_where_present"].append(metrics.auroc(y[present], p[present]))
        areas["auroc_on_all"].append(metrics.auroc(y, p))
    return {"modality": name} | {key: metrics.mean_defined(values) for key, values in areas.items()}
