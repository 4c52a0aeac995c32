"""metrics.json: what a run found, in numbers that a reader can check against predictions.parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import Task
from ..inputs.batches import Cohort
from ..inputs.groups import Groups
from ..inputs.missingness import MissingConfig
from ..scores import agreement, conformal, decisions, intervals, metrics, outcome_agreement
from ..scores.abstention import abstention
from ..scores.fairness import by_group
from ..scores.measures import KINDS, MEASURES, PRIMARY, Measure, evaluate, evaluate_over_folds, of_kind
from ..scores.metrics import FloatArray
from ..scores.notes import (
    Check,
    calibration_notes,
    group_checks,
    horizon_notes,
    label_checks,
    missing_notes,
    size_notes,
)
from ..scores.subgroups import Outcomes, Samples, without_rare
from ..scores.survival import SurvivalCurves, as_predicted
from ..training.config import TrainConfig
from ..training.fold_result import FoldResult
from ..training.outcome import evaluation_times
from ..words import AVAILABLE
from .metrics import RunMetrics
from .typed_json import write

OF_BINARY_TASKS: dict[str, Any] = {"calibration": None, "reliability": None, "alert": None}


def summarise(
    cohort: Cohort,
    config: TrainConfig,
    folds: Sequence[FoldResult],
    hidden: npt.NDArray[np.bool_],
    notes: Sequence[str],
    settled: RunMetrics | None = None,
) -> dict[str, Any]:
    """Return everything of metrics.json that follows from cohort, settings and predictions.

    ``hidden`` [N, M] bool is what was hidden on purpose. ``settled`` is a run that was tested elsewhere: groups are
    compared at its alert threshold, and its sets are judged as they are. Every measure is the mean over folds of that
    of each fold's tested samples, of all or of a part of them: probabilities of different models are never ranked among
    each other. Ratios and shares count all tested samples.
    """
    kind = cohort.task.kind
    everybody = _everybody(cohort, folds)
    scores = _over_folds(cohort, folds, [fold.probability for fold in folds])
    rows = [_fold_row(cohort, number, fold) for number, fold in enumerate(folds)]
    labels = everybody.per_label(cohort.task.labels) if kind in ("multilabel", "multiclass") else {}
    agreed, checks = (
        _binary(everybody) if kind == "binary" else (everybody.agreement(cohort.task), label_checks(labels))
    )
    missing = _missing(cohort, config.missing, folds, hidden)
    patients = None if cohort.queries is None else everybody.subjects
    return {
        "task": cohort.task.name,
        "method": config.method,
        "kind": kind,
        "labels": list(cohort.task.labels),
        "modalities": list(cohort.modalities),
        "seed": config.seed,
        "samples": len(everybody.subjects),
        **({} if patients is None else {"patients": len(np.unique(patients))}),
        "positives": int(np.nansum(everybody.y)) if kind == "binary" else None,
        "folds": rows,
        **{name: scores[name] | everybody.interval(measure) for name, measure in of_kind(kind).items()},
        **OF_BINARY_TASKS,
        "per_label": [_label_row(label, tested) for label, tested in labels.items()],
        **agreed,
        "per_subgroup": everybody.per_subgroup(kind, _threshold(agreed, settled)),
        "per_pattern": _per_pattern(kind, everybody),
        "cohort": _counts(cohort),
        "presence": presence_counts(cohort),
        "missing": missing,
        "notes": [
            *notes,
            *size_notes(kind, cohort.without_input, rows, everybody.truth, cohort.counted, patients),
            *missing_notes(kind, missing),
            *calibration_notes(checks),
            *horizon_notes(agreed.get("horizons", []), cohort.task.unit),
        ],
        "method_details": _details(cohort, folds),
        "events": _events(kind, everybody.y),
        "times": list(evaluation_times(cohort.task, cohort.y)),
        "unit": cohort.task.unit,
        **everybody.uncertainty(cohort.task, settled),
    }


@dataclass(frozen=True)
class _Everybody:
    """All n tested samples: labels as in `Task`, what was said of them, and who they are.

    ``y`` [n, C], ``predicted`` as measures take it, ``truth`` and ``chance`` [n, K] the same one label or class against
    the rest, where there are some; ``subjects``, ``folds``, ``combination`` (of modalities) and each of ``groups`` [n].
    """

    y: FloatArray
    predicted: FloatArray | SurvivalCurves
    truth: FloatArray
    chance: FloatArray
    subjects: npt.NDArray[Any]
    folds: npt.NDArray[np.int64]
    combination: npt.NDArray[np.str_]
    groups: Groups

    def interval(self, measure: Measure) -> dict[str, list[float] | None]:
        """Return the 95 % interval of a mean over folds as an entry; nothing for a measure that has none."""
        if measure.resampled is None:
            return {}
        found = intervals.of_measure(measure, self.y, self.predicted, self.subjects, self.folds)
        return {"ci": found.ci if found else None}

    @property
    def who(self) -> Samples:
        """Who the samples are."""
        return Samples(self.subjects, self.folds, self.groups)

    def agreement(self, task: Task) -> dict[str, Any]:
        """Return how far predictions other than probabilities agree with what happened."""
        if isinstance(self.predicted, SurvivalCurves):
            return {"horizons": outcome_agreement.at_horizons(self.y, self.predicted, self.subjects, self.folds)}
        if task.kind in KINDS:
            return {}
        return outcome_agreement.of_quantities(task.labels, self.y, self.predicted, self.who)

    def per_subgroup(self, kind: str, threshold: float | None) -> list[dict[str, Any]]:
        """Return how good predictions are in every group; those of a binary task alert from a ``threshold`` on."""
        return by_group(kind, self.y, self.predicted, self.who, threshold)

    def uncertainty(self, task: Task, settled: RunMetrics | None) -> dict[str, Any]:
        """Return sets that hold the truth, by thresholds that are ``settled``, if any, and what silence would gain."""
        if isinstance(self.predicted, SurvivalCurves):
            return {}
        available = {AVAILABLE: without_rare(self.combination, self.subjects)}
        who = Samples(self.subjects, self.folds, available)
        if settled is None:
            sets = conformal.out_of_fold(task.kind, task.labels, self.y, self.predicted, who)
        elif settled.conformal is None:
            sets = None
        else:
            calibrated = settled.conformal.calibrated(task.kind)
            judged = conformal.coverage(
                task.kind, task.labels, calibrated, self.y, self.predicted, self.subjects, available
            )
            sets = {**write(settled.conformal), "coverage": judged}
        return {
            "conformal": sets,
            "abstention": abstention(task.kind, self.y, self.predicted, self.subjects, self.folds),
        }

    def label(self, number: int) -> Outcomes:
        """Return one label or class against the rest."""
        return Outcomes(self.truth[:, number], self.chance[:, number], self.subjects, self.folds)

    def per_label(self, names: Sequence[str]) -> dict[str, Outcomes]:
        """Return every label or class by its name."""
        return {name: self.label(number) for number, name in enumerate(names)}


def _threshold(agreed: Mapping[str, Any], settled: RunMetrics | None) -> float | None:
    """Return from which probability on a binary task alerts; None of other tasks."""
    own = agreed.get("alert")
    if own is None or settled is None or settled.alert is None:
        return None if own is None else own["threshold"]
    return settled.alert.threshold


def _everybody(cohort: Cohort, folds: Sequence[FoldResult]) -> _Everybody:
    tested, probability, presence, number = (
        np.concatenate(parts)
        for parts in zip(
            *(
                (fold.tested, fold.probability, fold.presence, np.full(len(fold.tested), number))
                for number, fold in enumerate(folds)
            ),
            strict=True,
        )
    )
    subjects, y, kind = cohort.subject[tested], cohort.y[tested], cohort.task.kind
    truth, chance = metrics.one_vs_rest(y, probability) if kind in KINDS else (y, probability)
    return _Everybody(
        y,
        as_predicted(kind, probability, evaluation_times(cohort.task, cohort.y)),
        truth,
        chance,
        subjects,
        number,
        combination_names(presence, cohort.modalities),
        {name: without_rare(of_sample[tested], subjects) for name, of_sample in cohort.groups.items()},
    )


def _binary(everybody: _Everybody) -> tuple[dict[str, Any], list[Check]]:
    """Return what is known of a binary task alone, and the checks of its probabilities."""
    tested = everybody.label(0)
    y, p, subjects = tested.y, tested.p, tested.subjects
    alert = decisions.at_alert_rate(y, p, subjects)
    found = {
        "calibration": agreement.calibration(y, p, subjects),
        "reliability": agreement.reliability(y, p, subjects),
        "alert": alert,
    }
    available = {AVAILABLE: without_rare(everybody.combination, subjects)}
    return found, group_checks(available | everybody.groups, tested)


def _fold_row(cohort: Cohort, number: int, fold: FoldResult) -> dict[str, Any]:
    y, kind = cohort.y[fold.tested], cohort.task.kind
    return {
        "fold": number,
        "rows": len(y),
        "positives": int(np.nansum(y)) if kind == "binary" else None,
        "events": _events(kind, y),
        **evaluate(kind, y, as_predicted(kind, fold.probability, evaluation_times(cohort.task, cohort.y))),
        "epochs": fold.epochs,
        "seconds": round(fold.seconds, 2),
        **({"search": [asdict(trial) for trial in fold.trials]} if fold.trials else {}),
    }


def _events(kind: str, y: FloatArray) -> int | None:
    return int(np.nansum(y[:, 1])) if kind == "survival" else None


def _over_folds(
    cohort: Cohort, folds: Sequence[FoldResult], probabilities: Sequence[FloatArray]
) -> dict[str, dict[str, float | None]]:
    """Return of every measure its mean and deviation over the folds that have a value."""
    pairs = zip((cohort.y[fold.tested] for fold in folds), probabilities, strict=True)
    kind, times = cohort.task.kind, evaluation_times(cohort.task, cohort.y)
    each = [evaluate(kind, y, as_predicted(kind, probability, times)) for y, probability in pairs]
    return {name: mean_and_sd([one[name] for one in each]) for name in of_kind(kind)}


def mean_and_sd(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return mean and standard deviation of the values that are not None; no deviation of a single one."""
    known = [value for value in values if value is not None]
    return {
        "mean": float(np.mean(known)) if known else None,
        "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
    }


