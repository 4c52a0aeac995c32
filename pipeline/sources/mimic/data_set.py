"""MIMIC-III and MIMIC-IV with MIMIC-CXR: one sample is one ICU stay, t0 its admission to the unit."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from ....cache_schema import InputError, Task, digest
from ...source import Block, FirstHours, Quarantine, Records, TableModality
from ..options import check_modalities
from .benchmark import RESOURCES, EhrSettings, EhrTensors, Profile, columns, extract_tensors
from .benchmark.long_tasks import decompensation, length_of_stay
from .benchmark.tasks import Stays, mortality, phenotyping
from .cohort import DESCRIPTIVE, Cohort, read_cohort, read_phenotypes
from .concepts.definitions import Concept, starter_sets
from .concepts.dictionary import notes_on_items
from .concepts.history import History, with_history
from .concepts.modality import VariableSettings, inputs_of, recipe_of, spans_of, stays_of, variable_modalities
from .concepts.named import NamedSets
from .concepts.reading import Available, ConceptEvents
from .concepts.shared_pass import SharedPass
from .counts import count_steps
from .cxr import image_shares, not_found, require_mimic_cxr, study_items, subjects_with_images
from .ecg import ecg_items, ecg_tables, measurements
from .ed import ED_MODALITIES, department, ed_settings, ed_tables
from .ehr_events import EVENT_TABLES, IDS, link_by_stay, read_events
from .folder import MimicFolder
from .note_tables import NoteSettings, note_tables
from .notes import note_items
from .selection import parse_select, with_rules
from .tables import Table
from .tasks.named import BENCHMARK
from .tasks.outside import OutsideLabels
from .tasks.own import OwnTasks
from .tasks.own_labels import Counting, Labelling, OwnLabels

VERSION = {"benchmark": 2, "clean": 3}
"""To be raised whenever the same raw folder and settings would give another result in a profile."""

COHORT_VERSION = 3
"""To be raised whenever the same raw folder would give other columns of the cohort, which no model sees."""

MODALITIES = ("ehr", "cxr", "rep", "notes", "ecg", "ecg_measurements", *ED_MODALITIES)
ITEMS = ("cxr", "rep", "notes", "ecg")
SYNTHETIC_MARK = "synthetic/law.json"
"""A folder with this file was written by `omnifuse synth`; caches and reports must say so."""

OF_NO_EVENT = ("cohort", "modalities", "limit", *ED_MODALITIES, "notes", "select", "history", "cxr_years")
"""Settings that decide no value of ``ehr``."""

COHORT_TABLES = ("icustays", "admissions", "patients", "diagnoses_icd")
OPTIONAL_COHORT_TABLES = ("d_icd_diagnoses", "transfers")


class MimicDataSet:
    """MIMIC tables, notes, chest X-rays and reports below one raw folder.

    :meth:`read` reads the cohort; the one pass over the event tables is made by the ``blocks`` of the modality ``ehr``:
    events go to disk in buckets, then one bucket after the other into grids of bins, which stay in a temporary folder
    (``TMPDIR``) of a few hundred megabytes for the full database. Memory is bounded by the size of a bucket. The
    benchmark's tasks need stays with an event of the 17 variables, so stays are labelled when that pass has been made.

    Parameters
    ----------
    raw
        Folder of MIMIC-III, or the one above hosp/ and icu/ (and MIMIC-CXR) of MIMIC-IV.
    modalities
        Some of ``MODALITIES``; None: what the folder holds of ``ehr``, ``cxr``, ``rep`` and ``notes``.
    profile
        ``clean``, or ``benchmark`` for the tensors of the published benchmark, oddities included.
    bin_hours
        Hours per row of ``ehr``.
    limit
        Only the first stays, by id.
    without
        Rules of the clean profile that are switched off (``omnifuse.pipeline.sources.mimic.benchmark.CLEAN_RULES``).
    notes
        Which notes are read.
    select
        Which items of a modality the tasks see, such as ``cxr=all:8``; else the last frontal image, the last report,
        and the last notes.
    variables
        Starter sets and YAML files of variables; each set is a modality.
    history, available
        How far before a stay variables, images, reports and recordings reach, and when values are known.
    task, labels
        Names and files of own tasks, and labels made elsewhere.
    cxr_years
        Only patients of whom MIMIC-CXR has an image.
    """

    resources = (RESOURCES, Path(__file__).parent)

    def __init__(
        self,
        raw: Path,
        modalities: tuple[str, ...] | None = None,
        profile: str = "clean",
        bin_hours: float = 2.0,
        limit: int | None = None,
        without: tuple[str, ...] = (),
        notes: NoteSettings = NoteSettings(),  # noqa: B008  (it is frozen)
        select: tuple[str, ...] = (),
        variables: tuple[str, ...] = (),
        history: History = "icu",
        available: Available = "storetime",
        task: tuple[str, ...] = (),
        labels: OutsideLabels | None = None,
        cxr_years: bool = False,
    ) -> None:
        self.named = NamedSets.read(variables, MODALITIES)
        _refuse_unnamed(modalities or (), self.named)
        check_modalities("MIMIC", modalities, (*MODALITIES, *self.named.names))
        self.raw = Path(raw)
        self.name = "synthetic" if (self.raw / SYNTHETIC_MARK).is_file() else "mimic"
        self.limit = limit
        self.ehr = EhrSettings(cast("Profile", profile), bin_hours, frozenset(without))
        self.notes, self.select = notes, select
        self.variables = VariableSettings(bin_hours, history, available)
        self._wanted, self._task, self.outside = modalities, task, labels
        self.cxr_years = cxr_years

    @cached_property
    def folder(self) -> MimicFolder:
        """What the raw folder holds; raises MissingInputError or InputError where that cannot be used."""
        folder = MimicFolder.find(self.raw)
        require_mimic_cxr(folder, self._wanted or ())
        ecg_tables(folder, self._wanted or ())
        return folder

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities to extract, in the order of their names above, then the sets of variables."""
        wanted = (*self.folder.modalities, *self.named.names) if self._wanted is None else self._wanted
        return tuple(name for name in (*MODALITIES, *self.named.names) if name in wanted)

    @cached_property
    def sets(self) -> dict[str, tuple[Concept, ...]]:
        """The sets of variables to extract; raises InputError where this release cannot have them."""
        return self.named.concepts(3 if self.folder.version == 3 else 4, self.modalities)

    @cached_property
    def own(self) -> OwnTasks | None:
        """The tasks of one's own, if there are any; raises InputError where this release cannot have them."""
        if not self._task:
            return None
        sets = self.named.concepts(3 if self.folder.version == 3 else 4, self.named.names)
        users = [concept for concepts in sets.values() for concept in concepts]
        return OwnTasks(self._task, self.folder, users, self.variables.history if self.sets else "icu")

    def inputs(self) -> list[Path]:
        """Return every table that decides the result; raises MissingInputError naming what is missing."""
        tables = [self.folder.table(name).path for name in COHORT_TABLES]
        optional = [self.folder.find_table(name) for name in OPTIONAL_COHORT_TABLES]
        tables += [path for path in optional if path]
        tables += [table.path for table in self._event_tables()] if "ehr" in self.modalities else []
        images = self.folder.studies if self.cxr_years or {"cxr", "rep"} & set(self.modalities) else None
        self._asked()
        notes = note_tables(self.folder, self.notes.of(self.folder.version)) if "notes" in self.modalities else []
        tables += [table.path for table in (*notes, *ed_tables(self.folder, self.modalities).values())]
        needed = [path for concepts in self.sets.values() for path in inputs_of(self.folder, concepts, self.variables)]
        needed += self.own.inputs() if self.own else []
        needed += ecg_tables(self.folder, self.modalities)
        return list(dict.fromkeys(tables + ([images] if images else []) + needed))

    def settings(self) -> dict[str, Any]:
        """Return everything but the tables that decides the result."""
        recipes = {name: recipe_of(self.folder, concepts, self.variables) for name, concepts in self.sets.items()}
        definitions = {name: digest(recipe) for name, recipe in recipes.items()}
        own = {"tasks": self.own.settings()} if self.own else {}
        own |= {"labels": self.outside.settings()} if self.outside else {}
        return {**self._settings(), **({"definitions": definitions} if recipes else {}), **own}

    def _settings(self) -> dict[str, Any]:
        return {
            "version": VERSION[self.ehr.profile],
            "cohort": COHORT_VERSION,
            "profile": self.ehr.profile,
            "bin_hours": self.ehr.bin_hours,
            "without": sorted(self.ehr.without),
            "modalities": list(self.modalities),
            "limit": self.limit,
            **ed_settings(self.modalities),
            **({"notes": self.notes.to_json(self.folder.version)} if "notes" in self.modalities else {}),
            **({"select": list(self.select)} if self.select else {}),
            **({"history": self.variables.history} if self.variables.history != "icu" else {}),
            **({"cxr_years": True} if self.cxr_years else {}),
        }

    def read(self, quarantine: Quarantine) -> Records:
        """Read cohort, diagnoses and lists of items."""
        cohort = self.read_cohort(quarantine)
        stays = self.read_stays(cohort, quarantine)
        tables = [self._table_modality(cohort)] if "ehr" in self.modalities else []
        of_department, complaints = department(self.folder, self.modalities, cohort.stays, quarantine)
        tables += of_department
        placed = with_history(cohort.stays, self.variables.history, self.folder)
        tables += [measurements(self.folder, placed)] if "ecg_measurements" in self.modalities else []
        own = self.own.of(cohort, self.modalities, quarantine) if self.own else None
        tables += self._variables(cohort, own) if self.sets else ()
        items = [*study_items(self.folder, self.modalities, placed, quarantine)]
        shares = [image_shares(one.items, cohort.stays) for one in items if one.name == "cxr"]
        if "notes" in self.modalities:
            items.append(note_items(self.folder, cohort.stays, self.notes, quarantine))
        items += [ecg_items(self.folder, placed, quarantine)] if "ecg" in self.modalities else []
        items += complaints
        notes = (
            *cohort.notes,
            *filter(None, shares),
            *self._not_found(),
            *notes_on_items(self.folder, self.sets, self.named.files),
        )
        tasks: Labelling = partial(self.tasks, stays)
        counts: Counting = partial(count_steps, cohort.steps, self.ehr, self.limit)
        if own and self.own:
            tasks, counts, notes = own.after(tasks), own.beside(counts), (*notes, *self.own.notes(self.modalities))
        splits = {}
        if self.outside:
            taken = [*BENCHMARK, *(task.name for task in (self.own.tasks if self.own else ()))]
            tasks = self.outside.after(tasks, cohort, self.modalities, taken)
            notes, splits = (*notes, *self.outside.notes()), self.outside.splits(cohort.stays)
        tasks = partial(self._selecting, tasks)
        return Records(_samples(cohort), tasks, tuple(tables), tuple(items), splits, counts, notes)

    def _not_found(self) -> tuple[str, ...]:
        """Return what is left out because it is not there, where all there is was asked for; MIMIC-III has tables."""
        if self._wanted is not None or self.folder.version == 3:
            return ()
        return tuple(f"Not found: {names}. {reason}" for names, reason in not_found(self.folder, ("cxr", "rep")))

    def read_cohort(self, quarantine: Quarantine) -> Cohort:
        """Select the ICU stays."""
        wider = (self.own, self.outside) if self.ehr.profile == "clean" else ()
        wide = [one.wide for one in wider if one is not None]
        subjects = subjects_with_images(self.folder) if self.cxr_years else None
        return read_cohort(self.folder, self.ehr, quarantine, self.limit, wide, subjects)

    def read_tensors(self, cohort: Cohort, quarantine: Quarantine) -> EhrTensors:
        """Read the events of a cohort once and bin them."""
        texts = ["charttime", "value", *self._value_columns]

        def read(keep: pl.Expr) -> Iterator[pl.DataFrame]:
            for table in self._event_tables():
                for events in read_events(table, texts, keep, quarantine):
                    yield link_by_stay(events, cohort.stays)

        return extract_tensors(read, cohort.stays, self.ehr, quarantine)

    def read_stays(self, cohort: Cohort, quarantine: Quarantine) -> Stays:
        """Read what labels depend on, apart from the events."""
        flags, diagnosed = read_phenotypes(self.folder, cohort.stays, self.ehr, quarantine)
        los_hours, death_hours, dead_hours = (
            cohort.stays[name].fill_null(np.nan).to_numpy() for name in ("los_hours", "death_hours", "dead_hours")
        )
        return Stays(
            los_hours, cohort.stays["died"].to_numpy(), death_hours, diagnosed & cohort.stays["benchmark"].to_numpy(),
            flags, cohort.counts,
            dead_hours=dead_hours if self.ehr.uses("no_prediction_after_death") else None,
        )  # fmt: skip

    def tasks(self, stays: Stays, first_hours: FirstHours) -> tuple[Task, ...]:
        """Label the cohort; ``first_hours`` says which stays have events, if those are wanted."""
        stays = replace(stays, first_hours=first_hours.get("ehr"))
        step, known_times_only = self.ehr.bin_hours, self.ehr.uses("known_time_of_death")
        return (
            mortality(stays, self.modalities),
            phenotyping(stays, self.modalities),
            decompensation(stays, self.modalities, step, known_times_only=known_times_only),
            length_of_stay(stays, self.modalities, step),
        )

    def _selecting(self, labelled: Labelling, first_hours: FirstHours) -> tuple[Task, ...]:
        """Label the samples, each task with the items that it sees."""
        rules, version = self._asked(), self.folder.version
        return tuple(
            replace(task, select=with_rules(task.select, rules, self.modalities, version))
            for task in labelled(first_hours)
        )

    def _asked(self) -> dict[str, dict[str, Any]]:
        """Return the user's rules; raises InputError for one that is none, or of no modality of items."""
        return parse_select(self.select, [name for name in self.modalities if name in ITEMS])

    @property
    def _value_columns(self) -> list[str]:
        """What of an event the profile looks at beside its value; the benchmark's port to MIMIC-IV loses the unit."""
        if self.ehr.profile == "clean":
            return ["valueuom", "valuenum", "error"]
        return ["valueuom"] if self.folder.version == 3 else []

    def _variables(self, cohort: Cohort, own: OwnLabels | None) -> tuple[TableModality, ...]:
        """Return the sets of variables, all of which one pass over the events makes, that for own tasks too."""
        stays = stays_of(self.folder, cohort.stays, self.variables)
        concepts = [concept for concepts in self.sets.values() for concept in concepts]
        spans, of_tasks = spans_of(stays), own.concepts.concepts if own else ()
        shared = SharedPass(ConceptEvents(self.folder, [*concepts, *of_tasks], own.spans(spans) if own else spans))
        if own:
            own.listen(shared, len(concepts))
        return variable_modalities(self.folder, self.sets, stays, self.variables, shared)

    def _event_tables(self) -> list[Table]:
        """Return the event tables; OUTPUTEVENTS holds no variable but can make a benchmark subject's values text."""
        needed = dict(EVENT_TABLES)
        if self.ehr.profile == "benchmark" and self.folder.find_table("outputevents"):
            needed["outputevents"] = IDS
        tables = [self.folder.table(name) for name in needed]
        for table, ids in zip(tables, needed.values(), strict=True):
            table.require([*ids, "charttime", "value", "valueuom"])
        return tables

    def _table_modality(self, cohort: Cohort) -> TableModality:
        sample_ids = cohort.stays["stay_id"].to_numpy()

        def blocks(quarantine: Quarantine) -> Iterator[Block]:
            tensors = self.read_tensors(cohort, quarantine)
            for block in tensors.blocks():
                values, time = block.values.astype(np.float32), block.time.astype(np.float32)
                yield Block(sample_ids[block.stays], block.lengths, values, time, tensors.first_hours[block.stays])

        recipe = {name: value for name, value in self._settings().items() if name not in OF_NO_EVENT}
        return TableModality(
            "ehr", "timeseries", columns(), f"{self.ehr.bin_hours:g} hours of the stay", recipe,
            (self.folder.table("icustays").path, *(table.path for table in self._event_tables())), blocks,
            "vital signs and laboratory values over time",
        )  # fmt: skip


def _refuse_unnamed(modalities: Sequence[str], named: NamedSets) -> None:
    """Raise :class:`InputError` if a starter set is asked for as a modality alone."""
    for name in modalities:
        if name in starter_sets() and name not in named.names:
            raise InputError(f"The modality {name!r} is a set of variables: add --variables {name}.")


def _samples(cohort: Cohort) -> pl.DataFrame:
    return cohort.stays.select(
        "subject_id", "age", "sex", "first_careunit", *DESCRIPTIVE, "los_hours", sample_id="stay_id"
    ).select("sample_id", pl.exclude("sample_id"))  # fmt: skip
