"""Sets of variables as modalities of a cohort."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from .....cache_schema import digest_file
from ....source import Block, Quarantine, TableModality
from ..folder import MimicFolder
from .binning import SetBins
from .definitions import Concept, title_of
from .derived import VERSION as SCORES_VERSION
from .derived import derived_of, ingredients_of
from .derived.charlson import CONDITIONS
from .history import History, with_history
from .reading import NO_ROWS, STAGE, Available, event_files, weights_for
from .scores import numbers_of_ingredients
from .shared_pass import KeptBlocks, SharedPass
from .units import RESOURCES

VERSION = 2
"""To be raised whenever the same tables and definitions would give another result."""

Sets = Mapping[str, Sequence[Concept]]
"""Concepts by the name of their set, which is that of the modality."""


@dataclass(frozen=True)
class VariableSettings:
    """How sets become rows: hours of a bin, how far back, and when a value counts as known."""

    bin_hours: float = 2.0
    history: History = "icu"
    available: Available = "storetime"

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON values."""
        return {"bin_hours": self.bin_hours, "history": self.history, "available": self.available}


def stays_of(folder: MimicFolder, stays: pl.DataFrame, settings: VariableSettings) -> pl.DataFrame:
    """Return sample (running number), stay_id, subject_id, intime, since (the first second that counts) and los_hours.

    ``stays`` are those of the cohort: stay_id, subject_id, hadm_id, intime, outtime (seconds) and los_hours, sorted by
    stay_id. Where a length is not known, the times say it.
    """
    length = pl.coalesce("los_hours", (pl.col("outtime") - pl.col("intime")) / 3600)
    numbered = with_history(stays.with_row_index("sample"), settings.history, folder)
    return numbered.select(
        pl.col("sample").cast(pl.Int64), "stay_id", "subject_id", "intime", "since", los_hours=length
    )


def spans_of(stays: pl.DataFrame) -> pl.DataFrame:
    """Return the seconds between which events of a subject can count for its stays: subject_id, first, last."""
    end = pl.col("intime") + (pl.col("los_hours") * 3600).ceil().cast(pl.Int64)
    return stays.group_by("subject_id").agg(
        first=pl.when(~pl.col("since").is_null().any()).then(pl.col("since").min()),
        last=pl.when(~end.is_null().any()).then(end.max()),
    )


def variable_modalities(
    folder: MimicFolder, sets: Sets, stays: pl.DataFrame, settings: VariableSettings, shared: SharedPass
) -> tuple[TableModality, ...]:
    """Return a modality for each set; the first whose rows are asked for makes the pass over the events for all.

    ``stays`` as :func:`stays_of` gives them. ``shared`` reads the concepts of all sets in their order, and then any
    others.
    """
    modalities, first = [], 0
    told = set(range(sum(map(len, sets.values()))))
    for name, concepts in sets.items():
        bins = SetBins(concepts, first, stays, settings.bin_hours, settings.available)
        first += len(concepts)
        numbers = numbers_of_ingredients(shared.events.concepts, concepts, folder.version).values()
        ingredients = [number for number in numbers if number not in told]  # those in a set are said with that
        told.update(ingredients)
        modalities.append(_modality(name, concepts, bins, ingredients, shared, settings, folder))
    return tuple(modalities)


def _modality(
    name: str, concepts: Sequence[Concept], bins: SetBins, ingredients: Sequence[int], shared: SharedPass,
    settings: VariableSettings, folder: MimicFolder,
) -> TableModality:  # fmt: skip
    kept = KeptBlocks(bins)
    shared.add(kept.take)

    def blocks(quarantine: Quarantine) -> Iterator[Block]:
        shared.run()
        quarantine.extend(shared.events.left_out([*bins.numbers, *ingredients]).to_json())
        for number, concept in zip(bins.numbers, concepts, strict=True):
            if concept.derived and shared.scores is not None and not shared.scores.rows[number]:
                quarantine.add(STAGE, concept.set, concept.name, "", NO_ROWS)
        yield from kept.blocks()

    return TableModality(
        name, "timeseries", bins.made.columns, f"{settings.bin_hours:g} hours of the stay",
        recipe_of(folder, concepts, settings), (*inputs_of(folder, concepts, settings),), blocks, title_of(name),
    )  # fmt: skip


def recipe_of(folder: MimicFolder, concepts: Sequence[Concept], settings: VariableSettings) -> dict[str, Any]:
    """Return how the rows of a set are made."""
    ingredients, scores = ingredients_of(concepts, folder.version), derived_of(concepts)
    of_scores = {"version": SCORES_VERSION, "ingredients": [concept.to_json() for concept in ingredients]}
    coded = {"charlson": digest_file(CONDITIONS)} if any(score.coded for score in scores) else {}
    return {
        "version": VERSION,
        "source": "mimic",
        "units": digest_file(RESOURCES / "units.csv"),
        **settings.to_json(),
        "concepts": [concept.to_json() for concept in concepts],
        "weights": [concept.to_json() for concept in weights_for(folder, [*concepts, *ingredients])],
        **({"scores": {**of_scores, **coded}} if scores else {}),
    }


def inputs_of(folder: MimicFolder, concepts: Sequence[Concept], settings: VariableSettings) -> list[Path]:
    """Return the files that decide the rows of a set."""
    read = [*concepts, *ingredients_of(concepts, folder.version)]
    files = event_files(folder, [*read, *weights_for(folder, read)])
    coded = any(score.coded for score in derived_of(concepts))
    stays = ["icustays", *(["admissions"] if coded or settings.history in ("ed", "hospital") else [])]
    stays += ["diagnoses_icd"] if coded else []
    return [*(folder.table(name).path for name in stays), *(file.table.path for file in files if file.table)]
