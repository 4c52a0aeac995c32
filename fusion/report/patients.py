"""The page that shows single samples of a run: what was predicted for one, from what, and how sure each part was."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..files import write_whole
from ..runs.prediction_sets import SEPARATOR, out_of_fold_sets
from ..runs.run import Run, load_run
from ..runs.stored_predictions import ModalityColumns, Predictions, floats
from ..scores import curves as scores
from ..scores.curves import Bools, Floats
from ..scores.decisions import ALERT_RATE
from ..scores.survival import SurvivalCurves
from ..words import count, digits, number, readout_words
from .headline import Headline
from .html import render
from .stays import along_stays
from .times import cohort_of, recorded

PATIENTS = "patients.html"

MOST_SAMPLES = 5000
"""More samples than this would make the page slow."""

ROUNDING = 1e-9
"""A tenth of ten samples is one, whatever floating point makes of it."""

DIGITS = 4
"""Significant digits of quantities."""

SENSITIVE = (
    "This page is as sensitive as the data. It holds the ids and the outcomes of single samples: keep it where the "
    "data may be kept, and pass it on only to those who may see them."
)
WITHOUT_IDS = (
    "This page is as sensitive as the data. It holds the outcomes of single samples, although their ids are left out: "
    "keep it where the data may be kept, and pass it on only to those who may see them."
)
LEAD = (
    "Pick a sample to see what it has, what was predicted for it, and what the model says when it is shown less. Every "
    "prediction was made by a model that had not seen that patient in training."
)
WITHOUT_TIMES = "The cache of the run is not where it was, so the times of what a sample has are not shown."


def write_patients(folder: Path, ids: bool = True, most: int = MOST_SAMPLES) -> Path:
    """Write ``patients.html``, a page to look into single test samples, into a run folder; return its path.

    Unlike the report it shows single samples and, with ``ids``, their ids: it is as sensitive as the data. Without
    ``ids`` samples are called by their place in the page. Of more than ``most`` samples so many are shown: first every
    false alert and missed positive at the alert rate of the run, then those whose probability is furthest from the
    outcome; of quantities those whose prediction is furthest off. A time to an event is judged as the event by the last
    time that survival is predicted at, and shown with its curve.

    Raises
    ------
    MissingInputError
        The folder or a file that every run has does not exist.
    InputError
        A file of the run is damaged or lacks what the page needs.
    """
    run = load_run(folder)
    data = _data(run, ids, most)
    top = Headline(
        title=f"Single samples: {run.metrics.task_title}",
        lead=" ".join(
            [
                LEAD,
                *_positive(run),
                *_selection(len(run.tested.y), most, run.metrics.kind),
                *([] if data["timed"] else [WITHOUT_TIMES]),
            ]
        ),
        caveats=(SENSITIVE if ids else WITHOUT_IDS, *run.metrics.caveats),
    )
    page = render("patients.html", "patients.js", kind="run", name=run.name, top=top, sections=(), data=data)
    path = folder / PATIENTS
    write_whole(path, page)
    return path


def _positive(run: Run) -> list[str]:
    """Return what a positive sample is, where there is one thing to predict."""
    if run.metrics.kind == "survival":
        return [
            f"Positive means: {_event_by_last(run)}. Who was censored before that is neither positive nor negative."
        ]
    return [f"Positive means: {run.metrics.task_title}."] if run.metrics.kind == "binary" else []


def _event_by_last(run: Run) -> str:
    last = run.metrics.times[-1]
    return f"{run.metrics.task_title}, the event by {number(last, digits(last))} {run.metrics.unit}".rstrip()


def _selection(samples: int, most: int, kind: str) -> list[str]:
    if samples <= most:
        return []
    first = "" if kind == "regression" else "false alerts and missed positives first, then "
    what = "prediction is furthest off" if kind == "regression" else "probability is furthest from the outcome"
    return [f"Shown are {count(most)} of {count(samples)} samples: {first}those whose {what}."]


def _judged(run: Run) -> Predictions:
    """Return what the page judges: a time to an event as one label, the event by the last time, NaN if censored before.

    All other predictions stay what they are.
    """
    said = run.tested
    if not isinstance(said.predicted, SurvivalCurves):
        return said
    time, event = said.y.T
    last = said.predicted.times[-1]
    y = np.where((event == 1) & (time <= last), 1.0, np.where(time > last, 0.0, np.nan))
    return replace(said, labels=(_event_by_last(run),), y=y[:, None], p=said.predicted.risk[:, None], kind="binary")


def _ranks(predictions: Predictions) -> Floats:
    """Return how many samples with a known label have at least the probability of each sample, [N, C]; NaN without one.

    A sample is among the highest tenth, as `at_alert_rate` counts, if its rank is at most a tenth of these samples.
    """
    ranks = np.full(predictions.p.shape, np.nan)
    for c, (y, p) in enumerate(zip(predictions.y.T, predictions.p.T, strict=True)):
        among = np.sort(p[scores.known(y, p)])
        some = np.isfinite(p)
        ranks[some, c] = len(among) - np.searchsorted(among, p[some], side="left")
    return ranks


def _errors_first(predictions: Predictions, alert: Bools) -> list[int]:
    """Return the rows with a false alert or a missed positive in any label first, each by falling surprise.

    ``alert`` [N, C]; surprise is the distance of probability and outcome, in the label where it is largest.
    """
    known = scores.known(predictions.y, predictions.p)
    if predictions.kind == "regression":
        distance = np.abs(predictions.y - predictions.p) / _spread(predictions.y)
        off = np.where(known, distance, -1.0).max(axis=1, initial=-1.0)
        return [int(row) for row in np.argsort(-off, kind="stable")]
    surprise = np.where(known, np.abs(predictions.y - predictions.p), -1.0).max(axis=1, initial=-1.0)  # [N]
    wrong = (known & (alert != (predictions.y == 1))).any(axis=1)
    return [int(row) for row in np.argsort(-(surprise + wrong), kind="stable")]


def _spread(y: Floats) -> Floats:
    """Return the standard deviation of each column of y [N, C], 1 where it has none."""
    spread: Floats = np.ma.masked_invalid(y).std(axis=0).filled(0.0)
    return np.where(spread > 0, spread, 1.0)


def _data(run: Run, ids: bool, most: int) -> dict[str, Any]:
    """Return what the page's script reads; None stands where a number is not defined."""
    metrics, predictions, modalities = run.metrics, _judged(run), run.tested.modalities
    quantities = predictions.kind == "regression"
    rate = metrics.alert.rate if metrics.alert else ALERT_RATE
    ranks, ranked = _ranks(predictions), scores.known(predictions.y, predictions.p).sum(axis=0)  # [N, C], [C]
    rows = _errors_first(predictions, ranks <= np.floor(rate * ranked + ROUNDING))[:most]
    table = run.predictions[rows]
    cohort = cohort_of(run)
    when, along = recorded(cohort, table), along_stays(run.predictions, predictions, table, cohort)
    stays = along.pop("stays", [])
    of_modalities = {f"{name}.{what}" for name in metrics.modalities for what in ("present", "imputed", "p", "weight")}
    others = table.select(name for name in table.columns if name not in of_modalities)
    states = [_states(columns, rows, when[name] if when else None) for name, columns in modalities.items()]
    combinations, readouts = _matching(others, r"p\[(.+)\]"), _matching(others, r"p\.(.+)")
    each = {
        "id": table["sample_id"].cast(pl.String).to_list() if ids else [str(i + 1) for i in range(len(rows))],
        **{
            name: _numbers(values[rows], significant=quantities)
            for name, values in _numbers_of(predictions, ranks).items()
        },
        **(_times(run, rows) if metrics.times else {}),
        **along,
        "sets": _sets(run, rows),
        "modalities": list(map(list, zip(*states, strict=True))) or [[]] * len(rows),
        "combinations": list(map(list, zip(*combinations.values(), strict=True))) or [[]] * len(rows),
        "readouts": list(map(list, zip(*readouts.values(), strict=True))) or [[]] * len(rows),
    }
    return {
        "labels": [label or metrics.task_title for label in predictions.labels],
        "quantities": quantities,
        "unit": metrics.unit,
        "spread": _spread(predictions.y).tolist() if quantities else [],
        "times": list(metrics.times),
        "stays": stays,
        "rate": rate,
        "level": metrics.conformal.level if metrics.conformal else None,
        "ranked": ranked.tolist(),
        "modalities": [metrics.modality_title(name) for name in modalities],
        "names": list(modalities),
        "timed": when is not None,
        "explained": [part for part in ("p", "weight") if any(part in of_all[0] for of_all in states if of_all)],
        "weights": metrics.method_words.weight,
        "combinations": list(combinations),
        "readouts": [readout_words(name) for name in readouts],
        "samples": [dict(zip(each, values, strict=True)) for values in zip(*each.values(), strict=True)],
    }


