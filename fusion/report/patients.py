"""The page that shows single samples of a run: what was predicted for one, from what, and how sure each part was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..files import write_whole
from ..runs.run import Run, load_run
from ..runs.stored_predictions import ModalityColumns, Predictions, floats
from ..scores import curves as scores
from ..scores.curves import Bools, Floats
from ..scores.decisions import ALERT_RATE
from ..words import count, readout_words
from .headline import Headline
from .html import render
from .times import recorded

PATIENTS = "patients.html"

MOST_SAMPLES = 5000
"""More samples than this would make the page slow."""

ROUNDING = 1e-9
"""A tenth of ten samples is one, whatever floating point makes of it."""

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
    outcome.

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
        lead=" ".join([LEAD, *_selection(len(run.tested.y), most), *([] if data["timed"] else [WITHOUT_TIMES])]),
        caveats=(SENSITIVE if ids else WITHOUT_IDS, *run.metrics.caveats),
    )
    page = render("patients.html", "patients.js", kind="run", name=run.name, top=top, sections=(), data=data)
    path = folder / PATIENTS
    write_whole(path, page)
    return path


def _selection(samples: int, most: int) -> list[str]:
    if samples <= most:
        return []
    return [
        f"Shown are {count(most)} of {count(samples)} samples: false alerts and missed positives first, then "
        "those whose probability is furthest from the outcome."
    ]


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
    surprise = np.where(known, np.abs(predictions.y - predictions.p), -1.0).max(axis=1, initial=-1.0)  # [N]
    wrong = (known & (alert != (predictions.y == 1))).any(axis=1)
    return [int(row) for row in np.argsort(-(surprise + wrong), kind="stable")]


def _data(run: Run, ids: bool, most: int) -> dict[str, Any]:
    """Return what the page's script reads; None stands where a number is not defined."""
    metrics, predictions, modalities = run.metrics, run.tested, run.tested.modalities
    rate = metrics.alert.rate if metrics.alert else ALERT_RATE
    ranks, ranked = _ranks(predictions), scores.known(predictions.y, predictions.p).sum(axis=0)  # [N, C], [C]
    rows = _errors_first(predictions, ranks <= np.floor(rate * ranked + ROUNDING))[:most]
    table = run.predictions[rows]
    when = recorded(run, table["sample_id"].to_numpy())
    of_modalities = {f"{name}.{what}" for name in metrics.modalities for what in ("present", "imputed", "p", "weight")}
    others = table.select(name for name in table.columns if name not in of_modalities)
    states = [_states(columns, rows, when[name] if when else None) for name, columns in modalities.items()]
    combinations, readouts = _matching(others, r"p\[(.+)\]"), _matching(others, r"p\.(.+)")
    each = {
        "id": table["sample_id"].cast(pl.String).to_list() if ids else [str(i + 1) for i in range(len(rows))],
        **{name: _numbers(values[rows]) for name, values in _numbers_of(predictions, ranks).items()},
        "modalities": list(map(list, zip(*states, strict=True))) or [[]] * len(rows),
        "combinations": list(map(list, zip(*combinations.values(), strict=True))) or [[]] * len(rows),
        "readouts": list(map(list, zip(*readouts.values(), strict=True))) or [[]] * len(rows),
    }
    return {
        "labels": [label or metrics.task_title for label in predictions.labels],
        "rate": rate,
        "ranked": ranked.tolist(),
        "modalities": [metrics.modality_title(name) for name in modalities],
        "names": list(modalities),
        "timed": when is not None,
        "explained": [part for part in ("p", "weight") if any(part in of_all[0] for of_all in states if of_all)],
        "combinations": list(combinations),
        "readouts": [readout_words(name) for name in readouts],
        "samples": [dict(zip(each, values, strict=True)) for values in zip(*each.values(), strict=True)],
    }


def _numbers_of(predictions: Predictions, ranks: Floats) -> dict[str, Floats]:
    return {"fold": predictions.fold, "y": predictions.y, "p": predictions.p, "rank": ranks}


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


def _numbers(values: Floats) -> list[Any]:
    """Return [N] or [N, C] numbers as lists, with four decimals and None for what is not finite."""
    rounded = np.round(values, 4).astype(object)
    rounded[~np.isfinite(values)] = None
    return list(rounded.tolist())
