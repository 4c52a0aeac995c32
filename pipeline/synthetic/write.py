"""A synthetic cohort as a MIMIC-shaped raw folder, with the law and the truth beside it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...cache_schema.errors import InputError
from ...progress import progress
from .cohort import Cohort, SynthSettings, plan_cohort
from .electrocardiograms import write_electrocardiograms
from .emergency import write_department
from .events import chart_events, lab_events, output_events
from .laboratory import with_laboratory
from .law import MODALITIES
from .layouts import write_table
from .notes import write_note_module, write_noteevents
from .radiology import plan_studies
from .studies import with_reports, write_studies
from .tables import write_small_tables
from .treatments import write_treatments

LAW_FILE = Path("synthetic") / "law.json"
TRUTH_FILE = Path("synthetic") / "truth.parquet"


def write_cohort(out: Path, settings: SynthSettings) -> None:
    """Write a synthetic cohort into a new folder `out`, all of it or nothing.

    ``synthetic/law.json`` has every parameter, ``synthetic/truth.parquet`` one row per stay of the 48-hour cohort
    with the latent causes; both are for `best_possible` and never read by extraction. The same settings give the
    same bytes.

    Raises
    ------
    InputError
        `out` exists and is not an empty folder.
    """
    with new_folder(out, "synthetic") as partial:
        (partial / "synthetic").mkdir()
        _write(partial, settings)


@contextmanager
def new_folder(out: Path, mark: str) -> Iterator[Path]:
    """Give an empty folder beside `out` to write into, which becomes `out` at the end.

    One that an interrupted run left, known by what it wrote first and calls `mark`, is replaced.

    Raises
    ------
    InputError
        `out` exists and is not an empty folder, or something else is in the way.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already and is not an empty folder; remove it or give another --out")
    partial = out.with_name(f"{out.name}.partial")
    if partial.exists() and not (partial / mark).exists():
        raise InputError(f"{partial} is in the way, not an unfinished cohort; remove it or give another --out")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    partial.rename(out)


def _write(raw: Path, settings: SynthSettings) -> None:
    # One stream of random numbers per part, so that e.g. more events leave patients, reports and images as they were.
    plan, small, chart, lab, output, radiology, ecg, notes, ed, *more = np.random.default_rng(settings.seed).spawn(12)
    laboratory, treatments, department = more
    cohort = plan_cohort(settings, plan)
    layout, per_stay = settings.layout, settings.events_per_stay
    write_small_tables(raw, cohort, layout, small, units_told=settings.release != "3.1")
    blocks = progress(chart_events(cohort, layout, per_stay, chart), "chart events", unit="blocks")
    write_table(raw, layout, "chartevents", blocks)
    labs = with_laboratory(lab_events(cohort, layout, per_stay, lab), cohort, per_stay, laboratory)
    write_table(raw, layout, "labevents", labs)
    write_treatments(raw, cohort, layout, treatments)
    write_table(raw, layout, "outputevents", output_events(cohort, layout, per_stay, output))
    studies = plan_studies(cohort, settings.images, radiology)
    if layout == "mimic4":
        write_note_module(raw, cohort, write_studies(raw, studies, radiology), notes)
        write_department(raw, cohort, ed, department)
    else:
        write_noteevents(raw, cohort, with_reports(studies, radiology), notes)
    if settings.ecg:
        write_electrocardiograms(raw, cohort, ecg)
    _write_truth(raw, cohort)
    described = {"omnifuse": version("omnifuse"), "settings": {**asdict(settings), "law": cohort.law.to_dict()}}
    (raw / LAW_FILE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def _write_truth(raw: Path, cohort: Cohort) -> None:
    draw = cohort.draw
    columns: dict[str, NDArray[Any]] = {f"z{k}": draw.latent[:, k] for k in range(4)}
    for m, name in enumerate(MODALITIES):
        columns |= {
            f"{name}_informative": draw.informative[:, m],
            f"{name}_sign": draw.sign[:, m],
            f"{name}_shared": draw.statistic[:, m, 0],
            f"{name}_own": draw.statistic[:, m, 1],
            f"{name}_available": draw.available[:, m],
        }
    stays = cohort.stays.select("stay_id", "subject_id", "kind", y=pl.Series(draw.label))
    truth = stays.with_columns(**{name: pl.Series(values) for name, values in columns.items()})
    truth.filter(pl.col("kind") == "cohort").drop("kind").sort("stay_id").write_parquet(raw / TRUTH_FILE)