def _numbers_of(predictions: Predictions, ranks: Floats) -> dict[str, Floats]:
    return {"fold": predictions.fold, "y": predictions.y, "p": predictions.p, "rank": ranks}


def _sets(run: Run, rows: list[int]) -> list[list[str]]:
    """Return of each of some samples the set of answers in words, one for each label that is asked apart."""
    found = out_of_fold_sets(run.metrics, run.tested)
    return [[text.replace(SEPARATOR, " or ") for text in found[row]] for row in rows]


def _times(run: Run, rows: list[int]) -> dict[str, list[Any]]:
    """Return of each of some samples the predicted survival, and what was recorded and when."""
    y, curves = run.tested.y[rows], run.tested.p[rows]
    return {"curve": _numbers(curves), "time": _numbers(y[:, 0], significant=True), "recorded": _recorded(run, rows)}


def _recorded(run: Run, rows: list[int]) -> list[str]:
    """Return what happened to each of some samples, in words: ``event at 3.2 d``, ``censored at 12 d``."""
    unit = f" {run.metrics.unit}".rstrip()
    return [
        "unknown"
        if np.isnan(time) or np.isnan(event)
        else f"{'event' if event == 1 else 'censored'} at {number(float(time), digits(float(time)))}{unit}"
        for time, event in run.tested.y[rows]
    ]


