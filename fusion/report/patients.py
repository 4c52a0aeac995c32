"""The page that shows single samples of a run: what was predicted for one, from what, and how sure each part was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..files import read_table, write_whole
from .headline import Headline
from .html import render
from .predictions import Floats, ModalityColumns, Predictions, floats
from .run import Run, read_run
from .words import count, task_words

PATIENTS = "patients.html"

MOST_SAMPLES = 5000
"""More samples than this would make the page slow."""

SENSITIVE = (
    "It holds the ids and the outcomes of single samples. Keep it where the data may be kept, and pass it on only to "
    "those who may see the data."
)
WITHOUT_IDS = (
    "It holds the outcomes of single samples, although their ids are left out. Keep it where the data may be kept, and "
    "pass it on only to those who may see the data."
)
RESEARCH = "It is for research: no number here may guide the treatment of a patient."
LEAD = (
    "Pick a sample to see what was predicted for it and from which modalities. Every prediction was made by a model "
    "that had not seen that patient in training."
)


def write_patients(run_folder: Path, ids: bool = True) -> Path:
    """Write ``patients.html``, a page to look into single test samples, into a run folder; return its path.

    Unlike the report it shows single samples and, with ``ids``, their ids: it is as sensitive as the data. Without
    ``ids`` samples are called by their place in the page. At most 5,000 samples are shown, those whose probability is
    furthest from the outcome: every false alarm and missed positive at a threshold of 0.5 comes before all others.

    Raises
    ------
    MissingInputError
        The folder or a file that every run has does not exist.
    InputError
        A file of the run is damaged or lacks what the page needs.
    """
    run = read_run(run_folder)
    table = read_table(run_folder / "predictions.parquet", {"sample_id"})
    order = _least_expected_first(run.predictions)
    top = Headline(
        title=f"Single samples: {task_words(run.metrics['task'])}",
        lead=" ".join([LEAD, *_selection(len(order))]),
        numbers=(),
        reading="",
        notes=(SENSITIVE if ids else WITHOUT_IDS, RESEARCH),
    )
    page = render(
        "patients.html",
        "patients.js",
        kind="run",
        name=run.name,
        top=top,
        notes_title="This page is as sensitive as the data",
        sections=(),
        data=_data(run, table, order[:MOST_SAMPLES], ids),
    )
    path = run_folder / PATIENTS
    write_whole(path, page)
    return path


def _selection(samples: int) -> list[str]:
    if samples <= MOST_SAMPLES:
        return []
    return [
        f"Shown are {count(MOST_SAMPLES)} of {count(samples)} samples: those whose probability is furthest from the "
        "outcome, so false alarms and missed positives come first."
    ]


def _least_expected_first(predictions: Predictions) -> list[int]:
    """Return the rows by falling distance of probability and outcome, in the label where it is largest."""
    distance = np.nan_to_num(np.abs(predictions.y - predictions.p), nan=-1.0).max(axis=1, initial=-1.0)  # [N]
    return [int(row) for row in np.argsort(-distance, kind="stable")]


def _data(run: Run, table: pl.DataFrame, rows: list[int], ids: bool) -> dict[str, Any]:
    """Return what the page's script reads; None stands where a number is not defined."""
    predictions, modalities = run.predictions, run.predictions.modalities
    of_modalities = {f"{name}.{what}" for name in run.modalities for what in ("present", "imputed", "p", "weight")}
    others = [name for name in table.columns if name not in of_modalities]
    ids_shown = table["sample_id"].cast(pl.String)[rows].to_list() if ids else [str(i + 1) for i in range(len(rows))]
    y, p, fold = (_numbers(values[rows]) for values in (predictions.y, predictions.p, predictions.fold))
    states = {name: _states(columns) for name, columns in modalities.items()}
    combinations = _matching(table[rows].select(others), r"p\[(.+)\]")
    readouts = _matching(table[rows].select(others), r"p\.(.+)")
    samples = [
        {
            "id": sample_id,
            "fold": fold[i],
            "y": y[i],
            "p": p[i],
            "modalities": [states[name][rows[i]] for name in modalities],
            "combinations": [values[i] for values in combinations.values()],
            "readouts": [values[i] for values in readouts.values()],
        }
        for i, sample_id in enumerate(ids_shown)
    ]
    return {
        "labels": [label or task_words(run.metrics["task"]) for label in predictions.labels],
        "modalities": list(modalities),
        "explained": [
            part for part in ("p", "weight") if any(part in of_one for of_all in states.values() for of_one in of_all)
        ],
        "combinations": [name.replace("+", " + ") for name in combinations],
        "readouts": list(readouts),
        "samples": samples,
    }


def _states(columns: ModalityColumns) -> list[dict[str, Any]]:
    """Return of each sample whether it has the modality, and what the method says of it."""
    imputed = np.zeros_like(columns.present) if columns.imputed is None else columns.imputed
    parts = {"state": np.select([columns.present, imputed], ["present", "imputed"], "missing").tolist()}
    parts |= {} if columns.probability is None else {"p": _numbers(columns.probability)}
    parts |= {} if columns.weight is None else {"weight": _numbers(columns.weight)}
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
