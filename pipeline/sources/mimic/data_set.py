"""MIMIC-III and MIMIC-IV with MIMIC-CXR: one sample is one ICU stay, t0 its admission to the unit."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import polars as pl

from ....cache_schema import Task, digest
from ...source import FirstHours, Quarantine, Records, TableModality
from ..options import check_modalities
from . import Options
from .benchmark import RESOURCES, EhrSettings
from .benchmark_labels import benchmark_tasks, read_stays
from .cohort import DESCRIPTIVE, Cohort, read_cohort
from .concepts.codes import read_codes
from .concepts.definitions import Concept
from .concepts.derived import derived_of
from .concepts.dictionary import notes_on_items
from .concepts.history import with_history
from .concepts.modality import VariableSettings, inputs_of, recipe_of, spans_of, stays_of, variable_modalities
from .concepts.named import NamedSets
from .concepts.reading import ConceptEvents
from .concepts.scores import Scores, spans_with_ingredients, with_ingredients
from .concepts.shared_pass import SharedPass
from .counts import Counting, beside_published, count_steps
from .cxr import image_shares, not_found, require_mimic_cxr, study_items, subjects_with_images
from .ecg import ecg_items, ecg_tables, measurements
from .ed import ED_MODALITIES, department, ed_settings, ed_tables
from .ehr_events import EhrEvents
from .folder import MimicFolder
from .note_tables import NoteSettings, note_tables
from .notes import note_items
from .selection import parse_select, with_rules
from .tasks.named import BENCHMARK
from .tasks.outside import LabelRules, OutsideLabels
from .tasks.own import OwnTasks
from .tasks.own_labels import Labelling, OwnLabels

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
    options
        Where they name no ``modalities``: what the folder holds of ``ehr``, ``cxr``, ``rep`` and ``notes``, and the
        sets of ``variables``. Without ``select`` tasks see the last frontal image, the last report, and the last notes.

    Raises
    ------
    InputError
        If options cannot be, apart from the folder.
    """

    resources = (RESOURCES, Path(__file__).parent)

    def __init__(self, raw: Path, options: Options = Options()) -> None:  # noqa: B008  (it is frozen)
        self.raw, self.options = Path(raw), options
        self.name = "synthetic" if (self.raw / SYNTHETIC_MARK).is_file() else "mimic"
        self.named = NamedSets.read(options.variables, MODALITIES)
        self.named.refuse_unnamed(options.modalities or ())
        check_modalities("MIMIC", options.modalities, (*MODALITIES, *self.named.names))
        self.ehr = EhrSettings(options.profile, options.bin_hours, frozenset(options.without_rule))
        self.notes = NoteSettings(options.note_categories, options.note_history_hours)
        self.variables = VariableSettings(options.bin_hours, options.history, options.available)
        rules = LabelRules(options.label_kind, options.slack, options.ignore_unknown, options.allow_missing_labels)
        self.outside = OutsideLabels(options.labels, rules) if options.labels else None

    @cached_property
    def folder(self) -> MimicFolder:
        """What the raw folder holds; raises MissingInputError or InputError where that cannot be used."""
        folder = MimicFolder.find(self.raw)
        require_mimic_cxr(folder, self.options.modalities or ())
        ecg_tables(folder, self.options.modalities or ())
        return folder

    @property
    def events(self) -> EhrEvents:
        """The tables of events of ``ehr``."""
        return EhrEvents(self.folder, self.ehr)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities to extract, in the order of their names above, then the sets of variables."""
        asked = self.options.modalities
        wanted = (*self.folder.modalities, *self.named.names) if asked is None else asked
        return tuple(name for name in (*MODALITIES, *self.named.names) if name in wanted)

    @cached_property
    def sets(self) -> dict[str, tuple[Concept, ...]]:
        """The sets of variables to extract; raises InputError where this release cannot have them."""
        return self.named.concepts(self.folder.version, self.modalities)

    @cached_property
    def own(self) -> OwnTasks | None:
        """The tasks of one's own, if there are any; raises InputError where this release cannot have them."""
        if not self.options.task:
            return None
        sets = self.named.concepts(self.folder.version, self.named.names)
        users = [concept for concepts in sets.values() for concept in concepts]
        return OwnTasks(self.options.task, self.folder, users, self.variables.history if self.sets else "icu")

    def inputs(self) -> list[Path]:
        """Return every table that decides the result; raises MissingInputError naming what is missing."""
        tables = [self.folder.table(name).path for name in COHORT_TABLES]
        optional = [self.folder.find_table(name) for name in OPTIONAL_COHORT_TABLES]
        tables += [path for path in optional if path]
        self._asked()
        opened = self.events.tables() if "ehr" in self.modalities else []
        opened += note_tables(self.folder, self.notes.of(self.folder.version)) if "notes" in self.modalities else []
        opened += ed_tables(self.folder, self.modalities).values()
        tables += [table.path for table in opened]
        asked_for_images = self.options.cxr_years or {"cxr", "rep"} & set(self.modalities)
        tables += [self.folder.studies] if self.folder.studies and asked_for_images else []
        tables += [path for concepts in self.sets.values() for path in inputs_of(self.folder, concepts, self.variables)]
        tables += self.own.inputs() if self.own else []
        tables += ecg_tables(self.folder, self.modalities)
        return list(dict.fromkeys(tables))

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
            "limit": self.options.limit,
            **ed_settings(self.modalities),
            **({"notes": self.notes.to_json(self.folder.version)} if "notes" in self.modalities else {}),
            **({"select": list(self.options.select)} if self.options.select else {}),
            **({"history": self.options.history} if self.options.history != "icu" else {}),
            **({"cxr_years": True} if self.options.cxr_years else {}),
        }

    def read(self, quarantine: Quarantine) -> Records:
        """Read cohort, diagnoses and lists of items."""
        cohort = self.read_cohort(quarantine)
        stays = read_stays(self.folder, cohort, self.ehr, quarantine)
        recipe = {name: value for name, value in self._settings().items() if name not in OF_NO_EVENT}
        tables = [self.events.modality(cohort.stays, recipe)] if "ehr" in self.modalities else []
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
        whole = self.options.modalities is None and self.folder.version == 4  # MIMIC-III has tables alone
        missing = not_found(self.folder, ("cxr", "rep")) if whole else []
        notes = (*cohort.notes, *filter(None, shares), *(f"Not found: {names}. {reason}" for names, reason in missing))
        notes += notes_on_items(self.folder, self.sets, self.named.files)
        tasks: Labelling = partial(benchmark_tasks, stays, self.modalities, self.ehr)
        counts: Counting = partial(count_steps, cohort.steps, self.ehr)
        if own and self.own:
            tasks, counts, notes = own.after(tasks), own.beside(counts), (*notes, *self.own.notes(self.modalities))
        counts = partial(beside_published, counts, cohort.steps, self.ehr, self.options.limit)
        splits = {}
        if self.outside:
            taken = [*BENCHMARK, *(task.name for task in (self.own.tasks if self.own else ()))]
            tasks = self.outside.after(tasks, cohort, self.modalities, taken)
            notes, splits = (*notes, *self.outside.notes()), self.outside.splits(cohort.stays)
        tasks = partial(self._selecting, tasks)
        return Records(_samples(cohort), tasks, tuple(tables), tuple(items), splits, counts, notes)

    def read_cohort(self, quarantine: Quarantine) -> Cohort:
        """Select the ICU stays."""
        wider = (self.own, self.outside) if self.ehr.profile == "clean" else ()
        wide = [one.wide for one in wider if one is not None]
        subjects = subjects_with_images(self.folder) if self.options.cxr_years else None
        return read_cohort(self.folder, self.ehr, quarantine, self.options.limit, wide, subjects)

    def _selecting(self, labelled: Labelling, first_hours: FirstHours) -> tuple[Task, ...]:
        """Label the samples, each task with the items that it sees."""
        rules, version = self._asked(), self.folder.version
        return tuple(
            replace(task, select=with_rules(task.select, rules, self.modalities, version))
            for task in labelled(first_hours)
        )

    def _asked(self) -> dict[str, dict[str, Any]]:
        """Return the user's rules; raises InputError for one that is none, or of no modality of items."""
        return parse_select(self.options.select, [name for name in self.modalities if name in ITEMS])

    def _variables(self, cohort: Cohort, own: OwnLabels | None) -> tuple[TableModality, ...]:
        """Return the sets of variables, all of which one pass over the events makes, that for own tasks too."""
        stays = stays_of(self.folder, cohort.stays, self.variables)
        of_sets = [concept for concepts in self.sets.values() for concept in concepts]
        concepts = with_ingredients(of_sets, self.folder.version)
        of_tasks = own.concepts.concepts if own else ()
        spans = spans_with_ingredients(spans_of(stays), stays, of_sets)
        events = ConceptEvents(self.folder, [*concepts, *of_tasks], own.spans(spans) if own else spans)
        shared = SharedPass(events, self._scores(cohort, concepts) if derived_of(of_sets) else None)
        if own:
            own.listen(shared, len(concepts))
        return variable_modalities(self.folder, self.sets, stays, self.variables, shared)

    def _scores(self, cohort: Cohort, concepts: Sequence[Concept]) -> Scores:
        """Return what makes the scores among some concepts."""
        stays = cohort.stays.with_row_index("key").select(
            pl.col("key").cast(pl.Int64), "subject_id", "age", begin="intime", stop="outtime"
        )
        codes = partial(read_codes, self.folder, stays["subject_id"])
        return Scores(concepts, stays, codes, self.folder.version, self.variables.available)


def _samples(cohort: Cohort) -> pl.DataFrame:
    return cohort.stays.select(
        "subject_id", "age", "sex", "first_careunit", *DESCRIPTIVE, "los_hours", sample_id="stay_id"
    ).select("sample_id", pl.exclude("sample_id"))  # fmt: skip