def _states(columns: ModalityColumns, rows: list[int], when: list[str] | None) -> list[dict[str, Any]]:
    """Return of each of some rows whether it has the modality, when, and what the method says of it."""
    present = columns.present[rows]
    imputed = np.zeros_like(present) if columns.imputed is None else columns.imputed[rows]
    parts: dict[str, list[Any]] = {"state": np.select([present, imputed], ["present", "imputed"], "missing").tolist()}
    parts |= {} if when is None else {"when": [text if has else "" for text, has in zip(when, present, strict=True)]}
    parts |= {} if columns.probability is None else {"p": _numbers(columns.probability[rows])}
    parts |= {} if columns.weight is None else {"weight": _numbers(columns.weight[rows])}
    return [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]


def _matching(table: pl.DataFrame, pattern: str) -> dict[str, list[float | None]]:
    """Return the columns whose whole name matches, by what the pattern's group holds."""
    matches = {name: match[1] for name in table.columns if (match := re.fullmatch(pattern, name))}
    return {short: _numbers(floats(table, name)) for name, short in matches.items()}


def _numbers(values: Floats, *, significant: bool = False) -> list[Any]:
    """Return [N] or [N, C] numbers as lists, with four decimals or digits and None for what is not finite."""
    if significant:
        rounded = np.vectorize(lambda value: float(f"{value:.{DIGITS}g}"), otypes=[object])(values)
    else:
        rounded = np.round(values, 4).astype(object)
    rounded[~np.isfinite(values)] = None
    return list(rounded.tolist())