def _per_pattern(kind: str, everybody: _Everybody) -> list[dict[str, Any]]:
    """Return measures and calibration of the tested samples that have exactly each combination of modalities."""
    rows, primary = [], PRIMARY[kind]
    for name in np.unique(everybody.combination):
        has = everybody.combination == name
        y, folds, subjects = (of_all[has] for of_all in (everybody.y, everybody.folds, everybody.subjects))
        predicted = everybody.predicted[has]
        found = intervals.of_measure(MEASURES.get(primary), y, predicted, subjects, folds)
        rows.append(
            {
                "modalities": str(name),
                "rows": int(has.sum()),
                "positives": int(np.nansum(y)) if kind == "binary" else None,
                **evaluate_over_folds(kind, y, predicted, folds),
                **(intervals.entries(primary, found) if found else {f"{primary}_ci": None}),
                "calibration": agreement.calibration(y[:, 0], everybody.chance[has, 0], subjects)
                if kind == "binary"
                else None,
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
    over_draws = {name: mean_and_sd([draw[name]["mean"] for draw in draws]) for name in of_kind(cohort.task.kind)}
    complete = _over_folds(cohort, folds, [fold.complete for fold in folds])
    return {**described, "complete": complete, "over_draws": over_draws, "each_draw": draws}


def _label_row(label: str, tested: Outcomes) -> dict[str, Any]:
    y, p = tested.y[:, None], tested.p[:, None]
    areas = {
        name: intervals.mean_area(measure.area, y, p, tested.subjects, tested.folds)
        for name, measure in of_kind("binary").items()
        if measure.area is not None
    }
    return {
        "label": label,
        "positives": int(np.nansum(tested.y)),
        **{key: value for measure, area in areas.items() for key, value in intervals.entries(measure, area).items()},
        "calibration": agreement.calibration(tested.y, tested.p, tested.subjects),
    }


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
